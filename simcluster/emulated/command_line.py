"""A command line as it was read, by whichever rules a scheduler's programs read theirs."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CommandLine"]


@dataclass(frozen=True)
class CommandLine:
    """Options in order, without their dashes and under their full names where they have some; and what else there was.

    Where a program goes on reading after mistakes, `errors` are lines for stderr. `command` is what followed `--` where
    that is another thing than the rest, None without one.
    """

    options: tuple[tuple[str, str], ...]
    rest: tuple[str, ...]
    command: tuple[str, ...] | None = None
    errors: tuple[str, ...] = ()

    def last(self, name: str, default: str = "") -> str:
        """The value that counts."""
        return next((value for option, value in reversed(self.options) if option == name), default)

    def has(self, *names: str) -> bool:
        """Whether one of them was given."""
        return any(option in names for option, _ in self.options)

    def all(self, name: str) -> list[str]:
        """All values, for options that add up."""
        return [value for option, value in self.options if option == name]

    def joined(self, name: str) -> str:
        """All values that are not empty, with commas between them."""
        return ",".join(filter(None, self.all(name)))
