"""What can't be packed is refused in words that name it; what only looks bad is packed."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from packed_script import PACK, ROOT, pack

if TYPE_CHECKING:
    from pathlib import Path


def test_source_that_is_not_utf_8_but_says_so(tmp_path: Path) -> None:
    (tmp_path / "latin.py").write_bytes(b"# -*- coding: latin-1 -*-\nWORD = '\xe4'\n")
    packed = pack(tmp_path, "from latin import WORD\ndef f(x): return WORD + '\u00f6'\n")
    assert packed.run(1) == "\u00e4\u00f6"


def test_a_script_that_is_not_utf_8_but_says_so(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_bytes(
        b"# coding: latin-1\ndef g(): return '\xe4'\ndef f(x): return g()\n" + PACK.replace("ENTRY", "f").encode()
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CLUSTRIX_PACKAGE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, env=environment, check=True)
    assert '"error"' not in done.stdout


def test_a_module_that_is_not_utf_8_and_does_not_say_so(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_bytes(b"WORD = '\xe4'\n")
    packed = pack(tmp_path, "def f(x):\n    import broken\n    return broken.WORD\n")
    assert "broken.py can't be read as Python source" in packed.error


def test_a_module_that_raises_on_import_is_not_imported_by_packing(tmp_path: Path) -> None:
    (tmp_path / "raising.py").write_text("raise RuntimeError('as it is imported')\n")
    packed = pack(
        tmp_path,
        "def f(x):\n    try:\n        import raising\n    except RuntimeError as error:\n        return str(error)\n",
    )
    assert packed.run(1) == "as it is imported"


@pytest.mark.parametrize(
    "body",
    [
        "return " + " + ".join(["x"] * 1200),
        "if x == 0: return 0\n" + "".join(f"    elif x == {n}: return {n}\n" for n in range(1, 1200)),
    ],
    ids=["a sum", "elif"],
)
def test_deep_nesting_is_packed_or_refused_in_words(tmp_path: Path, body: str) -> None:
    packed = pack(tmp_path, f"def f(x):\n    {body}\n")
    assert "nested too deeply" in packed.error


# The parser of 3.10 reads any number of terms; its compiler does not, and so nor does that of a job.
_TERMS = ["+".join("1" * 100_000)] if sys.version_info >= (3, 11) else []


@pytest.mark.parametrize("text", ["(" * 10_000 + "1" + ")" * 10_000, "-" * 10_000 + "1", *_TERMS])
def test_nesting_that_python_itself_refuses(tmp_path: Path, text: str) -> None:
    (tmp_path / "deep.py").write_text(f"x = {text}\n")
    packed = pack(tmp_path, "def f(x):\n    import deep\n    return deep.x\n")
    assert "deep.py can't be read as Python source" in packed.error


def test_names_that_are_no_identifiers(tmp_path: Path) -> None:
    packed = pack(
        tmp_path,
        """
        import functools
        globals()["a b"] = 1
        def g(x, **more): return [x, more]
        def make():
            def h(x): return [x, vars(h)]
            setattr(h, "c d", 2)
            setattr(h, "if", 3)
            h.__name__ = "no name"
            return h
        h = make()
        def f(x): return functools.partial(g, **{"e f": 4, "class": 5})(x) + h(x)
        """,
    )
    assert packed.run(1) == [1, {"e f": 4, "class": 5}, 1, {"c d": 2, "if": 3}]


@pytest.mark.parametrize(
    "path", ["../secret", "a/../../secret", "/etc/hostname", "~/secret", "..\\\\secret", "a\\\\..\\\\..\\\\secret"]
)
def test_no_file_outside_the_working_directory_is_shipped(tmp_path: Path, path: str) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "inside" / "a").mkdir(parents=True)
    packed = pack(tmp_path / "inside", f"def f(x): return open('{path}').read()\n")
    assert not packed.error
    assert packed.names == ["main.py", "metadata.json"]


def test_a_data_file_whose_name_is_not_unicode(tmp_path: Path) -> None:
    (tmp_path / "odd\udcff").write_text("")
    packed = pack(tmp_path, "def f(x): return open('odd\\udcff').read()\n")
    assert "a name that is not Unicode" in packed.error
