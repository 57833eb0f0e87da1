"""A notebook's cell as the function of a job: what it reads of the notebook are its parameters, what it assigns is its value.

The function's definition takes the line of ``%%cluster``, so its lines are those of the cell.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import re
import sys
import zipfile
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from clustrix.loop_flow import Flow
from clustrix.module_text import string_continuations
from clustrix.remote.cells import VALUE
from clustrix.remote.wire import RemoteTraceback
from clustrix.scopes import bound_in, names_read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["Cell", "read_cell"]

_NAME = "notebook_cell"
_FLAGS = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
_ONLY_HERE = {
    "get_ipython": "magics and shell commands (% and !) work in the notebook alone: put them into a cell of their own",
    "display": "display() works in the notebook alone: let what is to be shown be the cell's last line",
}
_DEFINES = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_CONTAINERS = (list, dict, set, bytearray)


@dataclass(frozen=True)
class Cell:
    """``function`` called with ``arguments`` gives the cell's variables, by name, and under VALUE that of its last line.

    ``definitions`` are the statements that import and define: a notebook does them itself, for functions and modules don't travel.
    """

    path: str
    function: FunctionType
    arguments: dict[str, Any]
    definitions: Sequence[ast.stmt]

    def define(self, names: dict[str, Any]) -> Iterator[str]:
        """Have ``names``, the notebook's, get what the cell imports and defines; gives words for each statement that fails here."""
        for node in self.definitions:
            try:
                exec(compile(ast.Module([node], []), self.path, "exec", dont_inherit=True), names)  # noqa: S102
            except Exception as error:  # noqa: BLE001, PERF203 - whatever the user's statement raises
                yield f"line {node.lineno} took effect in the job alone; here it raises {type(error).__name__}: {error}"

    def raise_in_place(self, error: BaseException, packages: Path) -> None:
        """Raise an exception of the job where the cell raised it; return if the cell did not. ``packages`` is where packages are kept."""
        __tracebackhide__ = True  # IPython looks for it
        line = _line_of(error, packages)
        if line is not None:
            code = compile("\n" * (line - 1) + "raise error", self.path, "exec")
            exec(code, {"error": error.with_traceback(None)})  # noqa: S102 - the line above


def read_cell(text: str, path: str, names: dict[str, Any]) -> Cell:
    """The cell ``text``, whose first line stands below ``%%cluster``; ``path`` is what tracebacks call it, ``names`` are the notebook's.

    Raises SyntaxError as the notebook does, also for what only the notebook can do.
    """
    text = f"\n{text}\n"
    linecache.cache[path] = (len(text), None, text.splitlines(keepends=True), path)
    tree: ast.Module = compile(text, path, "exec", _FLAGS | ast.PyCF_ONLY_AST, dont_inherit=True)
    is_coroutine = bool(compile(tree, path, "exec", _FLAGS, dont_inherit=True).co_flags & inspect.CO_COROUTINE)
    _refuse_what_works_only_here(tree, path, names)
    body, keyword = _body(text, tree), "async def" if is_coroutine else "def"
    read = names_read(ast.parse(f"{keyword} {_NAME}():{body}    pass\n").body[0]).all
    parameters = sorted({*_values_among(read, names), *_read_first(tree, names)})
    definitions = [node for node in tree.body if isinstance(node, _DEFINES)]
    back = bound_in(node for node in tree.body if not isinstance(node, _DEFINES))
    back |= _changed(tree, names) & set(parameters) | ({VALUE} if _has_value(text, tree) else set())
    whole = f"{keyword} {_NAME}({', '.join(parameters)}):{body}{_give(back)}"
    place = f"{path[:-1]} as a function>"
    linecache.cache[place] = (len(whole), None, whole.splitlines(keepends=True), place)
    found: dict[str, Any] = {}
    exec(compile(whole, place, "exec", dont_inherit=True), names, found)  # noqa: S102 - a def
    return Cell(path, found[_NAME], {name: names[name] for name in parameters}, definitions)


def _give(back: Iterable[str]) -> str:
    """The statements that give those of the variables that are assigned by then. locals() would keep loops from being parallel."""
    lines = ["_clustrix_found = {}"]
    for name in sorted(back):
        lines += [f"try: _clustrix_found[{name!r}] = {name}", "except NameError: pass"]
    give = '__import__("clustrix_remote.cells", fromlist=["*"]).what_comes_back'
    lines.append(f"return {give}(_clustrix_found, {sys.version_info[:2]})")
    return "".join(f"    {line}\n" for line in lines)


def _body(text: str, tree: ast.Module) -> str:
    """The cell's lines as those of a function, the value of its last line under a name; what is within strings stays as it is."""
    lines = text.split("\n")
    if _has_value(text, tree):
        last = tree.body[-1]
        line = lines[last.lineno - 1].encode()
        lines[last.lineno - 1] = b"".join(
            [line[: last.col_offset], f"{VALUE} = ".encode(), line[last.col_offset :]]
        ).decode()
    inside_strings = string_continuations(tree)
    return "\n".join(
        f"    {line}" if line.strip() and number not in inside_strings else line for number, line in enumerate(lines, 1)
    )


def _has_value(text: str, tree: ast.Module) -> bool:
    """Whether the notebook would show what the last line gives."""
    return bool(tree.body) and isinstance(tree.body[-1], ast.Expr) and not text.rstrip().endswith(";")


def _values_among(read: Iterable[str], names: Mapping[str, Any]) -> Iterator[str]:
    """Those that are values; modules, functions and classes are the analysis's, as for every function."""
    return (
        name for name in read if name in names and not isinstance(names[name], ModuleType) and not callable(names[name])
    )


def _read_first(tree: ast.Module, names: Mapping[str, Any]) -> Iterator[str]:
    """What the cell may read of the notebook before it assigns it."""
    flow = Flow({name for name in bound_in(tree.body) if name in names and not isinstance(names[name], ModuleType)})
    flow.block(tree.body, set())
    return iter(flow.exposed)


def _changed(tree: ast.Module, names: Mapping[str, Any]) -> set[str]:
    """What the cell changes without assigning it: by items and attributes, and by methods of lists and the like."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript | ast.Attribute) and not isinstance(node.ctx, ast.Load):
            found.add(_root(node))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            root = _root(node.value.func)
            found |= {root} if isinstance(names.get(root), _CONTAINERS) else set()
    return found


def _root(node: ast.expr) -> str:
    """The variable ``a`` of ``a.b[0].c``; empty where it is none."""
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _refuse_what_works_only_here(tree: ast.Module, path: str, names: Mapping[str, Any]) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in _ONLY_HERE and node.id not in names.keys() - {"get_ipython"}:
            text = linecache.getline(path, node.lineno)
            raise SyntaxError(_ONLY_HERE[node.id], (path, node.lineno, node.col_offset + 1, text))


def _line_of(error: BaseException, packages: Path) -> int | None:
    """The cell's line in the traceback from the job, whose main file has the cell's function somewhere."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, RemoteTraceback):
        seen = seen.__cause__ or seen.__context__
    frames = re.findall(rf'/([0-9a-f]{{16}})[^/]*/main\.py", line (\d+), in {_NAME}\n', str(seen))
    if not frames:
        return None
    package, line = frames[-1]
    try:
        with zipfile.ZipFile(packages / f"clustrix_package_{package}.zip") as archive:
            before = archive.read("main.py").decode().split(f"def {_NAME}(")[0]
    except OSError:
        return None
    return int(line) - before.count("\n")
