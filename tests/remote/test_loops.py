"""A proven loop gives what the plain one gives, wherever its iterations ran. What is proven is said by hand here."""

import ast
import inspect
import os
import textwrap
import traceback
import warnings

import pytest
from clustrix_remote import loop_runs
from clustrix_remote.loop_plan import EffectPlan, FunctionPlan, LoopPlan, Wish
from clustrix_remote.loop_runs import Processes
from clustrix_remote.loops import (
    MismatchError,
    as_planned,
    find_definition,
    loops_of,
    statements_of,
    with_parallel_loops,
)

HERE = os.getpid()
VALUE, ARGUMENT, KEY = [("value", None)], [("value", None), ("args", 0)], [("targets", 0), ("slice", None)]
LIMIT = 3


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    """On whatever machine these tests run."""
    monkeypatch.setattr("clustrix_remote.loop_runs.cores", lambda: 2)
    monkeypatch.setattr("clustrix_remote.parallel.cores", lambda: 2)


def plan_of(function, effects, wish, **more):
    """The plan for a function's first loop; ``effects`` are paths of values by the statement's number among the loop's."""
    loop = loops_of(ast.parse(textwrap.dedent(inspect.getsource(function))).body[0])[0]
    statements = statements_of(loop)
    plans = [
        EffectPlan(
            number, statements[number].lineno - loop.lineno, type(statements[number]).__name__, paths, [0] * len(paths)
        )
        for number, paths in effects
    ]
    given = {"reads": [], "data": [], "has_later_reader": False, "orders_by_hash": False}
    given.update(more)
    given["data"] = [*given["reads"], *given["data"]]
    return FunctionPlan(function.__code__.co_name, [LoopPlan(0, plans, **given)], wish)


def made(function, effects, wish=Wish(is_asked=True, threshold=0), processes=Processes(), **more):  # noqa: B008
    with open(function.__code__.co_filename, encoding="utf-8") as stream:
        definition = find_definition(function, ast.parse(stream.read()))
    return with_parallel_loops(function, definition, plan_of(function, effects, wish, **more), processes)


def many(n, scale):
    taken, last, total = [], {}, 0.0
    for i in range(n):
        x = i * scale
        if i % 3 == 0:
            continue
        taken.append((i, os.getpid()))
        last[i % 5] = x
        total += 1 / (i + scale)
    else:
        taken.append("else")
    return taken, last, total


MANY = [(2, [ARGUMENT]), (3, [VALUE, KEY]), (4, [VALUE])]


def test_effects_happen_in_the_order_of_the_loop_though_others_computed_them():
    taken, last, total = made(many, MANY, reads=["scale"])(500, 1.1)
    plain, plain_last, plain_total = many(500, 1.1)
    assert [item[0] for item in taken] == [item[0] for item in plain]
    assert (list(last.items()), total) == (list(plain_last.items()), plain_total)
    workers = {item[1] for item in taken[:-1]}
    assert HERE not in workers
    assert len(workers) == 2


def test_a_loop_over_nothing_does_nothing():
    assert made(many, MANY, reads=["scale"])(0, 1.0) == many(0, 1.0)


def stops(items, taken):
    for item in items:
        taken.append(item)
        half = 1 / item
        taken.append(half)


def test_an_exception_is_raised_where_the_plain_loop_raises_it():
    ends = []
    for function in (stops, made(stops, [(0, [ARGUMENT]), (2, [ARGUMENT])])):
        taken = []
        with pytest.raises(ZeroDivisionError) as caught:
            function([4, 3, 2, 1, 0, -1, -2], taken)
        frames = [frame for frame in traceback.extract_tb(caught.tb) if frame.filename == __file__]
        ends.append((taken, [(frame.name, frame.lineno, frame.line) for frame in frames][1:]))
    assert ends[0] == ends[1]
    assert ends[0][0][-1] == 0  # what that iteration did before it failed


def leaves(n):
    taken = []
    for i in range(n):
        taken.append(i)
        if i == n - 2:
            raise SystemExit(7)
    return taken


def test_an_iteration_may_end_the_program():
    with pytest.raises(SystemExit) as caught:
        made(leaves, [(0, [ARGUMENT])], reads=["n"])(40)
    assert caught.value.code == 7


def looks_back(pairs):
    i = half = None
    taken = []
    for i, (whole, _) in enumerate(pairs):
        half = whole / 2
        taken.append(half)
    return i, half, taken


@pytest.mark.parametrize("n", [0, 1, 2, 50])
def test_variables_are_what_the_last_iteration_left(n):
    function = made(looks_back, [(1, [ARGUMENT])], has_later_reader=True)
    pairs = [(number, None) for number in range(n)]
    assert function(pairs) == looks_back(pairs)


def dies(n):
    taken = []
    for i in range(n):
        if os.getpid() != HERE and i in (3, 17):
            os._exit(1)
        taken.append((i, os.getpid()))
    return taken


def test_what_a_killed_process_did_not_do_is_done_here():
    taken = made(dies, [(1, [ARGUMENT])])(40)
    assert [number for number, _ in taken] == list(range(40))
    assert {taken[3][1], taken[17][1]} == {HERE}
    assert {pid for _, pid in taken} != {HERE}


def gives_functions(n):
    taken = []
    for i in range(n):
        taken.append((lambda: i) if i % 2 else i)
    return taken


def test_what_can_not_be_sent_is_made_here():
    taken = made(gives_functions, [(0, [ARGUMENT])])(6)
    assert taken[::2] == [0, 2, 4]
    assert all(callable(item) for item in taken[1::2])


def gives_what_was_there(rows):
    taken = []
    for row in rows:
        taken.append(row)
    return taken


def test_an_object_from_before_the_loop_stays_that_object():
    rows = [[number] for number in range(9)]
    assert all(one is other for one, other in zip(rows, made(gives_what_was_there, [(0, [ARGUMENT])])(rows)))


def warns(n):
    taken = []
    for i in range(n):
        if i % 4 == 1:
            warnings.warn("odd: %d" % (i % 8), UserWarning, stacklevel=1)
        taken.append(i)
    return taken


def test_warnings_are_those_of_the_plain_loop():
    shown = []
    for function in (warns, made(warns, [(1, [ARGUMENT])])):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert function(40) == list(range(40))
        shown.append([(str(item.message), item.lineno) for item in caught])
    assert shown[0] == shown[1]
    assert len(shown[0]) == 10


def reads_a_limit(n):
    taken = []
    for i in range(n):
        taken.append((i % LIMIT, os.getpid()))
    return taken


class Odd(int):
    """No plain data: who knows what it does."""


def test_values_that_are_no_plain_data_keep_the_loop_plain(monkeypatch):
    function = made(reads_a_limit, [(0, [ARGUMENT])], data=["LIMIT"])
    assert HERE not in {pid for _, pid in function(20)}
    monkeypatch.setitem(globals(), "LIMIT", Odd(3))
    assert {pid for _, pid in function(20)} == {HERE}


def takes_pairs(pairs, taken):
    for one, other in pairs:
        taken.append(one + other)


@pytest.mark.parametrize(
    ("name", "is_known"),
    [("LIMIT", True), ("elsewhere.LIMIT", True), ("os.sep", True), ("MOST", False), ("os.most", False)],
)
def test_data_is_looked_up_where_it_stands(name, is_known):
    function = made(reads_a_limit, [(0, [ARGUMENT])], data=[name])
    assert ({pid for _, pid in function(20)} != {HERE}) == is_known


def of_pairs(items):
    taken = []
    for number, item in zip(range(1000), items):
        taken.append((number, item, os.getpid()))
    return taken


def test_what_the_iterable_raises_comes_after_what_it_gave():
    def items():
        for number in range(30):
            yield number
        raise LookupError("no more")

    taken = []
    with pytest.raises(LookupError, match="no more"):
        made(takes_pairs, [(0, [ARGUMENT])])(zip(range(40), items()), taken)
    assert taken == [number + number for number in range(30)]


def test_what_has_no_length_is_read_ahead_and_runs_elsewhere(monkeypatch):
    monkeypatch.setattr("clustrix_remote.loop_runs.READ_AHEAD", 7)
    taken = made(of_pairs, [(0, [ARGUMENT])])("abcdefghijklmnopqrstuvwxyz")
    assert [item[:2] for item in taken] == list(enumerate("abcdefghijklmnopqrstuvwxyz"))
    assert HERE not in {pid for _, _, pid in taken}


@pytest.mark.parametrize(
    ("wish", "n"), [(Wish(is_asked=False, threshold=1000), 999), (Wish(is_asked=True, threshold=1000), 2000)]
)
def test_little_work_stays_here(wish, n):
    assert {pid for _, pid in made(reads_a_limit, [(0, [ARGUMENT])], wish, data=["LIMIT"])(n)} == {HERE}


def works(n):
    taken = []
    for i in range(n):
        taken.append((sum(range(200000)), i, os.getpid()))
    return taken


def test_much_work_goes_elsewhere_once_the_first_iterations_told():
    taken = made(works, [(0, [ARGUMENT])], Wish(is_asked=True, threshold=1000))(150)
    assert [number for _, number, _ in taken] == list(range(150))
    assert taken[0][2] == HERE
    assert taken[-1][2] != HERE


def test_one_core_runs_the_plain_loop(monkeypatch):
    monkeypatch.setattr("clustrix_remote.loop_runs.cores", lambda: 1)
    assert {pid for _, pid in made(reads_a_limit, [(0, [ARGUMENT])], data=["LIMIT"])(20)} == {HERE}


def test_another_function_than_the_planned_one_runs_as_it_is(capsys):
    plan = plan_of(stops, [(0, [ARGUMENT])], Wish(is_asked=True, threshold=0))
    plan = plan._replace(
        name="reads_a_limit", loops=[plan.loops[0]._replace(effects=[EffectPlan(0, 9, "Expr", [], [])])]
    )
    assert as_planned(reads_a_limit, plan) is reads_a_limit
    assert "the loops of reads_a_limit run as they are" in capsys.readouterr().err
    with pytest.raises(MismatchError):
        made(reads_a_limit, [(0, [[("value", None), ("args", 3)]])])


def test_a_function_within_another_reads_what_is_around_it():
    scale = 3
    taken = []

    def inner(n):
        for i in range(n):
            taken.append(i * scale)

    made(inner, [(0, [ARGUMENT])])(10)
    assert taken == list(range(0, 30, 3))
    assert loop_runs.READ_AHEAD > 10
