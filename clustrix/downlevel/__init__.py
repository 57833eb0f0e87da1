"""Rewrites a module's text for an older Python where its meaning is kept.

Every statement stays on its line, so that tracebacks point at the user's own text. Each pass takes one feature, and leaves
a text that this Python can parse; whether the older one can compile the result, it says itself.
"""

from __future__ import annotations

import functools
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clustrix.downlevel.annotations import rewrite_annotations
from clustrix.downlevel.decorators import rewrite_decorators
from clustrix.downlevel.fstrings import rewrite_fstrings
from clustrix.downlevel.positional_only import rewrite_positional_only
from clustrix.downlevel.refused import unsupported
from clustrix.downlevel.starred import rewrite_starred
from clustrix.downlevel.text import Edits, SourceText, UnsupportedError, Version
from clustrix.downlevel.type_parameters import rewrite_type_parameters
from clustrix.downlevel.walrus import rewrite_walrus
from clustrix.downlevel.with_items import rewrite_with_items

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Rewritten", "UnsupportedError", "rewrite", "rewriter_id"]

# f-strings come first: what is within one is an expression like others afterwards.
_PASSES: tuple[Callable[[SourceText, Edits, Version], Iterator[tuple[str, int]]], ...] = (
    rewrite_fstrings,
    rewrite_type_parameters,
    rewrite_annotations,
    rewrite_decorators,
    rewrite_walrus,
    rewrite_positional_only,
    rewrite_with_items,
    rewrite_starred,
)
_CODING = re.compile(r"\A((?:[ \t\f]*#[^\n]*\n)?[ \t\f]*#[^\n]*?coding[:=][ \t]*)([-\w.]+)")


@dataclass(frozen=True)
class Rewritten:
    """The text, with as many lines; what was rewritten and what could not be, each with its line."""

    text: str
    features: tuple[tuple[str, int], ...]
    unsupported: tuple[UnsupportedError, ...] = ()


def rewrite(text: str, target: Version) -> Rewritten:
    """``text`` for Python ``target``, such as (3, 6).

    :raises SyntaxError: this Python can't parse it
    """
    source = SourceText(text)
    refused = unsupported(source, target)
    if refused:
        return Rewritten(text, (), tuple(refused))
    features: list[tuple[str, int]] = []
    for rewrite_feature in _PASSES:
        edits = Edits(source)
        try:
            features += rewrite_feature(source, edits, target)
        except UnsupportedError as error:
            return Rewritten(text, (), (error,))
        if edits:
            source = SourceText(edits.result())
    # The text is sent as UTF-8.
    written = _CODING.sub(r"\g<1>utf-8", source.text)
    return Rewritten(written, tuple(sorted(set(features), key=lambda item: (item[1], item[0]))))


@functools.cache
def rewriter_id() -> str:
    """Eight hexadecimal digits that change with this code: what another one wrote is not taken for its work."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]
