"""Packs a function with all it needs into one ZIP, named by its content; the same function is packed once."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import sys
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

from clustrix.dependency_analysis import DependencyAnalyzer, DependencyGraph
from clustrix.errors import PackagingError
from clustrix.main_file import definition_order, render_main_file
from clustrix.package_store import Member, package_path, store, touch
from clustrix.requirements import requirements_for
from clustrix.source import plain_function, submitted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    _Key = tuple[FunctionType, str, tuple[type, ...], tuple[str, ...]]

__all__ = [
    "LARGEST_DATA_FILE",
    "ExecutionContext",
    "FilePackager",
    "PackageInfo",
    "create_execution_context",
    "package_function_for_execution",
]

LARGEST_DATA_FILE = 64 << 20  # bytes
_REMEMBERED_FUNCTIONS = 256
_SECRETS = ("password",)
_log = logging.getLogger("clustrix")


@dataclass
class ExecutionContext:
    """From where and with what a function is called; the arguments are no part of its package."""

    working_directory: str
    python_version: str
    environment_variables: dict[str, str]
    cluster_config: Any
    function_args: tuple[Any, ...] = ()
    function_kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass
class PackageInfo:
    """A package on disk. ``bindings`` are captured values that travel beside it, ``requirements`` PEP 508 strings."""

    package_id: str
    package_path: str
    function_name: str
    dependencies: DependencyGraph
    size_bytes: int
    created_at: str
    config_hash: str
    metadata: dict[str, Any]
    bindings: dict[str, Any] = field(default_factory=dict)
    requirements: list[str] = field(default_factory=list)

    @property
    def made(self) -> dict[Any, str]:
        """The names in the main file of functions and classes which code made as it ran."""
        closure = self.dependencies.closure
        return closure.made if closure is not None else {}


def package_function_for_execution(
    func: Callable[..., Any],
    cluster_config: Any,
    func_args: tuple[Any, ...] = (),
    func_kwargs: Mapping[str, Any] | None = None,
    *,
    classes: Iterable[type] = (),
    include: Iterable[str] = (),
) -> PackageInfo:
    """Pack a function, and ``classes`` that only the arguments of its calls need; nothing is connected to.

    ``include`` are modules, and files below the working directory, that come along though nothing mentions them.

    Of the configuration ``local_work_dir``, ``local_cache_dir`` and ``environment_variables`` are read; all its fields
    but the secret ones enter ``config_hash``.

    :raises PackagingError: (a ValueError) the function, or something it needs, can't be packed
    """
    context = create_execution_context(cluster_config, func_args, func_kwargs)
    return FilePackager(include).package_function(func, context, classes)


def create_execution_context(
    cluster_config: Any, func_args: tuple[Any, ...] = (), func_kwargs: Mapping[str, Any] | None = None
) -> ExecutionContext:
    """The context of a call made now; relative data files are those below ``local_work_dir``, else the current directory."""
    return ExecutionContext(
        working_directory=str(Path(_field(cluster_config, "local_work_dir") or ".").expanduser().absolute()),
        python_version=".".join(map(str, sys.version_info[:3])),
        environment_variables=dict(_field(cluster_config, "environment_variables") or {}),
        cluster_config=cluster_config,
        function_args=tuple(func_args),
        function_kwargs=dict(func_kwargs or {}),
    )


class FilePackager:
    """Packs functions. What was packed is remembered by the process, and valid while nothing it depends on changed.

    ``include`` are modules and files that come along though nothing mentions them.
    """

    def __init__(self, include: Iterable[str] = ()) -> None:
        self.include = tuple(include)

    def package_function(
        self, func: Callable[..., Any], context: ExecutionContext, classes: Iterable[type] = ()
    ) -> PackageInfo:
        """The package of a function, written if the store doesn't have it; see package_function_for_execution.

        :raises PackagingError: (a ValueError) the function, or something it needs, can't be packed
        """
        function = submitted(func)
        debug = os.environ.get("CLUSTRIX_DEBUG_PACKAGING") == "1"
        more = tuple(sorted(classes, key=lambda cls: (cls.__module__, cls.__qualname__)))
        # A partial or a bound method is mostly a new object each time, and may hold large values.
        key = (function, context.working_directory, more, self.include) if isinstance(function, FunctionType) else None
        contents = _remembered(key) if key else None
        if contents is None:
            contents = _pack(function, context.working_directory, more, self.include)
            if key:
                _remember(key, contents)
        if debug:
            _log_decisions(contents)
        cache_dir = _field(context.cluster_config, "local_cache_dir")
        path = package_path(contents.package_id, str(cache_dir) if cache_dir else None)
        size = touch(path)
        if size < 0:
            size = store(path, contents.members, keep_all=debug)
            if debug:
                _log.info("package %s written to %s, %d bytes", contents.package_id, path, size)
        return _info(contents, context, path, size)


@dataclass(frozen=True)
class _Contents:
    package_id: str
    graph: DependencyGraph
    members: tuple[Member, ...]
    metadata: dict[str, Any]
    requirements: tuple[str, ...]
    stamps: dict[str, tuple[int, int] | None]

    def is_current(self) -> bool:
        return self.graph.is_unchanged() and all(_stamp(path) == stamp for path, stamp in self.stamps.items())


_memory: OrderedDict[_Key, _Contents] = OrderedDict()
_memory_lock = threading.Lock()


def _remembered(key: _Key) -> _Contents | None:
    with _memory_lock:
        contents = _memory.get(key)
        if contents is not None:
            _memory.move_to_end(key)
    return contents if contents is not None and contents.is_current() else None


def _remember(key: _Key, contents: _Contents) -> None:
    with _memory_lock:
        _memory[key] = contents
        _memory.move_to_end(key)
        while len(_memory) > _REMEMBERED_FUNCTIONS:
            _memory.popitem(last=False)


def _pack(function: Any, working_directory: str, classes: tuple[type, ...], include: tuple[str, ...]) -> _Contents:
    graph = DependencyAnalyzer(working_directory, include).analyze_function(function, classes)
    members = _module_members(graph) + _data_members(graph)
    order: list[str] = []
    if graph.closure is not None:
        order = definition_order(graph.closure)
        members.append(_member("main.py", render_main_file(graph.closure).encode()))
    if graph.bytecode is not None:
        from clustrix.bytecode import cloudpickle_files  # noqa: PLC0415 - cloudpickle is seldom needed

        members.append(_member("function.pickle", graph.bytecode.data))
        members += [_member(f"tools/{name}", content) for name, content in cloudpickle_files().items()]
    entry = _member("entry", _json(graph.entry))
    package_id = _digest(_json(sorted((item.name, item.digest) for item in [*members, entry])))[:16]
    metadata = _metadata(package_id, plain_function(function), graph, order)
    described = _member("metadata.json", _json(metadata))
    modules = graph.modules
    return _Contents(
        package_id,
        graph,
        (*members, described),
        metadata,
        requirements_for(modules.external - modules.optional, modules.optional),
        _stamps(graph),
    )


def _info(contents: _Contents, context: ExecutionContext, path: Path, size: int) -> PackageInfo:
    graph = contents.graph
    created_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    metadata = {
        **contents.metadata,
        "entry": graph.entry,
        "has_dependencies": graph.requires_dependencies,
        "has_filesystem_ops": graph.requires_cluster_filesystem,
        "external_dependencies": sorted(graph.external_dependencies),
        "python_version": context.python_version,
        "working_directory": context.working_directory,
        "created_at": created_at,
    }
    return PackageInfo(
        package_id=contents.package_id,
        package_path=str(path),
        function_name=graph.function_name,
        dependencies=graph,
        size_bytes=size,
        created_at=created_at,
        config_hash=_config_hash(context.cluster_config),
        metadata=metadata,
        bindings=graph.closure.current_bindings() if graph.closure is not None else {},
        requirements=list(contents.requirements),
    )


def _metadata(package_id: str, function: FunctionType, graph: DependencyGraph, order: list[str]) -> dict[str, Any]:
    """What ``metadata.json`` says: nothing in it differs between two machines or moments."""
    return {
        "package_id": package_id,
        "function_info": {
            "name": function.__name__,
            "qualname": function.__qualname__,
            "module": graph.entry.get("module", "__main__"),
            "source": graph.source_code,
        },
        "dependencies": {
            "requires_dependencies": graph.requires_dependencies,
            "requires_cluster_filesystem": graph.requires_cluster_filesystem,
            "imports": [dataclasses.asdict(item) for item in graph.imports],
            "local_functions": [dataclasses.asdict(item) for item in graph.local_function_calls],
            "file_references": [dataclasses.asdict(item) for item in graph.file_references],
            "filesystem_calls": [dataclasses.asdict(item) for item in graph.filesystem_calls],
            "external_dependencies": sorted(graph.external_dependencies),
        },
        "execution_info": {
            "entry": graph.entry,
            "definition_order": order,
            "modules": sorted(graph.local_modules),
            "data_files": sorted(graph.data_files),
            "bindings": sorted(graph.closure.bindings) if graph.closure is not None else [],
        },
    }


def _module_members(graph: DependencyGraph) -> list[Member]:
    """Line ends are made equal, so that a checkout on Windows gives the same package."""
    return [
        _member(f"modules/{module.relative_path}", Path(module.path).read_bytes().replace(b"\r\n", b"\n"))
        for module in graph.modules.local.values()
    ]


def _data_members(graph: DependencyGraph) -> list[Member]:
    members = []
    for name in sorted(graph.data_files):
        path = Path(graph.working_directory) / name
        reads = f"function {graph.function_name!r} reads {name!r}, which"
        try:
            name.encode()
            size = path.stat().st_size
            if size > LARGEST_DATA_FILE:
                raise PackagingError(
                    f"{reads} has {size} bytes; at most {LARGEST_DATA_FILE} are packed. Put it on the cluster and give its "
                    "path there as an argument."
                )
            members.append(Member(f"data/{name}", _digest(path.read_bytes()), path=str(path)))
        except OSError as error:
            raise PackagingError(f"{reads} can't be read here: {error}. Restore it, or make it readable.") from error
        except UnicodeEncodeError as error:
            raise PackagingError(f"{reads} has a name that is not Unicode. Rename it.") from error
    return members


def _stamps(graph: DependencyGraph) -> dict[str, tuple[int, int] | None]:
    """The state of each file that the package was made from, and of those that would belong to it if they existed."""
    root = Path(graph.working_directory)
    paths = [
        *graph.source_files,
        *(str(root / name) for name in graph.data_files),
        *(str(root / item.path) for item in graph.file_references if item.is_relative),
    ]
    return {path: _stamp(path) for path in paths}


def _stamp(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - this is the warm path, and Path takes four times as long
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size


def _config_hash(config: Any) -> str:
    """The digest of the configuration without its secrets."""
    is_data = dataclasses.is_dataclass(config) and not isinstance(config, type)
    fields = dict(dataclasses.asdict(config)) if is_data else dict(vars(config)) if hasattr(config, "__dict__") else {}
    shown = {name: value for name, value in fields.items() if name not in _SECRETS and not name.startswith("_")}
    return _digest(json.dumps(shown, sort_keys=True, default=str).encode())


def _log_decisions(contents: _Contents) -> None:
    graph = contents.graph
    _log.info("package %s: entry %s", contents.package_id, graph.entry)
    for member in contents.members:
        _log.info("package %s: ships %s", contents.package_id, member.name)
    for name, value in (graph.closure.current_bindings() if graph.closure is not None else {}).items():
        _log.info("package %s: %r (%s) travels beside it", contents.package_id, name, type(value).__name__)
    for name in sorted(graph.external_dependencies):
        _log.info("package %s: imports %s of a distribution", contents.package_id, name)
    _log.info("package %s: requirements %s", contents.package_id, list(contents.requirements))


def _field(config: Any, name: str) -> Any:
    return getattr(config, name, None)


def _member(name: str, content: bytes) -> Member:
    return Member(name, _digest(content), content)


def _json(value: Any) -> bytes:
    return (json.dumps(value, sort_keys=True, indent=1) + "\n").encode()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
