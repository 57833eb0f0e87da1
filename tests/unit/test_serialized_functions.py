"""``serialize_function``: what one client writes, every other client and the cluster's wire reads, or refuses with a reason."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from other_pythons import interpreter, needed

import clustrix
from clustrix import cluster, errors
from clustrix.serialization import deserialize_function, serialize_function

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(clustrix.__file__).parents[1]
OWN = f"{sys.version_info.major}.{sys.version_info.minor}"
CLIENTS = ["3.10", "3.11", "3.12", "3.13"]
CLUSTERS = ["3.6", "3.7", "3.8", "3.9"]

WRITE = """
if __name__ == "__main__":
    import sys
    from clustrix.serialization import serialize_function
    with open(sys.argv[1], "wb") as stream:
        stream.write(serialize_function(f, ARGUMENTS, {"more": 4}))
"""
READ = """
import json, sys
sys.path.insert(0, sys.argv[2])
READER
with open(sys.argv[1], "rb") as stream:
    data = stream.read()
try:
    function, args, kwargs = read(data)
except Exception as error:
    print(json.dumps([type(error).__name__, str(error)]))
else:
    print(json.dumps(["read", function(*args, **kwargs)]))
"""
ON_A_CLIENT = "from clustrix.serialization import deserialize_function as read"
ON_A_CLUSTER = "from clustrix_remote.wire import loads as read"

SCRIPT = """
    import math, threading
    from fractions import Fraction
    from own_part import twice
    LIMIT = 3
    WEIGHTS = Fraction(1, 2)
    class Point:
        def __init__(self, x): self.x = x
    def helper(point): return math.sqrt(twice(point.x)) + LIMIT
    def f(point, more=0):
        assert isinstance(point, Point)
        return [helper(point), float(WEIGHTS), more]
"""
WITHOUT_SOURCE = """
    text = "def f(x, more=0):\\n    return [x, more]\\n"
    exec(text)
"""


def written(directory: Path, script: str, arguments: str, python: str = sys.executable) -> Path:
    """What a script, run by that Python, writes of its own function ``f``."""
    (directory / "own_part.py").write_text("def twice(x): return 2 * x\n")
    program = directory / "script.py"
    program.write_text(textwrap.dedent(script) + WRITE.replace("ARGUMENTS", arguments))
    path = directory / "function"
    run([python, str(program), str(path)], directory)
    return path


def run(command: list[str], directory: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CLUSTRIX_PACKAGE_DIR": str(directory / "packages")}
    done = subprocess.run(command, capture_output=True, text=True, cwd=directory, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def of_a_client(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """What a client Python wrote of SCRIPT; each writes once."""

    @functools.cache
    def wrote(version: str) -> Path:
        return written(tmp_path_factory.mktemp("writer"), SCRIPT, "(Point(2),)", client(version))

    return wrote


def read_by(python: str, path: Path, reader: str, far_side: Path) -> list[str]:
    elsewhere = far_side / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    command = [python, "-I", "-c", READ.replace("READER", reader), str(path), str(far_side)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=elsewhere, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def far_side(tmp_path: Path) -> Path:
    directory = tmp_path / "far_side"
    directory.mkdir()
    (directory / "clustrix_remote").symlink_to(ROOT / "clustrix" / "remote", target_is_directory=True)
    return directory


def client(version: str) -> str:
    """A Python of that version that has what clustrix needs, or this one; the test is skipped without one."""
    if version == OWN:
        return sys.executable
    of_nox = ROOT / ".nox" / f"tests-{version.replace('.', '-')}" / "bin" / "python"
    path = str(of_nox) if of_nox.exists() else interpreter(version)
    program = "import packaging, paramiko, platformdirs, yaml, cloudpickle"
    if path is None or subprocess.run([path, "-c", program], capture_output=True, check=False).returncode:
        pytest.skip(f"no Python {version} here that has what clustrix needs")
    return path


@pytest.mark.parametrize("version", CLUSTERS + CLIENTS)
def test_the_wire_of_every_cluster_python_reads_what_this_client_wrote(
    version: str, of_a_client: Callable[[str], Path], far_side: Path
) -> None:
    python = needed(version)
    assert read_by(python, of_a_client(OWN), ON_A_CLUSTER, far_side) == ["read", [5.0, 0.5, 4]]


@pytest.mark.parametrize("reader", CLIENTS)
@pytest.mark.parametrize("writer", CLIENTS)
def test_every_client_reads_what_every_client_wrote(
    writer: str, reader: str, of_a_client: Callable[[str], Path], far_side: Path
) -> None:
    path = of_a_client(writer)
    (far_side / "clustrix").symlink_to(ROOT / "clustrix", target_is_directory=True)
    assert read_by(client(reader), path, ON_A_CLIENT, far_side) == ["read", [5.0, 0.5, 4]]


def test_a_function_without_source_is_read_where_the_bytecode_is_the_same(tmp_path: Path, far_side: Path) -> None:
    path = written(tmp_path, WITHOUT_SOURCE, "(1,)")
    assert read_by(sys.executable, path, ON_A_CLUSTER, far_side) == ["read", [1, 4]]


def test_a_function_without_source_is_refused_where_the_bytecode_is_another(tmp_path: Path, far_side: Path) -> None:
    python = needed("3.6")
    kind, reason = read_by(python, written(tmp_path, WITHOUT_SOURCE, "(1,)"), ON_A_CLUSTER, far_side)
    assert kind == "WireError"
    assert "f is bytecode with the magic number" in reason
    assert "Python 3.6" in reason


def test_syntax_that_the_reader_rejects_is_refused_with_its_line(tmp_path: Path, far_side: Path) -> None:
    python = needed("3.6")
    script = "def f(x, more=0):\n    if (y := x):\n        return y\n"
    kind, reason = read_by(python, written(tmp_path, script, "(1,)"), ON_A_CLUSTER, far_side)
    assert kind == "WireError"
    assert "main.py, line 2: if (y := x)" in reason


def test_a_module_that_is_another_one_there_is_refused(tmp_path: Path, far_side: Path) -> None:
    path = written(tmp_path, SCRIPT, "(Point(2),)")
    (far_side / "own_part.py").write_text("def twice(x): return 3 * x\n")
    kind, reason = read_by(sys.executable, path, ON_A_CLUSTER, far_side)
    assert kind == "WireError"
    assert "its module own_part is another one here" in reason


def test_a_library_that_the_reader_lacks_is_a_reason(tmp_path: Path, far_side: Path) -> None:
    script = "import packaging\ndef f(x, more=0):\n    return packaging.__name__\n"
    path = written(tmp_path, script, "(1,)")
    python = needed("3.6")
    assert "No module named 'packaging'" in read_by(python, path, ON_A_CLUSTER, far_side)[1]


def area(width: float, height: float = 2.0) -> float:
    return width * height


@pytest.fixture(autouse=True)
def kept_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTRIX_PACKAGE_DIR", str(tmp_path / "packages"))


def test_in_one_process_a_modules_function_is_itself() -> None:
    function, args, kwargs = deserialize_function(serialize_function(area, (3,), {"height": 4}))
    assert (function, args, kwargs) == (area, (3,), {"height": 4})


def test_a_decorated_function_comes_back_plain() -> None:
    function, args, kwargs = deserialize_function(serialize_function(cluster(cores=2)(area)))
    assert function is area
    assert (args, kwargs) == ((), {})


def test_a_nested_function_brings_what_it_closes_over() -> None:
    factor = [2, 3]

    def scaled(x: int) -> int:
        return x * sum(factor)

    function, args, kwargs = deserialize_function(serialize_function(scaled, (2,)))
    assert function is not scaled
    assert function(*args, **kwargs) == 10


def test_two_calls_with_other_captured_values_do_not_share_them() -> None:
    class_of_theirs = __import__("decimal").Decimal

    def through(value: object) -> Any:
        def captured() -> object:
            return value

        return deserialize_function(serialize_function(captured))[0]

    first, second = through(class_of_theirs(1)), through(class_of_theirs(2))
    assert (first(), second()) == (1, 2)


def test_an_argument_that_cant_be_sent_is_named() -> None:
    with pytest.raises(errors.SerializationError, match=r"args\[0\]"):
        serialize_function(area, (__import__("threading").Lock(),))


@pytest.mark.parametrize("builtin", [len, [].append])
def test_builtins_are_a_value_error(builtin: object) -> None:
    with pytest.raises(ValueError, match="built-in or C function"):
        serialize_function(builtin)  # type: ignore[arg-type]


@pytest.mark.parametrize("data", [b"", b"no pickle", b"\x80\x04K\x01."])
def test_other_bytes_are_a_serialization_error(data: bytes) -> None:
    with pytest.raises(errors.SerializationError):
        deserialize_function(data)
