"""An exception arrives with its class, arguments, attributes, causes and traceback, and is never an error itself."""

import os
import pickle
import subprocess
import sys
import threading
import traceback

import pytest
from clustrix_remote.wire import (
    RemoteTraceback,
    SealError,
    Settings,
    WireError,
    describe_exception,
    dumps,
    loads,
    rebuild_exception,
)


def there_and_back(exc, **options):
    return rebuild_exception(loads(dumps(describe_exception(exc))), **options)


def raised(exc):
    try:
        raise exc
    except BaseException as caught:  # noqa: BLE001 - whatever it is
        return caught


def caught_from(function):
    try:
        function()
    except BaseException as caught:  # noqa: BLE001 - whatever it is
        return caught
    raise AssertionError("nothing was raised")


def printed(exc):
    return "".join(traceback.format_exception(type(exc), exc, exc.__traceback__))


class TwoArguments(Exception):
    def __init__(self, first, second):
        super().__init__("text of {} and {}".format(first, second))
        self.first = first
        self.second = second


class KeywordOnly(ValueError):
    def __init__(self, *, code):
        super().__init__()
        self.code = code

    def __str__(self):
        return "code {}".format(self.code)


class Slotted(Exception):
    __slots__ = ("__secret", "code", "never_set")

    def __init__(self, code, secret):
        super().__init__("slotted")
        self.code = code
        self.__secret = secret

    def secret(self):
        return self.__secret


class Frozen(Exception):
    """As awkward as a frozen dataclass: nothing can be set, not even the cause, and it is false and has no hash."""

    __hash__ = None

    def __init__(self, code):
        super().__init__(code)
        self.__dict__["code"] = code

    def __setattr__(self, name, value):
        raise AttributeError("frozen")

    def __bool__(self):
        return False

    def __eq__(self, other):
        return self.code == other.code


class PickyNew(RuntimeError):
    def __new__(cls, first, second):
        return super().__new__(cls, first)

    def __init__(self, first, second):
        super().__init__("only this is kept")
        self.second = second


class FileProblem(OSError):
    def __init__(self, path, hint):
        super().__init__(5, "broken", path)
        self.hint = hint


class Stopping(Exception):
    """Its `__init__` must not run again."""

    def __init__(self):
        super().__init__("once")
        type(self).made = getattr(type(self), "made", 0) + 1


class Holding(Exception):
    def __init__(self, text, **held):
        super().__init__(text)
        self.__dict__.update(held)


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__


def test_an_exception_with_its_own_init_keeps_arguments_and_attributes():
    exc = there_and_back(TwoArguments(1, "b"))
    assert type(exc) is TwoArguments
    assert (exc.first, exc.second, exc.args) == (1, "b", ("text of 1 and b",))
    assert str(there_and_back(KeywordOnly(code=3))) == "code 3"


def test_init_is_not_called():
    exc = Stopping()
    assert str(there_and_back(exc)) == "once"
    assert Stopping.made == 1


def test_slots_are_kept_and_those_never_set_stay_so():
    exc = there_and_back(Slotted(7, "s"))
    assert (exc.code, exc.secret(), str(exc)) == (7, "s", "slotted")
    assert not hasattr(exc, "never_set")


def test_a_class_that_forbids_setting_is_filled_all_the_same():
    exc, back = Frozen(5), there_and_back(Frozen(5))
    assert back == exc
    exc.__dict__["causes"] = [Frozen(6)]
    assert there_and_back(raised(exc)).causes == [Frozen(6)]
    outer = ValueError("outer")
    outer.__cause__ = exc
    assert there_and_back(raised(outer)).__cause__ == exc


def test_a_new_that_wants_other_arguments_is_gone_around():
    exc = there_and_back(PickyNew("a", "b"))
    assert type(exc) is PickyNew
    assert (exc.args, exc.second) == (("only this is kept",), "b")


@pytest.mark.parametrize(
    "exc",
    [
        ValueError(),
        KeyError("k"),
        IndexError("text", 2, None),
        ZeroDivisionError("x"),
        KeyboardInterrupt(),
        GeneratorExit(),
        AssertionError([1, {"a": 2}]),
        RecursionError("deep"),
        UserWarning("w"),
    ],
    ids=repr,
)
def test_builtin_exceptions_are_equal_in_all_parts(exc):
    back = there_and_back(exc)
    assert (type(back), back.args, str(back), repr(back)) == (type(exc), exc.args, str(exc), repr(exc))


@pytest.mark.parametrize(
    "function",
    [
        lambda: os.stat(os.path.join("no", "such", "file")),
        lambda: os.rename(os.path.join("no", "such"), os.path.join("nor", "this")),
        lambda: b"a\xff".decode("utf-8"),
        lambda: "a\xff".encode("ascii"),
        lambda: compile("a b", "name.py", "exec"),
        lambda: __import__("no_such_module_at_all"),
        lambda: sys.exit(3),
        lambda: sys.exit("why"),
    ],
    ids=["stat", "rename", "decode", "encode", "syntax", "import", "exit 3", "exit why"],
)
def test_what_builtin_exceptions_keep_in_c_is_kept(function):
    exc = caught_from(function)
    back = there_and_back(exc)
    assert (type(back), back.args, str(back)) == (type(exc), exc.args, str(exc))
    names = "errno strerror filename filename2 encoding object start end reason msg lineno offset text name path code"
    for name in names.split():
        assert getattr(back, name, None) == getattr(exc, name, None)


def test_an_os_error_that_fills_itself_in_init_is_complete():
    exc = there_and_back(FileProblem("a/path", "try again"))
    assert type(exc) is FileProblem
    assert (exc.errno, exc.strerror, exc.filename, exc.hint) == (5, "broken", "a/path", "try again")
    assert str(exc) == "[Errno 5] broken: 'a/path'"


def test_a_stopped_iteration_keeps_its_value():
    assert there_and_back(StopIteration(42)).value == 42


def test_an_os_error_is_not_turned_into_another_one():
    exc = OSError()
    exc.args = (2, "text")
    assert type(there_and_back(exc)) is OSError


def test_cause_and_context_are_the_remote_ones():
    cause, context, exc = KeyError("cause"), TypeError("context"), ValueError("x")
    exc.__context__ = context
    exc.__cause__ = cause
    back = there_and_back(exc)
    assert (repr(back.__cause__), repr(back.__context__)) == (repr(cause), repr(context))
    assert back.__suppress_context__


def test_a_suppressed_context_is_there_and_suppressed():
    def function():
        try:
            raise KeyError("hidden")
        except KeyError:
            raise ValueError("shown") from None

    back = there_and_back(caught_from(function))
    assert type(back.__context__) is KeyError
    assert back.__suppress_context__
    assert "hidden" not in printed(back)


def chain(length):
    exc = None
    for number in range(length):
        following = ValueError(number)
        following.__cause__ = exc
        exc = following
    return exc


def test_a_chain_of_causes_may_be_longer_than_the_stack():
    back, length = there_and_back(raised(chain(3000))), 0
    while isinstance(back, ValueError):
        back, length = back.__cause__, length + 1
    assert length == 3000
    assert isinstance(back, RemoteTraceback)


def test_a_closed_chain_of_causes_stays_closed():
    first, second = ValueError("first"), KeyError("second")
    first.__cause__, second.__cause__ = second, first
    back = there_and_back(raised(first))
    assert back.__cause__.__cause__ is back
    assert printed(back).count("Traceback (most recent call last):") == 1


def test_what_refers_to_itself_still_does():
    exc = Holding("text")
    exc.me = exc
    exc.args = ("text", [exc])
    exc.others = [ValueError("other")]
    exc.__cause__ = exc.others[0]
    back = there_and_back(exc)
    assert back.me is back
    assert back.args[1][0] is back
    assert back.others[0] is back.__cause__


def test_what_cannot_be_sent_becomes_its_text():
    lock = threading.Lock()
    exc = Holding("text", lock=lock, number=1)
    exc.args = ("text", lock, 2)
    back = there_and_back(exc)
    assert back.args == ("text", repr(lock), 2)
    assert (back.lock, back.number) == (repr(lock), 1)


def test_an_exception_that_fails_to_print_itself_arrives():
    exc = Holding("text", inner=Unprintable(), lock=Unprintable)
    exc.bad = [Unprintable(), threading.Lock()]
    back = there_and_back(raised(exc))
    assert type(back.inner) is Unprintable
    assert describe_exception(raised(Unprintable()))["text"] == "<unprintable Unprintable object>"


def test_what_only_looks_like_notes_or_a_group_does_no_harm():
    class BaseExceptionGroup(Exception):  # called like one, and none
        exceptions = ("not an exception",)

    exc = BaseExceptionGroup("x")
    exc.__notes__ = 7
    assert describe_exception(exc)["exceptions"][0]["group"]["exceptions"] == []
    assert there_and_back(exc).args == ("x",)


def test_notes_are_kept():
    exc = ValueError("x")
    exc.__notes__ = ["one", "two"]
    assert there_and_back(exc).__notes__ == ["one", "two"]
    assert not hasattr(there_and_back(ValueError()), "__notes__")


def test_the_record_is_made_of_builtins_and_can_be_read_without_clustrix():
    record = describe_exception(raised(TwoArguments(1, 2)))
    assert pickle.loads(pickle.dumps(record)) == record
    assert record["type_name"] == __name__ + ".TwoArguments"
    assert record["text"] == "text of 1 and 2"
    assert record["traceback"].endswith("TwoArguments: text of 1 and 2\n")


def test_a_record_of_another_format_is_refused():
    with pytest.raises(ValueError, match="format 99"):
        rebuild_exception(dict(describe_exception(ValueError()), format=99))


def failing():
    try:
        {}["remote key"]
    except KeyError as error:
        raise ValueError("remote text") from error


def test_the_remote_traceback_is_printed_once_and_first():
    record = describe_exception(caught_from(failing))
    back = raised(rebuild_exception(record))
    assert type(back.__cause__) is KeyError
    text = printed(back)
    assert text.count(record["traceback"]) == 1
    assert text.count("in failing") == record["traceback"].count("in failing") == 2
    assert text.index(record["traceback"]) < text.index("raise exc")


def test_without_a_cause_the_remote_traceback_is_the_cause():
    back = there_and_back(raised(ValueError("x")))
    assert isinstance(back.__cause__, RemoteTraceback)
    assert 'raise exc\nValueError: x\n"""' in str(back.__cause__)


def test_what_was_never_raised_has_no_remote_traceback():
    assert there_and_back(ValueError("x")).__cause__ is None


def test_a_second_journey_still_prints_every_traceback_once():
    once = raised(there_and_back(caught_from(failing)))
    twice = raised(there_and_back(once))
    assert type(twice.__cause__) is KeyError
    text = printed(twice)
    assert text.count('{}["remote key"]') == 1
    assert text.count("RemoteTraceback") == 2


def test_the_interpreter_itself_prints_the_remote_traceback_once(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        "from clustrix_remote.wire import loads\n"
        "with open(sys.argv[1], 'rb') as file:\n"
        "    raise loads(file.read())\n"
    )
    data = tmp_path / "data"
    data.write_bytes(dumps(caught_from(failing)))
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    done = subprocess.run(
        [sys.executable, str(script), str(data)],
        env=environment,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count('{}["remote key"]') == 1
    assert done.stderr.endswith("\nValueError: remote text\n")


def test_exceptions_within_values_are_rebuilt_the_same_way():
    inner = TwoArguments(1, 2)
    inner.__cause__ = KeyError("k")
    first, second = loads(dumps([inner, {"same": inner}]))
    assert second["same"] is first
    assert (type(first), first.second, repr(first.__cause__)) == (TwoArguments, 2, repr(KeyError("k")))


def test_our_own_errors_have_no_home_of_their_own():
    assert type(there_and_back(WireError("a", "b"))) is WireError
    assert str(there_and_back(WireError("a", "b"))) == "a: b"
    assert type(there_and_back(SealError("x"))) is SealError
    assert "clustrix_remote" not in repr(describe_exception(WireError("a", "b"))["exceptions"])


@pytest.mark.skipif(sys.version_info < (3, 8), reason="the client writes this, and is newer")
def test_classes_of_the_main_module_are_found_there():
    record = describe_exception(TwoArguments(TwoArguments, 2), Settings(main_module=__name__))
    entry = record["exceptions"][0]
    assert (entry["module"], record["type_name"]) == ("__main__", "__main__.TwoArguments")
    assert __name__.encode() not in entry["attributes"]["first"][0]
    back = rebuild_exception(record, main_module=__name__)
    assert type(back) is TwoArguments
    assert back.first is TwoArguments
