"""Which files a text reads and writes by literal paths, and which ``cluster_*`` functions it calls."""

from __future__ import annotations

import ast
import bisect
import re
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from clustrix.module_text import dotted_name, every_statement, literal_or_none

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import CodeType

__all__ = ["FileReference", "FilesystemCall", "file_references_in", "filesystem_calls_in", "perhaps_paths_in"]

_CLUSTER_FUNCTIONS = frozenset(
    f"cluster_{name}"
    for name in "ls find stat exists isdir isfile glob du count_files read write put get mkdir rm".split()  # noqa: SIM905
)
_PATH_CLASSES = ("Path", "PurePath", "PosixPath", "WindowsPath")
_PATH_READERS = ("read_text", "read_bytes")
_PATH_WRITERS = ("write_text", "write_bytes", "touch", "mkdir")
_READERS = ("load", "loadtxt", "genfromtxt", "fromfile", "imread", "memmap", "open_dataset")
_OPENING = re.compile(r"open|Path|read_|write_|to_|load|save|fromtxt|fromfile|imread|memmap|tofile|touch|mkdir")
_WRITERS = ("save", "savetxt", "savez", "savez_compressed", "tofile", "imsave", "savefig")


@dataclass(frozen=True)
class FileReference:
    """A literal path. ``operation`` is ``read``, ``write``, ``append``, or ``path`` where it is only named."""

    path: str
    operation: str
    lineno: int
    is_relative: bool


@dataclass(frozen=True)
class FilesystemCall:
    """A call of a ``cluster_*`` function: its arguments (literals by value, others as written), and its line."""

    function: str
    args: list[str]
    lineno: int
    context: str


def perhaps_paths_in(code: CodeType) -> set[str]:
    """The strings of code without source that may be paths of files that it opens."""
    if not any(_OPENING.search(name) for name in code.co_names):
        return set()
    return {value for value in code.co_consts if isinstance(value, str) and value and "\0" not in value}


def filesystem_calls_in(text: str, tree: ast.Module, names: Mapping[str, str]) -> list[FilesystemCall]:
    """The ``cluster_*`` calls in a text; ``names`` maps local names to what they are in clustrix."""
    found = []
    called = {"cluster_", *(name for name, meant in names.items() if meant in _CLUSTER_FUNCTIONS)}
    lines = text.split("\n")
    for call in _calls(tree, lines, re.compile("|".join(sorted(map(re.escape, called))))):
        written = dotted_name(call.func)
        function = names.get(written, written).rpartition(".")[2]
        if function in _CLUSTER_FUNCTIONS:
            args = [_argument(text, item) for item in call.args]
            args += [f"{item.arg}={_argument(text, item.value)}" for item in call.keywords if item.arg]
            context = lines[call.lineno - 1].strip() if call.lineno <= len(lines) else ""
            found.append(FilesystemCall(function, args, call.lineno, context))
    return found


def file_references_in(text: str, tree: ast.Module, constants: Mapping[str, str]) -> list[FileReference]:
    """The literal paths in a text; ``constants`` are strings that its names are known to stand for."""
    calls = _calls(tree, text.split("\n"), _OPENING)
    if not calls:
        return []
    known = {**constants, **_paths_assigned(tree, constants)}
    found: dict[tuple[str, int], FileReference] = {}
    for call in calls:
        reference = _reference(call, known)
        if reference is not None:
            previous = found.get((reference.path, reference.lineno))
            if previous is None or previous.operation == "path":
                found[reference.path, reference.lineno] = reference
    return sorted(found.values(), key=lambda item: (item.lineno, item.path))


def _calls(tree: ast.Module, lines: list[str], pattern: re.Pattern[str]) -> list[ast.Call]:
    """The calls in those statements of which a line matches: most of a module is passed over unseen."""
    wanted = [number for number, line in enumerate(lines, 1) if pattern.search(line)]
    calls: dict[int, ast.Call] = {}
    for node in every_statement(tree.body) if wanted else ():
        first, last = getattr(node, "lineno", 0), getattr(node, "end_lineno", 0)
        if first and bisect.bisect_left(wanted, first) < bisect.bisect_right(wanted, last):
            for child in ast.iter_child_nodes(node):
                if not isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
                    calls.update((id(call), call) for call in ast.walk(child) if isinstance(call, ast.Call))
    return list(calls.values())


def _argument(text: str, node: ast.expr) -> str:
    literal = literal_or_none(node)
    if literal is not None and isinstance(literal[0], str):
        return literal[0]
    return ast.get_source_segment(text, node) or ""


def _reference(call: ast.Call, known: Mapping[str, str]) -> FileReference | None:
    function = call.func
    written = dotted_name(function)
    name = function.attr if isinstance(function, ast.Attribute) else written
    target = call.args[0] if call.args else _keyword(call, "file", "path", "filepath_or_buffer", "fname", "io")
    if written in ("open", "io.open", "codecs.open", "gzip.open", "bz2.open", "lzma.open"):
        path, operation = _path(target, known), _mode(call, 1)
    elif isinstance(function, ast.Attribute) and name in (*_PATH_READERS, *_PATH_WRITERS, "open"):
        path = _path(function.value, known)
        operation = _mode(call, 0) if name == "open" else "read" if name in _PATH_READERS else "write"
    elif written.rpartition(".")[2] in _PATH_CLASSES:
        path, operation = _path(call, known), "path"
    elif name in _READERS or name.startswith("read_"):
        path, operation = _path(target, known), "read"
    elif name in _WRITERS or name.startswith("to_"):
        path, operation = _path(target, known), "write"
    else:
        return None
    if not path or "\n" in path or "://" in path:
        return None
    is_relative = not (PurePosixPath(path).is_absolute() or PureWindowsPath(path).drive or path.startswith("~"))
    return FileReference(path, operation, call.lineno, is_relative)


def _keyword(call: ast.Call, *names: str) -> ast.expr | None:
    return next((item.value for item in call.keywords if item.arg in names), None)


def _mode(call: ast.Call, position: int) -> str:
    node = call.args[position] if len(call.args) > position else _keyword(call, "mode")
    literal = literal_or_none(node) if node is not None else ("r",)
    mode = literal[0] if literal is not None and isinstance(literal[0], str) else "w"
    if "a" in mode:
        return "append"
    return "write" if set(mode) & set("wx+") else "read"


def _path(node: ast.expr | None, known: Mapping[str, str]) -> str | None:
    """The path that an expression of literals means: "a/b", Path("a", "b"), Path("a") / "b", join("a", "b")."""
    if node is None:
        return None
    if isinstance(node, ast.Name):
        return known.get(node.id)
    parts: list[ast.expr]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        parts = [node.left, node.right]
    elif isinstance(node, ast.Call) and dotted_name(node.func).rpartition(".")[2] in (*_PATH_CLASSES, "join"):
        parts = node.args
    else:
        literal = literal_or_none(node)
        return literal[0] if literal is not None and isinstance(literal[0], str) else None
    texts = [_path(part, known) for part in parts]
    return str(PurePosixPath(*[text for text in texts if text])) if texts and all(texts) else None


def _paths_assigned(tree: ast.Module, constants: Mapping[str, str]) -> dict[str, str]:
    """Names that the text assigns once, and that to a literal path."""
    values: dict[str, list[ast.expr]] = {}
    for node in every_statement(tree.body):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            values.setdefault(node.targets[0].id, []).append(node.value)
    paths = {name: _path(found[0], constants) for name, found in values.items() if len(found) == 1}
    return {name: path for name, path in paths.items() if path}
