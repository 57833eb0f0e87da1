"""f-strings that an older Python can't read become ``str.format`` of each value, joined: evaluated and formatted in the same order."""

from __future__ import annotations

import ast
import re
import sys
from typing import TYPE_CHECKING

from clustrix.downlevel.walrus import has_walrus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clustrix.downlevel.text import Edits, SourceText, Version

__all__ = ["rewrite_fstrings", "without_fstrings"]

_PREFIX = re.compile(r"([A-Za-z]*)('''|\"\"\"|'|\")")
_SAYS_ITS_TEXT = re.compile(r"(?<![=!<>])=\s*(![rsa])?\s*[:}]")


def rewrite_fstrings(source: SourceText, edits: Edits, target: Version) -> Iterator[tuple[str, int]]:
    """Those with ``=`` (3.8), with any string, line end or comment within (3.12), or with other syntax that is to be rewritten."""
    for node in _outermost(source.tree):
        feature = _feature(source, node, target)
        if feature:
            edits.put(source.start(node), source.end(node), _on_their_lines(source, node))
            yield feature, node.lineno


def without_fstrings(node: ast.expr) -> ast.expr:
    """The same expression without f-strings."""
    made: ast.expr = _Formatted().visit(node)
    return made


def _on_their_lines(source: SourceText, node: ast.JoinedStr) -> str:
    """The parts in parentheses, each on the line of its value, as far as this Python knows it: inside f-strings, from 3.12 on."""
    lines, done = source.segment(node).count("\n"), 0
    text = ""
    for part in node.values:
        if isinstance(part, ast.Constant) and not part.value:
            continue
        if sys.version_info >= (3, 12):
            wanted = (part.value if isinstance(part, ast.FormattedValue) else part).lineno - node.lineno
            text += "\n" * (wanted - done)
            done = max(done, wanted)
        text += (" + " if text.strip() else "") + ast.unparse(without_fstrings(ast.JoinedStr([part])))
    return "(" + (text or "''") + "\n" * (lines - done) + ")"


def _outermost(node: ast.AST) -> Iterator[ast.JoinedStr]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.JoinedStr):
            yield child
        else:
            yield from _outermost(child)


def _feature(source: SourceText, node: ast.JoinedStr, target: Version) -> str:
    values = [item for item in ast.walk(node) if isinstance(item, ast.FormattedValue)]
    segment = source.segment(node)
    if target < (3, 8) and _SAYS_ITS_TEXT.search(segment) and _follows_its_text(node):
        return 'f"{x=}"'
    if target < (3, 8) and any(has_walrus(item) for item in values):
        return "assignment expression"
    if target < (3, 8) and _names_positional_only(source, node):
        return "positional-only parameter"
    if target < (3, 12) and not _is_plain(segment):
        return "f-string of Python 3.12"
    return ""


def _follows_its_text(node: ast.JoinedStr) -> bool:
    return any(
        isinstance(part, ast.Constant)
        and str(part.value).rstrip().endswith("=")
        and isinstance(value, ast.FormattedValue)
        for inner in ast.walk(node)
        if isinstance(inner, ast.JoinedStr)
        for part, value in zip(inner.values, inner.values[1:], strict=False)
    )


def _names_positional_only(source: SourceText, node: ast.JoinedStr) -> bool:
    """Whether it may use a parameter that gets another name, which happens in functions that also take any keyword."""
    outer: ast.AST | None = node
    while outer is not None:
        is_function = isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if is_function and outer.args.posonlyargs and outer.args.kwarg:  # type: ignore[attr-defined]
            return True
        outer = source.parents.get(outer)
    return False


def _is_plain(segment: str) -> bool:
    """Whether every Python from 3.6 on can read it: within braces no backslash, no comment, no quote of its own, no line end."""
    place = 0
    while place < len(segment):
        opening = _PREFIX.match(segment, place)
        if opening is None:
            place += 1  # between strings that stand one after the other
            continue
        prefix, quote = opening[1].lower(), opening[2]
        end = _end_of_string(segment, opening.end(), quote)
        body = segment[opening.end() : end]
        if "f" in prefix and not _has_plain_braces(body, quote):
            return False
        place = end + len(quote)
    return True


def _end_of_string(text: str, place: int, quote: str) -> int:
    """Where a string, raw or not, ends if its first unescaped quote ends it, as it did before 3.12."""
    while place < len(text) and not text.startswith(quote, place):
        place += 2 if text[place] == "\\" else 1
    return min(place, len(text))


def _has_plain_braces(body: str, quote: str) -> bool:
    depth, place = 0, 0
    while place < len(body):
        two, one = body[place : place + 2], body[place]
        if depth == 0 and two in ("{{", "}}"):
            place += 2
            continue
        if one == "{":
            depth += 1
        elif one == "}":
            depth -= 1
            if depth < 0:
                return False
        elif depth and (one in "\\#" or (one == "\n" and len(quote) == 1)):
            return False
        place += 1
    return depth == 0


class _Formatted(ast.NodeTransformer):
    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:
        parts: list[ast.expr] = []
        for value in node.values:
            if isinstance(value, ast.FormattedValue):
                parts.append(self._formatted(value))
            elif isinstance(value, ast.Constant) and value.value:
                parts.append(value)
        if not parts:
            return ast.Constant("")
        text = parts[0]
        for part in parts[1:]:
            text = ast.BinOp(text, ast.Add(), part)
        return text

    def _formatted(self, node: ast.FormattedValue) -> ast.expr:
        conversion = "!" + chr(node.conversion) if node.conversion > 0 else ""
        arguments: list[ast.expr] = [self.visit(node.value)]
        spec = ""
        if isinstance(node.format_spec, ast.JoinedStr) and node.format_spec.values:
            spec = ":{}"
            arguments.append(self.visit(node.format_spec))
        form = ast.Attribute(ast.Constant("{" + conversion + spec + "}"), "format", ast.Load())
        return ast.Call(form, arguments, [])
