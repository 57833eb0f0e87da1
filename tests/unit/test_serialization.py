import datetime as dt
import io
import math
import statistics
import zoneinfo

import pytest

from clustrix import errors
from clustrix.remote import wire
from clustrix.serialization import Met, dump_arguments, open_result

KEY = bytes(range(32))
EXPECTED = {"job_id": "cx1", "task": 0, "package": "p"}


def sealed(outcome, body, key=KEY, **changes):
    stream = io.BytesIO()
    wire.seal(stream, key, {**EXPECTED, "attempt": 0, "outcome": outcome, "python": "3.6.15", **changes}, [body])
    return stream.getvalue()


def test_arguments_are_read_back_as_they_were():
    assert wire.loads(b"".join(dump_arguments((1, "ä"), {"k": [2]}, None, Met()))) == ((1, "ä"), {"k": [2]})


def test_what_an_older_python_lacks_is_noted_with_its_path_where_it_is_not_known_who_reads():
    met = Met()
    noon = dt.datetime(2026, 1, 1, 12, tzinfo=zoneinfo.ZoneInfo("UTC"))
    dump_arguments((statistics.NormalDist(0, 1), {"when": [noon]}), {"f": math.prod}, None, met)
    assert {version: words.partition(": ")[2].partition(";")[0] for version, words in met.refusals.items()} == {
        (3, 8): "args[0]: statistics.NormalDist needs Python 3.8, and what reads this is older",
        (3, 9): 'args[1]["when"][0].tzinfo: zoneinfo.ZoneInfo needs Python 3.9, and what reads this is older',
    }


def test_where_the_reader_is_known_what_it_lacks_is_refused():
    with pytest.raises(errors.SerializationError, match=r'to Python 3.7: kwargs\["f"\]: math.prod needs Python 3.8'):
        dump_arguments((), {"f": math.prod}, (3, 7), Met())


def test_a_value_comes_back():
    assert open_result(sealed("value", wire.dumps({"a": 1})), KEY, EXPECTED).value == {"a": 1}


def test_an_exception_comes_back_as_itself():
    outcome = open_result(sealed("exception", wire.dumps(KeyError("k"))), KEY, EXPECTED)
    assert isinstance(outcome.exception, KeyError)


def test_an_exception_of_a_class_that_is_not_here_is_a_remote_error_and_its_builtin_base():
    program = "class Gone(ValueError): pass\nGone.__module__ = 'not_here'"
    scope = {}
    exec(program, scope)
    outcome = open_result(sealed("exception", wire.dumps(scope["Gone"]("x"))), KEY, EXPECTED)
    assert isinstance(outcome.exception, errors.RemoteError)
    assert isinstance(outcome.exception, ValueError)
    assert outcome.exception.type_name == "not_here.Gone"


def test_a_refused_result_is_a_serialization_error_with_its_place():
    outcome = open_result(sealed("refused", b'["result[0]: cannot pickle lock", "[<a lock>, 7]"]'), KEY, EXPECTED)
    assert isinstance(outcome.exception, errors.SerializationError)
    assert "result[0]" in str(outcome.exception)
    assert str(outcome.exception).endswith("str() of it was: [<a lock>, 7]")


def test_a_result_that_found_no_room_is_lost_and_says_where_and_what_to_do():
    body = b"/home/me/.clustrix/jobs/cx1/out/result, 17 bytes: No space left on device"
    error = open_result(sealed("unwritten", body, node="node1"), KEY, EXPECTED).exception
    assert isinstance(error, errors.ResultLostError)
    assert "on node1 ended, but its result can't be stored: /home/me/.clustrix/jobs/cx1/out/result" in str(error)
    assert "Make room there" in str(error)


@pytest.mark.parametrize(("attempt", "retries"), [(0, 0), (0, 2), (2, 2)])
def test_a_result_of_any_attempt_that_was_allowed_is_taken(attempt, retries):
    assert open_result(sealed("value", wire.dumps(5), attempt=attempt), KEY, EXPECTED, retries=retries).value == 5


@pytest.mark.parametrize(("attempt", "retries"), [(1, 0), (-1, 2), (3, 2), (None, 2), ("0", 2)])
def test_a_result_of_an_attempt_that_was_not_allowed_is_refused(attempt, retries):
    with pytest.raises(errors.ResultLostError, match="is of attempt"):
        open_result(sealed("value", wire.dumps(5), attempt=attempt), KEY, EXPECTED, retries=retries)


def test_a_job_whose_other_process_failed_is_a_failed_job_that_says_so():
    error = open_result(sealed("failed", b"it ended too early", node="node1"), KEY, EXPECTED).exception
    assert isinstance(error, errors.JobFailedError)
    assert (error.job_id, error.node) == ("cx1", "node1")
    assert "it ended too early" in str(error)
    assert "use_two_venv=False" in str(error)


@pytest.mark.parametrize("changes", [{"job_id": "cx2"}, {"attempt": 1}, {"task": 1}, {"package": "q"}])
def test_the_result_of_something_else_is_refused(changes):
    with pytest.raises(errors.ResultLostError, match="not the job's own"):
        open_result(sealed("value", wire.dumps(1), **changes), KEY, EXPECTED)


def test_a_result_under_another_key_is_refused():
    with pytest.raises(errors.ResultLostError, match="not the job's own"):
        open_result(sealed("value", wire.dumps(1), key=bytes(32)), KEY, EXPECTED)


def test_a_value_that_cannot_be_read_here_is_an_error_that_says_who_wrote_it():
    with pytest.raises(errors.SerializationError, match=r"written by Python 3\.6\.15"):
        open_result(sealed("value", b"cnot_here\nThing\n."), KEY, EXPECTED)
