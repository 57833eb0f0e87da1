"""The recipe of an image: its files, and the name that the image gets from them.

An image is named by the digest of all that goes into it, so a changed recipe is another image and an unchanged one
is found by a single look.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from simcluster.spec import PYTHONS

__all__ = ["DEFAULT_BASE", "EMULATED_PBS", "HOST", "ImageRecipe", "recipe_directory"]

DEFAULT_BASE = "debian:bookworm-slim"
HOST = "host"
EMULATED_PBS = "emulated-pbs"

_NOT_IN_THE_IMAGE = {"README.md"}
_HOST_CERTIFICATES = Path("/usr/local/share/ca-certificates")


@dataclass(frozen=True)
class ImageRecipe:
    """One image of `docker/<name>/`: its base, its interpreters, and whether it has an accounting database (Slurm).

    All but "host" stand on that one's image. `pbs_base` is the image with an installed OpenPBS that "pbs" stands on.
    """

    name: str = "slurm"
    base: str = DEFAULT_BASE
    pythons: tuple[str, ...] = PYTHONS
    accounting: bool = False
    mirror: str = ""
    pbs_base: str = ""

    @property
    def host(self) -> ImageRecipe | None:
        """What this one stands on, or takes scripts and interpreters from."""
        if self.name == HOST:
            return None
        return replace(self, name=HOST, accounting=False, pbs_base="")

    @property
    def target(self) -> str:
        """The stage of the Dockerfile."""
        return "accounting" if self.accounting else self.name

    @cached_property
    def family(self) -> str:
        """The digest of everything but the interpreters: images of one family differ in those only."""
        host = self.host.family if self.host else ""
        digest = hashlib.sha256(json.dumps([self.base, self.mirror, self.pbs_base, host]).encode())
        for name, data in self._files.items():
            digest.update(f"\0{name}\0{len(data)}\0".encode() + data)
        return f"{digest.hexdigest()[:12]}-{self.target}"

    @property
    def tag(self) -> str:
        """The image's full name, the same for the same content."""
        versions = "" if self.pythons == PYTHONS else "-" + "-".join(self.pythons)
        return f"simcluster/{self.name}:{self.family}{versions}"

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
        files = _files_below(recipe_directory(self.name))
        if self.name == HOST:
            for certificate in sorted(_HOST_CERTIFICATES.rglob("*.crt")):
                files[f"extra-ca/{certificate.name}"] = certificate.read_bytes()
        if self.name == EMULATED_PBS:
            package = Path(__file__).resolve().parent.parent
            files |= {f"{package.name}/{name}": data for name, data in _files_below(package, ".py").items()}
        return files


def _files_below(directory: Path, suffix: str = "") -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in sorted(directory.rglob(f"*{suffix}"))
        if path.is_file() and path.name not in _NOT_IN_THE_IMAGE
    }


def recipe_directory(name: str) -> Path:
    """Where the recipe is: `simcluster/recipes/` in an installed package, `docker/` in a checkout."""
    package = Path(__file__).resolve().parent.parent
    for directory in (package / "recipes" / name, package.parent / "docker" / name):
        if (directory / "Dockerfile").is_file():
            return directory
    raise FileNotFoundError(f"this installation of simcluster has no recipe for {name!r}; reinstall it")
