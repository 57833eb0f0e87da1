"""The environment that goes with a job: what qsub always sends, `-v` and `-V`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["UnsendableError", "job_variables"]

_ALWAYS = ("HOME", "LANG", "LOGNAME", "PATH", "MAIL", "SHELL", "TZ")
_OWN = ("PBS_O_", "SIMCLUSTER_PROCESS")


class UnsendableError(Exception):
    """A variable of `-v` that is not set."""


def job_variables(
    environment: Mapping[str, str], cwd: str, queue: str, host: str, listed: str | None, *, everything: bool
) -> tuple[tuple[str, str], ...]:
    """The Variable_List in qsub's order. Raises UnsendableError."""
    found = {f"PBS_O_{name}": environment[name] for name in _ALWAYS if name in environment}
    found |= {
        "PBS_O_INTERACTIVE_AUTH_METHOD": "resvport",
        "PBS_O_INTERACTIVE_ENCRYPT_METHOD": "",
        "PBS_O_WORKDIR": cwd,
        "PBS_O_SYSTEM": "Linux",
    }
    own = dict(_listed(environment, listed)) if listed is not None else {}
    if everything:
        own = {**{name: value for name, value in environment.items() if not name.startswith(_OWN)}, **own}
    return tuple({**found, **own, "PBS_O_QUEUE": queue, "PBS_O_HOST": host}.items())


def _listed(environment: Mapping[str, str], listed: str) -> Iterable[tuple[str, str]]:
    for piece in _split(listed):
        name, separator, value = piece.partition("=")
        if separator:
            yield name, value
        elif not name.startswith(_OWN):
            if name not in environment:
                raise UnsendableError(name)
            yield name, environment[name]


def _split(text: str) -> list[str]:
    """At commas outside of quotes; the quotes are dropped."""
    pieces, piece, quote = [], "", ""
    for letter in text:
        if quote:
            quote, piece = ("", piece) if letter == quote else (quote, piece + letter)
        elif letter in "'\"":
            quote = letter
        elif letter == ",":
            pieces.append(piece)
            piece = ""
        else:
            piece += letter
    return [*pieces, piece] if piece else pieces
