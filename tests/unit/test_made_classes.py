"""Classes that a function made as it ran give in a fresh interpreter what they give here, or are refused with a way out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from packed_script import pack

if TYPE_CHECKING:
    from pathlib import Path

CLASSES: dict[str, tuple[str, str, Any]] = {
    "a method reads a variable": (
        "def make(k):\n    class C:\n        def f(self, x): return x + k\n    return C\nC = make(10)\ndef f(x): return C().f(x)\n", "f", 14,
    ),
    "an attribute is computed from a variable": (
        "def make(k):\n    class C:\n        n = k * 2\n        def f(self, x): return x + self.n\n    return C\nC = make(10)\ndef f(x): return C().f(x)\n", "f", 24,
    ),
    "a variable that changed since": (
        "k = 1\ndef make(k):\n    class C:\n        n = k\n        def f(self): return [self.n, k]\n    return C\nC = make(k)\nk = 5\ndef f(x): return C().f() + [k]\n",
        "f", [1, 1, 5],
    ),
    "two classes of one definition": (
        "def make(k):\n    class C:\n        n = k\n        def f(self): return [k, self.n]\n    return C\nA, B = make(1), make(2)\ndef f(x): return A().f() + B().f() + [A is B]\n",
        "f", [1, 1, 2, 2, False],
    ),
    "a class beside a global one of its name": (
        "class C: n = 1\ndef make(k):\n    class C:\n        n = k\n    def g(x): return [C.n, x]\n    return g\ng = make(7)\ndef f(x): return g(x) + [C.n]\n",
        "f", [7, 4, 1],
    ),
    "the function that made it": (
        "def make(k):\n    class C:\n        n = k + 1\n        def f(self): return self.n + k\n    def g(x): return C().f() + x\n    return g\n", "make(2)", 9,
    ),
    "bases made there, too, and super": (
        ("def make(k):\n    class Base:\n        def f(self, x): return x + k\n    class Middle(Base):\n        def f(self, x): return super().f(x) * k\n"
        "    class C(Middle):\n        def f(self, x): return [__class__.__name__, super().f(x)]\n    return C\nD = make(3)\ndef f(x): return D().f(x)\n"),
        "f", ["C", 21],
    ),
    "a base by another name": (
        ("def make(Parent):\n    class C(Parent):\n        def f(self, x): return super().f(x) + 1\n    return C\nclass P:\n    def f(self, x): return x * 2\n"
        "Twice = make(make(P))\ndef f(x): return Twice().f(x)\n"),
        "f", 10,
    ),
    "classes that refer to each other": (
        ("def make():\n    class A:\n        def other(self): return B()\n        name = 'A'\n    class B:\n        def other(self): return A()\n        name = 'B'\n"
        "    return A\nA = make()\ndef f(x): return A().other().other().name\n"),
        "f", "A",
    ),
    "a base that refers to its subclass": (
        ("def make():\n    class Zero:\n        def sub(self): return Sub()\n    class Sub(Zero):\n        n = 8\n    return Zero\nB = make()\ndef f(x): return B().sub().n\n"),
        "f", 8,
    ),
    "a variable that methods of two classes assign": (
        ("def make():\n    count = 0\n    class Up:\n        def go(self):\n            nonlocal count\n            count += 1\n    class Down:\n        def go(self):\n"
        "            nonlocal count\n            count -= 10\n    def get(): return count\n    return Up, Down, get\nUp, Down, get = make()\n"
        "def f(x):\n    Up().go(); Up().go(); Down().go()\n    return get()\n"),
        "f", -8,
    ),
    "a list that two classes share": (
        ("def make():\n    seen = []\n    class A:\n        def put(self, x): seen.append(x)\n    class B:\n        def get(self): return seen\n    return A, B\n"
        "A, B = make()\ndef f(x):\n    A().put(x)\n    return B().get()\n"),
        "f", [4],
    ),
    "a variable that is no literal": (
        ("from fractions import Fraction\ndef make(k):\n    half = Fraction(1, k)\n    class C:\n        n = half * 3\n        def f(self, x): return str(x * half + self.n)\n"
        "    return C\nC = make(2)\ndef f(x): return C().f(x)\n"),
        "f", "7/2",
    ),
    "default values": (
        "def make(k):\n    class C:\n        def f(self, x, n=k, *, m=k + 1): return [x, n, m]\n    return C\nC = make(3)\ndef f(x): return C().f(x)\n", "f", [4, 3, 4],
    ),
    "a dataclass": (
        ("from dataclasses import dataclass, field\ndef make(k, T):\n    @dataclass(order=True)\n    class C:\n        a: T\n        b: int = k\n"
        "        c: list = field(default_factory=lambda: [k], repr=False)\n        d: int = field(default=k + 1, compare=False)\n"
        "        def total(self): return self.a + self.b + sum(self.c) + self.d\n    return C\nC = make(10, int)\n"
        "def f(x): return [C(x).total(), repr(C(x)).partition('C')[2], C(1) < C(2)]\n"),
        "f", [35, "(a=4, b=10, d=11)", True],
    ),
    "a dataclass with slots": (
        ("from dataclasses import dataclass\ndef make(k):\n    @dataclass(frozen=True, slots=True)\n    class C:\n        a: int = k\n        def f(self): return self.a + k\n"
        "    return C\nC = make(10)\ndef f(x): return C().f()\n"),
        "f", 20,
    ),
    "a named tuple": (
        ("from typing import NamedTuple\ndef make(k):\n    class N(NamedTuple):\n        a: int\n        b: int = k\n        def f(self): return self.a + self.b + k\n"
        "    return N\nN = make(10)\ndef f(x): return [N(x).f(), list(N(1))]\n"),
        "f", [24, [1, 10]],
    ),
    "an enum": (
        ("import enum\ndef make(k):\n    class E(enum.Enum):\n        A = k\n        B = k * 2\n        def f(self): return self.value + k\n    return E\nE = make(10)\n"
        "def f(x): return [E.A.f(), E(20).name, len(E)]\n"),
        "f", [20, "B", 2],
    ),
    "a property, a class method, a cached property": (
        ("import functools\ndef make(k):\n    class C:\n        @property\n        def p(self): return k\n        @p.setter\n        def p(self, value): self.v = value + k\n"
        "        @classmethod\n        def c(cls): return [cls.__name__, k]\n        @staticmethod\n        def s(): return k\n        @functools.cached_property\n"
        "        def d(self): return k\n    return C\nC = make(3)\ndef f(x):\n    c = C()\n    c.p = x\n    return [c.p, c.v, C.c(), C.s(), c.d]\n"),
        "f", [3, 7, ["C", 3], 3, 3],
    ),
    "a wrapper around a method": (
        ("import functools\ndef twice(g):\n    @functools.wraps(g)\n    def wrapper(self): return g(self) * 2\n    return wrapper\n"
        "def make(k):\n    class C:\n        @twice\n        def m(self): return k\n    return C\nC = make(3)\ndef f(x): return C().m()\n"),
        "f", 6,
    ),
    "a class in a class": (
        ("def make(k):\n    class C:\n        class Inner:\n            n = k\n            def f(self): return k\n        def f(self): return [self.Inner().f(), self.Inner.n]\n    return C\nC = make(3)\ndef f(x): return C().f()\n"),
        "f", [3, 3],
    ),
    "a metaclass made there": (
        ("def make(k):\n    class Meta(type):\n        def __call__(cls, *a):\n            it = super().__call__(*a)\n            it.n = k\n            return it\n"
        "    class C(metaclass=Meta): pass\n    return C\nC = make(3)\ndef f(x): return C().n\n"),
        "f", 3,
    ),
    "an exception": (
        "def make(k):\n    class Bad(ValueError):\n        code = k\n    return Bad\nBad = make(3)\ndef f(x):\n    try: raise Bad('x')\n    except Bad as e: return [e.code, str(e)]\n",
        "f", [3, "x"],
    ),
    "a local function as an attribute": (
        "def make(k):\n    def add(self, x): return x + k\n    class C:\n        plus = add\n    return C\nC = make(3)\ndef f(x): return C().plus(x)\n", "f", 7,
    ),
    "an object of it": (
        ("def make(k):\n    class C:\n        def __init__(self, n): self.n = n\n        def f(self, x): return [x, self.n, k]\n    return C(5)\nc = make(3)\n"
        "def f(x): return c.f(x)\n"),
        "f", [4, 5, 3],
    ),
    "its own object": (
        "def make(k):\n    class C:\n        def other(self): return only\n        n = k\n    only = C()\n    return C\nC = make(3)\ndef f(x): return C().other().n\n", "f", 3,
    ),
    "another file's": (
        "from makers import make\nC = make(3)\ndef f(x): return C().f(x)\n", "f", [4, 3, 5, 6],
    ),
    "a bound method": (
        "def make(k):\n    class C:\n        def f(self, x): return x + k\n    return C()\n", "make(3).f", 7,
    ),
}  # fmt: skip

MAKERS = """
OFFSET = 5
def make(k):
    class C:
        n = k * 2
        def f(self, x): return [x, k, OFFSET, self.n]
    return C
"""


@pytest.mark.parametrize("name", CLASSES)
def test_it_gives_the_same_answer_elsewhere(tmp_path: Path, name: str) -> None:
    (tmp_path / "makers.py").write_text(MAKERS)
    script, entry, expected = CLASSES[name]
    packed = pack(tmp_path, script, entry)
    assert not packed.error
    assert not packed.answer["warnings"]
    assert packed.run(4) == expected


def test_a_variable_that_nothing_kept_is_refused_with_class_and_line(tmp_path: Path) -> None:
    script = "def make(mark):\n    @mark\n    class C:\n        n = 1\n    return C\nC = make(lambda c: c)\ndef f(x): return C.n\n"
    packed = pack(tmp_path, script)
    assert "class 'make.<locals>.C'" in packed.error
    assert "script.py, line 2) reads 'mark'" in packed.error
    assert "define the class at module level" in packed.error
