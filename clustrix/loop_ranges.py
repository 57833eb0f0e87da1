"""What a loop counts through, as far as numbers are known before it runs: constants, names, arithmetic and ``len``."""

from __future__ import annotations

import ast
import operator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["SafeRangeEvaluator"]

_BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Mult: operator.mul,
    ast.Sub: operator.sub,
}
_SIZED = (str, bytes, list, tuple, dict, set, frozenset, range)
_FUNCTIONS: dict[str, Callable[..., Any]] = {"abs": abs, "int": int, "max": max, "min": min}
_MOST_BITS = 4096


class SafeRangeEvaluator:
    """Evaluates ``range(...)`` from its text, running nothing of the user's.

    ``local_vars`` are the values of names that are known: arguments of the call, constants of the module.
    """

    def __init__(self, local_vars: Mapping[str, Any] | None = None) -> None:
        self.local_vars = dict(local_vars or {})

    def evaluate(self, node: ast.AST) -> dict[str, int] | None:
        """``start``, ``stop`` and ``step`` of a call of ``range``; None if it is none or its numbers aren't known."""
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id != "range":
            return None
        if "range" in self.local_vars or node.keywords or not 1 <= len(node.args) <= 3:
            return None
        numbers = [self._number(item) for item in node.args]
        if any(type(number) is not int for number in numbers):
            return None
        start, stop, step = [0, *numbers, 1] if len(numbers) == 1 else [*numbers, 1][:3]
        return {"start": start, "stop": stop, "step": step} if step else None

    def _number(self, node: ast.AST) -> Any:
        """The whole number that an expression gives, or None."""
        if isinstance(node, ast.Constant):
            return node.value if type(node.value) is int else None
        if isinstance(node, ast.Name):
            value = self.local_vars.get(node.id)
            return value if type(value) is int else None
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            operand = self._number(node.operand)
            return None if operand is None else -operand if isinstance(node.op, ast.USub) else operand
        if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
            return self._operation(node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
            return self._call(node.func.id, node.args)
        if isinstance(node, ast.Subscript):
            return self._part_of_shape(node)
        return None

    def _operation(self, node: ast.BinOp) -> int | None:
        left, right = self._number(node.left), self._number(node.right)
        if left is None or right is None or left.bit_length() + right.bit_length() > _MOST_BITS:
            return None
        try:
            value: int = _BINARY[type(node.op)](left, right)
        except ZeroDivisionError:
            return None
        return value

    def _call(self, name: str, args: list[ast.expr]) -> int | None:
        if name in self.local_vars:
            return None
        if name == "len" and len(args) == 1:
            return self._length(args[0])
        numbers = [self._number(item) for item in args]
        if name not in _FUNCTIONS or not numbers or None in numbers:
            return None
        if len(numbers) != 1 if name in ("abs", "int") else len(numbers) < 2:
            return None
        value: int = _FUNCTIONS[name](*numbers)
        return value

    def _length(self, node: ast.expr) -> int | None:
        if isinstance(node, ast.List | ast.Tuple):
            return None if any(isinstance(item, ast.Starred) for item in node.elts) else len(node.elts)
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            return len(node.value)
        if isinstance(node, ast.Name) and node.id in self.local_vars:
            value = self.local_vars[node.id]
            if isinstance(value, _SIZED) and type(value).__len__ in {kind.__len__ for kind in _SIZED}:
                return len(value)
            shape = _shape_of(value)
            return shape[0] if shape else None
        return None

    def _part_of_shape(self, node: ast.Subscript) -> int | None:
        """``x.shape[0]`` of a known array."""
        index = self._number(node.slice)
        owner = node.value
        if (
            index is None
            or not isinstance(owner, ast.Attribute)
            or owner.attr != "shape"
            or not isinstance(owner.value, ast.Name)
        ):
            return None
        shape = _shape_of(self.local_vars.get(owner.value.id))
        return shape[index] if -len(shape) <= index < len(shape) else None


def _shape_of(value: Any) -> tuple[int, ...]:
    """The shape of numpy's arrays and pandas' tables; empty for anything else, of which nothing is asked."""
    if type(value).__module__.partition(".")[0] not in ("numpy", "pandas"):
        return ()
    shape = getattr(value, "shape", ())
    return tuple(shape) if isinstance(shape, tuple) and all(type(item) is int for item in shape) else ()
