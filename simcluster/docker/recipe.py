"""The recipe of an image: its files, and the name that the image gets from them.

An image is named by the digest of all that goes into it, so a changed recipe is another image and an unchanged one
is found by a single look.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from simcluster.spec import PYTHONS

__all__ = ["DEFAULT_BASE", "ImageRecipe", "recipe_directory"]

DEFAULT_BASE = "debian:bookworm-slim"

_NOT_IN_THE_IMAGE = {"README.md"}
_HOST_CERTIFICATES = Path("/usr/local/share/ca-certificates")


@dataclass(frozen=True)
class ImageRecipe:
    """One image of `docker/<scheduler>/`: its base, its interpreters, and whether it has an accounting database."""

    scheduler: str = "slurm"
    base: str = DEFAULT_BASE
    pythons: tuple[str, ...] = PYTHONS
    accounting: bool = True
    mirror: str = ""

    @property
    def target(self) -> str:
        """The stage of the Dockerfile."""
        return "accounting" if self.accounting else self.scheduler

    @cached_property
    def family(self) -> str:
        """The digest of everything but the interpreters: images of one family differ in those only."""
        digest = hashlib.sha256(json.dumps([self.base, self.mirror]).encode())
        for name, data in self._files.items():
            digest.update(f"\0{name}\0{len(data)}\0".encode() + data)
        return f"{digest.hexdigest()[:12]}-{self.target}"

    @property
    def tag(self) -> str:
        """The image's full name, the same for the same content."""
        versions = "" if self.pythons == PYTHONS else "-" + "-".join(self.pythons)
        return f"simcluster/{self.scheduler}:{self.family}{versions}"

    def context(self) -> io.BytesIO:
        """The build context as a tar archive."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for name, data in self._files.items():
                # Fixed times and modes: the builder's cache compares them.
                info = tarfile.TarInfo(name)
                info.size, info.mode = len(data), 0o644
                tar.addfile(info, io.BytesIO(data))
        archive.seek(0)
        return archive

    @cached_property
    def _files(self) -> dict[str, bytes]:
        directory = recipe_directory(self.scheduler)
        files = {
            path.relative_to(directory).as_posix(): path.read_bytes()
            for path in sorted(directory.rglob("*"))
            if path.is_file() and path.name not in _NOT_IN_THE_IMAGE
        }
        for certificate in sorted(_HOST_CERTIFICATES.rglob("*.crt")):
            files[f"extra-ca/{certificate.name}"] = certificate.read_bytes()
        return files


def recipe_directory(scheduler: str) -> Path:
    """Where the recipe is: `simcluster/recipes/` in an installed package, `docker/` in a checkout."""
    package = Path(__file__).resolve().parent.parent
    for directory in (package / "recipes" / scheduler, package.parent / "docker" / scheduler):
        if (directory / "Dockerfile").is_file():
            return directory
    raise FileNotFoundError(f"this installation of simcluster has no recipe for {scheduler!r}; reinstall it")
