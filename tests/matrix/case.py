"""What a use case is: a call, and how to tell that what came back is what its user expects."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Seen", "UseCase", "gives", "raises"]


@dataclass(frozen=True)
class Seen:
    """How a call ended: with ``value`` or ``error``. ``python`` is the version that was asked for, "3.6"."""

    python: str
    value: Any = None
    error: BaseException | None = None
    stdout: str = ""
    stderr: str = ""

    @property
    def traceback(self) -> str:
        """What the user would be shown of the error."""
        return "".join(traceback.format_exception(self.error)) if self.error else ""


@dataclass(frozen=True)
class UseCase:
    """``function(*arguments, **keywords)``, and ``is_right``, which may also fail by raising whatever it likes."""

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()
    keywords: dict[str, Any] = field(default_factory=dict)
    is_right: Callable[[Seen], bool] = field(kw_only=True)


def gives(expected: Any) -> Callable[[Seen], bool]:
    """The value is equal and of the same type, not of one that only looks like it."""
    return lambda seen: seen.error is None and type(seen.value) is type(expected) and bool(seen.value == expected)


def raises(error: type[BaseException], *arguments: Any, within: str) -> Callable[[Seen], bool]:
    """The function's own exception, whose traceback shows the function ``within`` which it was raised."""
    return lambda seen: (
        type(seen.error) is error and seen.error.args == arguments and f"in {within}\n" in seen.traceback
    )
