"""What values cost on their way, and a job before the user's first line: actions that run.py measures in turns."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clustrix import remote
from clustrix.remote import wire
from clustrix.remote.paths import read_whole

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = bytes(32)


class Small:
    """One of many."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.name = f"number {number}"
        self.parts = [number, None]


def small_objects() -> list[Small]:
    return [Small(number) for number in range(100_000)]


def large_array() -> Any:
    import numpy as np

    return np.ones(200 << 17)


def by_wire(value: object, protocol: int, path: Path) -> Callable[[], object]:
    """To a file and back, as a job writes a result and reads its arguments; unsigned."""

    def there_and_back() -> object:
        with path.open("wb") as stream:
            stream.writelines(wire.dump_pieces(value, protocol))
        return wire.loads(read_whole(str(path)))

    return there_and_back


def by_pickle(value: object, protocol: int, path: Path) -> Callable[[], object]:
    def there_and_back() -> object:
        with path.open("wb") as stream:
            pickle.dump(value, stream, protocol)
        with path.open("rb") as stream:
            return pickle.load(stream)

    return there_and_back


def python_of(version: str) -> str | None:
    on_path = shutil.which(f"python{version}")
    of_pyenv = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"))
    candidates = [*([on_path] if on_path else []), *map(str, of_pyenv)]
    for path in candidates:
        asked = subprocess.run([path, "-V"], capture_output=True, text=True, check=False)
        if asked.stdout.startswith(f"Python {version}."):
            return path
    return None


def first_line_of_a_job(python: str, directory: Path) -> Callable[[], float]:
    """Milliseconds from the runner's start to the first line of the function, as the function itself tells."""
    (directory / "package").mkdir()
    (directory / "package" / "main.py").write_text("import time\n\ndef first():\n    return time.time()\n")
    # As on the cluster, where the agent's code is unpacked and compiled once.
    shutil.copytree(Path(remote.__file__).parent, directory / "far" / "clustrix_remote")
    shutil.copy(Path(remote.__file__).with_name("run_job.py"), directory / "far")
    subprocess.run([python, "-m", "compileall", "-q", str(directory / "far")], check=True)
    job = directory / "job"
    for name in ("out", "marks", "done"):
        (job / name).mkdir(parents=True)
    spec = {
        "job_id": "cx1", "attempt": 0, "task": 0, "package": "p", "package_dir": str(directory / "package"),
        "done_dir": str(job / "done"), "entry": {"kind": "main", "name": "first"}, "client_python": [3, 12],
        "original_dir": str(directory / "package"), "stages_python": None, "stages_modules": [], "resources": {},
    }  # fmt: skip
    (job / "spec.json").write_text(json.dumps(spec))
    (job / "key").write_bytes(KEY)
    (job / "args").write_bytes(wire.dumps(((), {})))

    def run() -> float:
        shutil.rmtree(job / "marks" / "run-0", ignore_errors=True)  # a job begins once
        started = time.time()
        subprocess.run([python, "-s", str(directory / "far" / "run_job.py"), str(job)], check=True)
        _, body = wire.unseal(KEY, (job / "out" / "result").read_bytes(), {"job_id": "cx1"})
        return float((wire.loads(body) - started) * 1000)

    return run


def first_line_of_a_script(python: str) -> Callable[[], float]:
    """The same of a Python that runs nothing else."""

    def run() -> float:
        started = time.time()
        told = subprocess.run([python, "-s", "-c", "import time; print(time.time())"], capture_output=True, check=True)
        return (float(told.stdout) - started) * 1000

    return run
