"""The main file: the same for any order of definition, and executable in the order it has."""

from __future__ import annotations

import itertools
import linecache
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from clustrix.closure_search import reach
from clustrix.main_file import definition_order, render_main_file

if TYPE_CHECKING:
    from clustrix.closure import Closure

CELLS = itertools.count()


def closure_of(text: str, name: str) -> Closure:
    """Run a text as a notebook cell, and find what its function ``name`` reaches."""
    cell = f"<cell {next(CELLS)}>"
    linecache.cache[cell] = (len(text), None, text.splitlines(keepends=True), cell)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    try:
        exec(compile(text, cell, "exec", dont_inherit=True), namespace)
        return reach(namespace[name])
    finally:
        del linecache.cache[cell]


@st.composite
def programs(draw: st.DrawFn) -> list[str]:
    """Definitions d0, d1...: each uses earlier ones when it is executed, and any when it is called."""
    count = draw(st.integers(2, 7))
    order = draw(st.permutations(range(count)))
    parts = []
    for place, number in enumerate(order):
        early = draw(st.lists(st.sampled_from(order[:place]), max_size=2)) if place else []
        late = draw(st.lists(st.integers(0, count - 1), max_size=2))
        body = "; ".join(["pass", *(f"d{other}" for other in late)])
        if draw(st.booleans()):
            values = "".join(f"    x{index} = d{other}\n" for index, other in enumerate(early))
            parts.append(f"class d{number}:\n{values}    def m(self): {body}\n")
        else:
            defaults = ", ".join(f"x{index}=d{other}" for index, other in enumerate(early))
            parts.append(f"def d{number}({defaults}): {body}\n")
    return parts


@given(programs())
def test_each_definition_comes_after_what_it_uses_as_it_is_executed(parts: list[str]) -> None:
    every = ", ".join(f"d{number}" for number in range(len(parts)))
    text = render_main_file(closure_of("".join(parts) + f"def f(): return [{every}]\n", "f"))
    namespace: dict[str, Any] = {}
    exec(text, namespace)
    assert len(namespace["f"]()) == len(parts)


@given(
    st.permutations(
        [
            "import math as m\n",
            "A = {'x': 1}\n",
            "def g(): return m.pi + A['x']\n",
            "def h(): return g\n",
            "class C: pass\n",
            "def f(): return g, h, C\n",
        ]
    )
)
def test_it_does_not_depend_on_the_order_of_definition(parts: list[str]) -> None:
    expected = "import math as m\n\nA = {'x': 1}\n\n\nclass C: pass\n\n\ndef f(): return g, h, C\n\n\ndef g(): return m.pi + A['x']\n\n\ndef h(): return g\n"
    assert render_main_file(closure_of("".join(parts), "f")) == expected


def test_what_a_decorator_calls_comes_before_what_it_decorates() -> None:
    text = "def z(f): return y(f)\ndef y(f): return x(f)\ndef x(f): return f\n@z\ndef a(): return b()\n@z\ndef b(): return 1\n"
    closure = closure_of(text, "a")
    order = definition_order(closure)
    assert set(order[:3]) == {"x", "y", "z"}
    namespace: dict[str, Any] = {}
    exec(render_main_file(closure), namespace)
    assert namespace["a"]() == 1


def test_an_alias_comes_after_the_function_it_names() -> None:
    text = render_main_file(closure_of("def z(): return 1\na = z\ndef f(): return a()\n", "f"))
    namespace: dict[str, Any] = {}
    exec(text, namespace)
    assert namespace["f"]() == 1


def test_a_notebooks_definitions_come_from_its_cells() -> None:
    cells = [
        "from math import *\nfrom fractions import Fraction\n",
        "class A: pass\n",
        "%time\n",
        "class A:\n    k = 2\n    def go(self): return floor(self.k * HALF)\n",
        "HALF = Fraction(3, 4)\ndef helper(a: A): return a.go()\n",
        "def f(): return helper(A())\n",
    ]
    namespace: dict[str, Any] = {"__name__": "__main__"}
    names = [f"<notebook {number}>" for number in range(len(cells))]
    for name, text in zip(names, cells, strict=True):
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        if not text.startswith("%"):
            exec(compile(text, name, "exec", dont_inherit=True), namespace)
    try:
        closure = reach(namespace["f"])
    finally:
        for name in names:
            del linecache.cache[name]
    assert list(closure.definitions) == ["f", "A", "helper"]
    assert "k = 2" in closure.definitions["A"].text
    assert closure.imports["floor"][0].statement == "from math import floor"
    assert {name: str(value) for name, value in closure.current_bindings().items()} == {"HALF": "3/4"}
