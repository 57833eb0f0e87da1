"""Stand-ins for public images, made of what this machine has, for places that can't reach a registry of images.

The base is a minimal Debian from the package mirrors. An interpreter is one of pyenv's, laid out as in the public
`python:3.X-slim` images: its prefix is /usr/local.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from simcluster.errors import ImageBuildError
from simcluster.pythons import find_pyenv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import docker

__all__ = ["find_interpreters", "make_base", "make_interpreter"]

_PREFIX = "usr/local"
_SKIPPED_DIRECTORIES = {"__pycache__", "test", "tests", "idlelib", "turtledemo", "tkinter", "site-packages", "share"}
_SKIPPED_FILES = re.compile(r".*\.(a|pyc)$|_tkinter.*\.so|_test.*\.so|_ctypes_test.*\.so")
_LARGEST_TEXT = 4 << 20


def make_base(client: docker.DockerClient, base: str, say: Callable[[str], None]) -> str:
    """Make a minimal Debian with `mmdebstrap`, unless it is there already; its image name."""
    match = re.fullmatch(r"debian:(?P<suite>[a-z]+)(-slim)?", base)
    if not match:
        raise ImageBuildError(
            f"the registry that holds {base!r} can't be reached, and only Debian bases can be made here:"
            f" use --base debian:bookworm-slim or --base debian:trixie-slim"
        )
    suite = match["suite"]
    name = f"simcluster/base:{suite}"
    if client.images.list(name):
        return name
    if not shutil.which("mmdebstrap"):
        raise ImageBuildError(
            f"the registry that holds {base!r} can't be reached, and mmdebstrap, which could make it from"
            " Debian's packages, is not installed: apt-get install mmdebstrap"
        )
    say(f"making {name} with mmdebstrap")
    with tempfile.TemporaryFile() as archive:
        command = ["mmdebstrap", "--variant=minbase", "--include=ca-certificates", "--format=tar", suite, "-"]
        made = subprocess.run(command, stdout=archive, stderr=subprocess.PIPE, text=True, check=False)
        if made.returncode:
            raise ImageBuildError(f"mmdebstrap could not make {suite}:\n{_last_lines(made.stderr)}")
        archive.seek(0)
        client.api.import_image_from_data(archive, *name.split(":"))
    return name


def find_interpreters() -> dict[str, Path]:
    """The newest patch release of each minor version that pyenv has here: {"3.6": its prefix}."""
    return {version: interpreter.prefix for version, interpreter in find_pyenv().items()}


def make_interpreter(client: docker.DockerClient, prefix: Path, say: Callable[[str], None]) -> str:
    """Import the interpreter at `prefix` as an image, unless it is there already; its image name."""
    name = f"simcluster/python:{prefix.name}"
    if client.images.list(name):
        return name
    say(f"making {name} from pyenv's {prefix.name}")
    with tempfile.TemporaryFile() as archive:
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for directory in ("usr", _PREFIX, "usr/lib"):
                info = tarfile.TarInfo(directory)
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(info)
            for path in _worth_taking(prefix):
                _add(tar, path, prefix)
        archive.seek(0)
        client.api.import_image_from_data(archive, *name.split(":"))
    return name


def _worth_taking(prefix: Path) -> Iterator[Path]:
    for directory, subdirectories, files in os.walk(prefix):
        subdirectories[:] = sorted(d for d in subdirectories if d not in _SKIPPED_DIRECTORIES)
        for name in sorted(files):
            if not _SKIPPED_FILES.fullmatch(name):
                yield Path(directory, name)


def _add(tar: tarfile.TarFile, path: Path, prefix: Path) -> None:
    info = tar.gettarinfo(path, f"{_PREFIX}/{path.relative_to(prefix).as_posix()}")
    info.uid = info.gid = 0
    info.uname = info.gname = "root"
    if not info.isreg():
        tar.addfile(info)
        return
    data = path.read_bytes()
    if data.startswith(b"\x7fELF"):
        data = _stripped(path, data)
    elif len(data) < _LARGEST_TEXT:
        data = data.replace(str(prefix).encode(), f"/{_PREFIX}".encode())
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def _stripped(path: Path, data: bytes) -> bytes:
    if not shutil.which("strip"):
        return data
    with tempfile.NamedTemporaryFile() as out:
        done = subprocess.run(["strip", "--strip-unneeded", "-o", out.name, path], capture_output=True, check=False)
        return Path(out.name).read_bytes() if done.returncode == 0 else data


def _last_lines(text: str, count: int = 15) -> str:
    return "\n".join(text.rstrip().splitlines()[-count:])
