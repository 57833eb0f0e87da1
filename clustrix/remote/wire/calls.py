"""A function with the arguments of a call, as one pickle: it is put together wherever `loads` reads that, or refused with the reason.

The function comes as its package (a ZIP), which is unpacked into a directory that lasts as long as this process. Its data files
are not put anywhere. Modules of the user's that are here already are used if they are equal to those in the package.
"""

import atexit
import importlib
import importlib.util
import io
import itertools
import os
import pickle
import platform
import shutil
import sys
import tempfile
import types
import zipfile
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from ..archives import MemberError, check_member
from ..bytecode import BytecodeError, check_magic
from .culprit import WireError
from .reducers import token

__all__ = ["LOAD_BINDINGS", "Call", "rebuild_call"]

LOAD_BINDINGS = """\
from clustrix._job import load_bindings as _clustrix_load_bindings; _clustrix_load_bindings(globals())
"""

FORMAT = 1

Loads = Callable[[bytes, str], Any]


class Call:
    """What is written: `package` is the ZIP, `arguments` the pickle of (args, kwargs), `bindings` that of captured values or empty."""

    def __init__(
        self,
        *,
        package: bytes,
        entry: Dict[str, str],
        package_id: str,
        arguments: bytes,
        bindings: bytes,
        cloudpickle: Optional[str] = None,
    ) -> None:
        self.record = {
            "format": FORMAT,
            "package": package,
            "entry": entry,
            "package_id": package_id,
            "arguments": arguments,
            "bindings": bindings,
            "cloudpickle": cloudpickle,
            "python": platform.python_version(),
        }

    def __reduce__(self) -> Tuple[Any, ...]:
        return token("call"), (self.record,)


def rebuild_call(record: Dict[str, Any], loads: Loads) -> Tuple[Callable[..., Any], Tuple[Any, ...], Dict[str, Any]]:
    """(function, args, kwargs). `loads` reads a pickle, given the module that it calls `__main__`. Raises WireError."""
    entry = record["entry"]
    if record["format"] != FORMAT:
        raise _refused(record, "a newer clustrix wrote it")
    try:
        check_magic(entry) if entry["kind"] == "bytecode" else None
        root = _unpacked(record)
        _offer_modules(os.path.join(root, "modules"), record)
        function, main = _READERS[entry["kind"]](root, record, loads)
    except WireError:
        raise
    except (BytecodeError, MemberError, zipfile.BadZipFile, KeyError) as error:
        raise _refused(record, str(error)) from error
    except SyntaxError as error:
        line = "%s, line %s: %s" % (os.path.basename(error.filename or ""), error.lineno, (error.text or "").strip())
        raise _refused(record, "it rejects %s (%s)" % (line, error.msg)) from error
    except Exception as error:  # the user's own modules may raise anything as they are imported
        raise _refused(record, "%s: %s" % (type(error).__name__, error)) from error
    args, kwargs = loads(record["arguments"], main)
    return function, args, kwargs


def _refused(record: Dict[str, Any], reason: str) -> WireError:
    words = "Python %s wrote it, and Python %s can't have it: %s" % (
        record["python"],
        platform.python_version(),
        reason,
    )
    return WireError("the function %s" % record["entry"]["name"], words)


_directories: Dict[str, str] = {}
_numbers = itertools.count(1)


def _unpacked(record: Dict[str, Any]) -> str:
    """The directory of the package, the same for equal ones."""
    package_id = record["package_id"]
    if package_id not in _directories:
        root, owner = tempfile.mkdtemp(prefix="clustrix-function-"), os.getpid()
        atexit.register(lambda: shutil.rmtree(root, ignore_errors=True) if os.getpid() == owner else None)
        with zipfile.ZipFile(io.BytesIO(record["package"])) as archive:
            for item in archive.infolist():
                check_member(item)
                archive.extract(item, root)
        _directories[package_id] = root
    return _directories[package_id]


def _from_main_file(root: str, record: Dict[str, Any], loads: Loads) -> Tuple[Callable[..., Any], str]:
    """The main file becomes a module of its own, for this process has a `__main__`."""
    path = os.path.join(root, "main.py")
    with open(path, encoding="utf-8") as stream:
        text = stream.read()
    # What is rebuilt from captured values comes after them, so they are loaded where the file says.
    text = text.replace("\n" + LOAD_BINDINGS, "\n_clustrix_load_bindings(globals())\n")
    name = "clustrix_function_%s_%d" % (record["package_id"], next(_numbers))
    module = types.ModuleType(name)
    module.__file__ = path
    load = module.__dict__.update
    module.__dict__["_clustrix_load_bindings"] = lambda _: load(loads(record["bindings"], name))
    code = compile(text, path, "exec", dont_inherit=True)
    sys.modules[name] = module
    try:
        exec(code, module.__dict__)  # noqa: S102 - the function that was asked for
    except BaseException:
        del sys.modules[name]
        raise
    return _attribute(module, record), name


def _from_module(_root: str, record: Dict[str, Any], _loads: Loads) -> Tuple[Callable[..., Any], str]:
    return _attribute(importlib.import_module(record["entry"]["module"]), record), "__main__"


def _from_bytecode(root: str, record: Dict[str, Any], _loads: Loads) -> Tuple[Callable[..., Any], str]:
    if importlib.util.find_spec("cloudpickle") is None:
        sys.path.append(os.path.join(root, "tools"))
        importlib.invalidate_caches()
    version = importlib.import_module("cloudpickle").__version__
    if _numbers_in(version) < _numbers_in(record["cloudpickle"]):
        raise _refused(record, "it has cloudpickle %s, and %s wrote it: upgrade it" % (version, record["cloudpickle"]))
    with open(os.path.join(root, "function.pickle"), "rb") as stream:
        return pickle.load(stream), "__main__"  # noqa: S301 - likewise


_READERS: Dict[str, Callable[[str, Dict[str, Any], Loads], Tuple[Callable[..., Any], str]]] = {
    "main": _from_main_file,
    "module": _from_module,
    "bytecode": _from_bytecode,
}


def _attribute(found: Any, record: Dict[str, Any]) -> Any:
    for name in record["entry"]["name"].split("."):
        found = getattr(found, name)
    return getattr(found, "__func__", found)


def _numbers_in(version: str) -> List[int]:
    return [int(part) for part in version.split(".") if part.isdigit()]


def _offer_modules(directory: str, record: Dict[str, Any]) -> None:
    """Make the package's modules importable, after all that is importable here; one that is here and differs is refused."""
    for name, path in _modules_in(directory):
        here = _file_here(name)
        if here is not None and here != path and _text(here) != _text(path):
            raise _refused(record, "its module %s is another one here, %s" % (name, here))
    if os.path.isdir(directory) and directory not in sys.path:
        sys.path.append(directory)
        importlib.invalidate_caches()
    if importlib.util.find_spec("clustrix") is None:
        # On a cluster: what `import clustrix` is inside a job.
        sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "front"))


def _modules_in(directory: str) -> Iterator[Tuple[str, str]]:
    for parent, _, files in sorted(os.walk(directory)):
        for file in sorted(files):
            if file.endswith(".py"):
                path = os.path.join(parent, file)
                parts = os.path.relpath(path, directory)[: -len(".py")].split(os.sep)
                yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def _file_here(name: str) -> Optional[str]:
    """The file that `name` is or would be imported from; a file that a package here lacks has no place here either."""
    if name in sys.modules:
        return getattr(sys.modules[name], "__file__", None)
    top, *rest = name.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except ValueError:  # a module that somebody made
        return None
    if spec is None or not rest:
        return spec.origin if spec is not None and spec.has_location else None
    if not spec.has_location:  # a namespace: others may add to it
        places = [os.path.join(place, *rest) for place in spec.submodule_search_locations or ()]
        files = [file for place in places for file in (place + ".py", os.path.join(place, "__init__.py"))]
        return next(filter(os.path.exists, files), None)
    place = os.path.join(os.path.dirname(spec.origin or ""), *rest)
    return os.path.join(place, "__init__.py") if os.path.isdir(place) else place + ".py"


def _text(path: str) -> Optional[bytes]:
    try:
        with open(path, "rb") as stream:
            return stream.read().replace(b"\r\n", b"\n")
    except OSError:
        return None
