"""Generated functions: what runs here gives the same answer from its package, or is refused with a reason, and that rarely."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packed_script import ROOT, RUN

SHARED = """
import contextlib, enum, functools, math
from collections import OrderedDict as Ordered
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
HALF, LIST, TABLE, WORD = Fraction(1, 2), [1, 2], {"a": (1, 2.5)}, "w\\u00f6rd"
n = 1000
class Base:
    k = len(LIST)
    def __init__(self, x=0): self.x = x
    def half(self): return int(self.x * HALF)
class Meta(type):
    def __call__(cls, *a): return super().__call__(*a)
def plus(amount):
    def deco(g):
        @functools.wraps(g)
        def wrapper(x): return g(x) + amount
        return wrapper
    return deco
def twice(g):
    def wrapper(x): return g(g(x) % 50)
    return wrapper
class Counted:
    def __init__(self, g): self.g, self.calls = g, 0
    def __call__(self, x):
        self.calls += 1
        return self.g(x) + self.calls
@contextlib.contextmanager
def doubled(x): yield 2 * x
"""

# {me} is what is defined; {a} and {b} are earlier ones, each of which takes and gives an int; {n} is a number.
SHAPES = [
    "def {me}(x): return {a}(x) + {n}\n",
    "def {me}(x, k={n}, *, j=LIST): return {a}(x) * k + j[0]\n",
    "def {me}(x):\n    return {b}(x - 1) + {me}(x - 1) if x > 0 else {n}\n",
    "{me} = lambda x: {a}(x) - {n}\n",
    "{me}, other_{me} = lambda x: x + {n}, lambda x: x - {n}\n",
    "{me} = [lambda x, i=i: x * i + {n} for i in range(3)][2]\n",
    "def make_{me}(n):\n    def inner(x): return {a}(x) + n\n    return inner\n{me} = make_{me}({n})\n",
    "def make_{me}(n):\n    seen = []\n    def put(x): seen.append(x + n)\n    def inner(x):\n        put(x)\n        return sum(seen)\n    return inner\n{me} = make_{me}({n})\n",
    "def make_{me}(n):\n    def inner(x):\n        nonlocal n\n        n += 1\n        return x + n\n    return inner\n{me} = make_{me}({n})\n",
    "def make_{me}():\n    def even(x): return 1 if x <= 0 else odd(x - 1)\n    def odd(x): return {n} if x <= 0 else even(x - 1)\n    return even\n{me} = make_{me}()\n",
    "def make_{me}(k={n}):\n    class Inner(Base):\n        def go(self): return self.x + k\n    def inner(x): return Inner(x).go()\n    return inner\n{me} = make_{me}()\n",
    "@plus({n})\ndef {me}(x): return {a}(x)\n",
    "@twice\n@plus(1)\ndef {me}(x): return {a}(x)\n",
    "def raw_{me}(x): return x + {n}\n{me} = twice(plus(2)(raw_{me}))\n",
    "def {me}(x): return x + {n}\n{me} = twice({me})\n",
    "@Counted\ndef {me}(x): return x + {n}\n",
    "@functools.lru_cache(maxsize=None)\ndef {me}(x): return {a}(x) + {n}\n",
    "def raw_{me}(y, x): return {a}(x) + y\n{me} = partial(raw_{me}, {n})\n",
    "{me} = partial(lambda x, y, z=0: {a}(x) + y + z, y={n})\n",
    "class C_{me}(Base):\n    def go(self, x): return {a}(x) + self.x + self.half()\n{me} = C_{me}({n}).go\n",
    "class C_{me}(metaclass=Meta):\n    k = {n}\n    @classmethod\n    def go(cls, x): return cls.k + x\n    @staticmethod\n    def no(x): return x\n{me} = C_{me}.go\n",
    "class C_{me}:\n    def __init__(self): self.n = {n}\n    def __call__(self, x): return {a}(x) + self.n\n{me} = C_{me}()\n",
    "@dataclass\nclass D_{me}:\n    y: int = {n}\n    def total(self): return self.y + math.floor(TABLE['a'][1])\ndef {me}(x): return D_{me}({a}(x)).total() + D_{me}().total()\n",
    "class E_{me}(enum.Enum):\n    A = {n}\n    B = 2\ndef {me}(x): return E_{me}.A.value + E_{me}(2).value + x\n",
    "OPS_{me} = {{'inc': lambda x: x + {n}, 'pass': {a}}}\ndef {me}(x): return OPS_{me}['inc'](x) + OPS_{me}['pass'](x)\n",
    "def {me}(x):\n    def gen(m):\n        for i in range(m % 5): yield i + n\n    return sum(gen(x)) + len(Ordered(a=1))\n",
    "def {me}(x):\n    with doubled(x) as y: return y + len(WORD)\n",
    "def {me}(x): return [z for y in LIST if (z := {a}(y))][0] + {n}\n",
    "def {me}(x):\n    global n\n    n += 1\n    return x + n - {n}\n",
    "def {me}(x, *args, **kw):\n    try:\n        return {a}(x) // (x - x)\n    except ZeroDivisionError as error:\n        return len(str(error)) + {n}\n",
]  # fmt: skip

PACK_ALL = """
if __name__ == "__main__":
    import json, sys
    from clustrix.file_packaging import package_function_for_execution
    from clustrix.remote import wire
    class _Config:
        local_work_dir = None
        local_cache_dir = "unused"
        environment_variables = {}
    report = []
    for name in NAMES:
        try:
            info = package_function_for_execution(globals()[name], _Config())
            pieces = wire.dump_pieces(info.bindings, made=info.made)
        except (ValueError, wire.WireError) as error:
            report.append([name, None, str(error)])
        else:
            with open(f"{info.package_path}.{name}", "wb") as stream:
                stream.writelines(pieces)
            report.append([name, info.package_path, f"{info.package_path}.{name}"])
    # Only now, for calling them changes what they captured.
    for entry in report:
        import os
        read, write = os.pipe()
        if not os.fork():
            os.write(write, json.dumps(globals()[entry[0]](3)).encode())
            os._exit(0)
        os.wait()
        os.close(write)
        entry.append(os.read(read, 1000).decode())
    print(json.dumps(report))
"""

# As RUN does it, each package in a process that knows nothing of the script nor of the other packages.
RUN_ALL = f"""
import json, os, sys
for place, bindings in json.load(sys.stdin):
    sys.stdout.flush()
    if not os.fork():
        sys.argv[1:] = [place, bindings, "[3]", {str(ROOT / "clustrix")!r}]
        try:
            exec({RUN!r}, {{"__name__": "run"}})
        except BaseException as error:
            print(repr(error))
        sys.stdout.flush()
        os._exit(0)
    os.wait()
"""


@st.composite
def programs(draw: st.DrawFn) -> tuple[str, list[str]]:
    names = ["abs"]
    text = SHARED
    for number in range(draw(st.integers(8, 16))):
        shape = draw(st.sampled_from(SHAPES))
        given = {"a": draw(st.sampled_from(names)), "b": draw(st.sampled_from(names)), "n": draw(st.integers(0, 9))}
        text += shape.format(me=f"e{number}", **given)
        names.append(f"e{number}")
    return text, names[1:]


def outcomes(text: str, names: list[str]) -> list[tuple[str, str, str]]:
    """(name, answer here, answer from the package or the reason for which there is none)."""
    with tempfile.TemporaryDirectory() as place:
        script = Path(place) / "script.py"
        script.write_text(text + PACK_ALL.replace("NAMES", repr(names)), encoding="utf-8")
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "CLUSTRIX_PACKAGE_DIR": str(Path(place) / "packages")}
        command = [sys.executable, str(script)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=place, check=False)
        assert done.returncode == 0, done.stderr
        report: list[list[Any]] = json.loads(done.stdout.splitlines()[-1])
        wanted = []
        for name, package, bindings, _ in report:
            if package is not None:
                unpacked = Path(place) / f"unpacked-{name}"
                with zipfile.ZipFile(package) as archive:
                    archive.extractall(unpacked)
                wanted.append([str(unpacked), bindings])
        ran = subprocess.run(
            [sys.executable, "-E", "-s", "-c", RUN_ALL],
            input=json.dumps(wanted), capture_output=True, text=True, cwd=place, check=False,
        )  # fmt: skip
        answers = iter(ran.stdout.splitlines())
        return [
            (name, here, f"refused: {reason}" if package is None else next(answers))
            for name, package, reason, here in report
        ]


def test_generated_functions_give_the_same_answers_or_are_rarely_refused() -> None:
    count, refused = 0, []

    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(programs())
    def tried(program: tuple[str, list[str]]) -> None:
        nonlocal count
        for name, here, there in outcomes(*program):
            count += 1
            if there.startswith("refused: "):
                refused.append((name, there))
            else:
                assert (name, there) == (name, here)

    tried()
    assert len(refused) <= count * 0.02, refused
