"""Functions that a program made as it ran, and callables around functions, give in a fresh interpreter what they give here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from packed_script import pack

if TYPE_CHECKING:
    from pathlib import Path

LAMBDAS = {
    "assigned": ("f = lambda x: x + 1\n", "f", 4, 5),
    "inline": ("", "lambda x: x * 3", 4, 12),
    "two on a line": ("f, g = lambda x: x + 1, lambda x: x - 1\n", "g", 4, 3),
    "over lines": ("f = (lambda x:\n   x +\n 1)\n", "f", 4, 5),
    "with a loop's variable": ("fs = [lambda x, n=n: x * n for n in range(4)]\n", "fs[3]", 4, 12),
    "in a dict": (
        "OPS = {'inc': lambda x: x + 1, 'dec': lambda x: x - 1}\ndef f(x): return OPS['dec'](x)\n",
        "f",
        4,
        3,
    ),
    "recursive": ("f = lambda x: x and x + f(x - 1)\n", "f", 4, 10),
    "in a function": ("def make(n): return lambda x: x + n\n", "make(7)", 4, 11),
    "curried": ("add = lambda a: lambda b: a + b\n", "add(7)", 4, 11),
    "as a default": ("def f(x, g=lambda y: y + 1): return g(x)\n", "f", 4, 5),
}

FACTORIES = {
    "two instances": (
        ("def make(n):\n    def add(x): return x + n\n    return add\none, ten = make(1), make(10)\n"
        "def f(x): return [one(x), ten(x)]\n"),
        "f", 4, [5, 14],
    ),
    "a global of the same name": (
        "n = 100\ndef make(n):\n    def add(x): return x + n + other()\n    return add\ndef other(): return n\n", "make(1)", 4, 105,
    ),
    "one that calls itself": (
        "def make(step):\n    def down(x): return [x] + down(x - step) if x > 0 else []\n    return down\n",
        "make(2)", 4, [4, 2],
    ),
    "two that call each other": (
        ("def make(end):\n    def even(x): return True if x == end else odd(x - 1)\n"
        "    def odd(x): return False if x == end else even(x - 1)\n    return even\n"),
        "make(0)", 7, False,
    ),
    "a shared variable that both assign": (
        ("def make():\n    count = 5\n    def up():\n        nonlocal count\n        count += 1\n"
        "    def get(): return count\n    return up, get\nup, get = make()\ndef f(x):\n    up(); up()\n    return get() + x\n"),
        "f", 4, 11,
    ),
    "a variable of its own that it assigns": (
        "def make():\n    count = 5\n    def up(x):\n        nonlocal count\n        count += x\n        return count\n    return up\n",
        "make()", 4, 9,
    ),
    "an earlier definition of the same name": (
        "def g(): return 1\nold = g\ndef g(): return 2\ndef f(x): return old() + g() + x\n", "f", 4, 7,
    ),
    "a module within": ("def make():\n    import math as m\n    def g(x): return m.floor(x)\n    return g\n", "make()", 4.5, 4),
    "a class within": (
        ("def make(n):\n    class Base:\n        k = 3\n    class C(Base):\n        def get(self): return self.k + n\n"
        "    def g(x): return C().get() + x\n    return g\n"),
        "make(1)", 4, 8,
    ),
    "a default of the function around": ("def make(n):\n    def g(x, k=n): return x * k\n    return g\n", "make(5)", 4, 20),
    "annotations of the function around": (
        "def make(T):\n    def g(x: T, y: 'T' = 1) -> T: return x\n    return g\n", "make(int)", 4, 4,
    ),
    "a list that two share": (
        "def make():\n    seen = [0]\n    def put(x): seen.append(x)\n    def g(x):\n        put(x)\n        return seen\n    return g\n",
        "make()", 4, [0, 4],
    ),
    "a value that is no literal": (
        "from fractions import Fraction\ndef make(n):\n    half = Fraction(1, n)\n    def g(x): return str(x * half)\n    return g\n",
        "make(2)", 4, "2",
    ),
    "factories in factories": (
        "def outer(a):\n    def middle(b):\n        def inner(c): return (a, b, c)\n        return inner\n    return middle\n",
        "outer(1)(2)", 3, [1, 2, 3],
    ),
    "a decorator without wraps, by a call": (
        "def twice(g):\n    def wrapper(x): return g(g(x))\n    return wrapper\ndef inc(x): return x + 1\n", "twice(twice(inc))", 4, 8,
    ),
    "a decorator with wraps, by a call": (
        ("import functools\ndef twice(g):\n    @functools.wraps(g)\n    def wrapper(x): return g(g(x))\n    return wrapper\n"
        "def inc(x): return x + 1\nboth = twice(inc)\ndef f(x): return [inc(x), both(x), both.__name__]\n"),
        "f", 4, [5, 6, "inc"],
    ),
    "a definition that a call replaces": (
        "def twice(g):\n    def wrapper(x): return g(g(x))\n    return wrapper\ndef inc(x): return x + 1\ninc = twice(inc)\n",
        "inc", 4, 6,
    ),
    "decorated within a function": (
        ("import functools\ndef plus(n):\n    def deco(g):\n        @functools.wraps(g)\n        def wrapper(x): return g(x) + n\n"
        "        return wrapper\n    return deco\ndef make():\n    @plus(100)\n    def h(x): return x\n    return h\n"),
        "make()", 4, 104,
    ),
    "decorated ones in a list, without wraps and by a library": (
        ("import contextlib\ndef twice(g):\n    def wrapper(x): return g(g(x))\n    return wrapper\n@twice\ndef inc(x): return x + 1\n"
        "@contextlib.contextmanager\ndef ctx(x): yield x * 2\nBOTH = [inc, ctx, lambda x: x]\n"
        "def f(x):\n    with BOTH[1](x) as y: return [BOTH[0](y), BOTH[2](x)]\n"), "f", 4, [10, 4],
    ),
    "a cache": (("import functools\ndef make(n):\n    @functools.lru_cache(maxsize=8)\n    def g(x): return x + n\n"
                "    return lambda x: g(x) + g(x)\n"), "make(1)", 4, 10),
    "attributes": ("def f(x): return x + f.step\nf.step = 3\ndef make():\n    def g(x): return x + g.step\n    g.step = 3\n    return g\n",
                   "make()", 4, 7),
}  # fmt: skip

CALLABLES = {
    "a partial": ("import functools\ndef g(a, b, c=0): return [a, b, c]\n", "functools.partial(g, 1, c=3)", 4, [1, 4, 3]),
    "a partial of a partial": (
        "from functools import partial\ndef g(a, b, c): return [a, b, c]\n", "partial(partial(g, 1), 2)", 4, [1, 2, 4],
    ),
    "a partial of a lambda": ("from functools import partial\n", "partial(lambda a, b: a - b, 10)", 4, 6),
    "a partial with a function": (
        "from functools import partial\ndef inc(x): return x + 1\ndef call(g, x): return g(x)\n", "partial(call, inc)", 4, 5,
    ),
    "a partial with a lambda": ("from functools import partial\ndef call(g, x): return g(x)\n", "partial(call, lambda y: -y)", 4, -4),
    "a partial of a local class": (
        ("from functools import partial\nclass P:\n    def __init__(self, a): self.a = a\n"
        "    def times(self, x): return self.a * x\ndef g(p, x): return p.times(x)\n"),
        "partial(g, P(3))", 4, 12,
    ),
    "a partial in a global": (
        "from functools import partial\ndef add(a, b): return a + b\nadd5 = partial(add, 5)\ndef f(x): return add5(x)\n", "f", 4, 9,
    ),
    "a bound method": ("class P:\n    def __init__(self, a): self.a = a\n    def times(self, x): return self.a * x\n", "P(3).times", 4, 12),
    "an inherited bound method": (
        "class B:\n    def times(self, x): return self.a * x\nclass P(B):\n    def __init__(self, a): self.a = a\n", "P(3).times", 4, 12,
    ),
    "a class method": ("class P:\n    k = 3\n    @classmethod\n    def times(cls, x): return cls.k * x\n", "P.times", 4, 12),
    "an inherited class method": (
        "class B:\n    k = 2\n    @classmethod\n    def times(cls, x): return cls.k * x\nclass P(B):\n    k = 3\n", "P.times", 4, 12,
    ),
    "a static method": ("class P:\n    @staticmethod\n    def times(x): return 3 * x\n", "P.times", 4, 12),
    "a static method of an object": ("class P:\n    @staticmethod\n    def times(x): return 3 * x\n", "P().times", 4, 12),
    "an object": ("class P:\n    def __init__(self, a): self.a = a\n    def __call__(self, x): return self.a * x\n", "P(3)", 4, 12),
    "a bound method in a global": (
        "class P:\n    def __init__(self, a): self.a = a\n    def times(self, x): return self.a * x\nt = P(3).times\ndef f(x): return t(x)\n",
        "f", 4, 12,
    ),
    "a cached function": ("import functools\n@functools.lru_cache(maxsize=None)\ndef f(x): return x + 1\n", "f", 4, 5),
    "a decorator's object among lambdas": (
        ("class Deco:\n    def __init__(self, g): self.g = g\n    def __call__(self, x): return self.g(x) * 2\n@Deco\ndef g(x): return x + 1\n"
        "OPS = {'inc': lambda x: x + 1, 'g': g}\ndef f(x): return [OPS['inc'](x), OPS['g'](x)]\n"),
        "f", 4, [5, 10],
    ),
    "a decorator's object": (
        "class Deco:\n    def __init__(self, g): self.g = g\n    def __call__(self, x): return self.g(x) * 2\n@Deco\ndef f(x): return x + 1\n",
        "f", 4, 10,
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("script", "entry", "argument", "expected"),
    [pytest.param(*case, id=name) for cases in (LAMBDAS, FACTORIES, CALLABLES) for name, case in cases.items()],
)
def test_it_gives_the_same_answer_elsewhere(
    tmp_path: Path, script: str, entry: str, argument: Any, expected: Any
) -> None:
    packed = pack(tmp_path, script, entry)
    assert not packed.error
    assert packed.run(argument) == expected


def test_a_recursion_through_a_cache_within_a_function_is_refused_with_a_way_out(tmp_path: Path) -> None:
    script = (
        "import functools\ndef make():\n    @functools.lru_cache(None)\n    def h(k): return k * h(k - 1) if k > 1 else 1\n"
        "    return h\nh = make()\ndef f(x): return h(x)\n"
    )
    assert (
        "calls itself through 'h', what a decorator made of it. Define it at module level"
        in pack(tmp_path, script).error
    )
