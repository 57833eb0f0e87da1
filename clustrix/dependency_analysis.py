"""What a function needs: the local functions, modules and files it reaches, and the distributions it imports."""

from __future__ import annotations

import ast
import sys
import warnings
import weakref
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import FunctionType
from typing import TYPE_CHECKING, Any

from clustrix.closure_search import reach
from clustrix.errors import PackagingError
from clustrix.file_access import FileReference, FilesystemCall, file_references_in, filesystem_calls_in
from clustrix.inclusion import included
from clustrix.local_modules import (
    Import,
    ModuleSet,
    dynamic_imports_in,
    imports_in,
    is_standard_library,
    locate,
    modules_reached,
)
from clustrix.module_text import DefinitionNode, ModuleText, literal_or_none, read_module_text, segment_text
from clustrix.scopes import names_read
from clustrix.source import (
    NoSourceError,
    Source,
    find_source,
    objects_inside,
    plain_function,
    submitted,
    unwrap_cluster,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from clustrix.bytecode import Bytecode
    from clustrix.closure import Closure

__all__ = [
    "DependencyAnalyzer",
    "DependencyGraph",
    "FileReference",
    "FilesystemCall",
    "ImportInfo",
    "LocalFunctionCall",
    "UndefinedNameWarning",
    "UnseenFileWarning",
    "analyze_function_dependencies",
]


class UndefinedNameWarning(UserWarning):
    """A name that the function reads is defined nowhere: the job will raise NameError, as Python does here."""


class UnseenFileWarning(UserWarning):
    """A function without source names a file that is here, and it can't be seen whether it reads that: it doesn't come along."""


@dataclass(frozen=True)
class ImportInfo:
    """An import that the function makes or uses. ``lineno`` counts from its definition's first line; 0: outside."""

    module: str
    names: list[str]
    alias: str | None
    is_from_import: bool
    lineno: int


@dataclass(frozen=True)
class LocalFunctionCall:
    """A call of a local function or class. ``defined_in_scope``: in the function's own file.

    ``source_file`` is relative to its import root; ``lineno`` counts from the first line of the definition that calls.
    """

    function_name: str
    lineno: int
    defined_in_scope: bool
    source_file: str | None


@dataclass
class DependencyGraph:
    """All that one function needs. ``closure`` is set where the package gets a main file, else the module is shipped.

    ``data_files`` are relative paths below ``working_directory``; ``watched_paths`` are those that exist or not.
    """

    function_name: str
    source_code: str
    imports: list[ImportInfo] = field(default_factory=list)
    local_function_calls: list[LocalFunctionCall] = field(default_factory=list)
    file_references: list[FileReference] = field(default_factory=list)
    filesystem_calls: list[FilesystemCall] = field(default_factory=list)
    source_files: set[str] = field(default_factory=set)
    local_modules: set[str] = field(default_factory=set)
    data_files: set[str] = field(default_factory=set)
    requires_cluster_filesystem: bool = False
    external_dependencies: set[str] = field(default_factory=set)
    requires_dependencies: bool = False
    entry: dict[str, str] = field(default_factory=dict)
    modules: ModuleSet = field(default_factory=ModuleSet, repr=False)
    closure: Closure | None = field(default=None, repr=False)
    bytecode: Bytecode | None = field(default=None, repr=False)
    working_directory: str = ""
    is_unchanged: Callable[[], bool] = field(default=bool, repr=False)


def analyze_function_dependencies(func: Callable[..., Any]) -> DependencyGraph:
    """The dependencies of a function. :raises PackagingError: (a ValueError) something can't come along"""
    return DependencyAnalyzer().analyze_function(func)


class DependencyAnalyzer:
    """Analyses functions; relative data files are looked for in ``working_directory`` (default: the current one).

    ``include`` are modules and files that the functions need although nothing in them says so.
    """

    def __init__(self, working_directory: str | None = None, include: Iterable[str] = ()) -> None:
        self.working_directory = working_directory
        self.include = tuple(include)

    def analyze_function(self, func: Callable[..., Any], classes: Iterable[type] = ()) -> DependencyGraph:
        """See analyze_function_dependencies; ``classes`` are those which only the arguments of a call need.

        Names that nothing defines are an UndefinedNameWarning.
        """
        try:
            return self._analyze(func, classes)
        except RecursionError as error:
            name = getattr(func, "__qualname__", repr(func))
            raise PackagingError(
                f"function {name!r} can't be packed: its source, or that of something it reaches, is nested too deeply "
                f"(more than {sys.getrecursionlimit()} levels, see sys.setrecursionlimit). Write the expression or "
                "the chain of elif as a loop over data."
            ) from error

    def _analyze(self, func: Callable[..., Any], classes: Iterable[type]) -> DependencyGraph:
        value = submitted(func)
        place = _importable_as(value) if isinstance(value, FunctionType) else None
        root = Path(self.working_directory or Path.cwd())
        wanted = [included(item, root) for item in self.include]
        more = [Import(name) for item in wanted for name in item.modules]
        try:
            graph = _of_main(value, classes, more) if place is None else _of_module(value, *place, classes, more)
        except NoSourceError:
            graph = _of_bytecode(value, classes, more)
        graph.working_directory = str(root)
        graph.data_files = _data_files(graph) | {name for item in wanted for name in item.files}
        _warn_of_files(graph)
        graph.requires_cluster_filesystem = bool(graph.filesystem_calls)
        graph.requires_dependencies = _requires_dependencies(graph)
        return graph


@dataclass(frozen=True)
class _Unit:
    """A text that is analysed as a whole: one definition, or one module."""

    text: str
    tree: ast.Module


def _of_main(value: Any, classes: Iterable[type], more: list[Import]) -> DependencyGraph:
    closure, function = reach(value, classes), plain_function(value)
    for name in sorted(closure.undefined):
        warnings.warn(
            f"{function.__name__}() reads {name!r}, which is not defined here: the job will raise NameError",
            UndefinedNameWarning,
            stacklevel=_stack_level(),
        )
    source = closure.source
    definitions = sorted(
        (item for item in closure.definitions.values() if not item.is_rebuilt),
        key=lambda item: (not item.is_of(source), item.name),
    )
    is_own = bool(definitions) and definitions[0].is_of(source)
    text = definitions[0].text if is_own and definitions[0].name == closure.entry_name else ""
    graph = DependencyGraph(function.__name__, text or (source.text if source is not None else ""))
    graph.entry = {"kind": "main", "name": closure.entry_name}
    graph.closure = closure
    graph.is_unchanged = closure.is_unchanged
    graph.modules = modules_reached([*closure.all_imports(), *closure.binding_imports, *more])
    units = [_Unit(item.text, ast.parse(item.text)) for item in definitions]
    constants = {name: value[0] for name, text in closure.constants.items() if (value := _literal(text))}
    outside = [item for name in sorted(closure.imports) for item in closure.imports[name]]
    local = {}
    for name, item in closure.definitions.items():
        if item.source is not None:
            local.update(dict.fromkeys((name, item.source.name), _shown_path(item.source.module)))
            graph.source_files.add(item.source.path)
    _describe(graph, units, constants, outside, local)
    if source is not None:
        graph.source_files.add(source.path)
    return graph


def _of_module(
    function: FunctionType, module: str, qualname: str, classes: Iterable[type], more: list[Import]
) -> DependencyGraph:
    """A function that the job imports: its module comes along whole, unless it is a distribution's."""
    entry = {"kind": "module", "module": module, "name": qualname}
    place = locate(module)
    of_classes = [Import(cls.__module__, is_optional=True) for cls in classes if cls.__module__ != "__main__"]
    if place is None:
        graph = DependencyGraph(function.__name__, _source_if_any(function), entry=entry)
        graph.modules = modules_reached([Import(module), *of_classes, *more])
        graph.external_dependencies = _distributions(graph.modules.external)
    else:
        source = find_source(function)
        graph = DependencyGraph(function.__name__, source.text, entry=entry)
        graph.modules = modules_reached([Import(module), *of_classes, *more])
        reached = _reached_in_module(source)
        units = [_Unit(text, ast.parse(text)) for text in (segment_text(source.module, node) for node in reached)]
        package = module if place.relative_path.endswith("/__init__.py") else module.rpartition(".")[0]
        read = set().union(*(names_read(node).all for node in reached))
        outside = [
            item for item in imports_in(ast.Module(_imports_outside(source.module), []), package) if item.binds in read
        ]
        local = dict.fromkeys(source.module.definitions, place.relative_path)
        _describe(graph, units, _string_constants(source.module), outside, local)
    names = (module, qualname)
    graph.is_unchanged = lambda: _importable_as(function) == names
    return graph


def _of_bytecode(value: Any, classes: Iterable[type], more: list[Import]) -> DependencyGraph:
    """A function that is, or reaches, one without source. It is pickled anew each time, for its globals are in the bytes."""
    from clustrix.bytecode import MAGIC, pickle_function  # noqa: PLC0415 - cloudpickle is seldom needed

    function = plain_function(value)
    entry = {"kind": "bytecode", "name": function.__qualname__, "magic": MAGIC}
    graph = DependencyGraph(function.__name__, "", entry=entry)
    graph.bytecode = pickle_function(value)
    of_classes = [Import(cls.__module__, is_optional=True) for cls in classes if cls.__module__ != "__main__"]
    graph.modules = modules_reached([*graph.bytecode.imports, *of_classes, *more])
    _describe(graph, [], {}, graph.bytecode.imports, {})
    return graph


def _requires_dependencies(graph: DependencyGraph) -> bool:
    """Whether more comes along than the function itself, or the module that it is imported from."""
    own = graph.entry.get("module", "")
    name = graph.function_name
    calls = any(not (call.defined_in_scope and call.function_name == name) for call in graph.local_function_calls)
    modules = any(module != own and not own.startswith(f"{module}.") for module in graph.local_modules)
    defined = graph.closure is not None and any(
        item.source is not None and not item.is_of(graph.closure.source) for item in graph.closure.definitions.values()
    )
    if graph.bytecode is not None:
        defined = not graph.bytecode.is_alone
    return calls or modules or defined or bool(graph.data_files)


def _describe(
    graph: DependencyGraph,
    units: list[_Unit],
    constants: dict[str, Any],
    outside: list[Import],
    local: dict[str, str],
) -> None:
    """Fill in what the texts say: the units first, then the other local modules as a whole."""
    graph.imports = [_import_info(item, 0) for item in outside]
    every = list(outside)
    for unit in units:
        inner = imports_in(unit.tree, "", as_main=True) + dynamic_imports_in(unit.tree, unit.text)
        every += inner
        graph.imports += [_import_info(item, item.lineno) for item in inner]
    names = {item.binds: item.name for item in every if item.module.partition(".")[0] == "clustrix" and item.name}
    strings = {name: value for name, value in constants.items() if isinstance(value, str)}
    for unit in units:
        graph.local_function_calls += _local_calls(unit.tree, local, every)
        graph.file_references += file_references_in(unit.text, unit.tree, strings)
        graph.filesystem_calls += filesystem_calls_in(unit.text, unit.tree, names)
    for module in sorted(graph.modules.local.values(), key=lambda item: item.name):
        graph.local_modules.add(module.name)
        graph.source_files.add(module.path)
        text = read_module_text(module.path)
        if text is not None and module.name != graph.entry.get("module"):
            _describe_module(graph, text)
    bound = {item.module for item in graph.closure.binding_imports} if graph.closure else set()
    made = {item.module for item in every} | graph.modules.optional
    graph.external_dependencies = _distributions(
        {name for name in graph.modules.external if name in made or name not in bound}
    )


_described: weakref.WeakKeyDictionary[ModuleText, tuple[list[FilesystemCall], list[FileReference]]]
_described = weakref.WeakKeyDictionary()


def _describe_module(graph: DependencyGraph, text: ModuleText) -> None:
    found = _described.get(text)
    if found is None:
        imports = imports_in(text.tree, "", text.text) if "clustrix" in text.text else []
        names = {item.binds: item.name for item in imports if item.module.partition(".")[0] == "clustrix" and item.name}
        calls = filesystem_calls_in(text.text, text.tree, names)
        found = _described[text] = (calls, file_references_in(text.text, text.tree, _string_constants(text)))
    graph.filesystem_calls += found[0]
    graph.file_references += found[1]


def _importable_as(function: FunctionType) -> tuple[str, str] | None:
    """The module and qualified name under which a job can import the function, decorated or not."""
    for inner in objects_inside(function):
        module_name, qualname = getattr(inner, "__module__", None), getattr(inner, "__qualname__", "")
        if not isinstance(module_name, str) or module_name in ("__main__", "__mp_main__") or "<locals>" in qualname:
            continue
        value: Any = sys.modules.get(module_name)
        if getattr(value, "__file__", None) is None:
            continue
        for part in qualname.split("."):
            value = getattr(value, part, None)
        if any(unwrap_cluster(item) is function for item in objects_inside(value)):
            return module_name, qualname
    return None


def _reached_in_module(source: Source) -> list[DefinitionNode]:
    """The function, and what it reaches of its own file's definitions, by name."""
    reached: list[DefinitionNode] = [] if isinstance(source.node, ast.Lambda) else [source.node]
    seen = {source.name} if source.is_top_level else set()
    for node in reached:
        for name in sorted(names_read(node).all - seen):
            seen.add(name)
            reached += source.module.definitions.get(name, [])[-1:]
    return reached


def _imports_outside(module: ModuleText) -> list[ast.stmt]:
    return [node for node in module.tree.body if not isinstance(node, DefinitionNode)]


def _local_calls(tree: ast.AST, local: dict[str, str], imports: Iterable[Import]) -> list[LocalFunctionCall]:
    places = {item.binds: item for item in imports}
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        root = node.func.value if isinstance(node.func, ast.Attribute) else node.func
        if not isinstance(root, ast.Name):
            continue
        if root is node.func and root.id in local:
            found.append(LocalFunctionCall(root.id, node.lineno, True, local[root.id]))
        elif root.id in places:
            item = places[root.id]
            module = locate(f"{item.module}.{item.name}") if item.name else None
            module = module or (None if item.module.startswith("clustrix") else locate(item.module))
            if module is not None:
                name = node.func.attr if isinstance(node.func, ast.Attribute) else item.name or root.id
                found.append(LocalFunctionCall(name, node.lineno, False, module.relative_path))
    return sorted(found, key=lambda item: (item.lineno, item.function_name))


def _data_files(graph: DependencyGraph) -> set[str]:
    """Files below the working directory that are read by a literal relative path."""
    root, found = Path(graph.working_directory), set()
    for reference in graph.file_references:
        path = PurePosixPath(reference.path.replace("\\", "/"))
        if (
            reference.operation == "read"
            and reference.is_relative
            and ".." not in path.parts
            and (root / path).is_file()
        ):
            found.add(str(path))
    return found


def _warn_of_files(graph: DependencyGraph) -> None:
    root = Path(graph.working_directory)
    for name in sorted(graph.bytecode.paths if graph.bytecode is not None else ()):
        path = PurePosixPath(name)
        if (
            not path.is_absolute()
            and ".." not in path.parts
            and str(path) not in graph.data_files
            and (root / path).is_file()
        ):
            warnings.warn(
                f"{graph.function_name}() has no source, so it can't be seen whether it reads {name!r}, which is here: "
                f"include=[{name!r}] sends it along",
                UnseenFileWarning,
                stacklevel=_stack_level(),
            )


def _import_info(item: Import, lineno: int) -> ImportInfo:
    return ImportInfo(item.module, [item.name or item.module], item.alias or None, bool(item.name), lineno)


def _distributions(modules: Iterable[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules if not is_standard_library(name)}


def _string_constants(module: ModuleText) -> dict[str, str]:
    found = {}
    for name, nodes in module.assignments.items():
        value = literal_or_none(nodes[-1].value) if nodes[-1].value is not None else None
        if value is not None and isinstance(value[0], str):
            found[name] = value[0]
    return found


def _literal(text: str) -> tuple[Any] | None:
    return literal_or_none(ast.parse(text, mode="eval").body) if text[:1] in "'\"" else None


def _shown_path(module: ModuleText) -> str:
    return Path(module.path).name if module.is_file else "<cell>"


def _source_if_any(function: FunctionType) -> str:
    try:
        return find_source(function).text
    except PackagingError:
        return ""  # the distribution has it


def _stack_level() -> int:
    """How far up the first caller is who is not clustrix, so that the warning points at the user's line."""
    level, frame = 1, sys._getframe(1)  # noqa: SLF001 - the documented way to one's caller
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).startswith("clustrix."):
        frame, level = frame.f_back, level + 1
    return level
