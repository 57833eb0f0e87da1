"""The texts that Python compiles as a whole, files and notebook cells: read once, parsed once, cut into statements."""

from __future__ import annotations

import ast
import importlib.util
import linecache
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any

from clustrix.errors import PackagingError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "BLOCKS",
    "DefinitionNode",
    "ModuleText",
    "definitions_around",
    "dotted_name",
    "every_statement",
    "first_line_of",
    "is_type_checking",
    "literal_or_none",
    "nested_codes",
    "read_module_text",
    "segment_text",
    "string_continuations",
    "text_of_console",
    "top_level_statements",
]

DefinitionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

BLOCKS = ("body", "handlers", "cases", "orelse", "finalbody")  # the fields of a statement that hold statements


@dataclass(frozen=True, eq=False)
class ModuleText:
    """One text that Python compiled as a whole: a file, or a notebook cell (then ``is_file`` is false)."""

    path: str
    text: str
    tree: ast.Module
    flags: int
    is_file: bool
    stamp: tuple[int, int]

    @cached_property
    def lines(self) -> list[str]:
        return self.text.split("\n")

    @cached_property
    def code(self) -> CodeType:
        code: CodeType = compile(self.tree, self.path, "exec", flags=self.flags, dont_inherit=True)
        return code

    @cached_property
    def definitions(self) -> dict[str, list[DefinitionNode]]:
        """Definitions that bind a name of the module, in the order of the text; also those within ``if`` and ``try``."""
        found: dict[str, list[DefinitionNode]] = {}
        for node in top_level_statements(self.tree.body):
            if isinstance(node, DefinitionNode):
                found.setdefault(node.name, []).append(node)
        return found

    @cached_property
    def assignments(self) -> dict[str, list[ast.Assign | ast.AnnAssign]]:
        """Module-level assignments to one plain name."""
        found: dict[str, list[ast.Assign | ast.AnnAssign]] = {}
        for node in top_level_statements(self.tree.body):
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                found.setdefault(node.targets[0].id, []).append(node)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
                found.setdefault(node.target.id, []).append(node)
        return found

    @cached_property
    def nodes_by_place(self) -> dict[tuple[str, int], DefinitionNode]:
        """By name and first line: where a code object says it begins, which is its first decorator."""
        nodes = (node for node in every_statement(self.tree.body) if isinstance(node, DefinitionNode))
        return {(node.name, first_line_of(node)): node for node in nodes}

    @cached_property
    def lambdas(self) -> list[ast.Lambda]:
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.Lambda)]

    def codes(self, name: str) -> Iterator[CodeType]:
        """The code objects called ``name``, wherever they are nested."""
        return (code for whole in self._compiled() for code in nested_codes(whole) if code.co_name == name)

    def _compiled(self) -> Iterator[CodeType]:
        """The text as one; and a notebook compiles each statement alone: since 3.12 calls of what the same text imports differ then."""
        yield self.code
        for node in () if self.is_file else self.tree.body:
            yield compile(ast.Module([node], []), self.path, "exec", flags=self.flags, dont_inherit=True)


def read_module_text(path: str, flags: int = 0) -> ModuleText | None:
    """The text of a file, or of a notebook cell or the like that linecache knows; None where there is none."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return _cell_text(path, flags)
    stamp = (status.st_mtime_ns, status.st_size)
    known = _texts.get((path, flags, ""))
    if known is not None and known.stamp == stamp:
        return known
    try:
        text = importlib.util.decode_source(Path(path).read_bytes())
        tree = ast.parse(text, path)
    except (OSError, SyntaxError, ValueError, UnicodeDecodeError, RecursionError, MemoryError) as error:
        raise PackagingError(f"{path} can't be read as Python source: {error}. Restore the file.") from error
    found = ModuleText(path, text, tree, flags, is_file=True, stamp=stamp)
    _texts[path, flags, ""] = found
    return found


def definitions_around(tree: ast.AST, node: ast.stmt | ast.expr) -> list[DefinitionNode]:
    """The definitions that a definition stands in, the outermost first."""
    for item in every_statement(getattr(tree, "body", [])):
        if (
            item is not node
            and isinstance(item, DefinitionNode)
            and item.lineno <= node.lineno <= (item.end_lineno or 0)
        ):
            return [item, *definitions_around(item, node)]
    return []


def segment_text(module: ModuleText, node: ast.stmt) -> str:
    """The text of a definition (with decorators) or of another statement, from the first column on."""
    if not isinstance(node, DefinitionNode):
        return (ast.get_source_segment(module.text, node) or ast.unparse(node)) + "\n"
    first, last = first_line_of(node), node.end_lineno or node.lineno
    lines = module.lines[first - 1 : last]
    margin = lines[0][: len(lines[0]) - len(lines[0].lstrip())]
    if margin:
        inside_strings = string_continuations(node)
        lines = [
            line
            if number in inside_strings
            else line.removeprefix(margin)
            if line.startswith(margin)
            else line.lstrip()
            for number, line in enumerate(lines, first)
        ]
    return "\n".join(lines) + "\n"


def first_line_of(node: DefinitionNode) -> int:
    return node.decorator_list[0].lineno if node.decorator_list else node.lineno


def top_level_statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run in the module's own scope, those within its ``if``, ``try``, ``with`` and loops too."""
    for node in body:
        yield node
        if isinstance(node, DefinitionNode) or (isinstance(node, ast.If) and is_type_checking(node.test)):
            continue
        for part in ("body", "handlers", "orelse", "finalbody"):
            inner = getattr(node, part, [])
            for item in inner:
                yield from top_level_statements(item.body if isinstance(item, ast.ExceptHandler) else [item])


def every_statement(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Statements at any depth, and the handlers and cases that hold some. Expressions, the bulk of a tree, are skipped."""
    for node in body:
        yield node
        for part in BLOCKS:
            inner = getattr(node, part, None)
            if inner.__class__ is list:
                yield from every_statement(inner)


def nested_codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from nested_codes(constant)


def dotted_name(expression: ast.expr) -> str:
    """``a.b`` of ``@a.b`` and of ``@a.b(...)``; empty for other expressions."""
    while isinstance(expression, ast.Call):
        expression = expression.func
    parts: list[str] = []
    while isinstance(expression, ast.Attribute):
        parts.append(expression.attr)
        expression = expression.value
    if not isinstance(expression, ast.Name):
        return ""
    return ".".join([expression.id, *reversed(parts)])


def literal_or_none(node: ast.expr) -> tuple[Any] | None:
    """The value of a literal expression in a tuple of one; None for any other expression."""
    try:
        return (ast.literal_eval(node),)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def is_type_checking(test: ast.expr) -> bool:
    return dotted_name(test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING", "t.TYPE_CHECKING")


_texts: dict[tuple[str, int, str], ModuleText] = {}  # by path, flags, and for what no file holds its text


def _cell_text(path: str, flags: int) -> ModuleText | None:
    text = "".join(linecache.getlines(path))
    return text_of_console(path, text, flags) if text else None


def text_of_console(path: str, text: str, flags: int) -> ModuleText | None:
    """A text that no file holds; None if it is no Python: a cell with magics isn't what was compiled, and proves nothing."""
    flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    known = _texts.get((path, flags, text))
    if known is not None:
        return known
    try:
        tree = ast.parse(text, path)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    found = ModuleText(path, text, tree, flags, is_file=False, stamp=(0, len(text)))
    _texts[path, flags, text] = found
    return found


def string_continuations(node: ast.AST) -> set[int]:
    """Lines that begin within a string: their leading blanks belong to its value."""
    lines: set[int] = set()
    for part in ast.walk(node):
        is_text = isinstance(part, ast.Constant) and isinstance(part.value, str | bytes)
        if is_text or isinstance(part, ast.JoinedStr):
            lines.update(range(part.lineno + 1, (part.end_lineno or part.lineno) + 1))  # type: ignore[attr-defined]
    return lines
