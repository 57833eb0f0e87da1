"""Everything that a function reaches comes along, whatever shape it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from packed_script import pack

if TYPE_CHECKING:
    from pathlib import Path

SCRIPTS: dict[str, tuple[str, Any]] = {
    "names by a star": ("from math import *\nfrom os.path import *\ndef f(x): return [floor(x), basename('a/b')]\n", [4, "b"]),
    "a name bound by a condition": (
        ("import sys\nif sys.version_info >= (3, 6):\n    def g(x): return x + 1\nelse:\n    def g(x): return 'old'\n"
        "try:\n    import not_there_at_all as fast\nexcept ImportError:\n    fast = None\n"
        "def f(x): return [g(x), fast]\n"),
        [5, None],
    ),
    "names only for type checkers": (
        ("from __future__ import annotations\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import not_there_at_all\n"
        "def f(x: not_there_at_all.Thing) -> not_there_at_all.Thing: return x\n"),
        4,
    ),
    "a metaclass": (
        ("class Meta(type):\n    def __new__(mcls, name, bases, body):\n        body['made'] = name\n        return super().__new__(mcls, name, bases, body)\n"
        "class C(metaclass=Meta): pass\nclass D(C): pass\ndef f(x): return [C.made, D.made]\n"),
        ["C", "D"],
    ),
    "class attributes of other definitions": (
        ("def g(x): return x + 1\nBASE = [1, 2]\nclass A:\n    k = 3\nclass C:\n    a = A()\n    items = [b * 2 for b in BASE]\n    call = staticmethod(g)\n"
        "    inner = A\n    def m(self, x): return [self.a.k, self.items, self.call(x), self.inner().k]\ndef f(x): return C().m(x)\n"),
        [3, [2, 4], 5, 3],
    ),
    "class decorators": (
        ("import functools\nKNOWN = []\ndef known(tag):\n    def deco(cls):\n        cls.tag = tag\n        return cls\n    return deco\n"
        "@functools.total_ordering\n@known('t')\nclass C:\n    def __init__(self, x): self.x = x\n    def __eq__(self, o): return self.x == o.x\n"
        "    def __lt__(self, o): return self.x < o.x\ndef f(x): return [C.tag, C(1) >= C(x)]\n"),
        ["t", False],
    ),
    "an enum, a named tuple, a dataclass with a factory": (
        ("import enum\nfrom typing import NamedTuple\nfrom dataclasses import dataclass, field\nclass E(enum.Enum):\n    A = 1\n    B = 2\n"
        "class N(NamedTuple):\n    x: int\n    e: E = E.B\n@dataclass\nclass D:\n    items: list = field(default_factory=list)\n    n: N = N(1)\n"
        "def f(x):\n    d = D()\n    d.items.append(x)\n    return [d.items, d.n.e.name, E(1).name]\n"),
        [[4], "B", "A"],
    ),
    "an abstract base, a property, super": (
        ("import abc\nclass B(abc.ABC):\n    @abc.abstractmethod\n    def m(self): ...\n    @property\n    def p(self): return self.m()\n"
        "class C(B):\n    def __init__(self, x):\n        super().__init__()\n        self.x = x\n    def m(self): return self.x * 2\ndef f(x): return C(x).p\n"),
        8,
    ),
    "recursion over two functions and a class": (
        ("class Node:\n    def __init__(self, d): self.kids = kids(d)\n    def size(self): return 1 + sum(k.size() for k in self.kids)\n"
        "def kids(d): return [Node(d - 1), Node(d - 1)] if d else []\ndef f(x): return Node(x).size()\n"),
        31,
    ),
    "a global that is assigned": ("total = 1\ndef add(x):\n    global total\n    total += x\ndef f(x):\n    add(x)\n    return total\n", 5),
    "a name that is a builtin's": ("def len(x): return 'mine'\ndef f(x): return len([])\n", "mine"),
    "a walrus and comprehensions": (
        "K = [1, 2]\ndef g(x): return x\ndef f(x): return [y for k in K if (y := g(k)) and all(z for z in K)]\n", [1, 2],
    ),
    "private names of a class": (
        "class C:\n    __k = 3\n    def __m(self): return self.__k\n    def m(self): return self.__m()\ndef f(x): return C().m()\n", 3,
    ),
    "a generator that is consumed": ("def g(n):\n    for i in range(n): yield i\ndef f(x): return list(g(x))\n", [0, 1, 2, 3]),
    "a context manager": (
        "import contextlib\n@contextlib.contextmanager\ndef ctx(x):\n    yield x + 1\ndef f(x):\n    with ctx(x) as y: return y\n", 5,
    ),
    "single dispatch": (
        "import functools\n@functools.singledispatch\ndef g(x): return 'any'\n@g.register(int)\ndef _(x): return 'int'\nclass C: pass\n@g.register(C)\ndef _(x): return 'C'\ndef f(x): return [g(x), g('s'), g(C())]\n",
        ["int", "any", "C"],
    ),
    "another file's factory": (
        "from makers import make, Scale, later\nten = make(10)\ndef f(x): return [ten(x), Scale(2).by(x), later()(x)]\n", [4 * 10 + 3, 8, 7],
    ),
}  # fmt: skip

MAKERS = """
import math
OFFSET = 3
def offset(): return OFFSET
def make(n):
    def times(x): return math.floor(x) * n + offset()
    return times
class Scale:
    def __init__(self, k): self.k = k
    def by(self, x): return self.k * x
def later(): return lambda x: x + OFFSET
"""


@pytest.mark.parametrize("name", SCRIPTS)
def test_it_comes_along(tmp_path: Path, name: str) -> None:
    (tmp_path / "makers.py").write_text(MAKERS)
    script, expected = SCRIPTS[name]
    packed = pack(tmp_path, script)
    assert not packed.error
    assert packed.run(4) == expected


def test_side_effects_of_packages_come_in_the_order_of_imports(tmp_path: Path) -> None:
    """A package of src layout, put on the path by an editable install's .pth; relative imports, a cycle, a namespace."""
    package = tmp_path / "src" / "app"
    (package / "sub").mkdir(parents=True)
    (tmp_path / "space" / "part").mkdir(parents=True)
    (tmp_path / "space" / "part" / "tool.py").write_text("NAME = __name__\n")
    (package / "log.py").write_text("SEEN = []\n")
    (package / "__init__.py").write_text("from .log import SEEN\nSEEN.append('app')\nfrom .sub import first\n")
    (package / "sub" / "__init__.py").write_text("from ..log import SEEN\nSEEN.append('sub')\n")
    (package / "sub" / "first.py").write_text(
        "from . import second\nfrom ..log import SEEN\nSEEN.append('first')\ndef go(): return SEEN + [second.back()]\n"
    )
    (package / "sub" / "second.py").write_text(
        "from ..log import SEEN\nSEEN.append('second')\ndef back():\n    from .first import go\n    return go.__name__\n"
    )
    packed = pack(
        tmp_path,
        "import sys; sys.path.insert(0, 'src')\nfrom app.sub import first\nfrom space.part import tool\n"
        "def f(x): return [first.go(), tool.NAME]\n",
    )
    assert packed.run(1) == [["app", "sub", "second", "first", "go"], "space.part.tool"]
