"""Context managers within parentheses (3.9) lose these; the lines within are continued by backslashes."""

from __future__ import annotations

import ast
import tokenize
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clustrix.downlevel.text import Edits, SourceText, Token, Version

__all__ = ["rewrite_with_items"]


def rewrite_with_items(source: SourceText, edits: Edits, target: Version) -> Iterator[tuple[str, int]]:
    if target >= (3, 9):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.With | ast.AsyncWith):
            opening = next(source.tokens_from(source.token_after(source.start(node), "with").end))
            if opening.text == "(" and _is_around_all(source, node, opening):
                _leave_out(source, edits, opening)
                yield "context managers in parentheses", node.lineno


def _is_around_all(source: SourceText, node: ast.With | ast.AsyncWith, opening: Token) -> bool:
    """Whether it is around the items, and not part of an expression that is the only one."""
    closing = source.closing(opening)
    if next(source.tokens_from(closing.end)).text != ":":
        return False
    has_comma = [token for token in source.tokens_from(opening.end) if token.start < closing.start][-1].text == ","
    is_tuple = isinstance(node.items[0].context_expr, ast.Tuple)
    return len(node.items) > 1 or node.items[0].optional_vars is not None or (has_comma and not is_tuple)


def _leave_out(source: SourceText, edits: Edits, opening: Token) -> None:
    closing = source.closing(opening)
    inside = [token for token in source.all_tokens if opening.start < token.start < closing.start]
    depth, last = 0, opening
    edits.put(opening.start, opening.end, "" if source.text[opening.start - 1].isspace() else " ")
    for token in inside:
        if token.kind == tokenize.OP:
            depth += (token.text in "([{") - (token.text in ")]}")
        if depth == 0 and token.kind == tokenize.COMMENT:
            edits.put(token.start, token.end, "")
        elif depth == 0 and token.kind == tokenize.NL:
            edits.put(token.start, token.start, " \\")
        elif token.kind != tokenize.NL:
            last = token
    if last.text == ",":
        edits.put(last.start, last.end, "")
    edits.put(closing.start, closing.end, "")
