"""Lists of hosts: `node[1-3,7]`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["compress", "expand"]

_MOST = 1 << 16
"""Names in one list, as in Slurm."""

_MOST_DIGITS = 18


def expand(text: str) -> list[str]:
    """The names in `a[1-3],b`. Numbers keep their leading zeros.

    What is no list, or too long, stands for itself, a name that no host has.
    """
    names: list[str] = []
    for piece in re.findall(r"(?:[^,\[\]]|\[[^\]]*\])+", text):
        match = re.fullmatch(r"([^\[]*)\[([^\]]*)\](.*)", piece)
        if match is None:
            names.append(piece)
            continue
        for part in match[2].split(","):
            low, _, high = part.partition("-")
            if not (low.isdecimal() and (not high or high.isdecimal())) or len(low + high) > _MOST_DIGITS:
                return [text]
            numbers = range(int(low), int(high or low) + 1)
            if len(names) + len(numbers) > _MOST:
                return [text]
            for number in numbers:
                names += expand(f"{match[1]}{number:0{len(low)}}{match[3]}")
                if len(names) > _MOST:
                    return [text]
    return names


def compress(names: Sequence[str]) -> str:
    """The shortest way to write the names, in order of prefix and number."""
    groups: dict[tuple[str, int], list[int]] = {}
    plain: dict[str, None] = {}
    for name in names:
        match = re.fullmatch(r"(.*?)(\d+)", name)
        if match is None:
            plain[name] = None
            continue
        # After n01, n10 is as wide: they stand in one pair of brackets.
        width = len(match[2]) if match[2].startswith("0") or (match[1], len(match[2])) in groups else 0
        groups.setdefault((match[1], width), []).append(int(match[2]))
    return ",".join([*plain, *(_group(prefix, width, numbers) for (prefix, width), numbers in groups.items())])


def _group(prefix: str, width: int, numbers: list[int]) -> str:
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and runs[-1][1] + 1 == number:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    parts = [f"{a:0{width}}" if a == b else f"{a:0{width}}-{b:0{width}}" for a, b in runs]
    return f"{prefix}{parts[0]}" if len(parts) == 1 and "-" not in parts[0] else f"{prefix}[{','.join(parts)}]"
