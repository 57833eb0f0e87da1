"""Finds the source of a function or class, and proves that it is that object's own.

The proof: compile the text of the file (or notebook cell) and look for the code object that equals the live one in
everything but lines and file name. So a file that was edited after its import is noticed, and of two definitions
with one name the right one is taken.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from clustrix.code_proof import future_flags, same_code
from clustrix.console import console_texts, where_it_may_be
from clustrix.errors import PackagingError
from clustrix.module_text import (
    DefinitionNode,
    ModuleText,
    definitions_around,
    dotted_name,
    every_statement,
    first_line_of,
    literal_or_none,
    nested_codes,
    read_module_text,
    segment_text,
)
from clustrix.namespaces import contents

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "NoSourceError",
    "Source",
    "decorated_definition",
    "find_class_source",
    "find_source",
    "is_importable",
    "is_known_by_name",
    "is_own_decorator",
    "objects_inside",
    "own_source",
    "plain_function",
    "submitted",
    "texts_of",
    "undecorated",
    "unwrap_cluster",
]

_OWN_PACKAGE = "clustrix"


class NoSourceError(PackagingError):
    """There is no text that the function could have been made of; its bytecode is all there is."""


@dataclass(frozen=True, eq=False)
class Source:
    """The text of one definition with its decorators, from the first column on; or of a lambda, in parentheses.

    ``first_line`` counts from 1 in the file; ``node`` belongs to ``module.tree``, so its lines are the file's.
    """

    name: str
    text: str
    path: str
    first_line: int
    node: DefinitionNode | ast.Lambda
    module: ModuleText = field(repr=False)

    @property
    def is_top_level(self) -> bool:
        return self.node in self.module.definitions.get(self.name, ())

    @property
    def decorators(self) -> list[ast.expr]:
        return [] if isinstance(self.node, ast.Lambda) else self.node.decorator_list

    @cached_property
    def tree(self) -> ast.Module:
        """The definition alone, with lines that count from its own first line."""
        return ast.parse(self.text)


def find_source(func: Any) -> Source:
    """The proven source of a function, ``@cluster`` objects unwrapped.

    The source of a function that a decorator of the user's made is the whole decorated definition, where the module
    knows the function by that definition's name.

    :raises PackagingError: built-in, not a function, without source, or edited since it was loaded
    """
    function = plain_function(func)
    return decorated_definition(function) or own_source(function)


def own_source(function: FunctionType) -> Source:
    """The proven source of this very function, not of what it may wrap. Raises as ``find_source``."""
    found = _proven(function)
    if found is None:
        raise _no_proof(function)
    return found


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
        if not is_local or _qualname(text, node) == cls.__qualname__
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


def submitted(func: Any) -> Any:
    """What is to be called in the job: ``func`` without clustrix's decorator, or the function of a decorator's object.

    :raises PackagingError: it is built-in, or can't be called
    """
    value = unwrap_cluster(func)
    if not isinstance(value, FunctionType | MethodType | type | partial):
        # functools.lru_cache and the like: objects around a function, found again by the function's name.
        for inner in objects_inside(value):
            if isinstance(inner, FunctionType) and _named(inner) is value:
                return inner
    plain_function(value)  # raises
    return value


def plain_function(func: Any) -> FunctionType:
    """The Python function behind ``func``: of a partial, a bound method, a class or an object that can be called.

    :raises PackagingError: there is none
    """
    function = unwrap_cluster(func)
    if isinstance(function, FunctionType):
        return function
    name = getattr(function, "__qualname__", None) or getattr(function, "__name__", None) or repr(function)
    if isinstance(function, BuiltinFunctionType | type(str.join) | type(object.__init__)):
        raise PackagingError(
            f"{name!r} is a built-in or C function and has no Python source. Call it from a function of your own."
        )
    if isinstance(function, partial):
        return plain_function(function.func)
    if isinstance(function, MethodType):
        return plain_function(function.__func__)
    wrapped = getattr(function, "__wrapped__", None)
    if isinstance(wrapped, FunctionType):
        return wrapped
    inner = getattr(function, "__init__" if isinstance(function, type) else "__call__", None)
    inner = unwrap_cluster(getattr(inner, "__func__", inner))
    if isinstance(inner, FunctionType):
        return inner
    raise PackagingError(
        f"{name!r} is an object of type {type(function).__name__!r}, not a function. Call it from a function."
    )


def is_importable(function: FunctionType) -> bool:
    """Whether a job can import the function by its name from a module with a file."""
    module = sys.modules.get(function.__module__ or "")
    if function.__module__ in ("__main__", "__mp_main__") or getattr(module, "__file__", None) is None:
        return False
    value: Any = module
    for part in function.__qualname__.split("."):
        value = getattr(value, part, None)
    return unwrap_cluster(getattr(value, "__func__", value)) is function


def unwrap_cluster(value: Any) -> Any:
    """What ``@cluster`` decorated; other values as they are."""
    while _is_own_module(type(value).__module__) and hasattr(value, "__wrapped__"):
        value = value.__wrapped__
    return value


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
        inner += [contents(cell) for cell in value.__closure__ or ()]
    if not isinstance(value, type):
        inner += [item for item in getattr(value, "__dict__", {}).values() if callable(item)]
    inner += [getattr(value, name) for name in ("__wrapped__", "__func__", "func") if hasattr(value, name)]
    seen: set[int] = set()
    for item in inner:
        if callable(item) and id(item) not in seen:
            seen.add(id(item))
            yield from objects_inside(item, depth - 1)


def _proven(function: FunctionType) -> Source | None:
    for text in reversed(texts_of(function)):
        source = _proven_in(function, text)
        if source is not None:
            return source
    return None


def _proven_in(function: FunctionType, text: ModuleText) -> Source | None:
    code = function.__code__
    if code.co_name == "<lambda>":
        return _proven_lambda(function, text)
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


def _proven_lambda(function: FunctionType, text: ModuleText) -> Source | None:
    """Each lambda of the text is compiled alone: code objects have no columns before 3.11, and a line may hold several."""
    code = function.__code__
    same_line = [node for node in text.lambdas if node.lineno == code.co_firstlineno]
    for node in same_line or text.lambdas:
        if same_code(_lambda_alone(node, code.co_freevars, text), code) and _defaults_match(function, node):
            segment = ast.get_source_segment(text.text, node) or ast.unparse(node)
            return Source("<lambda>", f"({segment})\n", text.path, node.lineno, node, text)
    return None


def _lambda_alone(node: ast.Lambda, free: tuple[str, ...], text: ModuleText) -> CodeType:
    """The lambda's code, with the variables that it takes from around it as those of a function around it."""
    around = ast.parse("def around(): return 0").body[0]
    assert isinstance(around, ast.FunctionDef)  # noqa: S101 - as the line above says
    around.args.args = [ast.copy_location(ast.arg(name), node) for name in free]
    around.body = [ast.copy_location(ast.Return(node), node)]
    module = ast.Module([ast.fix_missing_locations(around)], [])
    compiled = compile(module, text.path, "exec", flags=text.flags, dont_inherit=True)
    return next(item for item in nested_codes(compiled) if item.co_name == "<lambda>")


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


def texts_of(function: FunctionType) -> list[ModuleText]:
    """The texts that may be the one it was compiled from; a script's relative name is looked up where Python started."""
    path, flags = function.__code__.co_filename, future_flags(function.__code__)
    module_file = function.__globals__.get("__file__")
    if isinstance(module_file, str) and not Path(path).is_absolute() and Path(module_file).name == Path(path).name:
        path = module_file
    text = read_module_text(path, flags)
    return [text] if text is not None else console_texts(path, flags)


def decorated_definition(function: FunctionType) -> Source | None:
    """The decorated definition by whose name the function's module knows it: then a decorator put it there."""
    for inner in objects_inside(function):
        if inner is function or not isinstance(inner, FunctionType) or not is_known_by_name(function, inner):
            continue
        source = _proven(inner)
        if source is not None and not isinstance(source.node, ast.Lambda) and source.node.decorator_list:
            return source
    return None


def is_known_by_name(function: FunctionType, inner: FunctionType) -> bool:
    """Whether the qualified name of ``inner`` is, in its own module, ``function`` or an object around it."""
    if inner.__qualname__.rpartition(".")[2] != inner.__code__.co_name:  # wraps() gave it the name of what it wraps
        return False
    return any(item is function for item in objects_inside(_named(inner)))


def _named(function: FunctionType) -> Any:
    """What the function's module has under its qualified name."""
    root, *attributes = function.__qualname__.split(".")
    value = unwrap_cluster(function.__globals__.get(root))
    for attribute in attributes:
        value = inspect.getattr_static(value, attribute, None)
    return unwrap_cluster(value)


def _source(text: ModuleText, node: DefinitionNode) -> Source:
    return Source(node.name, segment_text(text, node), text.path, first_line_of(node), node, text)


def _no_proof(function: FunctionType) -> PackagingError:
    code, name = function.__code__, function.__qualname__
    where = f"{code.co_filename}, line {code.co_firstlineno}"
    if not texts_of(function):
        return NoSourceError(
            f"function {name!r} has no source ({where} is not a file or a notebook cell). {where_it_may_be(code.co_filename)}"
        )
    if code.co_filename.startswith("<"):  # no file that was edited: another text of that name was not kept
        return NoSourceError(
            f"function {name!r} ({where}) is in none of the texts that are kept of this session. Put it into a file and import it."
        )
    return PackagingError(
        f"function {name!r} is not what {where} says now: the file was edited after it was loaded. "
        "Start Python again, or reload the module."
    )


def _defaults_match(function: FunctionType, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> bool:
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
    """Whether the functions in a class are those that its body defines, or (``m = helper``) assigns, or decorators made of them."""
    bodies = [code for code in text.codes(node.name) if code.co_firstlineno == first_line_of(node)]
    known = [code for body in bodies for code in nested_codes(body)]
    assigned = {
        name.id for part in node.body for name in ast.walk(part) if isinstance(name, ast.Name) and _is_stored(name)
    }
    defined = assigned | {part.name for part in every_statement(node.body) if isinstance(part, DefinitionNode)}
    decorated = {
        part.name for part in every_statement(node.body) if isinstance(part, DefinitionNode) and part.decorator_list
    }
    for attribute, value in vars(cls).items():
        functions = [getattr(value, name, None) for name in ("__func__", "fget", "fset", "fdel")]
        for function in (value, *functions):
            if not isinstance(function, FunctionType) or function.__code__.co_filename != text.path:
                continue
            code = function.__code__
            if code.co_filename == "<string>" and attribute not in defined:
                continue  # what dataclasses and the like generate has the name of what -c runs
            if not function.__qualname__.startswith(f"{cls.__qualname__}."):
                continue  # it was assigned, in the statement or since, or is a decorator's
            inside = [function.__code__]
            if attribute in decorated:
                inside = [item.__code__ for item in objects_inside(function) if isinstance(item, FunctionType)]
            if not any(own.co_name == code.co_name and same_code(own, code) for own in known for code in inside):
                return False
    return True


def _qualname(text: ModuleText, node: DefinitionNode) -> str:
    around = definitions_around(text.tree, node)
    words = [item.name if isinstance(item, ast.ClassDef) else f"{item.name}.<locals>" for item in around]
    return ".".join([*words, node.name])


def _is_stored(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)


def _is_own_module(name: Any) -> bool:
    """By a ``__module__``, which is a descriptor where a compiler of C (Cython) made the class."""
    return isinstance(name, str) and name.partition(".")[0] == _OWN_PACKAGE
