"""Command lines as getopt(3) of glibc reads them, by the options of PBS's programs."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simcluster.emulated.command_line import CommandLine

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Options", "log_refusal"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """A program's options as getopt(3) has them (`a:` takes a value); `refused` are real ones that are not emulated."""

    program: str
    letters: str
    refused: str = ""

    def parse(self, words: Sequence[str]) -> CommandLine:
        """Options may follow other words. Each error is a line, and reading goes on."""
        options: list[tuple[str, str]] = []
        rest: list[str] = []
        errors: list[str] = []
        queue = list(words)
        while queue:
            word = queue.pop(0)
            if word == "--":
                return CommandLine(tuple(options), tuple(rest), tuple(queue), tuple(errors))
            if not word.startswith("-") or word == "-":
                rest.append(word)
                continue
            letters = word[1:]
            while letters:
                letter, letters = letters[0], letters[1:]
                if not self._is_known(letter):
                    errors.append(f"{self.program}: invalid option -- '{letter}'\n")
                elif not self._takes_value(letter):
                    options.append((letter, ""))
                elif letters or queue:
                    options.append((letter, letters or queue.pop(0)))
                    letters = ""
                else:
                    errors.append(f"{self.program}: option requires an argument -- '{letter}'\n")
        return CommandLine(tuple(options), tuple(rest), None, tuple(errors))

    def _is_known(self, letter: str) -> bool:
        if letter in self.refused:
            log_refusal(self.program, f"-{letter}")
            return False
        return letter != ":" and letter in self.letters

    def _takes_value(self, letter: str) -> bool:
        return self.letters[self.letters.index(letter) + 1 :].startswith(":")


def log_refusal(program: str, what: str) -> None:
    """Say in the log that something of PBS's is not there."""
    _log.warning("%s %s is PBS's, but not emulated: refused", program, what)
