"""A script packs its own function, and a fresh interpreter far from it runs what came out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path
from typing import Any

import clustrix

ROOT = Path(clustrix.__file__).parents[1]

PACK = """
if __name__ == "__main__":
    import json, sys, warnings
    from clustrix.file_packaging import package_function_for_execution
    class _Config:
        local_work_dir = None
        local_cache_dir = "unused"
        environment_variables = {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            info = package_function_for_execution(ENTRY, _Config())
        except ValueError as error:
            print(json.dumps({"error": str(error), "kind": type(error).__name__}))
            sys.exit()
    from clustrix.remote import wire
    with open(info.package_path + ".bindings", "wb") as stream:
        stream.writelines(wire.dump_pieces(info.bindings, made=info.made))
    print(json.dumps({"id": info.package_id, "path": info.package_path, "requirements": info.requirements,
                      "bindings": sorted(info.bindings), "warnings": [str(item.message) for item in caught]}))
"""

RUN = """
import json, runpy, sys, types
sys.path[:0] = [sys.argv[4]]
from remote import wire
sys.path[:1] = [sys.argv[1] + "/modules"]
entry = json.load(open(sys.argv[1] + "/metadata.json"))["execution_info"]["entry"]
front = types.ModuleType("clustrix")
front.cluster = lambda function=None, **options: function or (lambda decorated: decorated)
job = types.ModuleType("clustrix._job")
job.load_bindings = lambda names: names.update(wire.loads(open(sys.argv[2], "rb").read()))
sys.modules["clustrix"], sys.modules["clustrix._job"] = front, job
if entry["kind"] == "main":
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    path = sys.argv[1] + "/main.py"
    exec(compile(open(path, encoding="utf-8").read(), path, "exec"), main.__dict__)
    found = main
else:
    found = __import__(entry["module"], fromlist=["*"])
for name in entry["name"].split("."):
    found = getattr(found, name)
print(json.dumps(found(*json.loads(sys.argv[3]))))
"""


class Packed:
    """What a script said of its package, and the means to run it elsewhere."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.answer = answer
        self.id, self.error = answer.get("id"), answer.get("error", "")
        self.path = Path(answer.get("path", "."))

    def read(self, name: str) -> str:
        with zipfile.ZipFile(self.path) as archive:
            return archive.read(name).decode()

    @property
    def names(self) -> list[str]:
        with zipfile.ZipFile(self.path) as archive:
            return archive.namelist()

    @property
    def metadata(self) -> Any:
        return json.loads(self.read("metadata.json"))

    def run(self, *args: Any, python: str = sys.executable) -> Any:
        """The function's value in a fresh interpreter, far from the script's directory."""
        place = self.path.parent / f"unpacked-{self.id}"
        with zipfile.ZipFile(self.path) as archive:
            archive.extractall(place)
        (place / "data").mkdir(exist_ok=True)
        command = [
            python,
            "-E",
            "-s",
            "-c",
            RUN,
            str(place),
            f"{self.path}.bindings",
            json.dumps(args),
            str(ROOT / "clustrix"),
        ]
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=place / "data", timeout=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def pack(
    directory: Path, script: str, entry: str = "f", *, python: str = sys.executable, name: str = "script.py"
) -> Packed:
    """Write a script, let a real interpreter run it, and have it pack its own function ``entry``."""
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(script) + PACK.replace("ENTRY", entry), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CLUSTRIX_PACKAGE_DIR": str(directory / "packages")}
    done = subprocess.run(
        [python, str(path)], capture_output=True, text=True, cwd=directory, env=environment, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return Packed(json.loads(done.stdout.splitlines()[-1]))
