"""How attributes are written: `name = value` in lines of 79 characters, JSON with tabs, or one line with delimiters."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

from simcluster.emulated.pbs.words import SERVER, VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from simcluster.emulated.pbs.attributes import Attribute

__all__ = ["as_json", "as_lines", "as_one_line", "json_document", "nested"]

_LIMIT = 78
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")
_TEXTS = {"Job_Name", "Account_Name", "project", "Submit_arguments", "comment", "array_indices_submitted"}
"""Attributes that stay text in JSON even if they look like numbers."""


def as_lines(title: str, name: str, attributes: Iterable[Attribute], *, is_wide: bool = False) -> str:
    """A block of `qstat -f`, with the empty line after it."""
    lines = [f"{title}: {name}\n"]
    for attribute, resource, value in attributes:
        label = f"{attribute}.{resource}" if resource else attribute
        shown = _visible(value) if not is_wide else _visible(value.replace("\n", "\\n").replace("\f", "\\f"))
        lines.append(f"    {label} = {shown if is_wide else _wrapped(shown, len(label) + 7)}\n")
    return "".join([*lines, "\n"])


def as_one_line(title: str, name: str, attributes: Iterable[Attribute], delimiter: str) -> str:
    """`-F dsv`."""
    pieces = [f"{title}: {name}"]
    for attribute, resource, value in attributes:
        label = f"{attribute}.{resource}" if resource else attribute
        pieces.append(f"{label}={_visible(value).replace(delimiter, chr(92) + delimiter)}")
    return delimiter.join(pieces) + "\n"


def nested(attributes: Iterable[Attribute]) -> dict[str, object]:
    """Attributes as `-F json` nests them: resources under their attribute, variables by name."""
    found: dict[str, object] = {}
    for name, resource, value in attributes:
        if name == "Variable_List":
            found[name] = {key: _scalar(text) for key, text in _variables(value)}
        elif resource is not None:
            inner = found.setdefault(name, {})
            assert isinstance(inner, dict)  # noqa: S101
            inner[resource] = _scalar(value)
        else:
            found[name] = value if name in _TEXTS else _scalar(value)
    return found


def json_document(key: str, objects: Mapping[str, object] | None) -> str:
    """The whole of what `-F json` prints; without objects not even their key is there."""
    head: dict[str, object] = {"timestamp": int(time.time()), "pbs_version": VERSION, "pbs_server": SERVER}
    return as_json(head if objects is None else {**head, key: objects}) + "\n"


def as_json(value: object, depth: int = 0) -> str:
    """As cJSON prints it: tabs, and lists on one line."""
    if isinstance(value, dict):
        inner = ",\n".join(f"{_tabs(depth + 1)}{_quoted(name)}:\t{as_json(v, depth + 1)}" for name, v in value.items())
        return f"{{\n{inner}{chr(10) if inner else ''}{_tabs(depth)}}}"
    if isinstance(value, list):
        return f"[{', '.join(as_json(item, depth) for item in value)}]"
    return _quoted(value) if isinstance(value, str) else json.dumps(value)


def _tabs(depth: int) -> str:
    return "\t" * depth


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _scalar(text: str) -> object:
    if text in {"true", "false", "null"}:
        return {"true": True, "false": False, "null": None}[text]
    if not _NUMBER.fullmatch(text):
        return text
    number = float(text)
    return int(number) if number.is_integer() else number


def _variables(value: str) -> Sequence[tuple[str, str]]:
    pieces = re.findall(r"(?:[^,\\]|\\.)+", value, re.DOTALL)
    pairs = [piece.replace("\\,", ",").partition("=") for piece in pieces]
    return [(key, text) for key, _, text in pairs]


def _visible(text: str) -> str:
    """Control characters as `^A`, but for line ends and tabs."""
    return re.sub(r"[\x00-\x08\x0b-\x1f]", lambda match: f"^{chr(ord(match[0]) + 64)}", text)


def _wrapped(text: str, start: int) -> str:
    """Broken at commas where that does, else anywhere; qstat.c's prt_attr, with its way of counting."""
    out: list[str] = []
    pieces = [piece for piece in text.split(",") if piece]
    for number, piece in enumerate(pieces):
        if len(piece.encode()) + start < _LIMIT:
            out.append(piece)
            start += len(piece.encode())
        else:
            if number:
                out.append("\n\t")
                start = 9
            for character in piece:
                out.append(character)
                start += 1
                if start > _LIMIT:
                    start = 8
                    out.append("\n\t")
        if number < len(pieces) - 1:
            out.append(",")
    return "".join(out)
