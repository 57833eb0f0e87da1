"""Batch scripts: whether they are ones, and the options in their #SBATCH lines."""

from __future__ import annotations

__all__ = ["ScriptError", "check_script", "directives", "wrapped"]

_LARGEST = 4 << 20


class ScriptError(Exception):
    """The text for stderr, without `sbatch: error: `; the exit code."""

    def __init__(self, text: str, code: int = 1) -> None:
        super().__init__(text)
        self.text, self.code = text, code


def wrapped(command: str) -> bytes:
    """The script that `--wrap` makes."""
    return f"#!/bin/sh\n# This script was created by sbatch --wrap.\n\n{command}\n".encode()


def check_script(script: bytes) -> None:
    """Raises ScriptError for what sbatch would not send."""
    if not script:
        raise ScriptError("Batch script is empty!")
    if not script.strip():
        raise ScriptError("Batch script contains only whitespace!")
    if not script.startswith(b"#!"):
        raise ScriptError(
            "This does not look like a batch script.  The first\n"
            "sbatch: error: line must start with #! followed by the path to an interpreter.\n"
            "sbatch: error: For instance: #!/bin/sh"
        )
    if b"\r\n" in script:
        raise ScriptError(
            "Batch script contains DOS line breaks (\\r\\n)\nsbatch: error: instead of expected UNIX line breaks (\\n)."
        )
    if len(script) > _LARGEST:
        raise ScriptError("Batch job submission failed: Pathname of a file, directory or other parameter too long")


def directives(script: bytes, mark: str = "#SBATCH") -> list[str]:
    """The words of all #SBATCH lines before the first command."""
    words: list[str] = []
    for line in script.decode("utf-8", "surrogateescape").split("\n"):
        if line.startswith(mark):
            words += _words(line[len(mark) :])
        elif (text := line.lstrip()) and not text.startswith("#"):
            break
    return words


def _words(line: str) -> list[str]:
    """Split as sbatch does: quotes and backslashes as in a shell, and a word that begins with # ends the line."""
    words: list[str] = []
    word: str | None = None
    quote = ""
    position = 0
    while position < len(line):
        letter = line[position]
        position += 1
        if quote:
            if letter == quote:
                quote = ""
            else:
                word = (word or "") + letter
        elif letter in "'\"":
            quote, word = letter, word or ""
        elif letter == "\\" and position < len(line):
            word = (word or "") + line[position]
            position += 1
        elif letter.isspace():
            if word is not None:
                words.append(word)
            word = None
        elif letter == "#" and word is None:
            break
        else:
            word = (word or "") + letter
    return words if word is None else [*words, word]
