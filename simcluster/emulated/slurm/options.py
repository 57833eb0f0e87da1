"""Command lines as getopt_long(3) reads them, by tables of Slurm's own options."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NoReturn

from simcluster.emulated.command_line import CommandLine

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Option", "Table", "UsageError", "log_refusal", "table"]

_log = logging.getLogger(__name__)


class UsageError(Exception):
    """The text for stderr."""


@dataclass(frozen=True)
class Option:
    """An option of the real program. One that `is_emulated` not is refused as an unknown one is."""

    name: str
    letter: str = ""
    argument: Literal["no", "required", "optional"] = "required"
    is_emulated: bool = True


@dataclass(frozen=True)
class Table:
    """A program's options. `stops_early`: what follows the first other word is not ours (a script's arguments)."""

    program: str
    options: tuple[Option, ...]
    stops_early: bool = False

    def parse(self, words: Sequence[str]) -> CommandLine:
        """Raises UsageError."""
        found: list[tuple[str, str]] = []
        rest: list[str] = []
        queue = list(words)
        while queue:
            word = queue.pop(0)
            if word == "--":
                rest += queue
                break
            if word.startswith("--"):
                found.append(self._long(word[2:], queue))
            elif word.startswith("-") and word != "-":
                found += self._short(word[1:], queue)
            else:
                rest.append(word)
                if self.stops_early:
                    rest += queue
                    break
        return CommandLine(tuple(found), tuple(rest))

    def _long(self, word: str, queue: list[str]) -> tuple[str, str]:
        name, separator, value = word.partition("=")
        option = self._named(name, word)
        if option.argument == "no" and separator:
            raise self._error(f"option '--{option.name}' doesn't allow an argument")
        if option.argument == "required" and not separator:
            if not queue:
                raise self._error(f"option '--{option.name}' requires an argument")
            value = queue.pop(0)
        return option.name, value

    def _named(self, name: str, word: str) -> Option:
        exact = [option for option in self.options if option.name == name]
        like = exact or [option for option in self.options if option.name.startswith(name)]
        if not like:
            raise self._error(f"unrecognized option '--{word}'")
        if len(like) > 1:
            possible = " ".join(f"'--{name}'" for name in sorted(option.name for option in like))
            raise self._error(f"option '--{name}' is ambiguous; possibilities: {possible}")
        if not like[0].is_emulated:
            log_refusal(self.program, f"--{like[0].name}")
            raise self._error(f"unrecognized option '--{word}'")
        return like[0]

    def _short(self, letters: str, queue: list[str]) -> list[tuple[str, str]]:
        found = []
        while letters:
            letter, letters = letters[0], letters[1:]
            option = next((option for option in self.options if option.letter == letter), None)
            if option is None or not option.is_emulated:
                if option is not None:
                    log_refusal(self.program, f"-{letter} (--{option.name})")
                raise self._error(f"invalid option -- '{letter}'")
            if option.argument == "no":
                found.append((option.name, ""))
                continue
            if option.argument == "required" and not letters:
                if not queue:
                    raise self._error(f"option requires an argument -- '{letter}'")
                letters = queue.pop(0)
            found.append((option.name, letters.removeprefix("=") if option.argument == "optional" else letters))
            break
        return found

    def refuse(self, name: str) -> NoReturn:
        """Raise UsageError for an option that only other releases have, or have emulated."""
        log_refusal(self.program, f"--{name}")
        raise self._error(f"unrecognized option '--{name}'")

    def _error(self, text: str) -> UsageError:
        hint = "" if self.program == "sacct" else f'Try "{self.program} --help" for more information\n'
        return UsageError(f"{self.program}: {text}\n{hint}")


def log_refusal(program: str, what: str) -> None:
    """Name what the real program has and this one has not, for the cluster's log: who runs the tests reads that."""
    _log.warning("%s %s: a part of Slurm that is not emulated; refused", program, what)


def table(
    program: str, *, stops_early: bool = False, flags: str = "", optional: str = "", valued: str = "", refused: str = ""
) -> Table:
    """A table from words such as `partition/p`; those in `refused` are real and not emulated (`name=` takes a value)."""
    options = [Option(*_split(word), argument="no") for word in flags.split()]
    options += [Option(*_split(word), argument="optional") for word in optional.split()]
    options += [Option(*_split(word)) for word in valued.split()]
    for word in refused.split():
        options.append(
            Option(*_split(word.rstrip("=")), argument="required" if word.endswith("=") else "no", is_emulated=False)
        )
    return Table(program, tuple(options), stops_early)


def _split(word: str) -> tuple[str, str]:
    name, _, letter = word.partition("/")
    return name, letter
