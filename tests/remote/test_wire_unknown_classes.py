"""Classes that the reader lacks, and groups, which not every Python has."""

import copy
import pickle
import sys
import types

import pytest
from clustrix_remote.wire import RemoteErrorBase, describe_exception, dumps, loads, rebuild_exception


def there_and_back(exc):
    return rebuild_exception(loads(dumps(describe_exception(exc))))


def raised(exc):
    try:
        raise exc
    except BaseException as caught:  # noqa: BLE001 - whatever it is
        return caught


class TwoArguments(Exception):
    def __init__(self, first, second):
        super().__init__("text of {} and {}".format(first, second))
        self.second = second


@pytest.fixture
def absent():
    """Makes an exception class in a module that is gone when the exception is rebuilt."""
    module = types.ModuleType("only_over_there")

    def define(source, expression):
        exec(source, module.__dict__)
        sys.modules[module.__name__] = module
        try:
            return describe_exception(raised(eval(expression, module.__dict__)))
        finally:
            del sys.modules[module.__name__]

    return define


class ClientsRemoteError(Exception):
    type_name = ""


def test_an_unknown_class_is_stood_in_for(absent):
    record = absent(
        "class Base(ValueError): pass\nclass Lost(Base):\n def __str__(self): return 'lost ' + self.what", "Lost(1)"
    )
    record["exceptions"][0]["text"] = "lost forever"
    exc = rebuild_exception(record, ClientsRemoteError)
    assert isinstance(exc, ClientsRemoteError)
    assert isinstance(exc, ValueError)
    assert exc.type_name == "only_over_there.Lost"
    assert (type(exc).__name__, exc.args, str(exc)) == ("Lost", (1,), "lost forever")
    assert type(exc) is type(rebuild_exception(record, ClientsRemoteError))
    assert isinstance(rebuild_exception(record), RemoteErrorBase)


@pytest.mark.parametrize(
    "base", ["Exception", "BaseException", "OSError", "KeyError", "UnicodeDecodeError", "SystemExit", "StopIteration"]
)
def test_every_builtin_base_can_be_stood_in_for(absent, base):
    arguments = "'utf-8', b'', 0, 1, 'r'" if base == "UnicodeDecodeError" else "2, 'text'"
    record = absent("class Lost({}): pass".format(base), "Lost({})".format(arguments))
    exc = rebuild_exception(record, ClientsRemoteError)
    assert isinstance(exc, getattr(__import__("builtins"), base))
    assert isinstance(exc, ClientsRemoteError)
    assert exc.args == eval("({})".format(arguments))
    assert str(exc) == record["text"]


def test_a_stand_in_goes_home_as_the_real_thing(absent):
    record = absent("class Lost(KeyError): pass", "Lost('k')")
    again = describe_exception(rebuild_exception(record))
    for name in ("module", "qualname", "args", "text"):
        assert again["exceptions"][0][name] == record["exceptions"][0][name]
    assert [tuple(base) for base in again["exceptions"][0]["bases"]] == record["exceptions"][0]["bases"]


def test_a_stand_in_can_be_copied_and_pickled_plainly(absent):
    exc = rebuild_exception(absent("class Lost(KeyError): pass", "Lost('k')"), ClientsRemoteError)
    for back in (copy.copy(exc), pickle.loads(pickle.dumps(exc))):
        assert type(back) is type(exc)
        assert (back.args, str(back)) == (exc.args, str(exc))


def test_an_argument_of_an_unknown_class_becomes_its_text(absent):
    source = "class Thing:\n def __repr__(self): return 'a thing'"
    assert rebuild_exception(absent(source, "ValueError(Thing(), 1)")).args == ("a thing", 1)
    (nested,) = rebuild_exception(absent(source, "ValueError([Thing()])")).args
    assert "only_over_there" in nested


def test_the_base_for_unknown_classes_reaches_exceptions_within_values(absent):
    record = absent("class Lost(KeyError): pass", "Lost('k')")
    data = dumps({"error": rebuild_exception(record)})
    assert isinstance(loads(data, unknown_base=ClientsRemoteError)["error"], ClientsRemoteError)


class Group:
    """The source of groups, which older Pythons can't even name."""

    source = (
        "class Errors(ExceptionGroup):\n"
        "    def __new__(cls, errors, code):\n"
        "        self = super().__new__(cls, 'failed', errors)\n"
        "        self.code = code\n"
        "        return self\n"
    )


@pytest.mark.skipif(sys.version_info < (3, 11), reason="there are no groups")
def test_a_group_keeps_its_members_and_its_class():
    members = [raised(ValueError(1)), TwoArguments(1, 2), ExceptionGroup("inner", [KeyError("k")])]
    back = there_and_back(raised(ExceptionGroup("outer", members)))
    assert type(back) is ExceptionGroup
    assert back.message == "outer"
    assert [type(member) for member in back.exceptions] == [ValueError, TwoArguments, ExceptionGroup]
    assert repr(back.exceptions[2].exceptions[0]) == repr(KeyError("k"))
    assert back.split(KeyError)[0] is not None
    assert type(there_and_back(BaseExceptionGroup("b", [KeyboardInterrupt()]))) is BaseExceptionGroup


@pytest.mark.skipif(sys.version_info < (3, 11), reason="there are no groups")
def test_a_group_of_an_unknown_class_is_still_a_group(absent):
    exc = rebuild_exception(absent(Group.source, "Errors([ValueError(1)], 7)"), ClientsRemoteError)
    assert isinstance(exc, ClientsRemoteError)
    assert isinstance(exc, ExceptionGroup)
    assert (exc.code, repr(exc.exceptions)) == (7, "(ValueError(1),)")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="there are no groups")
def test_a_group_with_its_own_new_is_rebuilt(monkeypatch):
    module = types.ModuleType("with_groups")
    monkeypatch.setitem(sys.modules, "with_groups", module)
    exec(Group.source, module.__dict__)
    back = there_and_back(module.Errors([ValueError(1)], 7))
    assert type(back) is module.Errors
    assert (back.message, back.code, repr(back.exceptions)) == ("failed", 7, "(ValueError(1),)")


@pytest.mark.skipif(sys.version_info >= (3, 11), reason="there are groups")
def test_without_groups_the_members_are_an_attribute():
    record = describe_exception(Exception("outer", [ValueError(1)]))
    record["exceptions"][0].update(
        qualname="ExceptionGroup",
        bases=[("builtins", "BaseExceptionGroup"), ("builtins", "Exception"), ("builtins", "BaseException")],
        group={"message": "outer", "exceptions": [1]},
        text="outer (1 sub-exception)",
    )
    exc = rebuild_exception(record, ClientsRemoteError)
    if "exceptiongroup" not in sys.modules:
        assert isinstance(exc, ClientsRemoteError)
        assert exc.type_name == "builtins.ExceptionGroup"
    assert (exc.message, repr(exc.exceptions[0])) == ("outer", repr(ValueError(1)))
    again = describe_exception(exc)["exceptions"]
    assert again[0]["group"] == {"message": "outer", "exceptions": [1]}
