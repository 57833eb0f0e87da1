"""The `#PBS` lines of a job script."""

from __future__ import annotations

__all__ = ["DirectiveError", "directive_lines"]


class DirectiveError(Exception):
    """A quote that does not end."""


def directive_lines(script: bytes, prefix: str) -> list[list[str]]:
    """The words of each directive before the first command; no prefix, no directives."""
    found: list[list[str]] = []
    if not prefix:
        return found
    for number, line in enumerate(script.decode("utf-8", "surrogateescape").split("\n")):
        text = line.lstrip()
        if text.startswith(prefix):
            found.append(_words(text[len(prefix) :]))
        elif text and not text.startswith(("#", ":")) and not (number == 0 and text.startswith("#!")):
            break
    return [words for words in found if words]


def _words(line: str) -> list[str]:
    """Quotes hold words together, a backslash takes the next character as it is, and # ends nothing."""
    words: list[str] = []
    word: str | None = None
    letters = iter(line)
    for letter in letters:
        if letter in "'\"":
            word = word or ""
            for inner in letters:
                if inner == letter:
                    break
                word += inner
            else:
                raise DirectiveError
        elif letter == "\\":
            word = (word or "") + next(letters, "")
        elif letter.isspace():
            if word is not None:
                words.append(word)
            word = None
        else:
            word = (word or "") + letter
    return words if word is None else [*words, word]
