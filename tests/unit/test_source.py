"""The source of a function is found, and proven to be the function's own."""

from __future__ import annotations

import functools
import importlib.util
import linecache
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clustrix.code_proof import future_features, same_code
from clustrix.errors import PackagingError
from clustrix.source import find_class_source, find_source

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import ModuleType


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., ModuleType]:
    """Write a module file and import it, without entering it into sys.modules."""
    numbers = iter(range(100))

    def write_and_import(text: str) -> ModuleType:
        path = tmp_path / f"module{next(numbers)}.py"
        path.write_text(text, encoding="utf-8")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return write_and_import


def test_a_function_has_its_text_path_and_first_line(load: Callable[..., ModuleType]) -> None:
    module = load("X = 1\n\n\n@staticmethod\n@property\ndef unused(): pass\n\ndef f(x):  # why\n    return x\n")
    source = find_source(module.f)
    assert source.text == "def f(x):  # why\n    return x\n"
    assert (source.name, source.path, source.first_line) == ("f", module.__file__, 8)
    assert source.is_top_level


def test_a_nested_function_is_dedented_but_its_strings_are_not(load: Callable[..., ModuleType]) -> None:
    module = load(
        'def outer():\n    def inner():\n        x = """\n    kept\n  """\n        return x\n    return inner\n'
    )
    inner = module.outer()
    source = find_source(inner)
    assert source.text.startswith("def inner():\n    x = ")
    namespace: dict[str, Any] = {}
    exec(source.text, namespace)
    assert namespace["inner"]() == inner()
    assert not source.is_top_level


@pytest.mark.parametrize(
    "text",
    [
        "async def f(): return 1\n",
        "def f():\n    yield 1\n",
        "async def f():\n    yield 1\n",
        "def f(a, /, *, b=1): return a\n",
    ],
)
def test_every_kind_of_def_is_found(load: Callable[..., ModuleType], text: str) -> None:
    assert find_source(load(text).f).text == text


def test_of_two_definitions_with_one_name_the_right_one_is_taken(load: Callable[..., ModuleType]) -> None:
    module = load("def f(): return 1\nfirst = f\ndef f(): return 2\n")
    assert "return 1" in find_source(module.first).text
    assert "return 2" in find_source(module.f).text


def test_of_two_equal_definitions_the_one_on_the_functions_line_is_taken(load: Callable[..., ModuleType]) -> None:
    module = load("if True:\n    def f(x): return x\nfirst = f\ndef f(x): return x\n")
    assert (find_source(module.first).first_line, find_source(module.f).first_line) == (2, 4)


def test_a_file_edited_after_the_import_is_noticed(load: Callable[..., ModuleType], tmp_path: Path) -> None:
    module = load("def f(x): return x + 1\n")
    (tmp_path / "module0.py").write_text("def f(x): return x + 2\n")
    with pytest.raises(PackagingError, match=r"'f' is not what .*module0\.py, line 1 says now") as caught:
        find_source(module.f)
    assert "reload" in str(caught.value)


def test_an_edited_default_value_is_noticed(load: Callable[..., ModuleType], tmp_path: Path) -> None:
    module = load("def f(x=1, *, y='a'): return x\n")
    (tmp_path / "module0.py").write_text("def f(x=2, *, y='a'): return x\n")
    with pytest.raises(PackagingError):
        find_source(module.f)


def test_lines_moved_by_an_edit_elsewhere_do_no_harm(load: Callable[..., ModuleType], tmp_path: Path) -> None:
    module = load("def f(x): return x + 1\n")
    (tmp_path / "module0.py").write_text("# a comment\n\ndef g(): return 0\n\ndef f(x): return x + 1\n")
    assert find_source(module.f).first_line == 5


def test_the_decorated_definition_is_found_through_wraps_and_without(load: Callable[..., ModuleType]) -> None:
    module = load(
        "import functools\n"
        "def polite(f):\n    @functools.wraps(f)\n    def wrapper(*a): return f(*a)\n    return wrapper\n"
        "def rude(f):\n    def wrapper(*a): return f(*a)\n    return wrapper\n"
        "@polite\ndef one(x): return x\n"
        "@rude\n@polite\ndef two(x): return x\n"
        "@functools.lru_cache(maxsize=None)\ndef three(x): return x\n"
    )
    assert find_source(module.one).text == "@polite\ndef one(x): return x\n"
    assert find_source(module.two).text == "@rude\n@polite\ndef two(x): return x\n"
    assert find_source(module.three).text == "@functools.lru_cache(maxsize=None)\ndef three(x): return x\n"


def test_clustrixs_own_decorator_is_seen_through(load: Callable[..., ModuleType]) -> None:
    module = load("def f(x): return x\n")
    kind = type("ClusterFunction", (), {"__module__": "clustrix.decorator"})
    decorated = kind()
    decorated.__wrapped__ = module.f
    assert find_source(decorated).text == "def f(x): return x\n"


def test_a_notebook_cell_is_read_from_linecache() -> None:
    text = "def cell(x):\n    return x + 1\n"
    name = "/tmp/ipykernel_1/2345.py"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(text, name, "exec"), namespace)
    try:
        assert find_source(namespace["cell"]).text == text
    finally:
        del linecache.cache[name]


def test_future_features_of_an_earlier_cell_are_compiled_in() -> None:
    text = "def cell(x: Nowhere): return x\n"
    linecache.cache["<cell-2>"] = (len(text), None, [text], "<cell-2>")
    namespace: dict[str, Any] = {}
    flags = sys.modules["__future__"].annotations.compiler_flag
    exec(compile(text, "<cell-2>", "exec", flags=flags), namespace)
    try:
        assert find_source(namespace["cell"]).text == text
        assert future_features(namespace["cell"].__code__.co_flags) == ("annotations",)
    finally:
        del linecache.cache["<cell-2>"]


def test_a_function_without_text_is_an_error_that_says_where_it_was_looked_for() -> None:
    namespace: dict[str, Any] = {}
    exec(compile("def lost(): pass\n", "<stdin>", "exec"), namespace)
    with pytest.raises(PackagingError, match="'lost' has no source"):
        find_source(namespace["lost"])


def test_asserts_that_pytest_rewrites_are_the_files_own() -> None:
    def checked(x: int) -> int:
        assert x > 0, "positive"
        return x

    assert "assert x > 0" in find_source(checked).text


@pytest.mark.parametrize("value", [len, print, "".join, functools.reduce, dict.get])
def test_builtins_are_a_value_error(value: Any) -> None:
    with pytest.raises(ValueError, match="built-in or C function"):
        find_source(value)


def test_a_class_is_proven_by_its_methods(load: Callable[..., ModuleType], tmp_path: Path) -> None:
    module = load(
        "class C:\n    x = 1\n    def m(self): return 1\nclass D: pass\nFirst = C\nclass C:\n    def m(self): return 2\n"
    )
    source = find_source(module.C.m)
    assert source.text == "def m(self): return 2\n"
    first = find_class_source(module.First, (source.module,))
    assert first is not None
    assert first.first_line == 1
    second = find_class_source(module.C, (source.module,))
    assert second is not None
    assert second.first_line == 6
    module.C.m.__qualname__ = "D.m"
    module.D.m = module.C.m
    with pytest.raises(PackagingError, match="class 'D'"):
        find_class_source(module.D, (source.module,))


@given(
    st.sampled_from(["1", "1.0", "True", "'1'", "0.0", "-0.0", "(1, 2)", "(1.0, 2)"]),
    st.sampled_from(["1", "1.0", "True", "0.0", "-0.0", "(1, 2)", "(1.0, 2)"]),
)
def test_codes_are_the_same_only_with_the_same_constants(one: str, other: str) -> None:
    codes = [compile(f"def f(): return {text}", "x", "exec").co_consts[0] for text in (one, other)]
    assert same_code(*codes) == (one == other)
