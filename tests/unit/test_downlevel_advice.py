"""Names of the standard library that an older Python lacks: a warning with line numbers, once."""

import os
import sys
import zipfile

from clustrix.advice import advice
from clustrix.downlevel.advice import Missing, missing_names

TEXT = """\
from __future__ import annotations
import dataclasses
import math
import subprocess

try:
    import tomllib
except ImportError:
    tomllib = None

def f(xs, word: str):
    if hasattr(math, "dist"):
        return math.dist([1], [2])
    return math.prod(xs), subprocess.run(["a"], capture_output=True), (n := 1), f"{n=}"
"""


def test_names_and_keywords_are_found_with_their_lines_and_syntax_is_not():
    assert missing_names(TEXT, (3, 6)) == [
        Missing(14, "math.prod", (3, 8)),
        Missing(14, "subprocess.run(capture_output)", (3, 7)),
    ]


def test_what_is_there_is_not_named():
    assert missing_names(TEXT, (3, 8)) == []


def packed(tmp_path, text):
    path = tmp_path / "clustrix_package_0123456789abcdef.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("main.py", text)
        archive.writestr("modules/a/b.py", "import zoneinfo\n")
        archive.writestr("data/c.py", "import tomllib\n")
    return path


def test_it_is_said_once_for_each_package_and_version(tmp_path):
    path = packed(tmp_path, TEXT)
    words = advice(path, (3, 6), tmp_path)
    assert "math.prod (main.py, line 14; from 3.8 on)" in words
    assert "zoneinfo (modules/a/b.py, line 1; from 3.9 on)" in words
    assert "tomllib" not in words
    assert advice(path, (3, 6), tmp_path) == ""
    assert "zoneinfo" in advice(path, (3, 8), tmp_path)


def test_nothing_is_said_of_a_python_as_new_as_this_one(tmp_path):
    assert advice(packed(tmp_path, "import zoneinfo\n"), sys.version_info[:2], tmp_path) == ""


def test_what_was_said_is_forgotten_with_the_packages(tmp_path):
    package = packed(tmp_path, "import zoneinfo\n")
    assert "zoneinfo" in advice(package, (3, 6), tmp_path)
    (mark,) = (tmp_path / "advice").iterdir()
    os.utime(mark, (0, 0))
    assert "zoneinfo" in advice(package, (3, 8), tmp_path)
    assert not mark.exists()
    assert "zoneinfo" in advice(package, (3, 6), tmp_path)
