"""Scenarios, and a cluster as the stage that they are played on."""

from __future__ import annotations

import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance.normalising import NODE_RULE, job_rule, rules_for
from conformance.transcript import Entry, normalised

from simcluster.shell import Shell

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conformance.transcript import Rule

    from simcluster.cluster import Cluster

__all__ = ["DEADLINE", "Break", "Mend", "Run", "Scenario", "Step", "Until", "play_all"]

DEADLINE = 150.0
"""Seconds that an `Until` waits, and that a command may take."""

_POLL = 0.15


@dataclass(frozen=True)
class Run:
    """A command in the user's shell on the login host. The first number that it prints is the job `job` from then on."""

    command: str
    job: str = ""

    @property
    def label(self) -> str:
        return self.command


@dataclass(frozen=True)
class Until:
    """Run the command again and again until what it prints, both streams, has `shows` (a regular expression) in it."""

    command: str
    shows: str

    @property
    def label(self) -> str:
        return self.command


@dataclass(frozen=True)
class Break:
    """Begin one of `cluster.faults`, by its name and arguments as on the command line."""

    fault: str
    words: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return f"({' '.join([self.fault, *self.words])})"


@dataclass(frozen=True)
class Mend:
    """End the fault that began last."""

    label = "(mended)"


Step = Run | Until | Break | Mend


@dataclass(frozen=True)
class Scenario:
    """Steps in a directory of their own. `@a` in a command is the id of the job `a`.

    `is_alone`: it sees or disturbs the whole cluster, so nothing else is played there meanwhile. `is_of_rights`: its
    user must be an ordinary one, which nobody is on a cluster of processes of his own.
    """

    name: str
    steps: tuple[Step, ...]
    is_alone: bool = False
    accounting: bool = True
    is_of_rights: bool = False

    @property
    def directory(self) -> str:
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")


def play_all(cluster: Cluster, scenarios: Iterable[Scenario], *, workers: int) -> dict[str, list[Entry]]:
    """The normalised transcript of each scenario by its name."""
    rules = rules_for(cluster)
    rules_when_shared = (*rules, NODE_RULE)
    _use_up_short_ids(cluster)
    scenarios = tuple(scenarios)
    shared = [scenario for scenario in scenarios if not scenario.is_alone]
    with ThreadPoolExecutor(workers) as pool:
        played = list(pool.map(lambda scenario: _play(cluster, scenario, rules_when_shared), shared))
    alone = [scenario for scenario in scenarios if scenario.is_alone]
    played += [_play(cluster, scenario, rules) for scenario in alone]
    return dict(zip((scenario.name for scenario in [*shared, *alone]), played, strict=True))


def _use_up_short_ids(cluster: Cluster) -> None:
    """Let ids have four digits from now on: shorter ones could be any number in an output, and take fewer columns."""
    cluster.run("a=$(sbatch --parsable -H -a 0-1000 --wrap true) && scontrol hold ${a}_[0-999]", check=True)
    cluster.run("scancel -n wrap", check=True)
    _wait_until_empty(cluster)


def _wait_until_empty(cluster: Cluster) -> None:
    deadline = time.monotonic() + DEADLINE
    while left := cluster.run("squeue -h", check=True).stdout:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the queue does not become empty:\n{left}")
        time.sleep(_POLL)


def _play(cluster: Cluster, scenario: Scenario, rules: tuple[Rule, ...]) -> list[Entry]:
    if scenario.is_alone:
        _wait_until_empty(cluster)
    with closing(Shell(cluster.ssh)) as shell:
        player = _Player(cluster, shell, scenario, rules)
        shell.run(f"mkdir {scenario.directory}", check=True)
        try:
            for step in scenario.steps:
                player.perform(step)
        finally:
            player.clear()
        return player.entries


class _Player:
    """Performs the steps of one scenario and writes down what came of each."""

    def __init__(self, cluster: Cluster, shell: Shell, scenario: Scenario, rules: tuple[Rule, ...]) -> None:
        self.entries: list[Entry] = []
        self._cluster, self._shell = cluster, shell
        self._directory, self._rules = scenario.directory, rules
        self._jobs: dict[str, str] = {}
        self._faults: list[object] = []

    def perform(self, step: Step) -> None:
        if isinstance(step, Run):
            entry = self._run(step.command)
            if step.job and (number := re.search(r"\d+", entry.stdout)):
                self._jobs[step.job] = number[0]
        elif isinstance(step, Until):
            entry = self._until(step)
        elif isinstance(step, Break):
            fault = self._cluster.faults.named(step.fault, [self._with_ids(word) for word in step.words])
            fault.start()
            self._faults.append(fault)
            entry = Entry(step.label, "", "", 0)
        else:
            self._faults.pop().stop()
            entry = Entry(step.label, "", "", 0)
        self.entries.append(normalised(entry, [*self._ids(), *self._rules]))

    def clear(self) -> None:
        """Mend what is broken and cancel what is left."""
        while self._faults:
            self._faults.pop().stop()
        mine = f'squeue -h -o "%A %Z" | awk \'$2 ~ "/{self._directory}(/|$)" {{print $1}}\' | sort -u'
        deadline = time.monotonic() + DEADLINE
        # Again and again, for a job that was just requeued survives it.
        while left := self._shell.run(mine, timeout=DEADLINE, check=True).stdout.split():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self._directory}: can't cancel {left}")
            self._shell.run(["scancel", *left], timeout=DEADLINE)
            time.sleep(_POLL)

    def _run(self, command: str) -> Entry:
        try:
            done = self._shell.run(f"cd {self._directory}\n{self._with_ids(command)}", timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            return Entry(command, "", f"(still running after {DEADLINE:.0f} s)\n", -1)
        return Entry(command, done.stdout, done.stderr, done.returncode)

    def _until(self, step: Until) -> Entry:
        deadline = time.monotonic() + DEADLINE
        while True:
            entry = self._run(step.command)
            if re.search(step.shows, entry.stdout + entry.stderr, re.MULTILINE):
                return entry
            if time.monotonic() > deadline:
                return Entry(step.command, entry.stdout, f"{entry.stderr}(never showed {step.shows})\n", -1)
            time.sleep(_POLL)

    def _with_ids(self, text: str) -> str:
        for name, number in self._jobs.items():
            text = re.sub(rf"@{name}(?![A-Za-z0-9])", number, text)
        return text

    def _ids(self) -> list[Rule]:
        return [job_rule(name, number) for name, number in self._jobs.items()]
