"""What a script chooses by its Python, the job chooses by its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from other_pythons import needed
from packed_script import pack

if TYPE_CHECKING:
    from pathlib import Path

BY_VERSION = """
import sys
if sys.version_info >= (3, 8):
    from math import prod
else:
    def prod(values):
        result = 1
        for value in values:
            result *= value
        return result
def f(x): return prod([x, 2])
"""
BY_IMPORT = """
try:
    from functools import cache
except ImportError:
    from functools import lru_cache
    cache = lru_cache(None)
@cache
def double(x): return 2 * x
def f(x): return double(x)
"""
SEVERAL_NAMES = """
import sys
FIRST = (3, 7)
try:
    import dataclasses as tools, contextvars
    HAS_TOOLS = sys.version_info >= FIRST
except (ImportError, AttributeError):
    tools, HAS_TOOLS = None, False
def f(x): return HAS_TOOLS == (tools is not None) and x * 2
"""
NESTED = """
from sys import version_info
if version_info < (3, 0):
    def g(x): return x
else:
    try:
        from math import nextafter
    except ImportError:
        nextafter = max
    else:
        STEP = 2
    def g(x): return x + (4 if nextafter is max else nextafter(x, x) * 1)
def f(x): return g(x)
"""


@pytest.mark.parametrize("version", ["3.6", "3.7", "3.8", "3.12"])
@pytest.mark.parametrize("script", [BY_VERSION, BY_IMPORT, NESTED], ids=["by version", "by import", "nested"])
def test_the_jobs_python_chooses_for_itself(tmp_path: Path, script: str, version: str) -> None:
    assert pack(tmp_path, script).run(4, python=needed(version)) == 8


def test_a_name_that_is_bound_once_more_is_what_it_is_here(tmp_path: Path) -> None:
    packed = pack(tmp_path, BY_VERSION.replace("def f(", "prod = len\ndef f("))
    assert packed.run(4, python=needed("3.6")) == 2


def test_the_statement_comes_once_for_all_of_its_names(tmp_path: Path) -> None:
    packed = pack(tmp_path, SEVERAL_NAMES)
    assert packed.read("main.py").count("import dataclasses") == 1
    assert packed.run(4, python=needed("3.6")) == packed.run(4) == 8


def test_what_stands_in_for_a_module_is_required_where_that_is_not_there(tmp_path: Path) -> None:
    script = "try:\n    import tomllib\nexcept ImportError:\n    import tomli as tomllib\ndef f(x): return tomllib.loads(x)\n"
    packed = pack(tmp_path, script)
    assert [item.partition(";")[0].partition("<")[0] for item in packed.answer["requirements"]] == ["tomli"]
    assert packed.run("a = 1") == {"a": 1}


def test_what_only_the_client_knows_is_not_chosen_anew(tmp_path: Path) -> None:
    script = "import os\nif os.environ.get('FAST'):\n    from math import fsum as total\nelse:\n    total = sum\ndef f(x): return total([x, x])\n"
    packed = pack(tmp_path, script)
    assert "environ" not in packed.read("main.py")
    assert packed.run(4) == 8
