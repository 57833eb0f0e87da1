"""Whether a function waits for others more than it computes: by what its syntax tree awaits, opens, requests or sleeps."""

from __future__ import annotations

import ast
from types import FunctionType
from typing import TYPE_CHECKING, Any

from clustrix.errors import PackagingError
from clustrix.source import find_source, plain_function, unwrap_cluster
from clustrix.surroundings import Surroundings, namespace_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["is_waiting"]

# Modules whose calls wait: for a network, for another program, for a person.
_MODULES = frozenset(
    [
        "aiohttp",
        "asyncpg",
        "boto3",
        "botocore",
        "ftplib",
        "getpass",
        "httpx",
        "imaplib",
        "paramiko",
        "poplib",
        "psycopg",
        "psycopg2",
        "pymongo",
        "redis",
        "requests",
        "select",
        "smtplib",
        "socket",
        "sqlite3",
        "sqlalchemy",
        "ssl",
        "subprocess",
        "telnetlib",
        "urllib3",
        "websockets",
    ]
)
_PREFIXES = ("http.client", "urllib.request", "xmlrpc.client", "clustrix.filesystem", "concurrent.futures.wait")
_CALLS = frozenset(
    [
        "asyncio.run",
        "asyncio.sleep",
        "bz2.open",
        "codecs.open",
        "fileinput.input",
        "gzip.open",
        "io.open",
        "_io.open",
        "builtins.open",
        "builtins.input",
        "lzma.open",
        "os.open",
        "os.read",
        "os.system",
        "os.popen",
        "os.wait",
        "os.waitpid",
        "os.write",
        "shutil.copy",
        "shutil.copy2",
        "shutil.copyfile",
        "shutil.copytree",
        "shutil.move",
        "tempfile.TemporaryFile",
        "tempfile.NamedTemporaryFile",
        "time.sleep",
        "trio.sleep",
    ]
)
# Of pathlib's paths, whatever the variable is called; no other well-known class has them.
_METHODS = frozenset(["read_bytes", "read_text", "write_bytes", "write_text"])
# The user's own functions are followed so far.
DEEPEST = 4


def is_waiting(function: Any) -> bool:
    """Whether the function, or one of the same module that it calls by name, awaits, opens, requests or sleeps.

    What has no source that is provably its own is judged by what it is: ``time.sleep`` waits, ``math.sqrt`` does not.
    """
    return _waits(function, set(), DEEPEST)


def _waits(function: Any, seen: set[Any], depth: int) -> bool:
    try:
        plain = plain_function(function)
    except PackagingError:
        return _is_waiting_call(_path_of(unwrap_cluster(function)))
    if _is_waiting_call(f"{plain.__module__}.{plain.__qualname__}"):
        return True
    if plain in seen or not depth:
        return False
    seen.add(plain)
    try:
        tree = find_source(plain).node
    except PackagingError:
        return False
    if not isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        return False
    surroundings = Surroundings(tree, namespace_of(plain))
    return any(_node_waits(node, surroundings, plain, seen, depth) for node in _within(tree))


def _within(tree: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> Iterator[ast.AST]:
    """What runs when the function does: neither its annotations nor its decorators."""
    body = [tree.body] if isinstance(tree, ast.Lambda) else tree.body
    for statement in body:
        yield from ast.walk(statement)


def _node_waits(node: ast.AST, surroundings: Surroundings, caller: FunctionType, seen: set[Any], depth: int) -> bool:
    if isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith):
        return True
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Attribute) and node.func.attr in _METHODS:
        return True
    origin = surroundings.origin(node.func)
    if origin is None:
        return False
    if _is_waiting_call(origin.path):
        return True
    called = unwrap_cluster(origin.live)
    is_own = isinstance(called, FunctionType) and called.__module__ == caller.__module__
    return is_own and _waits(called, seen, depth - 1)


def _is_waiting_call(path: str) -> bool:
    return path in _CALLS or path.partition(".")[0] in _MODULES or path.startswith(_PREFIXES)


def _path_of(function: Any) -> str:
    module = getattr(function, "__module__", None) or type(function).__module__
    return f"{module}.{getattr(function, '__qualname__', '')}"
