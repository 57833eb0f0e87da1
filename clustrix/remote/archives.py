"""What a member of an archive from elsewhere may be called, and be."""

import stat
import struct
import zipfile
import zlib

__all__ = ["UNREADABLE", "MemberError", "check_member"]

UNREADABLE = (zipfile.BadZipFile, ValueError, EOFError, RuntimeError, struct.error, zlib.error)
"""What reading a damaged archive raises: a MemberError and a text that is no JSON, too, are ValueErrors."""


class MemberError(ValueError):
    """A member that would be written outside of where the archive is unpacked, or is no plain file."""


def check_member(item: zipfile.ZipInfo) -> None:
    """Raises MemberError unless ``item`` can be unpacked under any directory."""
    name = item.filename
    mode = item.external_attr >> 16
    if not name:
        raise MemberError("it holds a file without a name")
    if (
        name.startswith(("/", "\\"))
        or ".." in name.replace("\\", "/").split("/")
        # What follows an empty part would be taken for a path of its own by whoever leaves out the parts before it.
        or "//" in name.replace("\\", "/")
        or ":" in name.split("/")[0]
        or "\0" in name
    ):
        raise MemberError("it names a file outside itself: %r" % name)
    if mode and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) and stat.S_IFMT(mode):
        raise MemberError("it holds something that is not a file: %r" % name)
