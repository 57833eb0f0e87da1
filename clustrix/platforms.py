"""What an interpreter of the cluster is, and which platforms' wheels run on it: as uv names them, and as wheels do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Target", "uv_platform", "wheel_platforms"]

# What `uv pip compile --python-platform` offers of glibc 2.x, for the two machines of which it knows the tags.
_GLIBC = (17, 28, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40)
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
# PEP 600: the older names of manylinux platforms, by glibc 2.x.
_OLDER_NAMES = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}


@dataclass(frozen=True)
class Target:
    """An interpreter of the cluster: ``python`` "3.6.15", ``implementation`` "cpython", ``system`` "linux",
    ``machine`` "x86_64", ``libc`` "glibc-2.36", "musl-1.2", or "" where it is not known.
    """

    python: str
    implementation: str = "cpython"
    system: str = "linux"
    machine: str = "x86_64"
    libc: str = ""

    @property
    def architecture(self) -> str:
        """The machine as wheels call it."""
        return _MACHINES.get(self.machine.lower(), self.machine.lower())

    @property
    def libc_version(self) -> tuple[str, int, int]:
        """Kind, major and minor; what is not known is taken for the oldest glibc that today's wheels are built for."""
        match = re.fullmatch(r"(glibc|musl)-(\d+)\.(\d+).*", self.libc)
        return (match[1], int(match[2]), int(match[3])) if match else ("glibc", 2, 17)

    def __str__(self) -> str:
        libc = f" ({self.libc})" if self.libc else ""
        return f"Python {self.python} on {self.system} {self.machine}{libc}"


def uv_platform(target: Target) -> str | None:
    """The name that uv has for the platform: the newest that is not above the target's libc. None: uv makes no lock for it."""
    if target.system != "linux" or target.implementation != "cpython":
        return None
    kind, major, minor = target.libc_version
    machine = target.architecture
    if machine not in ("x86_64", "aarch64"):
        return (
            "riscv64-unknown-linux" if (machine, kind) == ("riscv64", "glibc") and (major, minor) >= (2, 39) else None
        )
    if kind == "musl":
        return f"{machine}-unknown-linux-musl" if (major, minor) >= (1, 2) else None
    known = [item for item in _GLIBC if (2, item) <= (major, minor)]
    return f"{machine}-manylinux_2_{known[-1]}" if known else None


def wheel_platforms(target: Target) -> Iterator[str]:
    """The platform tags that run on the target, best first (PEP 600, PEP 656)."""
    kind, _, minor = target.libc_version
    machine = target.architecture
    if kind == "musl":
        yield from (f"musllinux_1_{number}_{machine}" for number in range(minor, -1, -1))
    else:
        for number in range(minor, 4 if machine in ("x86_64", "i686") else 16, -1):
            yield f"manylinux_2_{number}_{machine}"
            if number in _OLDER_NAMES:
                yield f"{_OLDER_NAMES[number]}_{machine}"
    yield f"linux_{machine}"
