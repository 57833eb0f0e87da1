"""Finds what a function of a script, a notebook or another function reaches.

Names are read from the source (scopes), their values from the live globals and closure cells. Each value becomes an
import, a definition of the same file, a literal, or else a binding: a value that travels beside the package.
"""

from __future__ import annotations

import ast
import builtins
import keyword
import sys
from dataclasses import replace
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from clustrix.captured_values import is_mutable, literal_source, references_in
from clustrix.changed_attributes import changes_of
from clustrix.closure import Closure, Definition
from clustrix.errors import PackagingError
from clustrix.function_groups import is_made_here
from clustrix.imported_values import imports_giving, is_at_its_name, is_module_by_name
from clustrix.local_modules import Import, dynamic_imports_in, imports_in, locate
from clustrix.made_classes import is_made_class
from clustrix.made_functions import is_made
from clustrix.module_text import segment_text
from clustrix.namespaces import MISSING, cells_of, lookup
from clustrix.own_file import file_around
from clustrix.rebuilt_values import Rebuilder
from clustrix.scopes import NamesRead, names_read
from clustrix.source import (
    NoSourceError,
    Source,
    find_class_source,
    find_source,
    is_known_by_name,
    is_own_decorator,
    objects_inside,
    plain_function,
    submitted,
    undecorated,
    unwrap_cluster,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["reach"]

_MODULE_NAMES = frozenset(
    ("__name__", "__file__", "__builtins__", "__spec__", "__loader__", "__package__", "__cached__", "__annotations__")
)


def reach(func: Any, classes: Iterable[type] = ()) -> Closure:
    """The closure of a callable that the job can't import from a module, with ``classes`` that only its arguments need.

    :raises PackagingError: something that it reaches can't come along; the message names it
    """
    search = _Search(submitted(func))
    try:
        return search.run(classes)
    finally:
        # A circle would keep the callable, and what is bound in it, until the garbage collector comes by.
        del search.rebuilder


class _Search:
    """The state of one search: values by name, and the definitions whose names are still to be looked up.

    It is the ``MainFile`` of the values that have to be rebuilt.
    """

    def __init__(self, value: Any) -> None:
        self.value = value
        self.function = plain_function(value)
        self.file = file_around(value, self.function)
        self.globals = self.file.globals
        self.postponed_annotations = "annotations" in self.file.futures
        self.closure = Closure(self.function.__name__, self.file.source, self.file.place, self.file.futures)
        self.values: dict[str, Any] = {}
        self.lookups: dict[str, Callable[[], Any]] = {}
        self.holders: dict[int, str] = {}  # id of a mutable literal -> its first name
        self.pending: list[tuple[Definition, Mapping[str, Any]]] = []
        self.generated: set[str] = set()  # names that the rebuilder has given
        self.rebuilder = Rebuilder(self)

    def run(self, classes: Iterable[type]) -> Closure:
        closure = self.closure
        closure.entry_name = self._entry()
        for cls in classes:
            if is_made_here(cls, self.globals):
                self.rebuilder.expression(cls, cls.__name__)
            elif cls.__module__ != "__main__":
                self.closure.binding_imports.append(Import(cls.__module__, is_optional=True))
            elif self.file.module_name == "__main__":
                self._resolve(cls.__qualname__.partition(".")[0], {}, "the arguments")
        while self.pending:
            definition, cells = self.pending.pop(0)
            for name in sorted(self._wanted(definition)):
                self._resolve(name, cells, definition.name)
        closure.undefined -= {name for item in closure.definitions.values() for name in item.names.assigned}
        if not any(item.has_annotations for item in closure.definitions.values()):
            closure.futures = tuple(name for name in closure.futures if name != "annotations")  # 3.6 doesn't know it
        lookups = {name: self.lookups[name] for name in closure.bindings}
        closure.current_bindings = lambda: {name: look() for name, look in lookups.items()}
        return closure

    def _entry(self) -> str:
        """Put the callable itself into the main file; its name there."""
        source = self.closure.source
        if isinstance(self.value, type):
            return self._name_of_class(self.value)
        if not isinstance(self.value, FunctionType) or source is None:
            return self.rebuilder.entry(self.value)
        function = self.file.function
        outer, _, method = function.__qualname__.rpartition(".")
        if method and outer and "<" not in function.__qualname__ and source.name == method:
            self._resolve(outer.partition(".")[0], {}, "the class of the function")
            return function.__qualname__
        if source.is_top_level and is_known_by_name(function, function):
            self.values[source.name] = self.function
            self._define(self._definition(source, is_entry=True), cells_of(function))
            if self.function is function:
                self.rebuilder.restore(source.name, changes_of(function, source))
            return source.name
        return self.rebuilder.expression(self.value, source.name)

    def _name_of_class(self, cls: type) -> str:
        name = self.name_of(cls, cls.__name__)
        if name is None:
            raise self.error(f"class {cls.__qualname__!r} can't be imported. Define it at module level.")
        return name

    # What the values that are rebuilt need of the main file.

    def is_free(self, name: str) -> bool:
        taken = name in self.values or name in self.closure.definitions or name in self.closure.imports
        return not (taken or name in self.globals or hasattr(builtins, name) or keyword.iskeyword(name))

    def is_constant(self, name: str, text: str) -> bool:
        return self.closure.constants.get(name) == text

    def name_of(self, value: Any, wanted: str) -> str | None:
        if not isinstance(value, type | FunctionType | BuiltinFunctionType | ModuleType):
            name = next((name for name, known in self.values.items() if known is value), None)
            if name is not None and _is_object(value):
                return name
            return self._name_of_decorated(value) if callable(value) else None
        if is_made_class(value):
            return None
        qualname = str(getattr(value, "__qualname__", ""))
        if not isinstance(value, ModuleType) and (self.file.has(value) or value.__module__ == self.file.module_name):
            return self._name_here(value, qualname, wanted)
        if isinstance(value, FunctionType) and is_made(value, self.globals):
            return None
        if getattr(builtins, qualname, None) is value:
            return qualname
        root = qualname.partition(".")[0]
        name = wanted if wanted and self.is_free(wanted) else f"_clustrix_{(root or value.__name__).replace('.', '_')}"
        if isinstance(value, ModuleType):
            self.require(name, Import(self._name_of_module(value, wanted), "", name))
            return name
        module = str(value.__module__)
        found: Any = sys.modules.get(module)
        for part in qualname.split("."):
            found = getattr(found, part, None)
        if unwrap_cluster(getattr(found, "__func__", found)) is not value:
            return None
        if name != wanted or "." in qualname:
            name = f"_clustrix_{module.replace('.', '_')}_{root}"
        self.require(name, Import(module, root, name))
        return name + qualname[len(root) :]

    def _name_of_decorated(self, value: Any) -> str | None:
        """The name of a definition of the file for which a decorator put an object in its place."""
        for inner in objects_inside(value):
            if isinstance(inner, FunctionType) and self.file.has(inner):
                name = inner.__qualname__
                if name.isidentifier() and unwrap_cluster(self.globals.get(name)) is value:
                    self._resolve(name, {}, "a captured value")
                    return name
        return None

    def _name_of_module(self, module: ModuleType, name: str) -> str:
        if not is_module_by_name(module):
            raise self.error(f"{name!r} is the module {module.__name__!r}, which can't be imported by its name.")
        return module.__name__

    def _name_here(self, value: Any, qualname: str, wanted: str) -> str | None:
        """Of the file's own: a module-level definition by its name, a lambda by ``wanted``."""
        if isinstance(value, FunctionType) and is_made(value, self.globals):
            known = next((name for name, item in self.values.items() if item is value), None)
            if known is None and value.__code__.co_name == "<lambda>" and wanted and self.globals.get(wanted) is value:
                self._resolve(wanted, {}, "it")
                return wanted
            return known
        if isinstance(value, FunctionType):  # a decorator's wrapper goes by the name of what it wraps
            known_by = [item for item in objects_inside(value) if isinstance(item, FunctionType)]
            qualname = next((item.__qualname__ for item in known_by if is_known_by_name(value, item)), qualname)
        self._resolve(qualname.partition(".")[0], {}, "a captured value")
        return qualname

    def define(self, name: str, text: str, names: NamesRead, source: Source | None, *, is_rebuilt: bool) -> None:
        self.generated.add(name)
        self._define(Definition(name, text, names, source, is_rebuilt=is_rebuilt), {})

    def know(self, name: str, value: Any) -> None:
        self.generated.add(name)
        self.values.setdefault(name, value)
        if is_made_here(value, self.globals):
            self.closure.made[value] = name

    def bind(self, name: str, value: Any, look: Callable[[], Any]) -> None:
        self.know(name, value)
        self.lookups[name] = look
        self._bind(name, value, look)

    def assign(self, name: str, text: str, value: Any) -> None:
        self.know(name, value)
        self.closure.constants[name] = text

    def watch(self, check: Callable[[], bool]) -> None:
        self.closure.checks.append(check)

    def require(self, name: str, item: Import) -> None:
        self.generated.add(name)
        self.closure.imports[name] = [item]

    def error(self, reason: str) -> PackagingError:
        return PackagingError(
            f"function {self.function.__qualname__!r} ({self.closure.place}) can't be packed: {reason}"
        )

    def _wanted(self, definition: Definition) -> set[str]:
        names = definition.names
        has_readers = definition.source is None or definition.is_decorated or definition.is_class
        perhaps = names.assigned | (names.hints if has_readers else set())
        return names.all | {name for name in perhaps if name in self.globals}

    def _resolve(self, name: str, cells: Mapping[str, Any], reader: str) -> None:
        """Find out what ``name`` means to ``reader``, and see that it comes along."""
        if name in _MODULE_NAMES:
            return
        look = lookup(name, cells, self.globals)
        value = look()
        if name in self.generated and (value is MISSING or unwrap_cluster(value) is self.values.get(name)):
            return
        if value is MISSING:
            self.closure.checks.append(lambda: look() is MISSING)
            if not hasattr(builtins, name):
                self.closure.undefined.add(name)
            return
        value = unwrap_cluster(value)
        if name in self.values:
            known = self.values[name]
            if known is not value and not any(inner is known for inner in objects_inside(value)):
                raise self.error(f"{name!r} means one thing in {reader!r} and another elsewhere. Rename one of them.")
            return
        self.values[name] = value
        self.lookups[name] = look
        if not self._as_choice(name):
            self._place(name, value, look)

    def _place(self, name: str, value: Any, look: Callable[[], Any]) -> None:
        for place in (self._as_import, self._as_class, self._as_function):
            if place(name, value):
                self.closure.checks.append(lambda: unwrap_cluster(look()) is value)
                return
        if self.rebuilder.needs_rebuilding(value) and (is_made_class(value) or not self._as_assignment(name, value)):
            del self.values[name]  # or it would be found as its own definition
            self.rebuilder.define(name, value)
            self.values[name] = value
            self.closure.checks.append(lambda: unwrap_cluster(look()) is value)
            return
        text = literal_source(value)
        if text is not None and not self._is_shared(name, value):
            self.closure.constants[name] = text
            mutable = is_mutable(value)
            self.closure.checks.append(
                (lambda: literal_source(look()) == text) if mutable else (lambda: look() is value),
            )
        elif self._as_assignment(name, value):
            self.closure.checks.append(lambda: look() is value)
        else:
            self._bind(name, value, look)

    def _as_choice(self, name: str) -> bool:
        """By the statement that chooses what it means, with all else that this binds."""
        if name not in self.file.choices:
            return False
        text, node, names = self.file.choices[name]
        others = names - {name}
        if any(other in self.values or other in self.closure.definitions for other in others):
            return False
        first = min(names)
        read = names_read(node, postponed_annotations=self.postponed_annotations)
        read = replace(read, early=read.early - names, late=read.late - names)
        self._define(Definition(first, segment_text(text, node), read), {})
        for other in sorted(names):
            look = lookup(other, {}, self.globals)
            value = look()
            if value is not MISSING:
                self.values[other], self.lookups[other] = unwrap_cluster(value), look
            self.closure.checks.append(lambda look=look, value=value: look() is value)  # type: ignore[misc]
            if other != first:  # whoever needs it early needs the statement
                self.closure.definitions[other] = Definition(other, "", NamesRead(early={first}))
        return True

    def _as_import(self, name: str, value: Any) -> bool:
        imports = imports_giving(self.file.imports, name, value)
        if not imports and isinstance(value, ModuleType):
            named = self._name_of_module(value, name)
            imports = [Import(named, "", name if name != named else "")]
        if imports:
            self.closure.imports[name] = imports
            return True
        module: Any = getattr(value, "__module__", None)
        qualname: Any = getattr(value, "__qualname__", None)
        if not isinstance(module, str) or not isinstance(qualname, str) or self.file.has(value):
            return False
        if module == self.file.module_name:  # a library's wrapper around a definition of this file
            return False
        if not is_at_its_name(value):
            return False
        public = "clustrix" if module.startswith("clustrix.") else module
        self.closure.imports[name] = [Import(public, qualname, name if name != qualname else "")]
        return True

    def _as_class(self, name: str, value: Any) -> bool:
        if not isinstance(value, type) or not self.file.has(value) or is_made_class(value):
            return False
        source = find_class_source(value, self.file.texts)
        if source is None:
            if self._as_assignment(name, value):
                return True
            raise NoSourceError(
                f"class {value.__qualname__!r} has no source here. Define it at module level or import it."
            )
        self._define(self._definition(source), {})
        self._alias(name, source.name, value)
        self.rebuilder.restore(source.name, changes_of(value, source))
        return True

    def _as_function(self, name: str, value: Any) -> bool:
        if is_made(value, self.globals):
            return False
        here = [item for item in objects_inside(value) if isinstance(item, FunctionType) and self.file.has(item)]
        is_named = any(name in text.definitions for text in self.file.texts)
        if not here or not (is_named or (isinstance(value, FunctionType) and self.file.has(value))):
            return False
        source = find_source(here[0])
        if source.name != name and not isinstance(value, FunctionType):
            return False
        function = next((item for item in here if item.__code__.co_name == source.name), here[0])
        self._define(self._definition(source), cells_of(function))
        self._alias(name, source.name, value)
        if value is function:
            self.rebuilder.restore(source.name, changes_of(function, source))
        if hasattr(value, "registry") and hasattr(value, "dispatch"):
            self.rebuilder.register(name, value)
        return True

    def _as_assignment(self, name: str, value: Any) -> bool:
        found = self.file.assignment(name, value)
        if found is None:
            return False
        text, node = found
        self._define(Definition(name, text, names_read(node)), {})
        return True

    def _bind(self, name: str, value: Any, look: Callable[[], Any]) -> None:
        if isinstance(value, FunctionType):
            find_source(value)  # raises where there is none: then all travels as bytecode
        refers_to = references_in(value)
        kind = type(value)
        self.closure.bindings.add(name)
        self.closure.checks.append(lambda: type(look()) is kind and references_in(look()) == refers_to)
        for made in sorted(refers_to.made, key=lambda item: str(item.__qualname__)):
            if is_made_here(made, self.globals):
                self.closure.made_for_bindings.add(self.rebuilder.expression(made, made.__name__))
        for module, qualname in sorted(refers_to.names):
            if module == self.file.module_name:
                self._resolve(qualname.partition(".")[0], {}, f"the value of {name!r}")
            else:
                self.closure.binding_imports.append(
                    Import(module, is_optional=True)
                )  # what isn't installed here was made up

    def _is_shared(self, name: str, value: Any) -> bool:
        """Two names of one list can't both be literals: then both are bindings, which keep that."""
        if not is_mutable(value):
            return False
        first = self.holders.setdefault(id(value), name)
        if first == name:
            return False
        if first in self.closure.constants:
            del self.closure.constants[first]
            self._bind(first, value, self.lookups[first])
        return True

    def _definition(self, source: Source, *, is_entry: bool = False) -> Definition:
        decorators = source.decorators
        own = [node for node in decorators if is_own_decorator(node, self.globals, source.module)]
        if own and is_entry:  # what is above @cluster runs around the call, on the client
            own = decorators[: decorators.index(own[-1]) + 1]
        text = undecorated(source, own)
        node = ast.parse(text).body[0]
        names = names_read(node, postponed_annotations="annotations" in self.closure.futures)
        if names.rebound:
            raise self.error(
                f"{source.name!r} ({source.path}, line {source.first_line}) rebinds {min(names.rebound)!r} of the "
                "function around it (nonlocal) from within a class. Keep it in an attribute instead."
            )
        return Definition(source.name, text, names, source)

    def _define(self, definition: Definition, cells: Mapping[str, Any]) -> None:
        known = self.closure.definitions.get(definition.name)
        if known is not None:
            if known.text != definition.text:
                raise self.error(f"two different definitions of {definition.name!r} are needed. Rename one of them.")
            return
        self.closure.definitions[definition.name] = definition
        if not definition.is_rebuilt:
            self.pending.append((definition, cells))
        tree = ast.parse(definition.text)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.level:
                raise self.error(
                    f"{definition.name!r} has a relative import (line {node.lineno} of it), which a main file can't "
                    "have. Write the package's full name."
                )
            if isinstance(node, ast.Attribute):
                self._submodule(node)
        self.closure.inner_imports += imports_in(tree, self.file.package, as_main=True)
        self.closure.inner_imports += dynamic_imports_in(tree, definition.text)

    def _submodule(self, node: ast.Attribute) -> None:
        """``package.module`` of a local package that some other import loaded: the job must load it as well."""
        value = self.globals.get(node.value.id) if isinstance(node.value, ast.Name) else None
        if isinstance(value, ModuleType):
            inner = sys.modules.get(f"{value.__name__}.{node.attr}")
            if inner is not None and locate(inner.__name__) is not None:
                self.closure.imports[inner.__name__] = [Import(inner.__name__)]

    def _alias(self, name: str, defined: str, value: Any) -> None:
        if name != defined:
            current = unwrap_cluster(self.globals.get(defined, value))
            if current is not value:
                raise self.error(f"{name!r} is an earlier {defined!r}, which was defined again. Rename one of them.")
            self.values.setdefault(defined, value)
            text = f"{name} = {defined}\n"
            self.closure.definitions[name] = Definition(name, text, NamesRead(early={defined}))


def _is_object(value: Any) -> bool:
    """Whether it matters which one of equal values it is."""
    return is_mutable(value) or literal_source(value) is None
