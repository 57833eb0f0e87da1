"""What a function needs, as the dependency graph tells it."""

from __future__ import annotations

import dataclasses
import importlib
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import pytest

import clustrix
from clustrix.dependency_analysis import (
    DependencyAnalyzer,
    DependencyGraph,
    FileReference,
    FilesystemCall,
    ImportInfo,
    LocalFunctionCall,
    UndefinedNameWarning,
    analyze_function_dependencies,
)
from clustrix.errors import PackagingError
from clustrix.local_modules import Import, imports_in, is_local_path, locate, modules_reached

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ModuleType]]:
    """Write files below an import root and import the first of them; the modules are forgotten afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def write(files: dict[str, str]) -> ModuleType:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        importlib.invalidate_caches()
        return importlib.import_module(next(iter(files)).removesuffix(".py").replace("/", "."))

    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]


def cluster_ls(path: str) -> list[str]:
    raise NotImplementedError(path)


def test_the_data_classes_have_the_fields_of_the_contract_in_order() -> None:
    def names(kind: Any) -> list[str]:
        return [item.name for item in dataclasses.fields(kind)]

    assert names(DependencyGraph)[:10] == [
        "function_name", "source_code", "imports", "local_function_calls", "file_references", "filesystem_calls",
        "source_files", "local_modules", "data_files", "requires_cluster_filesystem",
    ]  # fmt: skip
    assert names(ImportInfo) == ["module", "names", "alias", "is_from_import", "lineno"]
    assert names(LocalFunctionCall) == ["function_name", "lineno", "defined_in_scope", "source_file"]
    assert names(FileReference) == ["path", "operation", "lineno", "is_relative"]
    assert names(FilesystemCall) == ["function", "args", "lineno", "context"]


def test_imports_within_and_around_a_function_are_told_apart_by_their_line() -> None:
    def f() -> Any:
        import json as j
        from os import path
        from os import sep as separator

        return j, path, separator, dataclasses

    graph = analyze_function_dependencies(f)
    assert ImportInfo("json", ["json"], "j", False, 2) in graph.imports
    assert ImportInfo("os", ["path"], None, True, 3) in graph.imports
    assert ImportInfo("os", ["sep"], "separator", True, 4) in graph.imports
    assert ImportInfo("dataclasses", ["dataclasses"], None, False, 0) in graph.imports
    assert graph.external_dependencies == set()
    assert graph.source_code.startswith("def f() -> Any:\n    import json as j")


def test_external_dependencies_are_the_imports_that_are_made() -> None:
    def f() -> Any:
        import numpy.linalg

        try:
            import not_there
        except ImportError:
            not_there = None
        return numpy.linalg, pytest, not_there

    graph = analyze_function_dependencies(f)
    assert graph.external_dependencies == {"numpy", "pytest", "not_there"}
    assert graph.modules.optional == {"not_there"}


def test_what_only_other_functions_of_a_module_would_import_is_told_apart(tmp_path, monkeypatch) -> None:
    (tmp_path / "with_deferred.py").write_text(
        "import at_once\ndef own():\n    import both\nclass C:\n    import in_class\n    def m(self):\n        import later\nimport both\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    found = modules_reached([Import("with_deferred")])
    assert found.external == {"at_once", "both", "in_class", "later"}
    assert found.deferred == {"later"}


def test_calls_of_local_functions_are_found_in_helpers_too() -> None:
    def helper(x: int) -> int:
        return deeper(x)

    def deeper(x: int) -> int:
        return x

    def f(x: int) -> int:
        return helper(
            x,
        )

    graph = analyze_function_dependencies(f)
    calls = {(call.function_name, call.lineno, call.defined_in_scope) for call in graph.local_function_calls}
    assert calls == {("helper", 2, True), ("deeper", 2, True)}
    assert {call.source_file for call in graph.local_function_calls} == {"test_dependency_analysis.py"}
    assert graph.requires_dependencies


def test_calls_of_cluster_functions_make_the_cluster_filesystem_required() -> None:
    def f(where: str) -> Any:
        return cluster_ls("data"), clustrix.cluster_find("*.csv", path=where)  # type: ignore[attr-defined]

    graph = analyze_function_dependencies(f)
    assert graph.requires_cluster_filesystem
    assert [(call.function, call.args, call.lineno) for call in graph.filesystem_calls] == [
        ("cluster_ls", ["data"], 2),
        ("cluster_find", ["*.csv", "path=where"], 2),
    ]
    assert graph.filesystem_calls[0].context.startswith("return cluster_ls(")


def test_file_references_tell_the_path_and_what_is_done(tmp_path: Path) -> None:
    def f() -> Any:
        from pathlib import Path

        import pandas as pd

        base = Path("data")
        with open("in.txt") as one, open("/abs/log.txt", "a") as two, (base / "x.bin").open("wb") as three:  # noqa: PTH123
            pass
        return pd.read_csv("table.csv"), one, two, three, open("made", mode="w")  # noqa: PTH123

    (tmp_path / "in.txt").write_text("")
    (tmp_path / "made").write_text("")
    graph = DependencyAnalyzer(str(tmp_path)).analyze_function(f)
    assert {(item.path, item.operation, item.is_relative) for item in graph.file_references} == {
        ("data", "path", True),
        ("in.txt", "read", True),
        ("/abs/log.txt", "append", False),
        ("data/x.bin", "write", True),
        ("table.csv", "read", True),
        ("made", "write", True),
    }
    assert graph.data_files == {"in.txt"}


def test_a_name_that_nothing_defines_is_a_warning() -> None:
    def f() -> Any:
        return defined_nowhere  # type: ignore[name-defined]  # noqa: F821

    with pytest.warns(UndefinedNameWarning, match=r"f\(\) reads 'defined_nowhere'"):
        analyze_function_dependencies(f)


def test_a_global_that_the_function_itself_assigns_is_defined() -> None:
    namespace = clustrix.__dict__  # any module: the names below are the functions' own

    def f() -> Any:
        global set_by_f  # noqa: PLW0603
        set_by_f = 1
        return set_by_f

    assert "set_by_f" not in namespace
    assert analyze_function_dependencies(f).imports == []


def test_a_modules_function_needs_its_module_and_what_that_imports(project: Callable[..., ModuleType]) -> None:
    module = project(
        {
            "app/work.py": """
                import numpy as np
                from . import tools
                from .tools import helper
                def unused(): return open("other.txt")
                def own(): return 1
                def f(x):
                    return helper(x) + tools.helper(x) + own()
                """,
            "app/__init__.py": "",
            "app/tools.py": "def helper(x): return x\n",
        }
    )
    graph = analyze_function_dependencies(module.f)
    assert graph.entry == {"kind": "module", "module": "app.work", "name": "f"}
    assert graph.local_modules == {"app", "app.work", "app.tools"}
    assert {(call.function_name, call.defined_in_scope, call.source_file) for call in graph.local_function_calls} == {
        ("helper", False, "app/tools.py"),
        ("own", True, "app/work.py"),
    }
    assert graph.external_dependencies == {"numpy"}
    assert graph.file_references == []
    assert all(info.lineno == 0 for info in graph.imports)
    assert {info.module for info in graph.imports} == {"app", "app.tools"}


def test_a_function_without_dependencies_has_none(project: Callable[..., ModuleType]) -> None:
    module = project({"alone.py": "def f(x):\n    return x\n"})
    graph = analyze_function_dependencies(module.f)
    assert not graph.requires_dependencies
    assert graph.closure is None


def test_a_call_of_itself_is_no_dependency(project: Callable[..., ModuleType]) -> None:
    def fib(n: int) -> int:
        return n if n < 2 else fib(n - 1) + fib(n - 2)

    module = project({"recursive.py": "def f(x):\n    return f(x)\n"})
    assert not analyze_function_dependencies(fib).requires_dependencies
    assert not analyze_function_dependencies(module.f).requires_dependencies


def test_a_decorated_function_of_a_module_is_that_module_s_attribute(project: Callable[..., ModuleType]) -> None:
    module = project(
        {
            "deco_user.py": "from deco import rude\n@rude\ndef f(x): return x\n",
            "deco.py": "def rude(function):\n    def wrapper(*a): return function(*a)\n    return wrapper\n",
        }
    )
    graph = analyze_function_dependencies(module.f)
    assert graph.entry == {"kind": "module", "module": "deco_user", "name": "f"}
    assert graph.local_modules == {"deco_user", "deco"}


def test_namespace_packages_and_editable_installs_are_local(tmp_path: Path) -> None:
    source, site = tmp_path / "elsewhere" / "src", tmp_path / "site-packages"
    (source / "space" / "inner").mkdir(parents=True)
    (source / "space" / "inner" / "part.py").write_text("def f(): return 1\n")
    site.mkdir()
    (site / "project.pth").write_text(f"{source}\n")
    (site / "installed.py").write_text("")
    program = (
        "import site, sys; site.addsitedir(sys.argv[1])\n"
        "from clustrix.local_modules import Import, modules_reached\n"
        "found = modules_reached([Import('space.inner', 'part'), Import('installed')])\n"
        "print({m.relative_path for m in found.local.values()}, found.external, 'space' in sys.modules)"
    )
    root = clustrix.__path__[0] + "/.."
    done = subprocess.run(
        [sys.executable, "-c", program, str(site)], capture_output=True, text=True, check=False, cwd=root
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "{'space/inner/part.py'} {'installed'} False"


def test_the_standard_library_is_not_local() -> None:
    assert not is_local_path(importlib.import_module("json").__file__ or "")
    assert not is_local_path(importlib.import_module("_json").__file__ or "x/site-packages/y")
    assert not is_local_path(pytest.__file__)
    assert is_local_path(__file__)
    assert locate("sys") is None
    assert locate("not_there.at.all") is None


def test_a_local_compiled_extension_is_an_error_unless_its_absence_is_handled(
    project: Callable[..., ModuleType], tmp_path: Path
) -> None:
    suffix = importlib.import_module("importlib.machinery").EXTENSION_SUFFIXES[0]
    (tmp_path / f"fast{suffix}").write_bytes(b"")
    module = project({"slow.py": "def f():\n    import fast\n    return fast\n"})
    with pytest.raises(PackagingError, match=r"module 'fast' .* is a compiled extension"):
        analyze_function_dependencies(module.f)
    other = project(
        {"either.py": "try:\n    import fast\nexcept ImportError:\n    fast = None\ndef f(): return fast\n"}
    )
    assert analyze_function_dependencies(other.f).local_modules == {"either"}


def test_imports_that_are_not_run_in_a_job_do_not_count() -> None:
    tree = importlib.import_module("ast").parse(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import one\nelse:\n    import two\n"
        "if __name__ == '__main__':\n    import three\n"
        "try:\n    import four\nexcept ImportError:\n    four = None\n"
        "def f():\n    from .. import five\n"
    )
    found = {item.statement: item.is_optional for item in imports_in(tree, "a.b")}
    assert found == {
        "from typing import TYPE_CHECKING": False,
        "import two": False,
        "import four": True,
        "from a import five": False,
    }
    assert "import three" in {item.statement for item in imports_in(tree, "", as_main=True)}


def test_clustrix_is_never_shipped_nor_required() -> None:
    found = modules_reached([Import("clustrix"), Import("clustrix.errors", "PackagingError"), Import("simcluster")])
    assert (found.local, found.external) == ({}, set())
