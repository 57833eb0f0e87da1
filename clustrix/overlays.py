"""What the agent asks for where the job's Python rejects files of a package: those files, rewritten for it."""

from __future__ import annotations

import importlib.util
import json
import sys
import zipfile
from typing import TYPE_CHECKING, Any

from clustrix.downlevel import rewrite
from clustrix.origins import origin

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from clustrix.closure import Closure

__all__ = ["overlay"]


def overlay(package: str | Path, version: Iterable[int], files: Iterable[str], closure: Closure | None = None) -> bytes:
    """The answer to the piece ``overlay`` of ``clustrix.remote.overlays``: ``files`` of the ZIP ``package``, for Python ``version``.

    What it says of places in a main file that was written from ``closure``, it says of the user's own file.
    """
    major, minor = tuple(version)[:2]
    answer: dict[str, Any] = {"files": {}, "notes": [], "unsupported": []}
    with zipfile.ZipFile(package) as archive:
        for name in files:
            text = importlib.util.decode_source(archive.read(name))
            try:
                rewritten = rewrite(text, (major, minor))
            except SyntaxError as error:
                feature = f"{error.msg}, for the client's Python, too"
                answer["unsupported"].append([*origin(closure, name, error.lineno or 0), feature, sys.version_info[:2]])
                continue
            if rewritten.text != text:
                answer["files"][name] = rewritten.text
            answer["notes"] += [[*origin(closure, name, line), feature] for feature, line in rewritten.features]
            answer["unsupported"] += [
                [*origin(closure, name, item.line), item.feature, item.needs] for item in rewritten.unsupported
            ]
    answer["notes"].sort()
    return json.dumps(answer).encode()
