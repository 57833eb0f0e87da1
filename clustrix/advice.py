"""A word, once for each package and Python, on what the package uses that its job's Python may lack."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from clustrix.downlevel.advice import missing_names
from clustrix.origins import origin
from clustrix.package_store import OLDEST

if TYPE_CHECKING:
    from clustrix.closure import Closure
    from clustrix.downlevel.text import Version

__all__ = ["advice"]

_SHOWN = 10


def advice(package: str | Path, version: Version, cache_dir: str | Path, closure: Closure | None = None) -> str:
    """One sentence, or nothing; ``cache_dir`` remembers what was said for the ZIP ``package`` under Python ``version``."""
    if version >= sys.version_info[:2]:
        return ""
    mark = Path(cache_dir).expanduser() / "advice" / f"{Path(package).stem}-{version[0]}.{version[1]}"
    mark.parent.mkdir(parents=True, exist_ok=True)
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return ""
    for other in mark.parent.iterdir():
        with contextlib.suppress(OSError):  # another process prunes, too
            if time.time() - other.stat().st_mtime > OLDEST:
                other.unlink()
    found = _found(package, version, closure)
    if not found:
        return ""
    more = f", and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"Python {version[0]}.{version[1]}, which the job runs under, may lack {', '.join(found[:_SHOWN])}{more}"


def _found(package: str | Path, version: Version, closure: Closure | None) -> list[str]:
    found = []
    with zipfile.ZipFile(package) as archive:
        for name in sorted(archive.namelist()):
            if name == "main.py" or (name.startswith("modules/") and name.endswith(".py")):
                text = importlib.util.decode_source(archive.read(name))
                found += [
                    f"{item.name} ({file}, line {line}; from {item.since[0]}.{item.since[1]} on)"
                    for item in missing_names(text, version)
                    for file, line in [origin(closure, name, item.line)]
                ]
    return found
