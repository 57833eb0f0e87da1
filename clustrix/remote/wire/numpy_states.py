"""What is sent as its state, because its own pickle can't be read across numpy 1 and 2: random sources, polynomials.

And the memory of large arrays, which pickle itself leaves where it is from protocol 5 on only.
"""

import importlib
from typing import Any, Callable, Dict, Iterator, Optional, Tuple

from .container import LARGE

__all__ = ["REBUILDERS", "flattened", "is_array", "is_large", "parts", "rebuild_array", "taker_apart"]

State = Dict[str, Any]

POLYNOMIALS = frozenset(["Chebyshev", "Hermite", "HermiteE", "Laguerre", "Legendre", "Polynomial"])
BIT_GENERATORS = frozenset(["MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"])


def taker_apart(cls: type) -> Optional[Tuple[str, Callable[[Any], State]]]:
    """The name of the rebuilder and the function that gives an instance's state, if `cls` is one of ours.

    Only numpy's own classes: a subclass may hold more.
    """
    module = str(cls.__module__)  # a class may have set it to anything
    if module.startswith("numpy.polynomial.") and cls.__name__ in POLYNOMIALS:
        return "polynomial", _polynomial
    if not module.startswith("numpy.random") and module != "mtrand":  # numpy before 1.17
        return None
    if cls.__name__ == "RandomState":
        return "random_state", _random_state
    if cls.__name__ == "Generator":
        return "random_generator", lambda generator: _bit_generator(generator.bit_generator)
    if cls.__name__ in BIT_GENERATORS:
        return "bit_generator", _bit_generator
    if cls.__name__ == "SeedSequence":
        return "seed_sequence", _seed_sequence
    return None


def is_array(cls: type) -> bool:
    """Whether that is numpy's array itself: a subclass may hold more."""
    return cls.__name__ == "ndarray" and cls.__module__ == "numpy"


def is_large(array: Any) -> bool:
    """Whether an array is large, and nothing but its memory."""
    return bool(array.nbytes >= LARGE and not array.dtype.hasobject)


def flattened(array: Any) -> Tuple[memoryview, Tuple[Any, ...]]:
    """An array's memory as bytes, not copied if it is contiguous, and what `rebuild_array` needs beside it."""
    order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
    return memoryview(array.ravel(order).view("u1")), (array.dtype, array.shape, order)


def rebuild_array(memory: memoryview, dtype: Any, shape: Tuple[int, ...], order: str) -> Any:
    """The array over `memory`, which is not copied."""
    return _numpy().frombuffer(memory, dtype=dtype).reshape(shape, order=order)


def parts(value: Any) -> Iterator[Tuple[str, Any]]:
    """The items of an array of any objects, with the index of each."""
    if is_array(type(value)) and value.dtype.kind == "O":
        for place in _numpy().ndindex(value.shape):
            yield "[{}]".format(", ".join(map(str, place))), value[place]


def _random_state(random_state: Any) -> State:
    if not hasattr(random_state, "_bit_generator"):  # before 1.17 there was MT19937 only
        return {"bit_generator": "MT19937", "state": random_state.get_state()}
    state = random_state.get_state(legacy=False)
    if state["bit_generator"] == "MT19937":
        return {"bit_generator": "MT19937", "state": random_state.get_state()}  # a tuple, which every numpy reads
    return {"bit_generator": state["bit_generator"], "state": state}


def _bit_generator(bit_generator: Any) -> State:
    seed = getattr(bit_generator, "seed_seq", None) or getattr(bit_generator, "_seed_seq", None)  # public from 1.25
    is_plain = type(seed).__name__ == "SeedSequence"
    return {
        "bit_generator": type(bit_generator).__name__,
        "state": bit_generator.state,
        "seed": _seed_sequence(seed) if is_plain else None,
    }


def _seed_sequence(seed: Any) -> State:
    return {
        "entropy": seed.entropy,
        "spawn_key": tuple(seed.spawn_key),
        "pool_size": seed.pool_size,
        "n_children_spawned": seed.n_children_spawned,
    }


def _polynomial(polynomial: Any) -> State:
    return {
        "class": type(polynomial).__name__,
        "arrays": (polynomial.coef, polynomial.domain, polynomial.window),
        "symbol": getattr(polynomial, "symbol", "x"),  # 1.24+
    }


def _numpy() -> Any:
    return importlib.import_module("numpy")


def _numpy_random() -> Any:
    return importlib.import_module("numpy.random")


def _rebuild_random_state(state: State) -> Any:
    random = _numpy_random()
    name = state["bit_generator"]
    random_state = random.RandomState() if name == "MT19937" else random.RandomState(getattr(random, name)())
    random_state.set_state(state["state"])
    return random_state


def _rebuild_bit_generator(state: State) -> Any:
    random = _numpy_random()
    # The seed itself only matters to spawn(), which derives the children's seeds from it.
    seed = None if state["seed"] is None else _rebuild_seed_sequence(state["seed"])
    bit_generator = getattr(random, state["bit_generator"])(seed)
    bit_generator.state = state["state"]
    return bit_generator


def _rebuild_random_generator(state: State) -> Any:
    return _numpy_random().Generator(_rebuild_bit_generator(state))


def _rebuild_seed_sequence(state: State) -> Any:
    return _numpy_random().SeedSequence(**state)


def _rebuild_polynomial(state: State) -> Any:
    polynomial = getattr(importlib.import_module("numpy.polynomial"), state["class"])(*state["arrays"])
    if hasattr(polynomial, "_symbol"):
        polynomial._symbol = state["symbol"]  # noqa: SLF001 - `symbol=` is unknown to the older ones
    return polynomial


REBUILDERS: Dict[str, Callable[[State], Any]] = {
    "random_state": _rebuild_random_state,
    "random_generator": _rebuild_random_generator,
    "bit_generator": _rebuild_bit_generator,
    "seed_sequence": _rebuild_seed_sequence,
    "polynomial": _rebuild_polynomial,
}
