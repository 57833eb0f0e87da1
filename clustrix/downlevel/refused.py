"""What has no equal in older syntax: ``match`` and ``except*``; and what is new to this Python itself."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from clustrix.downlevel.text import UnsupportedError

if TYPE_CHECKING:
    from clustrix.downlevel.text import SourceText, Version

__all__ = ["unsupported"]

# By the name of the node, for older clients don't have it.
_STATEMENTS: dict[str, tuple[str, Version]] = {
    "Match": ("match statement", (3, 10)),
    "TryStar": ("except*", (3, 11)),
    "TemplateStr": ("template string", (3, 14)),
}


def unsupported(source: SourceText, target: Version) -> list[UnsupportedError]:
    """Every place of such syntax that ``target`` lacks, in the order of the text."""
    found = []
    for node in ast.walk(source.tree):
        feature, needs = _STATEMENTS.get(type(node).__name__, ("", (3, 0)))
        if needs > target:
            found.append(UnsupportedError(feature, node.lineno, needs))  # type: ignore[attr-defined]
    return sorted(found, key=lambda item: item.line)
