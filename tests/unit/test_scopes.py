"""The names that a definition reads: as Python's own compiler sees them."""

from __future__ import annotations

import ast
import dis
import importlib
import sys
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clustrix.scopes import names_read

if TYPE_CHECKING:
    from collections.abc import Iterator

COMPILER_MADE = {"__annotations__", "__classcell__", "__build_class__", "__name__", "__class__", "__debug__"}


def read(text: str, *, postponed: bool = False):
    return names_read(ast.parse(text).body[0], postponed_annotations=postponed)


def names_of_the_bytecode(node: ast.stmt) -> set[str]:
    found: set[str] = set()
    for code in _codes(compile(ast.Module([node], []), "x", "exec", dont_inherit=True)):
        stored: set[str] = set()
        for item in dis.get_instructions(code):
            if item.opname == "STORE_NAME":
                stored.add(item.argval)
            elif item.opname in ("LOAD_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS", "LOAD_NAME") and item.argval not in stored:
                found.add(item.argval)
    return found - COMPILER_MADE


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


@pytest.mark.parametrize(
    "module", ["argparse", "dataclasses", "inspect", "logging", "enum", "asyncio.base_events", "unittest.mock"]
)
def test_they_are_those_which_the_bytecode_of_the_standard_library_loads(module: str) -> None:
    path = importlib.import_module(module).__file__
    assert path is not None
    for node in ast.parse(Path(path).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            assert names_read(node).all - COMPILER_MADE == names_of_the_bytecode(node), node.name


EXPRESSIONS = st.sampled_from(
    ["a", "b.c", "[a for a in b]", "{k: v for k, v in a}", "(lambda a: a + b)(c)", "(a := b)", "[x for x in a if (b := x)]",
     "f'{a}'", "[i for i in [j for j in c]]", "sum(a for b in c for a in b)"]
)  # fmt: skip
STATEMENTS = st.sampled_from(
    ["a = {e}", "for b in {e}: c = b", "with {e} as a: pass", "import a", "from m import b as c", "def a(b={e}): return a, c",
     "class b(c): a = {e}; b = a", "try: {e}\n    except b as c: a", "global a; a = {e}", "del a", "a += 1", "if a: return {e}",
     "async def c(): await {e}", "x: a = {e}", "match {e}:\n        case [a, *b]: c"]
)  # fmt: skip


@given(st.lists(st.tuples(STATEMENTS, EXPRESSIONS), min_size=1, max_size=5), st.booleans())
def test_they_are_those_which_the_bytecode_of_any_function_loads(parts: list[tuple[str, str]], first: bool) -> None:
    body = "".join(f"    {statement.format(e=expression)}\n" for statement, expression in parts)
    text = f"def f({'a' if first else ''}):\n{body}"
    try:
        node = ast.parse(text).body[0]
        expected = names_of_the_bytecode(node)
    except SyntaxError:
        return
    found = names_read(node)
    assert expected <= found.all | found.assigned
    assert found.all <= expected | found.assigned


def test_decorators_defaults_bases_and_class_bodies_are_read_early() -> None:
    names = read("@deco(arg)\ndef f(x=default, *, y=other): return late(lambda: later)\n")
    assert names.early == {"deco", "arg", "default", "other"}
    assert names.late == {"late", "later"}
    names = read("class C(Base, metaclass=Meta):\n    x = value\n    y = x\n    def m(self): return x\n")
    assert names.early == {"Base", "Meta", "value"}
    assert names.late == {"x"}


def test_postponed_annotations_are_hints_only() -> None:
    text = "def f(x: A) -> B:\n    y: C = 1\n"
    assert read(text).early == {"A", "B"}
    assert read(text, postponed=True).hints == {"A", "B", "C"}
    assert read(text, postponed=True).all == set()


def test_names_private_to_a_class_are_spelled_as_the_compiler_does() -> None:
    assert read("class _C:\n    def m(self): return __x, __y__\n").late == {"_C__x", "__y__"}


def test_a_nonlocal_that_leaves_the_text_is_told() -> None:
    assert read("def f():\n    def g():\n        nonlocal x\n    x = 1\n").rebound == set()
    assert read("def f():\n    def g():\n        x = 1\n").rebound == set()
    node = ast.FunctionDef(
        name="f", args=ast.arguments([], [], None, [], [], None, []), body=[ast.Nonlocal(["x"])], decorator_list=[]
    )
    assert names_read(node).rebound == {"x"}


def test_globals_that_are_assigned_are_not_read() -> None:
    names = read("def f():\n    global x\n    x = 1\n")
    assert (names.all, names.assigned) == (set(), {"x"})


@pytest.mark.skipif(sys.version_info < (3, 12), reason="syntax of Python 3.12")
def test_type_parameters_are_bound() -> None:
    assert read("def f[T: Bound](x: T) -> list[T]: return x\n").all == {"Bound", "list"}
    assert read("class C[T](Base[T]):\n    def m(self, x: T) -> T: return x\n").all == {"Base"}
