"""What ``(name := value)`` was rewritten to, for Pythons that don't have it."""

from types import FunctionType
from typing import Any, Callable, Dict

__all__ = ["bind", "bind_in", "unbind"]


def bind(variable: Callable[[], Any], value: Any) -> Any:
    """Bind the local variable that the lambda ``variable`` reads to ``value``, and give that."""
    FunctionType(_PUT, {}, "bind", None, variable.__closure__)(value)
    return value


def unbind(variables: Callable[[], Any]) -> None:
    """Take the values from the local variables that the lambda ``variables`` reads."""
    for cell in variables.__closure__ or ():
        FunctionType(_TAKE, {}, "unbind", None, (cell,))()


def bind_in(namespace: Dict[str, Any], name: str, value: Any) -> Any:
    """The same in the namespace of a module, or of a class that is being made."""
    namespace[name] = value
    return value


def _codes() -> Any:
    """Codes that bind and unbind the one variable which they share: Python 3.6 can't write to a cell in another way."""
    variable = None

    def put(value: Any) -> None:
        nonlocal variable
        variable = value

    def take() -> None:
        nonlocal variable
        del variable

    return put.__code__, take.__code__


_PUT, _TAKE = _codes()
