"""Tracebacks of rewritten files show the user's own lines: those of the package, where the rewritten ones are from."""

import json
import linecache
import os
import tokenize

__all__ = ["show_original_lines"]


def show_original_lines(overlay: str, package: str) -> None:
    """Have whatever reads lines of the overlay's rewritten files in this process get those of the package in the same place."""
    with open(os.path.join(overlay, "overlay.json"), encoding="utf-8") as stream:
        names = json.load(stream)["files"]
    for name in names:
        path = os.path.join(overlay, name)
        with tokenize.open(os.path.join(package, name)) as stream:
            lines = stream.readlines()
        # Without a time of change, it is never compared with the file.
        linecache.cache[path] = (sum(map(len, lines)), None, lines, path)
