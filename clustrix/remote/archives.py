"""What a member of an archive from elsewhere may be called, and be."""

import stat
import zipfile

__all__ = ["MemberError", "check_member"]


class MemberError(ValueError):
    """A member that would be written outside of where the archive is unpacked, or is no plain file."""


def check_member(item: zipfile.ZipInfo) -> None:
    """Raises MemberError unless ``item`` can be unpacked under any directory."""
    name = item.filename
    mode = item.external_attr >> 16
    if (
        name.startswith(("/", "\\"))
        or ".." in name.replace("\\", "/").split("/")
        or ":" in name.split("/")[0]
        or "\0" in name
    ):
        raise MemberError("it names a file outside itself: %r" % name)
    if mode and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) and stat.S_IFMT(mode):
        raise MemberError("it holds something that is not a file: %r" % name)
