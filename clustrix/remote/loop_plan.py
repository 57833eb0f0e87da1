"""What the client knows of a function's loops, as plain data: which are proven, and what a run of them may do."""

from typing import Any, NamedTuple, Optional, Sequence, Tuple

__all__ = ["EffectPlan", "FunctionPlan", "LoopPlan", "Path", "Wish"]

# Where an expression stands in its statement: fields, and indexes in those that are lists.
Path = Sequence[Tuple[str, Optional[int]]]


class EffectPlan(NamedTuple):
    """A statement of the body that changes what outlives the iteration.

    It is the ``statement``-th within the loop, ``line`` lines below the loop's own, a ``kind`` of ast. ``values`` are the
    expressions that are computed elsewhere, ``ownership`` says how much of each was made there (see plain_values.py).
    """

    statement: int
    line: int
    kind: str
    values: Sequence[Path]
    ownership: Sequence[int]


class LoopPlan(NamedTuple):
    """A proven loop: the ``number``-th within the function.

    ``reads`` are the local names that the body needs. What must hold plain data is named in ``data``: variables of the
    function, and global ones (``module.name`` in another module). ``has_later_reader``: the loop's variables are read
    after it. ``orders_by_hash``: what it makes depends on the seed of hashes.
    """

    number: int
    effects: Sequence[EffectPlan]
    reads: Sequence[str]
    data: Sequence[str]
    has_later_reader: bool
    orders_by_hash: bool


class Wish(NamedTuple):
    """How much a run may take upon itself.

    ``is_asked``: somebody wants loops to run in parallel, so few iterations are enough if they take long. Otherwise it
    takes ``threshold`` of them. Without a threshold nothing is measured, and all run in parallel.
    """

    is_asked: bool
    threshold: int


class FunctionPlan(NamedTuple):
    """The proven loops of the function called ``name``."""

    name: str
    loops: Sequence[LoopPlan]
    wish: Wish

    @classmethod
    def of(cls, data: Sequence[Any]) -> "FunctionPlan":
        """The plan that was JSON on its way here."""
        name, loops, wish = data
        plans = [LoopPlan(*loop) for loop in loops]
        plans = [plan._replace(effects=[EffectPlan(*effect) for effect in plan.effects]) for plan in plans]
        return cls(name, plans, Wish(*wish))
