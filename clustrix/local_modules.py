"""Which modules are the user's own, where their files are, and what those files import in turn.

Local is what neither Python nor an index brought: not of the standard library, and not below a ``site-packages``
or ``dist-packages``, judged by the real path; so editable installs and namespace packages are local. Below one, local is
what was installed from a directory of this computer or, in pure Python, from a version control system.
"""

from __future__ import annotations

import ast
import bisect
import importlib.machinery
import importlib.util
import os
import pkgutil
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from clustrix.distributions import shipped_files
from clustrix.errors import PackagingError
from clustrix.module_text import BLOCKS, dotted_name, is_type_checking, literal_or_none, read_module_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "Import",
    "LocalModule",
    "ModuleSet",
    "dynamic_imports_in",
    "imports_in",
    "is_importable",
    "is_local_path",
    "is_standard_library",
    "locate",
    "modules_reached",
]

_OWN_PACKAGES = ("clustrix", "clustrix_remote", "simcluster")
_STANDARD_ELSEWHERE = frozenset(
    [
        "aifc",
        "asynchat",
        "asyncore",
        "audioop",
        "binhex",
        "cgi",
        "cgitb",
        "chunk",
        "compression",
        "crypt",
        "distutils",
        "dummy_threading",
        "formatter",
        "graphlib",
        "imghdr",
        "imp",
        "lib2to3",
        "macpath",
        "macurl2path",
        "mailcap",
        "msilib",
        "nis",
        "nntplib",
        "ossaudiodev",
        "parser",
        "pipes",
        "smtpd",
        "sndhdr",
        "spwd",
        "sunau",
        "symbol",
        "telnetlib",
        "tomllib",
        "uu",
        "xdrlib",
        "zoneinfo",
        "annotationlib",
        "dataclasses",
        "contextvars",
        "_bootlocale",
        "_dummy_threading",
    ]
)
_SOURCE_SUFFIXES = (".py", ".pyw")


@dataclass(frozen=True)
class Import:
    """One name of an import statement: ``import module as alias`` or ``from module import name as alias``.

    ``is_optional``: within a ``try`` that catches the ImportError. ``is_deferred``: within a function, so it is made when
    that is called. ``lineno`` counts in the text that was parsed.
    """

    module: str
    name: str = ""
    alias: str = ""
    is_optional: bool = False
    lineno: int = 0
    is_deferred: bool = False

    @property
    def binds(self) -> str:
        return self.alias or self.name or self.module.partition(".")[0]

    @property
    def statement(self) -> str:
        as_alias = f" as {self.alias}" if self.alias and self.alias != (self.name or self.module) else ""
        return f"from {self.module} import {self.name}{as_alias}" if self.name else f"import {self.module}{as_alias}"


@dataclass(frozen=True)
class LocalModule:
    """A module of the user's: ``path`` is the file here, ``relative_path`` its place below the import root."""

    name: str
    path: str
    relative_path: str


@dataclass
class ModuleSet:
    """What a set of imports reaches: local modules by name, and the names of all others."""

    local: dict[str, LocalModule] = field(default_factory=dict)
    external: set[str] = field(default_factory=set)
    optional: set[str] = field(default_factory=set)  # external, and never imported without catching the ImportError
    deferred: set[str] = field(default_factory=set)  # external, and never imported but within functions
    stamps: dict[str, tuple[int, int]] = field(default_factory=dict)


def modules_reached(imports: Iterable[Import]) -> ModuleSet:
    """The local modules that ``imports`` load, with those that they load; each with the packages above it."""
    found = ModuleSet()
    required: set[str] = set()
    at_once: set[str] = set()
    pending = list(imports)
    while pending:
        wanted = pending.pop()
        names = [wanted.module, f"{wanted.module}.{wanted.name}"] if wanted.name else [wanted.module]
        for name in names:
            if not name or name.partition(".")[0] in _OWN_PACKAGES:
                continue
            if wanted.is_optional and _is_extension(name):
                continue  # the job does without it
            place = locate(name)
            if place is None:
                if _is_external(name, wanted):
                    (found.optional if wanted.is_optional else required).add(name)
                    (found.deferred if wanted.is_deferred else at_once).add(name)
                continue  # else an attribute of its module, or a namespace package
            for module in _with_parents(name):
                if module.name not in found.local:
                    found.local[module.name] = module
                    pending += _imports_of(module, found)
    found.external = required | found.optional
    found.optional -= required
    found.deferred -= at_once
    return found


def locate(name: str) -> LocalModule | None:
    """The local module of that name, by the running process's modules, else by its import path; imports nothing.

    :raises PackagingError: it is local, but a compiled extension
    """
    path, is_package = _file_of(name)
    if not path or not is_local_path(path):
        return None
    if _is_extension(name):
        raise PackagingError(
            f"module {name!r} ({path}) is a compiled extension, which runs on this Python and platform only. "
            "Install it on the cluster as a distribution, or import it within try/except ImportError."
        )
    relative = name.replace(".", "/") + ("/__init__.py" if is_package else ".py")
    return LocalModule(name, path, relative)


def is_importable(name: str) -> bool:
    """Whether a module of that name is there; imports nothing."""
    return name in sys.modules or _spec_of(name) is not None


@cache
def is_local_path(path: str) -> bool:
    """Whether a file belongs to the user rather than to Python or to a distribution that an index has."""
    real = Path(path).resolve()
    if {"site-packages", "dist-packages"} & set(real.parts):
        return str(real) in shipped_files()
    return not any(real.is_relative_to(root) for root in _python_roots())


def is_standard_library(name: str) -> bool:
    """Whether a module's top-level name belongs to the standard library of this Python, or of any from 3.6 on."""
    top = name.partition(".")[0]
    return top in sys.stdlib_module_names or top in _STANDARD_ELSEWHERE or (top == "test" and _is_pythons_own_test())


def _is_pythons_own_test() -> bool:
    """Whether ``test`` here is Python's regression tests, which are in no list of its modules; it may well be the user's."""
    file = getattr(sys.modules.get("test"), "__file__", None)
    return file is not None and Path(file).parent.parent == Path(os.__file__).parent


def imports_in(tree: ast.Module, package: str, text: str = "", *, as_main: bool = False) -> list[Import]:
    """The imports in a text, in any scope, with absolute names; ``package`` is what relative ones are relative to.

    Left out are blocks under ``if TYPE_CHECKING:`` and, unless ``as_main``, ``if __name__ == "__main__":``. With the
    ``text`` of the tree, statements without that word are passed over unseen.
    """
    lines = [number for number, line in enumerate(text.split("\n"), 1) if "import" in line] if text else None
    return list(_statements_imports(tree.body, package, lines, as_main=as_main))


def dynamic_imports_in(tree: ast.Module, text: str) -> list[Import]:
    """The modules in ``importlib.import_module("name")`` and the like, where the name is a literal."""
    if not any(name.rpartition(".")[2] in text for name in _DYNAMIC_IMPORTS):
        return []
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and dotted_name(node.func) in _DYNAMIC_IMPORTS:
            name = literal_or_none(node.args[0])
            if name is not None and isinstance(name[0], str) and name[0][:1] != ".":
                found.append(Import(name[0], lineno=node.lineno, is_deferred=True))
    return found


def _statements_imports(
    body: Iterable[ast.AST],
    package: str,
    lines: list[int] | None,
    *,
    as_main: bool,
    is_optional: bool = False,
    is_deferred: bool = False,
) -> Iterator[Import]:
    for node in body:
        if lines is not None and isinstance(node, ast.stmt):
            first = bisect.bisect_left(lines, node.lineno)
            if first == len(lines) or lines[first] > (node.end_lineno or node.lineno):
                continue
        caught = is_optional
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, "", alias.asname or "", is_optional, node.lineno, is_deferred)
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(node, package)
            for alias in node.names:
                yield Import(module, alias.name, alias.asname or "", is_optional, node.lineno, is_deferred)
        elif isinstance(node, ast.Try):
            caught = is_optional or any(_catches_import_error(handler) for handler in node.handlers)
        is_later = is_deferred or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        skipped = "body" if isinstance(node, ast.If) and _is_not_run(node.test, as_main=as_main) else ""
        for part in BLOCKS:
            inner = getattr(node, part, None)
            if inner.__class__ is list and part != skipped:
                yield from _statements_imports(
                    inner, package, lines, as_main=as_main, is_optional=caught, is_deferred=is_later
                )


_DYNAMIC_IMPORTS = ("importlib.import_module", "import_module", "__import__")


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    base = parts[: len(parts) - node.level + 1]
    return ".".join([*base, node.module] if node.module else base)


def _catches_import_error(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(dotted_name(item) in ("ImportError", "ModuleNotFoundError", "Exception") for item in types)


def _is_not_run(test: ast.expr, *, as_main: bool) -> bool:
    if is_type_checking(test):
        return True
    return (
        not as_main
        and isinstance(test, ast.Compare)
        and isinstance(test.left, ast.Name)
        and test.left.id == "__name__"
        and isinstance(test.ops[0], ast.Eq)
    )


_imports_by_file: dict[tuple[str, str], tuple[tuple[int, int], list[Import]]] = {}


def _imports_of(module: LocalModule, found: ModuleSet) -> list[Import]:
    """The imports of a module's file, parsed once per state of the file."""
    stat = Path(module.path).stat()
    stamp = found.stamps[module.path] = (stat.st_mtime_ns, stat.st_size)
    known = _imports_by_file.get((module.path, module.name))
    if known is not None and known[0] == stamp:
        return known[1]
    text = read_module_text(module.path)
    package = module.name if module.relative_path.endswith("/__init__.py") else module.name.rpartition(".")[0]
    imports = []
    if text is not None:
        imports = imports_in(text.tree, package, text.text) + dynamic_imports_in(text.tree, text.text)
    _imports_by_file[module.path, module.name] = (stamp, imports)
    return imports


def _with_parents(name: str) -> Iterator[LocalModule]:
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        module = locate(".".join(parts[:count]))
        if module is not None:
            yield module


def _is_extension(name: str) -> bool:
    path, _ = _file_of(name)
    return bool(path) and is_local_path(path) and not path.endswith(_SOURCE_SUFFIXES)


def _is_external(name: str, wanted: Import) -> bool:
    """Whether a distribution has to bring ``name``, which is no local module.

    A namespace's distributions are told apart by what is imported from it: ``from google.cloud import storage``.
    """
    part = wanted.name if wanted.name != "*" and _is_namespace(wanted.module) else ""
    imported = f"{wanted.module}.{part}" if part else wanted.module
    return name == imported and (bool(_file_of(name)[0]) or not _is_below_local_package(name))


def _is_namespace(name: str) -> bool:
    module = sys.modules.get(name)
    if module is not None:
        return getattr(module, "__file__", None) is None and hasattr(module, "__path__")
    spec = _spec_of(name)
    return spec is not None and spec.origin is None and spec.submodule_search_locations is not None


def _is_below_local_package(name: str) -> bool:
    top = name.partition(".")[0]
    if locate(top) is not None:
        return True
    module = sys.modules.get(top)
    spec = getattr(module, "__spec__", None) or (_spec_of(top) if module is None else None)
    locations = list(getattr(spec, "submodule_search_locations", None) or ())
    return getattr(spec, "origin", None) is None and any(is_local_path(location) for location in locations)


def _file_of(name: str) -> tuple[str, bool]:
    """A module's file and whether it is a package; an empty path for namespaces, built-in and missing modules."""
    module = sys.modules.get(name)
    if module is not None:
        path = getattr(module, "__file__", None)
        return (path, hasattr(module, "__path__")) if isinstance(path, str) else ("", False)
    spec = _spec_of(name)
    if spec is None or spec.origin is None or not spec.has_location:
        return "", False
    return spec.origin, spec.submodule_search_locations is not None


def _spec_of(name: str) -> importlib.machinery.ModuleSpec | None:
    """Like importlib.util.find_spec, but packages above ``name`` are not imported."""
    parent, _, _ = name.rpartition(".")
    if not parent:
        try:
            return importlib.util.find_spec(name)
        except (ImportError, ValueError):
            return None
    if parent in sys.modules:
        search = getattr(sys.modules[parent], "__path__", None)
    else:
        above = _spec_of(parent)
        search = above.submodule_search_locations if above is not None else None
    return None if search is None else _spec_below(name, search)


def _spec_below(name: str, search: Iterable[str]) -> importlib.machinery.ModuleSpec | None:
    """What PathFinder does, which for namespaces insists on the package above being imported."""
    portions: list[str] = []
    for directory in search:
        finder = pkgutil.get_importer(directory)
        spec = finder.find_spec(name) if finder is not None else None
        if spec is not None and spec.loader is not None:
            return spec
        portions += (spec.submodule_search_locations or ()) if spec is not None else ()
    if not portions:
        return None
    namespace = importlib.machinery.ModuleSpec(name, None, is_package=True)
    namespace.submodule_search_locations = portions
    return namespace


@cache
def _python_roots() -> tuple[Path, ...]:
    # sysconfig would say the same, and takes longer to be asked than a function to be packed.
    library = Path(os.__file__).parent
    paths = [library, Path(sys.base_exec_prefix, sys.platlibdir, library.name)]
    if sys.platform == "win32":
        paths.append(Path(sys.base_prefix) / "DLLs")
    return tuple({path.resolve() for path in paths})
