"""Values that neither source nor pickle says as a whole, put together again: made functions and classes, partials, bound methods.

Each becomes an expression over names of the main file. A function that was made as the program ran is the call of a
factory (function_groups) with its variables; variables are literals, other definitions, or bindings.
"""

from __future__ import annotations

import ast
import builtins
import functools
import keyword
import sys
from types import MethodType
from typing import TYPE_CHECKING, Any, Protocol

from clustrix.captured_values import is_mutable, literal_source
from clustrix.changed_attributes import snapshot
from clustrix.function_groups import (
    FunctionGroup,
    Made,
    globals_of,
    group_of,
    is_made_here,
    made_with,
    source_of,
    written_cells,
)
from clustrix.imported_values import is_at_its_name
from clustrix.local_modules import Import
from clustrix.made_functions import DEFAULT, Lifted, factory_text
from clustrix.namespaces import MISSING, contents
from clustrix.scopes import NamesRead, names_read
from clustrix.source import Source, unwrap_cluster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from clustrix.errors import PackagingError

__all__ = ["MainFile", "Rebuilder"]

_LONGEST_IN_PLACE = 200
_CACHED = type(functools.lru_cache(len))


class MainFile(Protocol):
    """What the search for a closure does for the values that are rebuilt."""

    globals: dict[str, Any]
    postponed_annotations: bool

    def is_free(self, name: str) -> bool:
        """Whether nothing of the main file, and no global, has this name."""

    def is_constant(self, name: str, text: str) -> bool:
        """Whether ``name`` is the constant with that text."""

    def name_of(self, value: Any, wanted: str) -> str | None:
        """A name (perhaps dotted) by which the main file knows a value that is defined or imported by name."""

    def define(self, name: str, text: str, names: NamesRead, source: Source | None, *, is_rebuilt: bool) -> None:
        """Add a definition; what a rebuilt one reads is there already."""

    def bind(self, name: str, value: Any, look: Callable[[], Any]) -> None:
        """Have a value travel beside the package."""

    def assign(self, name: str, text: str, value: Any) -> None:
        """Add a constant."""

    def know(self, name: str, value: Any) -> None:
        """That ``name`` stands for a value that is rebuilt."""

    def watch(self, check: Callable[[], bool]) -> None:
        """The closure is remembered while ``check()`` holds."""

    def require(self, name: str, item: Import) -> None:
        """Have ``name`` imported."""

    def error(self, reason: str) -> PackagingError:
        """The error that says which function can't be packed."""


class Rebuilder:
    """Writes expressions; ``main`` gets the definitions, constants and bindings that they are over."""

    def __init__(self, main: MainFile) -> None:
        self.main = main
        self.names: dict[int, str] = {}  # id of a value -> its name in the main file
        self.kept: list[Any] = []  # an id is a value's own while the value lives
        self.under_way: set[int] = set()
        self.factories: dict[str, str] = {}

    def define(self, name: str, value: Any) -> None:
        """Let ``name`` be the value."""
        text = self.expression(value, name)
        if text != name:
            self._statement(name, f"{name} = {text}\n")

    def register(self, name: str, function: Any) -> None:
        """What a functools.singledispatch function does for which class: the registrations are in no definition."""
        calls = [
            f"{name}.register({self.expression(cls, cls.__name__)}, {self.expression(chosen, f'{cls.__name__}_of_{name}')})"
            for cls, chosen in sorted(function.registry.items(), key=lambda item: item[0].__qualname__)
            if cls is not object
        ]
        if calls:
            place = self._free_name(f"registered_with_{name}")
            self._statement(place, f"{place} = [{', '.join(calls)}]\n")
        registry = dict(function.registry)
        self.main.watch(lambda: dict(function.registry) == registry)

    def restore(self, name: str, changes: Callable[[], dict[str, Any]]) -> None:
        """Give the definition ``name`` of the file the attributes that it got since."""
        now = changes()
        before = snapshot(now)
        self.main.watch(lambda: snapshot(changes()) == before)
        lines = [
            f"{name}.{attribute} = {self.expression(value, f'{attribute}_of_{name}')}\n"
            if attribute.isidentifier() and not keyword.iskeyword(attribute)
            else f"setattr({name}, {attribute!r}, {self.expression(value, f'attribute_of_{name}')})\n"
            for attribute, value in now.items()
        ]
        if lines:
            place = self._free_name(f"attributes_of_{name}")
            self._statement(place, "".join(lines) + f"{place} = {name}\n")

    def entry(self, function: Any) -> str:
        """The name of the callable that a job calls: bound arguments travel beside the package, as a call's do."""
        name = "_clustrix_entry"
        text = self._call(function, "entry", bind=True)
        if isinstance(function, MethodType):  # the runner takes a method's function, and its object is bound here
            text = f"{self._partial()}({text})"
        self._statement(name, f"{name} = {text}\n")
        return name

    def expression(self, value: Any, hint: str, wanted: str = "", look: Callable[[], Any] | None = None) -> str:
        """An expression for ``value``. ``hint`` is a word for it; ``wanted`` the name that it should get."""
        value = unwrap_cluster(value)
        if id(value) in self.names:
            return self.names[id(value)]
        known = self.main.name_of(value, wanted)
        if known is not None:
            return known
        if not self.needs_rebuilding(value):
            return self._captured(value, hint, look or (lambda: value), wanted)
        if id(value) in self.under_way:
            raise self.main.error(f"{hint!r} refers to itself through a container or a partial. Write it as a def.")
        self.under_way.add(id(value))
        try:
            if isinstance(value, Made):
                return self._made(value, wanted)
            if type(value) in (list, tuple, dict):
                return self._container(value, hint)
            return self._call(value, hint, bind=False)
        finally:
            self.under_way.discard(id(value))

    def needs_rebuilding(self, value: Any, depth: int = 6) -> bool:
        """Whether a value is, or is made of, functions and classes that can't be pickled by their names."""
        value = unwrap_cluster(value)
        kind = type(value)
        if isinstance(value, Made):
            return is_made_here(value, self.main.globals)
        if depth == 0:
            return False
        parts: Iterable[Any] = ()
        if kind in (list, tuple):
            parts = value
        elif kind is dict:
            parts = value.values()
        elif kind is functools.partial:
            parts = (value.func, *value.args, *value.keywords.values())
        elif kind is MethodType:
            parts = (value.__self__,)
        elif kind is _CACHED:
            return not is_at_its_name(value)
        return any(self.needs_rebuilding(part, depth - 1) for part in parts)

    def _remember(self, value: Any, name: str) -> str:
        self.names[id(value)] = name
        self.kept.append(value)
        if name.isidentifier():
            self.main.know(name, value)
        return name

    def _captured(self, value: Any, hint: str, look: Callable[[], Any], wanted: str = "", *, bind: bool = False) -> str:
        """A value that is a literal, or else travels beside the package."""
        text = None if bind else literal_source(value)
        name = wanted if wanted and self.main.is_free(wanted) else ""
        if text is not None and not is_mutable(value):
            self.main.watch(lambda: look() is value or literal_source(look()) == text)
            if wanted and self.main.is_constant(wanted, text):
                return wanted
            if not name and len(text) < _LONGEST_IN_PLACE:
                return text
            name = name or self._free_name(hint)
            self.main.assign(name, text, value)
            return name
        name = name or self._free_name(hint)
        if text is None:
            self.main.bind(name, value, look)
        else:
            self.main.assign(name, text, value)
            self.main.watch(lambda: literal_source(look()) == text)
        return self._remember(value, name)

    def _call(self, value: Any, hint: str, *, bind: bool) -> str:
        value = unwrap_cluster(value)
        if type(value) is functools.partial:
            function = self._call(value.func, hint, bind=bind) if bind else self.expression(value.func, hint)
            arguments = [self._bound(item, f"{number}_of_{hint}", bind) for number, item in enumerate(value.args)]
            arguments += [
                f"{name}={self._bound(item, f'{name}_of_{hint}', bind)}"
                if name.isidentifier() and not keyword.iskeyword(name)
                else f"**{{{name!r}: {self._bound(item, f'argument_of_{hint}', bind)}}}"
                for name, item in value.keywords.items()
            ]
            return f"{self._partial()}({', '.join([function, *arguments])})"
        if isinstance(value, MethodType):
            if getattr(value.__self__, value.__func__.__name__, None) != value:
                raise self.main.error(
                    f"{value!r} is a method that its object doesn't have under that name. Submit a function that "
                    "takes the object as an argument."
                )
            owner = self._bound(value.__self__, f"self_of_{value.__func__.__name__}", bind)
            return f"{owner}.{value.__func__.__name__}"
        if type(value) is _CACHED and not is_at_its_name(value):
            self.main.require("_clustrix_lru_cache", Import("functools", "lru_cache", "_clustrix_lru_cache"))
            settings = ", ".join(f"{name}={setting!r}" for name, setting in value.cache_parameters().items())
            return f"_clustrix_lru_cache({settings})({self.expression(value.__wrapped__, hint)})"
        return self.expression(value, f"self_of_{hint}")

    def _bound(self, value: Any, hint: str, bind: bool) -> str:
        inner = unwrap_cluster(value)
        if bind and self.main.name_of(inner, "") is None and not self.needs_rebuilding(inner):
            return self.names.get(id(inner)) or self._captured(inner, hint, lambda: value, bind=True)
        return self.expression(value, hint)

    def _container(self, value: Any, hint: str) -> str:
        if isinstance(value, dict):
            items = [
                f"{self.expression(key, f'key_of_{hint}')}: {self.expression(item, _part(hint, key))}"
                for key, item in value.items()
            ]
            text = "{" + ", ".join(items) + "}"
        else:
            items = [self.expression(item, f"{hint}_{number}") for number, item in enumerate(value)]
            text = (
                f"[{', '.join(items)}]" if isinstance(value, list) else f"({', '.join(items)}{',' * (len(items) == 1)})"
            )
        items_now = list(value.items()) if isinstance(value, dict) else list(value)
        self.main.watch(lambda: (list(value.items()) if isinstance(value, dict) else list(value)) == items_now)
        name = self._free_name(hint)
        self._statement(name, f"{name} = {text}\n")
        return self._remember(value, name)

    def _made(self, made: Made, wanted: str) -> str:
        """The name of a made function or class: with what refers to it and shares its variables, one call of a factory.

        Where the names of its variables are free in the main file, they are the file's, and there is no factory.
        """
        group = group_of(made_with(made, self.main.globals), self._is_known, self.main.error)
        members, lifts, cells = group.members, group.lifts, group.cells
        lift = group.lift_of(made)
        names = {item: self._name_for(item, group.lift_of(item), wanted if item is made else "") for item in members}
        for item in members:
            self._remember(item, names[item])
        written = {id(cell) for item in members for cell in written_cells(item)}
        looks = {name: functools.partial(contents, cell) for name, cell in cells.items()}
        for other in lifts.values():
            looks.update((name, functools.partial(_same, value)) for name, value in other.defaults.items())
        arguments: dict[str, str] = {}
        for name in sorted(looks):
            value, look = looks[name](), looks[name]
            if value is MISSING:
                self.main.watch(functools.partial(_is_missing, look))
                continue
            hint = f"{name.replace(DEFAULT, '')}_of_{lift.name}"
            is_plain = name in cells and id(cells[name]) not in written and len(members) == 1
            is_plain = is_plain and (name not in lift.early or literal_source(value) is not None)
            text = self.expression(value, hint, name if is_plain else "", look)
            if not (is_plain and text == name):
                arguments[name] = text
        arguments.update(self._foreign_names(made, lifts, cells))
        if len(members) == 1 and not arguments and (lift.is_lambda or lift.name == names[made]):
            text = f"{names[made]} = {lift.text}" if lift.is_lambda else lift.text
            self.main.define(names[made], text, self._names(text), source_of(made), is_rebuilt=False)
        else:
            self._call_factory(group, names, arguments)
        for item in members:
            self._attributes(item, names[item])
        return names[made]

    def _call_factory(
        self,
        group: FunctionGroup,
        names: dict[Made, str],
        arguments: dict[str, str],
    ) -> None:
        members, lifts, bound = group.members, group.lifts, group.bound
        label = "_".join(lifts[name].name for name in sorted(lifts))
        is_here = globals_of(members[0]) is self.main.globals
        text_of = functools.partial(factory_text, parameters=sorted(arguments), members=lifts, aliases=group.aliases)
        factory = self._factory(label, text_of, source_of(members[0]), is_here=is_here)
        call = f"{factory}({', '.join(f'{name}={arguments[name]}' for name in sorted(arguments))})"
        if len(members) == 1:
            self._statement(names[members[0]], f"{names[members[0]]} = {call}\n")
            return
        everything = self._free_name(f"all_of_{label}")
        self._statement(everything, f"{everything} = {call}\n")
        for item in members:
            self._statement(names[item], f"{names[item]} = {everything}[{sorted(lifts).index(bound[item])}]\n")

    def _name_for(self, made: Made, lift: Lifted, wanted: str) -> str:
        for name in (wanted, lift.name):
            if name and not (name == lift.name and lift.is_lambda) and self.main.is_free(name):
                return name
        return self._free_name(lift.name if isinstance(made, type) else made.__code__.co_name)

    def _foreign_names(self, made: Made, lifts: dict[str, Lifted], cells: dict[str, Any]) -> dict[str, str]:
        """What a function or class of another module reads there, as imports from it."""
        names = globals_of(made)
        if names is self.main.globals:
            return {}
        module = str(names.get("__name__"))
        if getattr(sys.modules.get(module), "__dict__", None) is not names:
            raise self.main.error(f"{made.__qualname__!r} is of a module {module!r}, which can't be imported.")
        found = {}
        for lift in lifts.values():
            read = names_read(ast.parse(lift.text).body[0])
            if read.assigned:
                raise self.main.error(
                    f"{made.__qualname__!r} of module {module!r} assigns the global {min(read.assigned)!r}. Import "
                    "a function that makes it, and call that in the job."
                )
            for name in (read.all & set(names)) - set(cells) - set(lifts):
                alias = f"_clustrix_{module.replace('.', '_')}_{name}"
                self.main.require(alias, Import(module, name, alias))
                found[name] = alias
        return found

    def _factory(self, label: str, text_of: Callable[[str], str], source: Source, *, is_here: bool) -> str:
        """The name of the factory with that text; instances of one definition share it."""
        number = 1
        while True:
            name = f"_clustrix_make_{label}" + (f"_{number}" if number > 1 else "")
            text = text_of(name)
            known = self.factories.setdefault(name, text)
            if known == text:
                names = self._names(text) if is_here else NamesRead()
                self.main.define(name, text, names, source, is_rebuilt=False)
                return name
            number += 1

    def _attributes(self, function: Made, name: str) -> None:
        """What wraps() and assignments put on a function; the name by which a class pickles."""
        lines: list[str] = []
        if isinstance(function, type):
            place = self._free_name(f"attributes_of_{name}")
            self._statement(place, f"{name}.__qualname__ = {name!r}\n{place} = {name}\n")
            return
        if function.__name__ != function.__code__.co_name:
            lines.append(f"{name}.__name__ = {function.__name__!r}\n")
            lines.append(f"{name}.__doc__ = {function.__doc__!r}\n")
        for attribute, value in vars(function).items():
            text = self.expression(value, f"{attribute}_of_{name}")
            is_word = attribute.isidentifier() and not keyword.iskeyword(attribute)
            lines.append(f"{name}.{attribute} = {text}\n" if is_word else f"vars({name})[{attribute!r}] = {text}\n")
        if lines:
            place = self._free_name(f"attributes_of_{name}")
            self._statement(place, "".join(lines) + f"{place} = {name}\n")

    def _statement(self, name: str, text: str) -> None:
        names = NamesRead()
        for statement in ast.parse(text).body:
            names.early |= names_read(statement).all
        names.early.discard(name)
        self.main.define(name, text, names, None, is_rebuilt=True)

    def _names(self, text: str) -> NamesRead:
        return names_read(ast.parse(text).body[0], postponed_annotations=self.main.postponed_annotations)

    def _partial(self) -> str:
        self.main.require("_clustrix_partial", Import("functools", "partial", "_clustrix_partial"))
        return "_clustrix_partial"

    def _free_name(self, hint: str) -> str:
        word = "".join(letter if letter.isalnum() or letter == "_" else "_" for letter in hint)
        number, name = 1, f"_clustrix_{word.replace('_clustrix_', '').strip('_')}"
        base = name
        while not self.main.is_free(name):
            number += 1
            name = f"{base}_{number}"
        return name

    def _is_known(self, made: Made, annotation: ast.expr) -> bool:
        """Whether an annotation needs nothing but globals of the main file."""
        if self.main.postponed_annotations:
            return True
        names = {node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)} - {"None"}
        is_here = globals_of(made) is self.main.globals
        return all((is_here and name in self.main.globals) or hasattr(builtins, name) for name in names)


def _is_missing(look: Callable[[], Any]) -> bool:
    return look() is MISSING


def _same(value: Any) -> Any:
    return value


def _part(hint: str, key: Any) -> str:
    return f"{key}_of_{hint}" if isinstance(key, str) and key.isidentifier() else f"value_of_{hint}"
