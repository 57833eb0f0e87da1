"""A function whose proven loops run in parallel gives exactly what it gives without: values, order, bits, exceptions, variables."""

import itertools
import linecache
import math
import os
import signal
import subprocess
import sys
import textwrap
import time
import traceback
from pathlib import Path

import cloudpickle
import loop_workload
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clustrix import cluster
from clustrix.loop_transform import loops_in, running_here
from clustrix.remote.cores import cores
from clustrix.remote.loop_plan import Wish
from clustrix.remote.loop_runs import Processes

AT_ONCE = Wish(is_asked=True, threshold=0)
_numbers = itertools.count()


@pytest.fixture(autouse=True, scope="module")
def two_cores():
    """On whatever machine these tests run."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("loop_runs", "parallel"):
            patch.setattr(f"clustrix.remote.{module}.cores", lambda: 2)
        yield


def made(text):
    """The function ``f`` of a text, as if it stood in a notebook cell."""
    name = f"<loop {next(_numbers)}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    namespace = {"__name__": "__main__", "math": math}
    exec(compile(text, name, "exec", dont_inherit=True), namespace)
    return namespace["f"]


def end_of(function, *args):
    """What a call ends in, and what it did to its arguments up to then; floats to the last bit."""
    try:
        ended = function(*args)
    except Exception as error:  # noqa: BLE001 - what a loop raises is compared
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith("<loop")]
        ended = (type(error), error.args, [(frame.name, frame.lineno, frame.line) for frame in frames])
    return repr((ended, args))


# What an iteration computes of i and x; the last of them fails where i is 7.
VALUES = ["i", "x", "math.sin(x) * k", "helper(i)", "str(i) + 'a'", "[i, x]", "{'i': x}", "(i, x)", "i / (i - 7)"]
NUMBERS = ["x", "math.sqrt(i + 1)", "helper(x)", "1 / (k + i)", "i"]
EFFECTS = [
    "out.append({value})", "out.extend([{value}, {value}])", "table[i % 4] = {value}", "table[str(i)] = {number}",
    "seen.add({number})", "total += {number}", "total = total + {number}", "product *= {number}", "best = max(best, {number})",
    "counts[i % 3] += {number}",
]  # fmt: skip
AROUND = [
    "{}",
    "{}",
    "if i % 3 == 1:\n    {}",
    "if x > k:\n    continue\n{}",
    "for j in range(i % 3):\n    {}",
    "try:\n    {}\nexcept KeyError:\n    pass",
]
HEADS = [
    "for i in range(n):",
    "for i in range(n, 0, -1):",
    "for i in items:",
    "for i, _ in enumerate(items):",
    "for i, _ in zip(items, items):",
]
READS = ["", ", i", ", x", ", i, x"]


@st.composite
def functions(draw):
    statements = []
    for around in draw(st.lists(st.sampled_from(AROUND), min_size=1, max_size=4)):
        effect = draw(st.sampled_from(EFFECTS))
        statements.append(
            around.format(effect.format(value=draw(st.sampled_from(VALUES)), number=draw(st.sampled_from(NUMBERS))))
        )
    body = textwrap.indent("\n".join(["x = i * k", *statements]), " " * 8)
    return (
        "def helper(x):\n    return x * x + 1\n\n\n"
        "def f(n, k, out):\n    total, product, best, table, seen, counts = 0.1, 1.5, -1.0, {}, set(), [0, 0, 0]\n"
        f"    items = list(range(n))\n    i = x = None\n    {draw(st.sampled_from(['out = []', 'pass']))}\n"
        f"    {draw(st.sampled_from(HEADS))}\n{body}\n"
        f"    return total, product, best, table, list(seen), counts, out{draw(st.sampled_from(READS))}\n"
    )


PARALLEL = []


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=functions(), n=st.sampled_from([0, 1, 2, 3, 8, 40]), k=st.sampled_from([0.1, 1, 3.7]))
def test_generated_loops_end_as_the_plain_ones_do(text, n, k):
    function = made(text)
    other = running_here(function, AT_ONCE)
    assert end_of(other, n, k, []) == end_of(function, n, k, [])
    PARALLEL.append(bool(loops_in(function).plans))


def test_most_of_the_generated_loops_were_planned():
    assert sum(PARALLEL) >= 0.5 * len(PARALLEL) > 0


def test_loops_end_so_in_spawned_processes_too():
    text = (
        "OFFSET = 3\n\n\ndef helper(x):\n    return x * x + OFFSET\n\n\n"
        "def f(n, k):\n    total, table, out = 0.1, {}, []\n    for i in range(n):\n        x = helper(i) * k\n        out.append([x])\n"
        "        total += 1 / (i - 50)\n        table[i % 4] = x\n    return total, table, out, i\n"
    )
    function = made(text)
    other = running_here(function, AT_ONCE, Processes("spawn", cloudpickle.Pickler))
    assert loops_in(function).plans
    for n in (40, 60):
        assert end_of(other, n, 0.3) == end_of(function, n, 0.3)


def planned(text):
    return loops_in(made(textwrap.dedent(text)))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            """
            def f(n):
                out = []
                try:
                    for i in range(n):
                        out.append(1 / (i - 3))
                except ZeroDivisionError:
                    return i
            """,
            "'i' is read after the loop, and what is around it (line 4) may go on after an error",
        ),
        (
            """
            def f(n):
                out = []
                for i in range(n):
                    out.append(i)
                yield out
            """,
            "f is a generator",
        ),
        (
            """
            import numpy


            def length(row):
                return numpy.linalg.norm(row)


            def f(rows):
                out = []
                for row in rows:
                    out.append(length(row))
                return out
            """,
            "'numpy.linalg.norm' uses all cores by itself",
        ),
    ],
)
def test_a_proven_loop_is_left_alone_where_its_variables_could_be_seen_to_differ(text, reason):
    loops = planned(text)
    assert not loops.plans
    assert reason in loops.refusals[0].reason


def test_the_outermost_loop_that_can_be_is_taken():
    loops = planned(
        """
        def f(n):
            value, out = 1, []
            while value < n:
                value = value * 2
                for i in range(n):
                    for j in range(i):
                        out.append(i * j)
            return out
        """
    )
    assert list(loops.plans) == [6]


def test_a_helper_that_is_defined_anew_is_judged_anew():
    function = made(
        "def g(x):\n    return x\n\n\ndef f(n):\n    out = []\n    for i in range(n):\n        out.append(g(i))\n    return out\n"
    )
    assert loops_in(function).plans
    function.__globals__["g"] = print
    assert not loops_in(function).plans


def test_a_function_that_runs_here_has_its_loops_in_parallel():
    function = cluster(parallel=True, local_parallel_threshold=0)(loop_workload.wave)
    assert function(200, -1)[0] == loop_workload.wave(200, -1)[0]
    assert function(200, -1)[2]


def test_without_being_asked_loops_of_few_iterations_are_plain(monkeypatch):
    begun = []
    monkeypatch.setattr("clustrix.remote.loop_runs.Loop._rounds", lambda *_: begun.append(1) or ())
    # The test's own runner may have threads, of which a forked process is afraid.
    monkeypatch.setattr("clustrix.remote.loop_runs.threading.active_count", lambda: 1)
    cluster(parallel=None)(loop_workload.summed)(999)
    cluster(parallel=False, local_parallel_threshold=0)(loop_workload.summed)(1000)
    assert not begun
    cluster(parallel=None)(loop_workload.summed)(1000)
    assert begun


def test_methods_and_recursion_are_as_before():
    text = """
        class Scaled:
            scale = 3

            def each(self, n):
                out = []
                for i in range(n):
                    out.append(i * 3)
                return out if n < 3 else self.each(n - 1)

        f = Scaled.each
    """
    function = made(textwrap.dedent(text))
    other = running_here(function, AT_ONCE)
    assert other(type("Other", (), {"each": lambda self, n: n})(), 5) == 4
    assert other(None, 2) == [0, 3]


INTERRUPTED = """
from clustrix import cluster

@cluster(parallel=True, local_parallel_threshold=0)
def f(n):
    out = []
    for i in range(n):
        out.append(sum(k ^ i for k in range(10**9)))
    return out

f(4)
"""


def children_of(pid):
    """The processes below ``pid`` that have not ended."""
    below = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == pid and state != "Z":
            below.append(int(path.parent.name))
    return below


@pytest.mark.skipif(sys.platform != "linux" or cores() < 2, reason="looks for processes in /proc, and needs two cores")
def test_ctrl_c_ends_a_parallel_loop_and_leaves_no_process(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(INTERRUPTED)
    program = subprocess.Popen(
        [sys.executable, script],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell has what it starts in the background ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    )
    deadline = time.monotonic() + 60
    while not (workers := children_of(program.pid)):
        assert program.poll() is None, program.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    # As a terminal does: everybody in the foreground gets it.
    os.killpg(program.pid, signal.SIGINT)
    _, errors = program.communicate(timeout=60)
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert errors.count("KeyboardInterrupt") == 1
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
