"""Modules in newer syntax, by feature: (the Python that can read it, text). Each leaves what it found in ``answer``."""

CASES = {
    "annotation: parameters, results, variables": (
        (3, 10),
        """
import collections.abc
from collections.abc import Iterator
class Node:
    next: Node2 | None = None if False else None
    sizes: dict[str, list[int]] = {}
    def of(self, x: list[int], *more: tuple[int, ...], y: int | None = None, **rest: set[str]) -> Iterator[int]:
        local: list[int] | None = x
        yield from local
count: int | None = 3
answer = list(Node().of([1, 2])), Node.of.__defaults__, count, sorted(Node.__annotations__)
""".replace("Node2", "int"),
    ),
    "annotation: over several lines": (
        (3, 10),
        """
def f(
    x: dict[
        str, int
    ],
    y: int
    | None = None,
) -> tuple[
    int, int
]:
    raise ValueError(x, y)
f(1)
""",
    ),
    "annotation: what an old Python can evaluate stays": (
        (3, 10),
        """
from typing import List, NamedTuple, Optional
class Point(NamedTuple):
    x: int
    tags: list[str]
    y: Optional[int] = 4
def f(a: List[int], b: int) -> Optional[str]: ...
answer = Point(1, ["a"]), f.__annotations__["b"] is int, f.__annotations__["a"] is List[int]
""",
    ),
    "annotation: from __future__, names that come later": (
        (3, 7),
        """
'''The module.'''
from __future__ import division, annotations
class A:
    other: A | None
    def f(self: A, b: Later) -> list[A]:
        return [b]
class Later: ...
x: Later | int = 3
answer = __doc__, A.f.__annotations__, A.__annotations__, __annotations__, type(A().f(1)).__name__
""",
    ),
    "annotation: from __future__ alone, then another": (
        (3, 7),
        """
from __future__ import (
    annotations,
)
from __future__ import division
def f(x: y) -> z: return x / 2
answer = f(1), f.__annotations__
""",
    ),
    "annotation: dataclass with a string": (
        (3, 10),
        """
import sys
try:
    from dataclasses import dataclass, field, fields
except ImportError:
    answer = "(2, [1]) x"
else:
    @dataclass
    class A:
        x: int | None
        xs: list[int] = field(default_factory=lambda: [1])
        def __repr__(self): return str((self.x, self.xs)) + " " + fields(self)[0].name
    answer = str(A(2))
""",
    ),
    "positional-only: called in every way": (
        (3, 8),
        """
def f(a, b=2, /, c=3, *, d=4): return a, b, c, d
def g(a, /): return a
def h(a=(1), /, *args): return a, args
class C:
    def m(self, /, x): return x
answer = f(1), f(1, 5, c=6), g(1), h(), h(1, 2), C().m(x=1), (lambda x, /: x)(1), (lambda x=1, /, y=2: (x, y))(5)
""",
    ),
    "positional-only: beside any keyword": (
        (3, 8),
        """
class Row(dict):
    def __init__(self, __x=(1), /, **cells):
        super().__init__(**cells)
        self["own"] = __x
def f(self, first, /, *rest, key=1, **kw):
    inner = [self for _ in range(2)], (lambda: first)(), f"{self!r} {first:>3}"
    first = first + 1
    return self, first, rest, key, kw, inner
def refuses():
    try:
        f(self=1, first=2)
    except TypeError:
        return "refused"
answer = Row(5, __x=2), f(1, 2, 3, self=4, first=5, key=6), refuses(), (lambda a, /, **kw: (a, kw))(1, a=2)
""",
    ),
    "walrus: conditions and loops": (
        (3, 8),
        """
def f(xs):
    if (n := len(xs)) > 1:
        return n
    elif (m := n + 1) and (k := m):
        pass
    return n, m, k
def loop(items):
    seen = []
    while (item := items.pop(0)) is not None:
        seen.append(item)
    return seen, item
def unbound():
    try:
        if False and (x := 1): pass
        return x
    except UnboundLocalError:
        return "unbound"
answer = f([1, 2]), f([]), loop([1, 2, None]), unbound()
""",
    ),
    "walrus: comprehensions bind in the function": (
        (3, 8),
        """
def f(xs):
    last = None
    squares = [y for x in xs if (y := x * x) > 1]
    total = 0
    partial = [total := total + x for x in xs]
    nested = [[(z := a + b) for a in xs] for b in xs]
    any_big = any((witness := x) > 2 for x in xs)
    return squares, y, partial, total, z, nested, any_big, witness, sorted(locals())
answer = f([1, 2, 3])
""",
    ),
    "walrus: order of evaluation": (
        (3, 8),
        """
log = []
def note(x):
    log.append(x)
    return x
def f():
    return [note(1), (a := note(2)), note(a + 1), {note(4): (b := note(5)), note(b + 1): 0}, note(7) if (c := note(0)) else note(8)]
x = (y := note(10)) + note(11) * (z := note(12))
answer = f(), log, x, y, z
""",
    ),
    "walrus: module, global, nonlocal, class": (
        (3, 8),
        """
if (n := 3) > 2:
    pass
squares = [last := x * x for x in range(n)]
def f():
    global g
    def inner():
        nonlocal k
        return (k := k + 1), (lambda: k)()
    k = 1
    first = inner()
    return first, k, (g := 7), [g := g + i for i in (1, 2)]
class C:
    a = (b := 2) + b
    def m(self): return (b := 9), self.b
answer = n, squares, last, f(), g, C.a, C.b, C().m()
""",
    ),
    "walrus: lambdas": (
        (3, 8),
        """
f = lambda x: (y := x + 1) * y
g = lambda x: (x := x + 1) * x
h = lambda xs: [t := t0 + x for x in xs for t0 in [x]] and t
def unbound():
    try:
        return (lambda: a if (a := 1) and False else (b, (b := 2)))()
    except UnboundLocalError:
        return "unbound"
k = lambda: ((a := 1), (lambda: (b := a + 1) + b)(), a)
answer = f(2), g(2), h([1, 2]), k(), (lambda *, z=(w := 5): z)(), w, unbound()
""",
    ),
    "walrus: generators, async, recursion, closures": (
        (3, 8),
        """
import asyncio
def gen():
    while (got := (yield 1)) is not None:
        yield got
def fact(n): return 1 if (m := n) < 2 else fact(m - 1) * m
async def one(): return 1
async def co():
    if (v := await one()) == 1:
        return v, [w async for w in agen() if (u := w)], u
async def agen():
    yield 1
    yield 2
def closure():
    f = lambda: n
    if (n := 4): pass
    return f()
g = gen()
loop = asyncio.new_event_loop()
answer = next(g), g.send(5), fact(5), loop.run_until_complete(co()), closure()
loop.close()
""",
    ),
    "walrus: in odd places": (
        (3, 9),
        """
def f(x, d={}):
    d[(k := x)] = (v := x)
    assert (p := x) == k, (q := p)
    with open("/dev/null" if (path := x) else "") as s: pass
    for i in (r := range(2)): pass
    "text"[(i1 := 0)]
    del d[(e := k)]
    try:
        raise ValueError((why := "no"))
    except (kind := ValueError) as err: pass
    @(deco := (lambda g: g))
    def inner(z=(dflt := 3)): return z
    return k, v, p, path, r, i1, e, why, kind.__name__, inner(), dflt
answer = f(3)
""",
    ),
    "walrus: the lines of a traceback": (
        (3, 8),
        """
def f(xs):
    if (n := len(xs)) and (
        m := n
    ):
        pass
    return g((k := m))
def g(k):
    '''A docstring.

    '''
    if (j := k):
        raise KeyError(j)
f([1])
""",
    ),
    "f-string: says its text": (
        (3, 8),
        """
x, width, name = 3.14159, 10, "é"
class Odd:
    def __format__(self, spec): return "<" + spec + ">"
    def __repr__(self): return "Odd"
o = Odd()
answer = f"{x=}", f"{x = :.2f}", f"{x=!s:>{width}} and {name=}", f"a={x} b={name!r}", f"{o=} {o=:x} {o} {o!r:>5}", f"{x == 3=}", rf"\\{x=}"
""",
    ),
    "f-string: order and lines": (
        (3, 8),
        """
log = []
class L:
    def __init__(self, n): self.n = n; log.append(("made", n))
    def __format__(self, spec): log.append(("format", self.n, spec)); return str(self.n)
    def __repr__(self): log.append(("repr", self.n)); return "L"
t = (f"{L(1)} {L(2)=} {L(3):{L(4)}} "
     f"{L(5)!r}"
     "end")
answer = t, log
""",
    ),
    "f-string: what old Pythons have stays": (
        (3, 6),
        """
d = {"a": 1}
w = 5
answer = f"{d['a']:>{w}} {{x}} \\n {w!r}" f'{d["a"]}', rf"\\d{w}", f"{'x' if w == 5 else 'y'}", f'''{
    w}''', f"{w:>5}"
""",
    ),
    "f-string: of 3.12": (
        (3, 12),
        """
w, d = 5, {"a": ["x", "y"], "#": 1}
answer = f"{w:#x}", f"{d["a"][0]}", f"{"\\n".join(d["a"])}", f"{f"{f"{d["#"]}"}"}", f"{d['a']  # a comment
}", f'{'\\''.join(d['a']):>{len('ab') * 5}}', f"{(lambda x: x + "!")("a")!r}"
def f(x):
    return f"{
        x
    }" f"{
        x["k"]
    }"
f({})
""",
    ),
    "starred: subscripts, return, yield, for": (
        (3, 11),
        """
class A:
    def __getitem__(self, key): return key
    def __setitem__(self, key, value): self.set = key, value
a, b = A(), [1, 2]
a[*b, 3] = 4
def ret(): return 0, *b
def gen():
    yield 0, *b
    got = yield *b, 9
def ann():
    t: tuple = 1, *b
    u: tuple = 1, 2
    return t, u
answer = a[*b], a[0, *b], a[*b,], a[0, 1], a[(1, 2)], a.set, ret(), list(gen()), ann(), [x for x in (*b, *b)]
for i in *b, 7:
    answer += (i,)
""",
    ),
    "decorator: any expression": (
        (3, 9),
        """
log = []
def mark(name):
    log.append("made " + name)
    def deco(f):
        log.append("applied " + name)
        return f
    return deco
table = {"a": [mark("a")]}
class K:
    deco = staticmethod(mark("k"))
@table["a"][0]  # why not
@mark("b")
@K.deco
@(lambda f: f)
@(mark("c") if table else None)
def f(): return 1
@(mark)("d")
class C:
    @property
    def x(self): return 1
    @x.setter
    def x(self, v): self.v = v
    @mark("x").__call__
    def m(self): return 2
answer = log, f(), C().m(), C().x
""",
    ),
    "with: parentheses": (
        (3, 9),
        """
import contextlib
log = []
@contextlib.contextmanager
def cm(n, *more):
    log.append("in %s" % n)
    yield n
    log.append("out %s" % n)
with (cm(1) as a, cm(2) as b): log.append((a, b))
with (
    cm(3) as c,  # three

    cm(
        4,
        5,
    ) as (d),
):
    log.append((c, d))
with(cm(6)): pass
with (cm(7)) as e, (cm(8)): pass
with (cm(9), cm(10)):
    pass
with (cm(11),): pass
with (cm(12) if a else cm(13)): pass
def f():
    with (
        cm(1),
        cm(missing),
    ):
        pass
answer = log
f()
""",
    ),
    "type parameters: functions and classes": (
        (3, 12),
        """
from typing import Generic, Mapping
def first[T: (int, str), *Ts, **P](xs: list[T], *rest: *Ts) -> T:
    y: T = xs[0]
    return y
class Box[T]:
    item: T
    def __init__(self, item: T): self.item = item
    def map[U](self, f: "Callable[[T], U]") -> "Box[U]": return Box(f(self.item))
    class Inner[
        V,
    ](list): pass
class Sub[T](Box[T]): pass
class Pair[K, V](Box[int], metaclass=type(Box)): pass
class Empty[T](): pass
type Number = int | float
type Many[T] = list[
    T]
def g(x: Number, y: Many[int]) -> Number | None: return x
answer = first([1, 2]), Box(1).map(str).item, Box[int](3).item, Sub[str]("a").item, Pair[int, str](2).item, Box.Inner[int]([1]), g(1, 2), Empty[int]() is not None, Sub.__mro__[-2:] == (Generic, object)
""",
    ),
    "several at once, on one line": (
        (3, 11),
        """
def f(a, /, b: int | None = None): return f"{(n := a)=} {n}", [*[m := n + 1]], {}.get((1, *[m]), (m, *[1])), m
answer = f(1)
""",
    ),
    "text that is not ASCII, before what is rewritten": (
        (3, 9),
        """
# -*- coding: utf-8 -*-
def f(ä, /): return "ß", (ö := ä), f"{ö=}", ö
answer = f("λ")
""",
    ),
}
