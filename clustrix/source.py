"""Finds the source of a function or class, and proves that it is that object's own.

The proof: compile the text of the file (or notebook cell) and look for the code object that equals the live one in
everything but lines and file name. So a file that was edited after its import is noticed, and of two definitions
with one name the right one is taken.
"""

from __future__ import annotations
import __future__

import ast
import importlib
import inspect
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from clustrix.errors import PackagingError
from clustrix.module_text import (
    DefinitionNode,
    ModuleText,
    dotted_name,
    first_line_of,
    literal_or_none,
    nested_codes,
    read_module_text,
    segment_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "NoSourceError",
    "Source",
    "find_class_source",
    "find_source",
    "future_features",
    "is_own_decorator",
    "objects_inside",
    "plain_function",
    "same_code",
    "undecorated",
    "unwrap_cluster",
]

_OWN_PACKAGE = "clustrix"
_ITERABLE_COROUTINE = inspect.CO_ITERABLE_COROUTINE  # types.coroutine sets it afterwards


class NoSourceError(PackagingError):
    """There is no text that the function could have been made of; its bytecode is all there is."""


@dataclass(frozen=True, eq=False)
class Source:
    """The text of one definition with its decorators, from the first column on.

    ``first_line`` counts from 1 in the file; ``node`` belongs to ``module.tree``, so its lines are the file's.
    """

    name: str
    text: str
    path: str
    first_line: int
    node: DefinitionNode
    module: ModuleText = field(repr=False)

    @property
    def is_top_level(self) -> bool:
        return self.node in self.module.definitions.get(self.name, ())

    @cached_property
    def tree(self) -> ast.Module:
        """The definition alone, with lines that count from its own first line."""
        return ast.parse(self.text)


def find_source(func: Any) -> Source:
    """The proven source of a function, ``@cluster`` objects unwrapped.

    The source of a function that a decorator of the user's made is the whole decorated definition.

    :raises PackagingError: built-in, not a function, without source, or edited since it was loaded
    """
    function = plain_function(func)
    found = _proven(function)
    if found is not None and not _is_wrapper(function, found):
        return found
    decorated = _decorated_definition(function)
    if decorated is not None:
        return decorated
    if found is not None:
        return found
    raise _no_proof(function)


def find_class_source(cls: type, texts: tuple[ModuleText, ...]) -> Source | None:
    """The definition of a class in one of ``texts``, proven by its methods; None if no text defines that name.

    :raises PackagingError: it is none of those definitions, or could be several
    """
    is_local = "<locals>" in cls.__qualname__
    candidates = [
        (text, node)
        for text in texts
        for node in (text.nodes_by_place.values() if is_local else text.definitions.get(cls.__name__, ()))
        if isinstance(node, ast.ClassDef) and node.name == cls.__name__
    ]
    if not candidates:
        return None
    proven = [_source(text, node) for text, node in candidates if _methods_match(cls, text, node)]
    where = f"{candidates[-1][0].path}, line {candidates[-1][1].lineno}"
    if not proven:
        raise PackagingError(
            f"class {cls.__qualname__!r} is not the one that {where} defines: the file was edited after it was loaded, "
            "or a method was replaced. Load it again, or undo the replacement."
        )
    if is_local and len({source.text for source in proven}) > 1:
        raise PackagingError(
            f"class {cls.__qualname__!r} ({where}) could be one of several. Define it at module level."
        )
    return proven[-1]


def plain_function(func: Any) -> FunctionType:
    """The Python function behind ``func``, of which clustrix's own decorator is taken off."""
    function = unwrap_cluster(func)
    if isinstance(function, FunctionType):
        return function
    name = getattr(function, "__qualname__", None) or getattr(function, "__name__", None) or repr(function)
    if isinstance(function, BuiltinFunctionType | type(str.join) | type(object.__init__)):
        raise PackagingError(
            f"{name!r} is a built-in or C function and has no Python source. Call it from a function of your own."
        )
    if isinstance(function, MethodType):
        raise PackagingError(
            f"{name!r} is a bound method, which is not supported yet. Call it from a function that takes the object "
            "as an argument."
        )
    if isinstance(function, partial):
        raise PackagingError(
            f"{function!r} is a partial, which is not supported yet. Submit its function and give the arguments "
            "in the call."
        )
    if hasattr(function, "__wrapped__") and isinstance(function.__wrapped__, FunctionType):
        # functools.lru_cache and friends: callable objects around a function, found again by the function's name.
        return function.__wrapped__
    raise PackagingError(
        f"{name!r} is an object of type {type(function).__name__!r}, not a function. Call it from a function."
    )


def unwrap_cluster(value: Any) -> Any:
    """What ``@cluster`` decorated; other values as they are."""
    while _is_own_module(type(value).__module__) and hasattr(value, "__wrapped__"):
        value = value.__wrapped__
    return value


def same_code(one: CodeType, other: CodeType) -> bool:
    """Equal in all that decides what the code does: not in lines and file name."""
    return one is other or _shape(one) == _shape(other)


def future_features(flags: int) -> tuple[str, ...]:
    """The ``from __future__`` names in a code object's flags which an interpreter from 3.6 up doesn't have anyway."""
    names = []
    for name in __future__.all_feature_names:
        feature = getattr(__future__, name)
        mandatory = feature.getMandatoryRelease()
        if (mandatory is None or mandatory[:2] > (3, 6)) and flags & feature.compiler_flag:
            names.append(name)
    return tuple(sorted(names))


def undecorated(source: Source, drop: list[ast.expr]) -> str:
    """The source's text without the lines of the decorators in ``drop``."""
    gone = {line for node in drop for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)}
    lines = source.text.split("\n")
    return "\n".join(line for number, line in enumerate(lines, source.first_line) if number not in gone)


def is_own_decorator(expression: ast.expr, names: dict[str, Any], module: ModuleText) -> bool:
    """Whether a decorator is clustrix's: judged by the live object, else by the file's import statements."""
    origin = dotted_name(expression)
    root, *attributes = origin.split(".") if origin else [""]
    if root in names:
        value = names[root]
        for attribute in attributes:
            value = getattr(value, attribute, None)
        value = getattr(value, "func", value) if isinstance(value, partial) else value
        owner = getattr(value, "__module__", None)
        return _is_own_module(owner if isinstance(owner, str) else "") or _is_own_module(type(value).__module__)
    return any(
        (alias.asname or alias.name.partition(".")[0]) == root
        and _is_own_module((node.module or "") if isinstance(node, ast.ImportFrom) else alias.name)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    )


def objects_inside(value: Any, depth: int = 3) -> Iterator[Any]:
    """``value``, and what it wraps: the ways in which decorators keep the function they were given."""
    yield value
    if depth == 0:
        return
    inner: list[Any] = []
    if isinstance(value, FunctionType):
        inner += [cell.cell_contents for cell in value.__closure__ or () if _is_filled(cell)]
    if not isinstance(value, type):
        inner += [item for item in getattr(value, "__dict__", {}).values() if callable(item)]
    inner += [getattr(value, name) for name in ("__wrapped__", "__func__", "func") if hasattr(value, name)]
    seen: set[int] = set()
    for item in inner:
        if callable(item) and id(item) not in seen:
            seen.add(id(item))
            yield from objects_inside(item, depth - 1)


def _future_flags(code: CodeType) -> int:
    every = 0
    for name in __future__.all_feature_names:
        if name != "nested_scopes":  # its flag is CO_NESTED, which says something else
            every |= getattr(__future__, name).compiler_flag
    return code.co_flags & every


def _proven(function: FunctionType) -> Source | None:
    code = function.__code__
    text = _text_of(function)
    if text is None:
        return None
    matches = [candidate for candidate in text.codes(code.co_name) if same_code(candidate, code)]
    if not matches:
        compiled = _with_pytests_asserts(function, text)
        matches = [item for item in nested_codes(compiled) if item.co_name == code.co_name and same_code(item, code)]
    same_line = [candidate for candidate in matches if candidate.co_firstlineno == code.co_firstlineno]
    for match in same_line or matches[-1:]:
        node = text.nodes_by_place.get((match.co_name, match.co_firstlineno))
        if node is not None and not isinstance(node, ast.ClassDef) and _defaults_match(function, node):
            return _source(text, node)
    return None


def _with_pytests_asserts(function: FunctionType, text: ModuleText) -> CodeType:
    """What pytest makes of a test module: the same text, but with assert statements that explain themselves."""
    loader = function.__globals__.get("__loader__")
    if type(loader).__name__ != "AssertionRewritingHook":
        return text.code
    tree = ast.parse(text.text)
    rewrite = importlib.import_module("_pytest.assertion.rewrite")
    rewrite.rewrite_asserts(tree, text.text.encode(), text.path, getattr(loader, "config", None))
    code: CodeType = compile(tree, text.path, "exec", flags=text.flags, dont_inherit=True)
    return code


def _text_of(function: FunctionType) -> ModuleText | None:
    """The text that the function was compiled from; a script's relative name is looked up where Python started."""
    path, flags = function.__code__.co_filename, _future_flags(function.__code__)
    module_file = function.__globals__.get("__file__")
    if isinstance(module_file, str) and not Path(path).is_absolute() and Path(module_file).name == Path(path).name:
        path = module_file
    return read_module_text(path, flags)


def _is_wrapper(function: FunctionType, found: Source) -> bool:
    """A wrapper inside a decorator: wraps() gave it the name of what it wraps, or closure cells hold that."""
    if function.__name__ != found.name or hasattr(function, "__wrapped__"):
        return True
    return "<locals>" in function.__qualname__ and _global_name(function) is not None


def _global_name(function: FunctionType) -> str | None:
    """The name under which the module knows the function: itself, or within a ``@cluster`` object."""
    for name, value in function.__globals__.items():
        if value is function or unwrap_cluster(value) is function:
            return name
    return None


def _decorated_definition(function: FunctionType) -> Source | None:
    """The definition whose name the wrapper has taken, or is known by in its module."""
    names = {_global_name(function)} | ({function.__name__} - {function.__code__.co_name})
    for inner in objects_inside(function):
        if inner is function or not isinstance(inner, FunctionType):
            continue
        source = _proven(inner)
        if source is not None and source.name in names:
            return source
    return None


def _source(text: ModuleText, node: DefinitionNode) -> Source:
    return Source(node.name, segment_text(text, node), text.path, first_line_of(node), node, text)


def _no_proof(function: FunctionType) -> PackagingError:
    code, name = function.__code__, function.__qualname__
    where = f"{code.co_filename}, line {code.co_firstlineno}"
    if _text_of(function) is None:
        return NoSourceError(
            f"function {name!r} has no source ({where} is not a file or a notebook cell). "
            "Put it into a file and import it."
        )
    if code.co_name == "<lambda>":
        return PackagingError(f"the lambda at {where} can't be packed: lambdas are not supported yet. Use def.")
    return PackagingError(
        f"function {name!r} is not what {where} says now: the file was edited after it was loaded. "
        "Start Python again, or reload the module."
    )


def _defaults_match(function: FunctionType, node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Default values are not in the code object: those which are literals are compared here."""
    values = list(function.__defaults__ or ())
    if len(values) != len(node.args.defaults):
        return False
    by_name = function.__kwdefaults__ or {}
    pairs: list[tuple[ast.expr | None, Any]] = list(zip(node.args.defaults, values, strict=True))
    pairs += [
        (default, by_name[argument.arg])
        for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        if argument.arg in by_name
    ]
    for default, value in pairs:
        literal = literal_or_none(default) if isinstance(default, ast.Constant) else None
        if literal is not None and (type(literal[0]) is not type(value) or repr(literal[0]) != repr(value)):
            return False
    return True


def _methods_match(cls: type, text: ModuleText, node: ast.ClassDef) -> bool:
    """Whether the functions in a class are those that its body defines, or (``m = helper``) assigns."""
    bodies = [code for code in text.codes(node.name) if code.co_firstlineno == first_line_of(node)]
    known = [code for body in bodies for code in nested_codes(body)]
    assigned = {
        name.id for part in node.body for name in ast.walk(part) if isinstance(name, ast.Name) and _is_stored(name)
    }
    for attribute, value in vars(cls).items():
        functions = [getattr(value, name, None) for name in ("__func__", "fget", "fset", "fdel")]
        for function in (value, *functions):
            if not isinstance(function, FunctionType) or function.__code__.co_filename != text.path:
                continue
            code = function.__code__
            is_own = function.__qualname__.startswith(f"{cls.__qualname__}.")
            if not is_own and attribute in assigned:
                continue
            if not any(candidate.co_name == code.co_name and same_code(candidate, code) for candidate in known):
                return False
    return True


def _is_stored(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)


def _shape(code: CodeType) -> tuple[Any, ...]:
    return (
        code.co_name,
        code.co_code,
        code.co_names,
        code.co_varnames,
        code.co_freevars,
        code.co_cellvars,
        code.co_argcount,
        code.co_posonlyargcount,
        code.co_kwonlyargcount,
        code.co_flags & ~_ITERABLE_COROUTINE,
        getattr(code, "co_exceptiontable", b""),
        tuple(_constant_shape(constant) for constant in code.co_consts),
    )


def _constant_shape(constant: Any) -> Any:
    if isinstance(constant, CodeType):
        return _shape(constant)
    if isinstance(constant, tuple):
        return ("tuple", *(_constant_shape(item) for item in constant))
    if isinstance(constant, frozenset):
        return ("frozenset", frozenset(_constant_shape(item) for item in constant))
    if isinstance(constant, float | complex):
        return (type(constant), repr(constant))  # 0.0 equals -0.0
    return (type(constant), constant)


def _is_own_module(name: str) -> bool:
    return name.partition(".")[0] == _OWN_PACKAGE


def _is_filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - reading an empty cell raises
    except ValueError:
        return False
    return True
