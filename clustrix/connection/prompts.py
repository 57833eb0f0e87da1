"""Questions that only the user can answer while a connection is made: passwords, codes of a second factor, passphrases."""

from __future__ import annotations

import contextlib
import getpass
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Prompts", "answer_prompts"]


def answer_prompts(callback: Callable[[str], str | None] | None) -> None:
    """Have ``callback`` answer what hosts and keys ask for: it gets the question, such as ``(me@login) Verification code: ``.

    It may be called from any thread; None for an answer gives up. ``answer_prompts(None)`` has the user asked
    in the terminal or the notebook again. Without any of these, nothing is asked and what needs an answer fails.
    """
    _Asking.callback = callback


class _Asking:
    """Who is asked, in this process; one question at a time."""

    callback: Callable[[str], str | None] | None = None
    guard = threading.Lock()


class Prompts:
    """The questions while one connection is made: its password is the first answer where the host asks for one.

    ``login`` is how the host's questions name it: ``user@host``. A question that names another login, such as that of a
    host on the way, is the user's to answer.
    """

    def __init__(self, login: str, password: str | None) -> None:
        self._login = login
        self._password = password
        self._open = 0

    @property
    def is_asking(self) -> bool:
        """Whether somebody is asked right now, and may take their time."""
        return self._open > 0

    @property
    def can_answer(self) -> bool:
        return self._password is not None or self.can_ask

    @property
    def can_ask(self) -> bool:
        return _Asking.callback is not None or _has_user()

    def answer(self, question: str, *, is_secret: bool = True) -> str | None:
        """The answer, or None if there is none."""
        if self._password is not None and self._is_for_password(question):
            password, self._password = self._password, None
            return password
        if not self.can_ask:
            return None
        with self._asking(), _Asking.guard:
            if _Asking.callback is not None:
                return _Asking.callback(question)
            try:
                return getpass.getpass(question) if is_secret else input(question)
            except (EOFError, RuntimeError):  # RuntimeError is a notebook's that nobody sits at
                return None

    def show(self, text: str) -> None:
        """Tell the user what needs a hand but no answer, such as a key that waits to be touched."""
        sys.stderr.write(f"clustrix: {text}\n")

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1

    def _is_for_password(self, question: str) -> bool:
        is_named = "@" in question.partition(")")[0]
        return "password" in question.lower() and (self._login in question or not is_named)


def _has_user() -> bool:
    """Whether there is a terminal, or a notebook's page, to ask in."""
    with contextlib.suppress(AttributeError, ValueError):  # no stdin at all, or a closed one
        return sys.stdin.isatty() or type(sys.stdout).__module__.startswith("ipykernel.")
    return False
