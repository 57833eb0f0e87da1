"""Runs a function with its proven loops as the proofs say: iterations on copies, in any order, and then their effects in loop order.

What comes of that is compared with what the function gives as it is. It is the smallest honest reading of a proof,
with no processes in it.
"""

from __future__ import annotations

import ast
import copy
import linecache
import pickle
import random
from typing import TYPE_CHECKING, Any

from clustrix.loop_analysis import outermost_proofs
from clustrix.remote.plain_values import is_detached, is_plain
from clustrix.source import own_source

if TYPE_CHECKING:
    from clustrix.loop_proof import LoopProof

_numbers = iter(range(10**9))


def made_function(text: str, name: str = "f", names: dict[str, Any] | None = None) -> Any:
    """The function ``name`` of a text, which linecache knows, as it knows the cells of a notebook."""
    path = f"<generated {next(_numbers)}>"
    linecache.cache[path] = (len(text), None, text.splitlines(keepends=True), path)
    namespace = {"__name__": "generated", **(names or {})}
    exec(compile(text, path, "exec"), namespace)
    return namespace[name]


def by_proof(function: Any) -> Any:
    """The function with its outermost proven loops run by their proofs; None if it has none."""
    proofs = outermost_proofs(function)
    if not proofs:
        return None
    tree = ast.Module([copy.deepcopy(_shared(own_source(function).node, proofs))], [])
    rewritten = _Rewriter(proofs).visit(tree)
    source = f"<rewritten {next(_numbers)}>"
    namespace = dict(function.__globals__)
    namespace.update(_RUNTIME)
    exec(compile(ast.fix_missing_locations(rewritten), source, "exec"), namespace)
    return namespace[function.__name__]


def _shared(tree: ast.AST, proofs: list[LoopProof]) -> ast.AST:
    for number, proof in enumerate(proofs):
        proof.node.proof_number = number  # type: ignore[attr-defined]
        for place, effect in enumerate(proof.effects):
            effect.node.effect_number = place  # type: ignore[attr-defined]
            for order, value in enumerate(effect.values):
                value.value_number = order  # type: ignore[attr-defined]
    return tree


class _Rewriter(ast.NodeTransformer):
    def __init__(self, proofs: list[LoopProof]) -> None:
        self.proofs = proofs

    def visit_For(self, node: ast.For) -> Any:
        number = getattr(node, "proof_number", None)
        if number is None:
            return self.generic_visit(node)
        proof = self.proofs[number]
        plain = sorted(proof.must_be_plain | proof.globals_read)
        names = ", ".join(f"{name!r}: {name}" for name in sorted(proof.reads))
        iteration = ast.parse("def _iteration(_item, _reads):\n    _effects = []\n    return _effects").body[0]
        assert isinstance(iteration, ast.FunctionDef)
        unpack = [ast.parse(f"{name} = _reads[{name!r}]").body[0] for name in sorted(proof.reads)]
        assign = ast.Assign([copy.deepcopy(node.target)], ast.Name("_item", ast.Load()))
        once = ast.For(
            ast.Name("_", ast.Store()),
            ast.Tuple([ast.Constant(0)], ast.Load()),
            [_Recorder(proof).visit(copy.deepcopy(item)) for item in node.body],
            [],
        )
        iteration.body[1:1] = [*unpack, assign, once]
        text = (
            "_items = list(0)\n"
            f"_records, _done = _computed(_iteration, _items, {{{names}}}, [{', '.join(plain)}])\n"
            "for _place, _v in _records:\n    pass\n"
            "for _item in _items[_done:]:\n    pass"
        )
        items, computed, replay, rest = ast.parse(text).body
        items.value.args = [node.iter]  # type: ignore[attr-defined]
        replay.body = [*(_replayed(effect, place) for place, effect in enumerate(proof.effects)), ast.Pass()]  # type: ignore[attr-defined]
        rest.target, rest.body = node.target, node.body  # type: ignore[attr-defined]
        return [iteration, items, computed, replay, rest]


class _Recorder(ast.NodeTransformer):
    """An effect's values are noted instead of the effect."""

    def __init__(self, proof: LoopProof) -> None:
        self.proof = proof

    def visit(self, node: ast.AST) -> Any:
        place = getattr(node, "effect_number", None)
        if place is None:
            return self.generic_visit(node)
        levels = tuple(int(item) for item in self.proof.effects[place].ownership)
        values = {item.value_number: item for item in ast.walk(node) if hasattr(item, "value_number")}
        call = ast.parse(f"_effects.append(({place}, {levels}, ()))").body[0]
        call.value.args[0].elts[2].elts = [copy.deepcopy(values[order]) for order in sorted(values)]  # type: ignore[attr-defined]
        return call


def _replayed(effect: Any, place: int) -> ast.stmt:
    class Filler(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> Any:
            order = getattr(node, "value_number", None)
            if order is None:
                return self.generic_visit(node)
            return ast.parse(f"_v[{order}]", mode="eval").body

    branch = ast.parse(f"if _place == {place}:\n    pass").body[0]
    branch.body = [Filler().visit(copy.deepcopy(effect.node))]  # type: ignore[attr-defined]
    return branch


def _computed(iteration: Any, items: list[Any], reads: dict[str, Any], plain: list[Any]) -> tuple[list[Any], int]:
    """The effects of the iterations, computed on copies in a random order, and how many iterations that are."""
    if not items or not all(is_plain(value) for value in [*plain, *items]):
        return [], 0
    chosen = random.Random(len(items))
    order = list(range(len(items) - 1))
    chosen.shuffle(order)
    done: dict[int, list[Any]] = {}
    for number in order:
        item, copies = pickle.loads(pickle.dumps((items[number], reads)))
        try:
            effects = iteration(item, copies)
            if not all(
                is_detached(v, level) for _, levels, values in effects for v, level in zip(values, levels, strict=True)
            ):
                continue
            done[number] = pickle.loads(pickle.dumps([(place, values) for place, _, values in effects]))
        except Exception:  # noqa: BLE001 - whatever it raises, it is run again
            continue
    last = next((number for number in range(len(items)) if number not in done), len(items))
    last = max(last - 1, 0) if last < len(items) - 1 else last
    return [effect for number in range(last) for effect in done[number]], last


_RUNTIME = {"_computed": _computed}


def shape(value: Any) -> Any:
    """``value`` as text, with the identity of what can be changed: two names of one list are not two lists."""
    seen: dict[int, int] = {}

    def walk(item: Any) -> Any:
        if isinstance(item, list | dict | set | bytearray):
            if id(item) in seen:
                return ("again", seen[id(item)])
            seen[id(item)] = len(seen)
            parts = (
                [(walk(k), walk(v)) for k, v in item.items()]
                if isinstance(item, dict)
                else [walk(part) for part in item]
            )
            return (type(item).__name__, parts)
        if isinstance(item, tuple):
            return ("tuple", [walk(part) for part in item])
        return (type(item).__name__, repr(item))

    return walk(value)


def outcome(function: Any, arguments: tuple[Any, ...]) -> Any:
    """What a call gives or raises, and what it left of its arguments."""
    arguments = copy.deepcopy(arguments)
    try:
        result = ("value", function(*arguments))
    except Exception as error:  # noqa: BLE001 - whatever it raises is what it gives
        result = ("raised", type(error).__name__, str(error))
    return shape((result, arguments))
