"""The loops of a function: what they count through, whether their iterations are independent, and if not, why.

A loop is called parallelizable only where that is proven (``loop_proof.py`` says what the proof is). Nothing of the function is run.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clustrix.errors import PackagingError
from clustrix.loop_dependencies import prove
from clustrix.loop_flow import free_loads, names_bound
from clustrix.loop_proof import LoopProof, Refusal
from clustrix.loop_ranges import SafeRangeEvaluator
from clustrix.namespaces import MISSING
from clustrix.purity import Helpers
from clustrix.source import own_source, plain_function
from clustrix.surroundings import Surroundings, namespace_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import CodeType, FunctionType

__all__ = [
    "LoopInfo",
    "SafeRangeEvaluator",
    "are_current",
    "detect_loops_in_function",
    "estimate_work_size",
    "find_parallelizable_loops",
    "outermost_proofs",
    "proofs_of",
]

UNKNOWN_SIZE = 100
_MOST_REMEMBERED = 256


@dataclass
class LoopInfo:
    """One loop. ``range_info`` has ``start``, ``stop`` and ``step``, where they are known before the loop runs.

    ``dependencies`` are names that it needs from before it. ``reason`` says why it is not parallelizable, with the line
    of the file and the name; it is empty for one that is.
    """

    loop_type: str
    variable: str | None = None
    iterable: str | None = None
    range_info: dict[str, int] | None = None
    nested_level: int = 0
    dependencies: set[str] | None = None
    line: int = 0
    reason: str = field(default="nothing is proven of it")
    proof: LoopProof | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.dependencies is None:
            self.dependencies = set()

    @property
    def is_parallelizable(self) -> bool:
        return self.proof is not None

    def to_dict(self) -> dict[str, Any]:
        """The same as plain data, for JSON."""
        return {
            "loop_type": self.loop_type,
            "variable": self.variable,
            "iterable": self.iterable,
            "range_info": self.range_info,
            "nested_level": self.nested_level,
            "dependencies": sorted(self.dependencies or ()),
            "line": self.line,
            "is_parallelizable": self.is_parallelizable,
            "reason": self.reason,
        }


def detect_loops_in_function(
    func: Callable[..., Any], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
) -> list[LoopInfo]:
    """Every ``for`` and ``while`` loop of the function itself, in the order of its text; those of functions within it not.

    Arguments help to know what is counted through. A function without source has no loops that could be seen.
    """
    try:
        function = plain_function(func)
        tree = own_source(function).node
    except PackagingError:
        return []
    if not isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef):
        return []
    evaluator = SafeRangeEvaluator(_known_values(function, tree, args, kwargs or {}))
    verdicts = proofs_of(function)
    return [
        _described(loop, level, verdicts.get(loop), evaluator)  # type: ignore[arg-type]
        for loop, level in _loops(tree.body)
    ]


def find_parallelizable_loops(
    func: Callable[..., Any], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
) -> list[LoopInfo]:
    """The loops that are proven and stand in no proven one: the outermost is taken."""
    found: list[LoopInfo] = []
    taken: set[int] = set()
    for info in detect_loops_in_function(func, args, kwargs):
        if info.proof is not None and id(info.proof.node) not in taken:
            found.append(info)
            taken |= {id(node) for node in ast.walk(info.proof.node)}
    return found


def estimate_work_size(loop_info: LoopInfo) -> int:
    """How many iterations the loop has; 100 where that can't be known."""
    numbers = loop_info.range_info
    if numbers is None or not numbers.get("step", 1):
        return UNKNOWN_SIZE
    return len(range(numbers.get("start", 0), numbers["stop"], numbers.get("step", 1)))


def outermost_proofs(function: FunctionType) -> list[LoopProof]:
    """The proofs of the loops that are to be run in parallel, in the order of the text."""
    found: list[LoopProof] = []
    taken: set[ast.AST] = set()
    for loop, verdict in proofs_of(function).items():
        if isinstance(verdict, LoopProof) and loop not in taken:
            found.append(verdict)
            taken |= set(ast.walk(loop))
    return found


def proofs_of(function: FunctionType) -> dict[ast.For, LoopProof | Refusal]:
    """What is known of each ``for`` loop of the function, by its node in the tree of ``own_source``. It is remembered.

    :raises PackagingError: there is no source
    """
    source = own_source(function)
    remembered = _remembered.get(function.__code__)
    if remembered is not None and remembered.tree is source.node and remembered.still_holds(function):
        return remembered.verdicts
    tree = source.node
    names = namespace_of(function)
    helpers = Helpers()
    verdicts: dict[ast.For, LoopProof | Refusal] = {}
    if isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef):
        for loop, _ in _loops(tree.body):
            if isinstance(loop, ast.For):
                verdicts[loop] = prove(tree, loop, names, helpers)
    _remembered[function.__code__] = _Remembered(tree, verdicts, _meant_by(function, tree, helpers))
    if len(_remembered) > _MOST_REMEMBERED:
        _remembered.popitem(last=False)
    return verdicts


def are_current(verdicts: dict[ast.For, LoopProof | Refusal], function: FunctionType) -> bool:
    """Whether ``verdicts``, which ``proofs_of(function)`` gave, are what it would give now; this looks at no file."""
    remembered = _remembered.get(function.__code__)
    return remembered is not None and remembered.verdicts is verdicts and remembered.still_holds(function)


@dataclass(frozen=True)
class _Remembered:
    tree: ast.AST
    verdicts: dict[ast.For, LoopProof | Refusal]
    meant: dict[tuple[int, str], tuple[FunctionType, str, Any]]

    def still_holds(self, function: FunctionType) -> bool:
        """Whether every name that was judged means the same as it did then."""
        own = namespace_of(function)
        return all(
            (own if of.__code__ is function.__code__ else namespace_of(of)).get(name, MISSING) is value
            for of, name, value in self.meant.values()
        )


_remembered: OrderedDict[CodeType, _Remembered] = OrderedDict()  # what the loops of a code object are


def _meant_by(
    function: FunctionType, tree: ast.AST, helpers: Helpers
) -> dict[tuple[int, str], tuple[FunctionType, str, Any]]:
    """What names outside mean to a function and to those that it calls."""
    meant: dict[tuple[int, str], tuple[FunctionType, str, Any]] = {}
    for of in [function, *helpers.judged]:
        names = namespace_of(of)
        text = tree if of is function else own_source(of).node
        for load in free_loads(text):
            meant[id(of), load.id] = (of, load.id, names.get(load.id, MISSING))
    return meant


def _known_values(
    function: FunctionType,
    tree: ast.FunctionDef | ast.AsyncFunctionDef,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> dict[str, Any]:
    """Values of names that stay what they are: arguments and defaults, constants of the function and of the module."""
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    times = Counter(
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
    )
    around = namespace_of(function)
    own = Surroundings(tree, around).own
    values = {name: around[name] for name in names - own if name in around.maps[0] or name in around.maps[1]}
    parameters = inspect.signature(function).parameters
    given = {name: item.default for name, item in parameters.items() if item.default is not item.empty}
    with contextlib.suppress(TypeError):  # too many, or unknown ones: the call itself will say so
        given |= inspect.signature(function).bind_partial(*args, **kwargs).arguments
    values |= {name: value for name, value in given.items() if times[name] == 0}
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant):
            target = statement.targets[0]
            if isinstance(target, ast.Name) and times[target.id] == 1 and target.id not in parameters:
                values[target.id] = statement.value.value
    return values


def _loops(body: list[ast.stmt], level: int = 0) -> Iterator[tuple[ast.For | ast.AsyncFor | ast.While, int]]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        is_loop = isinstance(node, ast.For | ast.AsyncFor | ast.While)
        if isinstance(node, ast.For | ast.AsyncFor | ast.While):
            yield node, level
        for part in ("body", "orelse", "finalbody"):
            yield from _loops(getattr(node, part, []), level + (is_loop and part == "body"))
        for part in [*getattr(node, "handlers", []), *getattr(node, "cases", [])]:
            yield from _loops(part.body, level)


def _described(
    loop: ast.For | ast.AsyncFor | ast.While,
    level: int,
    verdict: LoopProof | Refusal | None,
    evaluator: SafeRangeEvaluator,
) -> LoopInfo:
    line = loop.lineno
    read = {load.id for load in free_loads(loop)} - names_bound(loop)
    if isinstance(loop, ast.While):
        info = LoopInfo("while", nested_level=level, dependencies=read, line=line)
        info.reason = f"line {line}: a 'while' loop decides after each iteration whether there is another"
        return info
    info = LoopInfo(
        "for", ast.unparse(loop.target), ast.unparse(loop.iter), evaluator.evaluate(loop.iter), level, read, line
    )
    if isinstance(verdict, LoopProof):
        info.proof, info.reason = verdict, ""
    elif verdict is not None:
        info.reason = str(verdict)
    else:
        info.reason = f"line {line}: 'async for' lets others run in the middle of an iteration"
    return info
