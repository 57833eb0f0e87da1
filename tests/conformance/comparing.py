"""Where two clusters answered differently, and which of these differences are known."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from conformance.known import EMULATED, NATIVE
from conformance.normalising import RULES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from conformance.known import Known
    from conformance.transcript import Entry

__all__ = ["SIDES", "Difference", "Side", "differences", "judge", "table"]


@dataclass(frozen=True)
class Side:
    """Whom the Slurm in containers is compared with; `introduction` is what its page begins with."""

    backend: str
    known: tuple[Known, ...]
    introduction: str


SIDES = {
    side.backend: side
    for side in (
        Side("emulated", EMULATED, "The emulated Slurm is simcluster's own."),
        Side(
            "native",
            NATIVE,
            "The native Slurm is the one in containers, as private processes of whoever started the cluster. Scenarios of\n"
            "what its user may not do are not played: he is its administrator.",
        ),
    )
}


@dataclass(frozen=True)
class Difference:
    """Two answers to the same command, the first of the Slurm in containers; None where one side did not come to it."""

    scenario: str
    command: str
    real: Entry | None
    other: Entry | None

    def __str__(self) -> str:
        return "\n".join([f"{self.scenario}: {self.command}", *_shown("real", self.real), *_shown("here", self.other)])


def differences(real: Mapping[str, Sequence[Entry]], other: Mapping[str, Sequence[Entry]]) -> list[Difference]:
    """Every command of the scenarios in `other` that was answered differently."""
    found = []
    for name in sorted(other):
        for theirs, ours in zip_longest(real.get(name, ()), other[name]):
            if theirs != ours:
                command = (theirs or ours).command
                found.append(Difference(name, command, theirs, ours))
    return found


def judge(side: Side, found: Iterable[Difference]) -> str:
    """Empty if exactly the known differences are there; else which are new and which have vanished."""
    found = list(found)
    known = {(each.scenario, each.command) for each in side.known}
    there = {(each.scenario, each.command) for each in found}
    new = [f"new: {each}" for each in found if (each.scenario, each.command) not in known]
    gone = [f"has vanished, remove it from known.py: {scenario}: {command}" for scenario, command in known - there]
    return "\n\n".join([*new, *sorted(gone)])


def table(side: Side, real: Mapping[str, Sequence[Entry]], found: Sequence[Difference]) -> str:
    """The side's page in docs/; `real` are the scenarios that it played."""
    reasons = {(each.scenario, each.command): each.reason for each in side.known}
    by_scenario: dict[str, list[Difference]] = {}
    for each in found:
        by_scenario.setdefault(each.scenario, []).append(each)
    commands = sum(map(len, real.values()))
    lines = [
        f"# How the {side.backend} Slurm compares with the one in containers",
        "",
        *side.introduction.splitlines(),
        "Written by `nox -s conformance -- --record` from what Slurm 22.05.8 in containers and it answered to the",
        f"same {len(real)} scenarios with {commands} commands. {len(real) - len(by_scenario)} scenarios agree in every answer; of the",
        f"commands {commands - len(found)} do, in output, error output and exit code. `nox -s conformance` fails if a difference appears that is",
        "not listed below, and if a listed one has vanished.",
        "",
        "## What is not compared",
        "",
        *[f"{number}. {effect} Reason: {reason}." for number, (effect, reason) in enumerate(RULES.values(), 1)],
        "",
        "## Known differences",
        "",
    ]
    for reason in dict.fromkeys(reasons.values()):
        members = [each for each in found if reasons.get((each.scenario, each.command)) == reason]
        if members:
            lines += [f"### {reason}", ""]
            for each in members:
                lines += [f"*{each.scenario}*", "", "```console", f"$ {each.command}", *_diff(side, each), "```", ""]
    lines += ["## Scenarios", "", "| scenario | commands | differences |", "| --- | ---: | ---: |"]
    lines += [f"| {name} | {len(real[name])} | {len(by_scenario.get(name, ())) or ''} |" for name in real]
    return "\n".join(lines) + "\n"


def _shown(side: str, entry: Entry | None) -> list[str]:
    return [f"  {side}| {line}" for line in _lines(entry)]


def _diff(side: Side, difference: Difference) -> list[str]:
    """What only the one in containers says, then what only the other one does."""
    real, other = _lines(difference.real), _lines(difference.other)
    return [f"real      | {line}" for line in real if line not in other] + [
        f"{side.backend:<10}| {line}" for line in other if line not in real
    ]


def _lines(entry: Entry | None) -> list[str]:
    if entry is None:
        return ["(not reached)"]
    return [*entry.stdout.splitlines(), *(f"2> {line}" for line in entry.stderr.splitlines()), f"exit {entry.code}"]
