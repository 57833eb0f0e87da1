"""Command lines as Grid Engine reads them: options of several letters after one dash, each with so many words of its own."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simcluster.emulated.command_line import CommandLine

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MissingValueError", "Table", "UnknownOptionError", "table"]

_log = logging.getLogger(__name__)


class UnknownOptionError(Exception):
    """The option, with its dash."""


class MissingValueError(Exception):
    """The option, with its dash."""


@dataclass(frozen=True)
class Table:
    """A program's options and how many words each takes; `refused` are real ones that are not emulated.

    `optional` ones take a word if one follows that is no option. `stops_early`: what follows the first other word is
    not ours (a script's arguments).
    """

    program: str
    words: dict[str, int]
    refused: frozenset[str]
    optional: frozenset[str] = frozenset()
    stops_early: bool = False

    def parse(self, words: Sequence[str]) -> CommandLine:
        """Raises UnknownOptionError and MissingValueError."""
        options: list[tuple[str, str]] = []
        rest: list[str] = []
        queue = list(words)
        while queue:
            word = queue.pop(0)
            name = word.removeprefix("-")
            if not word.startswith("-"):
                rest.append(word)
                if self.stops_early:
                    return CommandLine(tuple(options), (*rest, *queue))
            elif name in self.optional:
                has_word = bool(queue) and not queue[0].startswith("-")
                options.append((name, queue.pop(0) if has_word else ""))
            elif name in self.words:
                count = self.words[name]
                if len(queue) < count:
                    raise MissingValueError(word)
                options.append((name, " ".join(queue[:count])))
                del queue[:count]
            else:
                if name in self.refused:
                    _log.warning(
                        "%s %s is an option of Grid Engine's that is not emulated: refused", self.program, word
                    )
                raise UnknownOptionError(word)
        return CommandLine(tuple(options), tuple(rest))


def table(
    program: str,
    *,
    flags: str = "",
    valued: str = "",
    optional: str = "",
    refused: str = "",
    pairs: str = "",
    stops_early: bool = False,
) -> Table:
    """A table from names with spaces between; `pairs` take two words."""
    words = dict.fromkeys(flags.split(), 0) | dict.fromkeys(valued.split(), 1) | dict.fromkeys(pairs.split(), 2)
    return Table(program, words, frozenset(refused.split()), frozenset(optional.split()), stops_early)
