"""What is known of a loop whose iterations do not depend on each other: the proof as data, for whoever runs them side by side.

An iteration is computed elsewhere, all but its effects. They come back as records, and are replayed in the process of the
loop, in the order of the loop: so no two of them need to be apart, and what they make is the plain loop's, to the last bit.
What is proven is that no iteration reads what another wrote.

Three things a proof leaves to the moment when the loop runs, for only then there are values (``remote/plain_values.py``):

- ``is_plain`` holds for each value of ``must_be_plain`` and ``globals_read``, and for the items. Plain data has no
  behaviour of the user's, so operators, subscripts, attributes and methods that are known do nothing but read it.
- what a record carries is no object of the process of the loop, for there it would be that object, and here it is a
  copy: ``is_detached(value, ownership)``. Where it does not hold, the iteration is run there again.
- sets have the order of their hashes: with ``orders_by_hash``, processes have to share the seed of hashes.

The last iteration, and the one before an iteration that raises, are best run in the process of the loop, for their variables
are visible after it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ast

__all__ = ["Effect", "LoopProof", "Ownership", "Refusal"]


class Ownership(IntEnum):
    """How much of a value was made in the iteration itself, or can't be changed at all."""

    KEY = -1
    """As shared, and it is looked up: a number that is not equal to itself is found by being the same object."""
    SHARED = 0
    """It may be an object from before the loop."""
    SHELL = 1
    """The object itself was made here; what it holds may be from before."""
    OWNED = 2
    """All of it was made here, or is immutable."""


@dataclass(frozen=True)
class Effect:
    """One statement of the body that changes what outlives the iteration.

    ``values`` are expressions within ``node``, in the order in which the iteration evaluates them; ``node`` with those
    replaced by their values is what is replayed. ``kind`` is one of ``store`` (``d[k] = v``), ``update`` (``d[k] += v``), ``reduce`` (``t += v``), ``choose``
    (``if v > best: best = v``), or the method that is called: ``append``, ``extend``, ``add``, ...
    ``targets`` are the local names that the replayed statement reads or assigns.
    """

    kind: str
    targets: tuple[str, ...]
    node: ast.stmt = field(repr=False)
    values: tuple[ast.expr, ...] = field(repr=False)
    ownership: tuple[Ownership, ...]
    operator: str = ""


@dataclass(frozen=True)
class LoopProof:
    """A loop whose iterations are independent.

    ``reads`` are the function's local names that the body needs from before the loop, ``must_be_plain`` these and what its
    head reads and the effects begin with, ``globals_read`` the module's that hold data; ``helpers_read`` are those (as ``module.name``) that the functions it calls read. ``locals`` are
    assigned in each iteration before they are read, and visible after the loop. ``scratch`` are names that not
    every iteration assigns; nobody reads them after the loop. ``targets`` is what the effects change.
    """

    node: ast.For = field(repr=False)
    reads: frozenset[str]
    locals: frozenset[str]
    scratch: frozenset[str]
    effects: tuple[Effect, ...]
    must_be_plain: frozenset[str] = frozenset()
    globals_read: frozenset[str] = frozenset()
    helpers_read: frozenset[str] = frozenset()
    orders_by_hash: bool = False

    @property
    def targets(self) -> frozenset[str]:
        return frozenset(name for effect in self.effects for name in effect.targets)


@dataclass(frozen=True)
class Refusal:
    """Why a loop is left as it is: the line (as in the tree that was given), the name it is about, and what is wrong."""

    line: int
    name: str
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"
