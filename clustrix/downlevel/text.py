"""A module's text and its tree, and edits to the text that leave every statement on its line."""

from __future__ import annotations

import ast
import io
import itertools
import tokenize
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Edits", "SourceText", "Token", "UnsupportedError", "Version"]

Version = tuple[int, int]

_LAYOUT = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)


class UnsupportedError(Exception):
    """Something that can't be said in the older Python's syntax.

    ``needs`` is the first Python that has it.
    """

    def __init__(self, feature: str, line: int, needs: Version) -> None:
        super().__init__(feature)
        self.feature, self.line, self.needs = feature, line, needs


@dataclass(frozen=True)
class Token:
    """``start`` and ``end`` count characters of the text."""

    text: str
    kind: int
    start: int
    end: int


class SourceText:
    """What this Python can parse. Places are counted in characters from the text's beginning.

    :raises SyntaxError: it can't be parsed
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.tree = ast.parse(text)
        self.parents = {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    @cached_property
    def _lines(self) -> list[str]:
        return self.text.split("\n")

    @cached_property
    def _line_starts(self) -> list[int]:
        starts = [0]
        for line in self._lines:
            starts.append(starts[-1] + len(line) + 1)
        return starts

    def start(self, node: ast.AST) -> int:
        return self._place(node.lineno, node.col_offset)  # type: ignore[attr-defined]

    def end(self, node: ast.AST) -> int:
        return self._place(node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]

    def segment(self, node: ast.AST) -> str:
        return self.text[self.start(node) : self.end(node)]

    def line_at(self, place: int) -> int:
        return bisect_right(self._line_starts, place)

    @cached_property
    def all_tokens(self) -> list[Token]:
        """With comments and line ends."""
        return [
            Token(
                item.string,
                item.type,
                self._line_starts[item.start[0] - 1] + item.start[1],
                self._line_starts[item.end[0] - 1] + item.end[1],
            )
            for item in tokenize.generate_tokens(io.StringIO(self.text).readline)
        ]

    @cached_property
    def tokens(self) -> list[Token]:
        return [token for token in self.all_tokens if token.text and token.kind not in _LAYOUT]

    def tokens_from(self, place: int) -> Iterator[Token]:
        """Those that begin at ``place`` or after it."""
        return itertools.islice(self.tokens, bisect_left(self.tokens, place, key=lambda token: token.start), None)

    def token_after(self, place: int, text: str) -> Token:
        """The first token ``text`` that begins at ``place`` or after it."""
        return next(token for token in self.tokens_from(place) if token.text == text)

    def closing(self, opening: Token) -> Token:
        """The bracket that closes ``opening``."""
        depth = 0
        for token in self.tokens_from(opening.start):
            if token.kind == tokenize.OP:
                depth += (token.text in "([{") - (token.text in ")]}")
                if depth == 0:
                    return token
        raise ValueError(f"the bracket at {opening.start} is never closed")

    def rest_of_line(self, place: int) -> list[Token]:
        """The tokens from ``place`` to the end of the logical line."""
        first = bisect_left(self.all_tokens, place, key=lambda token: token.start)
        line = itertools.takewhile(
            lambda token: token.kind != tokenize.NEWLINE, itertools.islice(self.all_tokens, first, None)
        )
        return [token for token in line if token.kind not in _LAYOUT]

    def scope_of(self, node: ast.AST) -> ast.AST:
        """The module, class, function or lambda in whose own scope ``node`` is evaluated; comprehensions are passed over."""
        inner = node
        while inner in self.parents:
            outer = self.parents[inner]
            if isinstance(outer, ast.Lambda) and inner is outer.body:
                return outer
            if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and inner in outer.body:
                return outer
            inner = outer
        return inner

    def _place(self, line: int, byte: int) -> int:
        text = self._lines[line - 1]
        column = byte if text.isascii() else len(text.encode()[:byte].decode())
        return self._line_starts[line - 1] + column


@dataclass
class Edits:
    """Edits to one text. What is replaced must not overlap; what is wrapped may hold other edits."""

    source: SourceText
    _replaced: list[tuple[int, int, str]] = field(default_factory=list)
    _before: list[tuple[int, str]] = field(default_factory=list)
    _after: list[tuple[int, str]] = field(default_factory=list)

    def replace(self, start: int, end: int, text: str) -> None:
        """Put ``text``, of one line, in the place of an expression: in brackets that are as many lines long as that was."""
        lines = self.source.text.count("\n", start, end)
        self._replaced.append((start, end, "(" + text + "\n" * lines + ")" if lines else text))

    def put(self, start: int, end: int, text: str) -> None:
        """Put ``text`` there as it is; it must have as many lines."""
        self._replaced.append((start, end, text))

    def wrap(self, start: int, end: int, before: str, after: str) -> None:
        """Put something around a range; the outer of two that begin at one place is wrapped after the inner one."""
        self._before.append((start, before))
        self._after.append((end, after))

    def append(self, end: int, text: str) -> None:
        self._after.append((end, text))

    def __bool__(self) -> bool:
        return bool(self._replaced or self._before or self._after)

    def result(self) -> str:
        """The edited text. At one place: what ends there, from the inside; what begins there, from the outside; replacements."""
        pieces = [(place, 0, number, place, text) for number, (place, text) in enumerate(self._after)]
        pieces += [(place, 1, -number, place, text) for number, (place, text) in enumerate(self._before)]
        pieces += [(start, 2, number, end, text) for number, (start, end, text) in enumerate(self._replaced)]
        text, done, out = self.source.text, 0, []
        for start, _, _, end, new in sorted(pieces):
            out += [text[done:start], new]
            done = end
        out.append(text[done:])
        return "".join(out)
