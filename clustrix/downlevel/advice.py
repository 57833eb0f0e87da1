"""What a text uses of the standard library that an older Python may lack, as far as vermin sees it: advice, never a verdict.

It is right more often than not; it misses methods of values whose type it doesn't know, and has false alarms.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clustrix.downlevel.text import Version

__all__ = ["Missing", "missing_names"]

_LINE = re.compile(r"L(\d+)[^:]*: (?:'([^']+)'|(dict union)).* requires? .*\b3\.(\d+)")
_GUARDS = re.compile(r"\b(version_info|TYPE_CHECKING|hexversion|hasattr)\b")


@dataclass(frozen=True)
class Missing:
    """A name of the standard library, and the first Python that has it."""

    line: int
    name: str
    since: Version


def missing_names(text: str, target: Version) -> list[Missing]:
    """In the order of the text; what is tried or asked for beforehand is left out.

    :raises SyntaxError: this Python can't parse it
    """
    import vermin  # noqa: PLC0415 - it takes long, and is seldom needed

    guarded = set(_guarded_lines(ast.parse(text)))
    config = vermin.Config()
    config.set_verbose(3)
    config.set_show_tips(False)
    # The environment of a job under 3.6 has it.
    config.add_backport("dataclasses")
    found: dict[Missing, None] = {}
    for line in vermin.visit(text, config).output_text().splitlines():
        match = _LINE.match(line)
        if (
            match
            and not line.partition("'")[2].startswith("__future__")
            and int(match[1]) not in guarded
            and (3, int(match[4])) > target
        ):
            found[Missing(int(match[1]), match[2] or match[3], (3, int(match[4])))] = None
    return sorted(found, key=lambda item: (item.line, item.name))


def _guarded_lines(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        is_tried = isinstance(node, ast.Try) and node.handlers
        if is_tried or (isinstance(node, ast.If | ast.IfExp) and _GUARDS.search(ast.unparse(node.test))):
            yield from range(node.lineno, (node.end_lineno or node.lineno) + 1)  # type: ignore[attr-defined]
