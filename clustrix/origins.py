"""Where the user wrote what stands in a package: the lines of a main file are those of the script's definitions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clustrix.main_file import render_main_file

if TYPE_CHECKING:
    from clustrix.closure import Closure

__all__ = ["origin"]


def origin(closure: Closure | None, file: str, line: int) -> tuple[str, int]:
    """File and line in which the user wrote the line of the package's ``file``; these themselves where nobody did so."""
    if file != "main.py" or closure is None:
        return file, line
    text = render_main_file(closure)
    for definition in closure.definitions.values():
        source = definition.source
        # Some decorators are left out, which come first.
        if source is None or not source.text.endswith(definition.text):
            continue
        before = text[: text.find(f"\n{definition.text}") + 1].count("\n")
        if 0 < line - before <= definition.text.count("\n"):
            left_out = source.text.count("\n") - definition.text.count("\n")
            return source.path, source.first_line + left_out + line - before - 1
    return file, line
