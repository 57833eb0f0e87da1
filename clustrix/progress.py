"""What the user may want to know while it takes its time: lines on stderr."""

from __future__ import annotations

import contextlib
import sys

__all__ = ["show_progress"]


def show_progress(line: str) -> None:
    """Show a line."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # a closed stderr, or none at all
        sys.stderr.write(f"clustrix: {line}\n")
