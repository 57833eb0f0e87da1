"""Packages: a script packs its own function, and a fresh interpreter runs what came out."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest
from other_pythons import needed
from packed_script import pack

if TYPE_CHECKING:
    from pathlib import Path


def test_a_scripts_function_runs_from_its_package_with_all_it_reaches(tmp_path: Path) -> None:
    packed = pack(
        tmp_path,
        """
        import math as m
        from collections import OrderedDict as Ordered
        SCALE = 3
        class Base:
            factor = SCALE
        class Point(Base):
            def __init__(self, x=SCALE): self.x = x
            def grown(self): return Point(self.x * self.factor)
        def rounded(x): return m.floor(x)
        def helper(x): return rounded(Point(x).grown().x) + len(Ordered(a=1))
        def unused(): return 1
        print("the script's own calls stay here")
        def f(x): return helper(x) + SCALE
        """,
    )
    assert packed.run(2.5) == 7 + 1 + 3
    assert "unused" not in packed.read("main.py")
    assert "print" not in packed.read("main.py")
    assert packed.metadata["execution_info"]["entry"] == {"kind": "main", "name": "f"}


def test_a_package_of_a_new_python_runs_on_3_6(tmp_path: Path) -> None:
    packed = pack(
        tmp_path,
        """
        import functools
        def counted(function):
            @functools.wraps(function)
            def wrapper(*args):
                return function(*args) + OFFSET
            return wrapper
        OFFSET = 100
        @counted
        def f(x: int) -> int:
            return x + 1
        """,
    )
    assert packed.run(1, python=needed("3.6")) == 102


def test_clustrix_decorators_are_removed_and_the_users_own_are_kept(tmp_path: Path) -> None:
    packed = pack(
        tmp_path,
        """
        import functools
        import clustrix
        from clustrix import cluster
        def doubled(function):
            @functools.wraps(function)
            def wrapper(*args): return 2 * function(*args)
            return wrapper
        @cluster(
            cores=2,
        )
        def helper(x): return x + 1
        @clustrix.cluster
        @doubled
        def f(x): return helper(x)
        """,
    )
    assert packed.run(3) == 8
    text = packed.read("main.py")
    assert "cluster" not in text
    assert "@doubled" in text


def test_a_decorator_above_cluster_runs_on_the_client_only(tmp_path: Path) -> None:
    packed = pack(
        tmp_path,
        """
        import functools
        from clustrix import cluster
        def doubled(function):
            @functools.wraps(function)
            def wrapper(*args): return 2 * function(*args)
            return wrapper
        @doubled
        @cluster
        def f(x): return x
        """,
        "f.__wrapped__",
    )
    assert packed.run(3) == 3


def test_local_modules_come_along_whole_with_the_packages_above_them(tmp_path: Path) -> None:
    (tmp_path / "pkg" / "inner").mkdir(parents=True)
    (tmp_path / "space").mkdir()
    (tmp_path / "pkg" / "__init__.py").write_text("NAME = 'pkg'\n")
    (tmp_path / "pkg" / "inner" / "__init__.py").write_text("")
    (tmp_path / "pkg" / "inner" / "deep.py").write_text(
        "from .. import NAME\nfrom . import beside\ndef deep(): return NAME + beside.TEXT\n"
    )
    (tmp_path / "pkg" / "inner" / "beside.py").write_text(
        "TEXT = '!'\nif __name__ == '__main__':\n    import not_there\n"
    )
    (tmp_path / "pkg" / "stranger.py").write_text("")
    (tmp_path / "space" / "part.py").write_text("def part(): return 'part'\n")
    (tmp_path / "late.py").write_text("VALUE = 'late'\n")
    packed = pack(
        tmp_path,
        """
        from typing import TYPE_CHECKING
        from pkg.inner.deep import deep
        import space.part
        if TYPE_CHECKING:
            import pkg.stranger
        def f():
            import late
            return [deep(), space.part.part(), late.VALUE]
        """,
    )
    assert packed.run() == ["pkg!", "part", "late"]
    assert [name for name in packed.names if name.startswith("modules/")] == [
        "modules/late.py",
        "modules/pkg/__init__.py",
        "modules/pkg/inner/__init__.py",
        "modules/pkg/inner/beside.py",
        "modules/pkg/inner/deep.py",
        "modules/space/part.py",
    ]
    assert packed.answer["requirements"] == []


def test_a_modules_function_is_imported_from_its_module(tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text("def g(x): return x + 1\n")
    (tmp_path / "work.py").write_text(
        "from clustrix import cluster\nimport other\nSTART = 5\n"
        "@cluster(cores=1)\ndef f(x): return other.g(x) + START\n"
        "class Tool:\n    @staticmethod\n    def use(x): return x * 2\n"
    )
    packed = pack(tmp_path, "import work\n", "work.f")
    assert packed.metadata["execution_info"]["entry"] == {"kind": "module", "module": "work", "name": "f"}
    assert packed.names == ["metadata.json", "modules/other.py", "modules/work.py"]
    assert packed.run(1) == 7
    method = pack(tmp_path, "import work\n", "work.Tool.use")
    assert method.run(4) == 8
    assert method.id != packed.id


def test_values_that_are_no_literals_travel_beside_the_package(tmp_path: Path) -> None:
    packed = pack(
        tmp_path,
        """
        from fractions import Fraction
        class Config:
            def __init__(self, rate): self.rate = rate
        HALF = Fraction(1, 2)
        SETTINGS = Config(3)
        LITERAL = {"a": [1, (2.5, None)], "b": {3}}
        def f(): return [str(HALF), SETTINGS.rate, LITERAL["a"]]
        """,
    )
    assert packed.answer["bindings"] == ["HALF", "SETTINGS"]
    assert packed.run() == ["1/2", 3, [1, [2.5, None]]]
    assert packed.metadata["execution_info"]["bindings"] == ["HALF", "SETTINGS"]


def test_a_registry_that_decorators_fill_is_complete_in_the_job(tmp_path: Path) -> None:
    packed = pack(
        tmp_path,
        """
        KNOWN = {}
        def known(function):
            KNOWN[function.__name__] = function
            return function
        @known
        def zero(): return 0
        @known
        def one(): return 1
        def f(): return sorted((name, call()) for name, call in KNOWN.items())
        """,
    )
    assert packed.run() == [["one", 1], ["zero", 0]]


def test_two_names_of_one_list_stay_one_list(tmp_path: Path) -> None:
    packed = pack(tmp_path, "A = [1]\nB = A\ndef f():\n    A.append(2)\n    return B\n")
    assert packed.run() == [1, 2]


def test_classes_made_by_calls_and_lambdas_at_module_level_come_as_their_assignment(tmp_path: Path) -> None:
    packed = pack(
        tmp_path,
        """
        from collections import namedtuple
        from typing import Generic, TypeVar
        T = TypeVar("T")
        Pair = namedtuple("Pair", "left right")
        add = lambda a, b: a + b
        class Box(Generic[T]):
            def __init__(self, value): self.value = value
        def f(): return Box(add(*Pair(1, 2))).value
        """,
    )
    assert packed.run() == 3


def test_a_nested_function_brings_what_it_closes_over(tmp_path: Path) -> None:
    packed = pack(
        tmp_path,
        '''
        def outer(base):
            import math
            table = {"base": base}
            def helper(x): return x + table["base"]
            def inner(x):
                text = """A text
            with its own margin."""
                return math.floor(helper(x)), len(text)
            return inner
        f = outer(10)
        ''',
    )
    assert packed.run(1.5) == [11, len("A text\n    with its own margin.")]


def test_async_functions_and_generators_are_packed(tmp_path: Path) -> None:
    packed = pack(
        tmp_path,
        """
        import asyncio
        def numbers(n):
            yield from range(n)
        async def total(n): return sum(numbers(n))
        def f(n): return asyncio.get_event_loop_policy().new_event_loop().run_until_complete(total(n))
        """,
    )
    assert packed.run(4) == 6


def test_future_annotations_stay_unevaluated(tmp_path: Path) -> None:
    packed = pack(tmp_path, "from __future__ import annotations\ndef f(x: NotThere) -> Nor[This]:\n    return x\n")
    assert packed.run(1) == 1
    assert packed.answer["warnings"] == []


def test_a_name_defined_nowhere_is_a_warning(tmp_path: Path) -> None:
    packed = pack(tmp_path, "def f(x):\n    return nowhere if x else 1\n")
    assert packed.run(0) == 1
    assert "f() reads 'nowhere'" in packed.answer["warnings"][0]


def test_data_files_that_are_read_by_literal_relative_paths_come_along(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("alpha")
    (tmp_path / "b.txt").write_text("beta")
    (tmp_path / "c.txt").write_text("gamma")
    (tmp_path / "out.txt").write_text("old")
    packed = pack(
        tmp_path,
        """
        from pathlib import Path
        import clustrix
        B = "b.txt"
        def f():
            place = Path("in") / "a.txt"
            if B != "b.txt":
                clustrix.cluster_ls("c.txt")
            with open("out.txt", "w") as stream:
                stream.write("new")
            return place.read_text() + open(B).read()
        """,
    )
    assert [name for name in packed.names if name.startswith("data/")] == ["data/b.txt", "data/in/a.txt"]
    assert packed.metadata["execution_info"]["data_files"] == ["b.txt", "in/a.txt"]
    assert packed.metadata["dependencies"]["requires_cluster_filesystem"]


def test_a_data_file_that_is_too_large_is_an_error_with_its_name_and_size(tmp_path: Path) -> None:
    with (tmp_path / "big.bin").open("wb") as stream:
        stream.truncate((64 << 20) + 1)
    packed = pack(tmp_path, "def f(): return open('big.bin', 'rb').read()\n")
    assert "big.bin" in packed.error
    assert str((64 << 20) + 1) in packed.error


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("import functools\nf = functools.partial(int, base=2)\n", "'int'"),
        ("f = [].append\n", "built-in"),
        ("class C: pass\nf = C()\n", "not a function"),
        ("VALUE = object()\ndef f(x=VALUE): return x\n", "'VALUE'"),
        ("def f():\n    from . import other\n", "relative import"),
    ],
)
def test_what_cant_come_along_is_an_error_that_names_it(tmp_path: Path, script: str, says: str) -> None:
    packed = pack(tmp_path, script)
    assert packed.answer.get("kind") == "PackagingError"
    assert says in packed.error


def test_the_id_does_not_depend_on_the_order_of_definition(tmp_path: Path) -> None:
    one = "import math\nimport json as j\nA = 1\n"
    two = "def g(x): return math.floor(x) + A\n\n\ndef h(x): return j.dumps(g(x))\n"
    first = pack(tmp_path / "1", one + two + "def f(x): return h(x)\n")
    second = pack(
        tmp_path / "2",
        "def f(x): return h(x)\n" + "def h(x): return j.dumps(g(x))\n" + one + two.splitlines()[0] + "\n",
    )
    assert first.id == second.id
    assert first.path.read_bytes() == second.path.read_bytes()


def test_two_functions_of_one_module_have_two_packages(tmp_path: Path) -> None:
    script = "def f(x): return g(x - 1) if x else 'f'\ndef g(x): return f(x - 1) if x else 'g'\n"
    first, second = pack(tmp_path, script, "f"), pack(tmp_path, script, "g")
    assert first.read("main.py") == second.read("main.py")
    assert first.id != second.id
    assert [first.run(2), second.run(2)] == ["f", "g"]


def test_every_client_python_makes_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "helpers.py").write_text("import json\ndef h(x): return json.dumps(x)\n")
    (tmp_path / "table.csv").write_text("1,2\n")
    script = """
        import math
        from helpers import h
        WORDS = {"ä", "b", "\\U0001fae0", (1, 2.5), b"x"}
        class Shape:
            sides: int = len(WORDS)
            def area(self, r): return [math.pi * s for s in range(self.sides) if (t := s) > r]
        def f(x):
            with open("table.csv") as stream:
                return h([x, Shape().area(x), f"{x!r:>{10}}", stream.read()])
        """
    packages = [
        pack(tmp_path / v, script, python=needed(v), name="../script.py") for v in ("3.10", "3.11", "3.12", "3.13")
    ]
    contents = {packed.path.read_bytes() for packed in packages}
    assert len({packed.id for packed in packages}) == 1
    assert len(contents) == 1


def test_an_edited_file_is_noticed_before_it_is_shipped(tmp_path: Path) -> None:
    script = "import pathlib\ndef f(): return 1\npath = pathlib.Path(__file__)\npath.write_text(path.read_text().replace('return 1', 'return 2'))\n"
    packed = pack(tmp_path, script)
    assert "edited" in packed.error
    assert "script.py, line 2" in packed.error


def test_main_files_parse_and_hold_no_calls_but_the_loading_of_bindings(tmp_path: Path) -> None:
    packed = pack(tmp_path, "import fractions\nX = fractions.Fraction(1)\ndef f(): return X\n")
    last = ast.parse(packed.read("main.py")).body[-1]
    assert ast.unparse(last) == "_clustrix_load_bindings(globals())"
