"""The clusters that scenarios are played on, alike in all that a spec can say, and what comes of it."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.comparing import differences, judge, table
from conformance.scenarios import SCENARIOS
from conformance.stage import play_all
from conformance.transcript import Entry

import simcluster

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from conformance.comparing import Side
    from conformance.known import Known

__all__ = ["RECORDED", "compare", "load", "page_of", "play", "play_real", "save"]

RECORDED = Path(__file__).parent / "recorded" / "slurm-22.05.json"
"""What real Slurm in containers answered, normalised."""

_DOCS = Path(__file__).parents[2] / "docs"
_PARTITIONS = ({"name": "long"}, {"name": "short", "nodes": ["node2"], "max_time": "30"})


def compare(side: Side) -> tuple[str, str]:
    """Play on the side's clusters and compare with what was recorded: what is wrong with the answers, and the page."""
    recorded = load(RECORDED)
    played = play(side.backend) if side.backend == "emulated" else play_real(side.backend, recorded, side.known)
    real = {name: entries for name, entries in recorded.items() if name in played}
    found = differences(real, played)
    return judge(side, found), table(side, real, found)


def play_real(
    backend: str, recorded: Mapping[str, Sequence[Entry]], known: Iterable[Known] = ()
) -> dict[str, list[Entry]]:
    """As ``play``, for a real Slurm, whose timing is its own: what differs unexpectedly is played once more, on new clusters."""
    played = play(backend)
    expected = {(each.scenario, each.command) for each in known}
    new = [each for each in differences(recorded, played) if (each.scenario, each.command) not in expected]
    if new:
        logging.getLogger(__name__).warning("played once more:\n%s", "\n\n".join(map(str, new)))
        played.update(play(backend, only={each.scenario for each in new}))
    return played


def page_of(side: Side) -> Path:
    """Where the side's page is kept."""
    return _DOCS / ("conformance.md" if side.backend == "emulated" else f"conformance-{side.backend}.md")


def play(backend: str, *, only: Collection[str] = (), workers: int = 6) -> dict[str, list[Entry]]:
    """Play all scenarios (or only some, by name) on clusters of the backend: one with accounting, one without, at the same time."""
    # Whose Slurm the user's own processes are, may do anything.
    scenarios = [scenario for scenario in SCENARIOS if backend != "native" or not scenario.is_of_rights]
    if only:
        scenarios = [scenario for scenario in scenarios if scenario.name in only]

    def play_site(accounting: bool) -> dict[str, list[Entry]]:
        wanted = [scenario for scenario in scenarios if scenario.accounting is accounting]
        if not wanted:
            return {}
        with _start(backend, accounting) as cluster:
            return play_all(cluster, wanted, workers=workers)

    with ThreadPoolExecutor(2) as pool:
        with_accounting, without = pool.map(play_site, (True, False))
    return {**with_accounting, **without}


def _start(backend: str, accounting: bool) -> simcluster.Cluster:
    return simcluster.start(
        "slurm",
        backend=backend,
        nodes=2,
        cpus_per_node=16,
        memory_per_node="16GB",
        gpus_per_node=2,
        partitions=_PARTITIONS,
        accounting=accounting,
        pythons=None if backend == "native" else ["3.12"],
    )


def save(played: dict[str, list[Entry]], path: Path) -> None:
    """Write transcripts down, one scenario after the other by name."""
    plain = {name: [_plain(entry) for entry in played[name]] for name in sorted(played)}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(plain, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def load(path: Path) -> dict[str, list[Entry]]:
    """The transcripts by scenario."""
    plain = json.loads(path.read_text(encoding="utf-8"))
    return {name: [Entry(**entry) for entry in entries] for name, entries in plain.items()}


def _plain(entry: Entry) -> dict[str, object]:
    return {key: value for key, value in asdict(entry).items() if key in {"command", "stdout", "stderr", "code"}}
