"""Any expression as a decorator (3.9) becomes the argument of a call that gives it back, which older grammar takes."""

from __future__ import annotations

import ast
import tokenize
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clustrix.downlevel.text import Edits, SourceText, Token, Version

__all__ = ["rewrite_decorators"]


def rewrite_decorators(source: SourceText, edits: Edits, target: Version) -> Iterator[tuple[str, int]]:
    if target >= (3, 9):
        return
    for node in ast.walk(source.tree):
        for expression in getattr(node, "decorator_list", ()):
            # With the parentheses that are around it.
            at = source.text.rindex("@", 0, source.start(expression))
            tokens = source.rest_of_line(at + 1)
            if not _is_old(source, tokens):
                edits.wrap(tokens[0].start, tokens[-1].end, "next(iter([", "]))")
                yield "decorator expression", expression.lineno


def _is_old(source: SourceText, tokens: list[Token]) -> bool:
    """A dotted name, perhaps called once."""
    rest = list(tokens)
    while rest and rest[0].kind == tokenize.NAME:
        rest.pop(0)
        if not rest:
            return True
        if rest[0].text == "(":
            return source.closing(rest[0]) == rest[-1]
        if rest[0].text != ".":
            return False
        rest.pop(0)
    return False
