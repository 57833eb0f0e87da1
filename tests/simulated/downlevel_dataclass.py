"""A dataclass, which Python 3.6 has by a distribution only, with annotations that it can't evaluate."""

import sys
from dataclasses import dataclass, field


@dataclass
class Box:
    sizes: list[int] = field(default_factory=list)
    lid: str | None = None


def boxed(size):
    return str(Box([size])), sys.version_info[1]
