"""What functions and classes of a script got after their definition comes along, in the state that it has at the call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from packed_script import pack

if TYPE_CHECKING:
    from pathlib import Path

CHANGED: dict[str, tuple[str, Any]] = {
    "an attribute of a function": ("def f(x):\n    f.calls += 1\n    return f.calls\nf.calls = 10\n", 11),
    "an attribute of a function that it calls": (
        "def g():\n    if not hasattr(g, 'n'): g.n = 0\n    g.n += 1\n    return g.n\ng(); g()\ndef f(x): return g()\n", 3,
    ),
    "attributes of a class": (
        ("class Settings:\n    debug = False\n    level = 1\n    names = []\n    seen = set()\nSettings.debug = True\nSettings.level += 4\n"
        "Settings.names.append('x')\nSettings.more = (1, 2)\ndef f(x): return [Settings.debug, Settings.level, Settings.names, Settings.more, len(Settings.seen)]\n"),
        [True, 5, ["x"], [1, 2], 0],
    ),
    "objects that a class counts": (
        ("import collections\nclass Counter:\n    total = 0\n    items = collections.OrderedDict()\n    def __init__(self):\n        Counter.total += 1\n"
        "        self.items[self.total] = 'item'\nCounter(); Counter()\ndef f(x):\n    Counter()\n    return [Counter.total, dict(Counter.items)[2], len(Counter.items)]\n"),
        [3, "item", 3],
    ),
    "a class that registers its subclasses": (
        ("class Plugin:\n    known = {}\n    def __init_subclass__(cls, tag, **more):\n        super().__init_subclass__(**more)\n        cls.tag = tag\n"
        "        Plugin.known[tag] = cls\nclass A(Plugin, tag='a'):\n    def run(self): return 'A'\nclass B(Plugin, tag='b'):\n    def run(self): return self.tag + 'B'\n"
        "def f(x): return [sorted(Plugin.known), Plugin.known['b']().run()]\n"),
        [["a", "b"], "bB"],
    ),
    "a method that was put into a class": (
        ("class C:\n    def old(self): return 1\n    def kept(self): return self.old() + self.new() + self.short()\ndef new(self): return 20\nC.new = new\nC.old = new\n"
        "C.short = lambda self: OFFSET\nOFFSET = 3\ndef f(x): return C().kept()\n"),
        43,
    ),
    "the only object of a class": (
        ("class Only:\n    it = None\n    def __new__(cls):\n        if cls.it is None: cls.it = super().__new__(cls)\n        return cls.it\none = Only()\none.v = 8\n"
        "def f(x): return [Only().v, Only() is one]\n"),
        [8, True],
    ),
    "methods that a decorator of the script adds": (
        ("def add(cls):\n    def shown(self): return cls.__name__\n    cls.shown = shown\n    cls.__repr__ = lambda self: 'it'\n    return cls\n@add\nclass C:\n    n = 1\n"
        "C.n = 2\ndef put(self): return 'put'\nC.put = put\ndef f(x): return [C().shown(), repr(C()), C.n, C().put()]\n"),
        ["C", "it", 2, "put"],
    ),
    "the default value of a dataclass": (
        "from dataclasses import dataclass, field\n@dataclass\nclass D:\n    n: int = 1\n    many: list = field(default_factory=list)\nD.n = 5\ndef f(x): return [D.n, D().n, D().many]\n",
        [5, 1, []],
    ),
    "methods that a decorator wraps": (
        ("import functools\ndef twice(g):\n    @functools.wraps(g)\n    def wrapper(self): return g(self) * 2\n    return wrapper\nclass C:\n    @twice\n    def m(self): return 3\n"
        "def f(x): return C().m()\n"),
        6,
    ),
    "a function that exec made, which nobody calls": (
        "exec('def made(x): return x')\ntwice = lambda x: 2 * x\ndef compose(g): return lambda x: g(g(x))\nfour = compose(twice)\ndef f(x): return four(x)\n", 16,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGED)
def test_it_comes_along(tmp_path: Path, name: str) -> None:
    script, expected = CHANGED[name]
    packed = pack(tmp_path, script)
    assert not packed.error
    assert packed.run(4) == expected


def test_what_is_as_it_was_defined_leaves_the_main_file_as_it_was(tmp_path: Path) -> None:
    script = "class C:\n    n = 1\n    seen = []\n    k = len('abc')\n    def m(self): return self.n\ndef f(x): return C().m()\n"
    assert "attributes_of" not in pack(tmp_path, script).read("main.py")


def test_a_change_between_two_calls_is_noticed(tmp_path: Path) -> None:
    first = "class C:\n    n = 1\n    seen = {}\ndef f(x): return [C.n, C.seen, getattr(f, 'k', None)]\n"
    again = """
from clustrix.file_packaging import package_function_for_execution
class Nothing:
    local_work_dir, local_cache_dir, environment_variables = None, "unused", {}
ids = [package_function_for_execution(f, Nothing()).package_id]
for change in ("C.n = 2", "C.seen['a'] = 1", "C.seen['a'] = 2", "f.k = 3", "pass"):
    exec(change)
    ids.append(package_function_for_execution(f, Nothing()).package_id)
assert len(set(ids)) == 5 and ids[-1] == ids[-2], ids
"""
    assert pack(tmp_path, first + again).run(4) == [2, {"a": 2}, 3]
