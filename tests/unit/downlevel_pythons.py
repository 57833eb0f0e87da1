"""Texts run under this Python and under old ones, for the tests of what is rewritten."""

import json
import os
import subprocess
import sys
from pathlib import Path

from other_pythons import needed

import clustrix.remote

DRIVER = Path(__file__).with_name("downlevel_driver.py")


def python_of(version):
    name = "{}.{}".format(*version)
    if version == sys.version_info[:2]:
        return sys.executable
    return needed(name)


def answers(python, directory, texts):
    """What each text answers under ``python`` with the modules of a job, see downlevel_driver.py; in their order."""
    remote = Path(clustrix.remote.__file__).parent
    directory.mkdir()
    (directory / "clustrix_remote").symlink_to(remote)
    paths = []
    for number, text in enumerate(texts):
        paths.append(directory / f"case_{number}.py")
        paths[-1].write_text(text, encoding="utf-8")
    command = [
        python,
        "-X",
        "utf8",
        "-W",
        "ignore",
        str(DRIVER),
        f"{directory}:",
        f"{remote / 'front'}:",
        *map(str, paths),
    ]
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
