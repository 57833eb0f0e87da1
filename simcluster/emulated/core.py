"""The scheduler: what runs where and when. It knows no command line, no process and no socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simcluster.emulated.interface import Clock, Launcher, Machine, Partition, Settings
    from simcluster.emulated.jobs import Job, Request

__all__ = ["Core"]


class Core:
    """A cluster's scheduler. Not for several threads: all calls come from the one that runs the event loop."""

    def __init__(
        self,
        machines: Sequence[Machine],
        partitions: Sequence[Partition],
        *,
        cluster_name: str,
        clock: Clock,
        launcher: Launcher,
        accounting: bool,
        settings: Settings,
    ) -> None:
        self.machines = {machine.name: machine for machine in machines}
        self.partitions = {partition.name: partition for partition in partitions}
        self.cluster_name = cluster_name
        self.clock = clock
        self.launcher = launcher
        self.accounting = accounting
        self.settings = settings
        self.jobs: list[Job] = []

    def submit(self, request: Request) -> Job:
        """Take a job into the queue; of an array, the first element is returned."""
        raise NotImplementedError
