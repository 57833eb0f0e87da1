"""How long an executor lives, and who may use it: threads, event loops, forked children, callbacks, nobody any more."""

import asyncio
import contextlib
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import FIRST_COMPLETED, CancelledError, ThreadPoolExecutor
from pathlib import Path

import pytest
from pointed_at import pointed_at
from workload_futures import double, fail

import clustrix
import simcluster
from clustrix import ClusterExecutor

OLD = "3.6"


@pytest.fixture(scope="module", autouse=True)
def site(tmp_path_factory):
    with (
        simcluster.start("slurm", nodes=2, pythons=[OLD]) as started,
        pytest.MonkeyPatch.context() as patch,
        pointed_at(started, tmp_path_factory.mktemp("client"), patch),
    ):
        yield started


@pytest.fixture
def executor():
    with ClusterExecutor() as made:
        yield made


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def our_threads():
    return {thread for thread in threading.enumerate() if thread.name.startswith(("clustrix", "stream-writer"))}


def test_built_in_functions_and_classes_run_as_jobs(executor):
    assert executor.submit(divmod, 7, 2).result() == (3, 1)
    assert executor.submit(str, 5).result() == "5"
    assert executor.submit("a-b".split, "-").result() == ["a", "b"]


def test_a_job_that_runs_can_be_cancelled_and_is_not_run_to_its_end(executor, site):
    future = executor.submit(time.sleep, 600)
    assert not future.running()
    wait_until(future.running)
    assert future.status() == "RUNNING"
    assert future.cancel()
    assert future.cancelled()
    assert not future.running()
    with pytest.raises(CancelledError):
        future.result()
    wait_until(lambda: not site.run(f"squeue -h -n {future.job_id} -t PD,R,CG").stdout)


def test_cancelling_the_rest_at_shutdown_leaves_what_runs_to_end(site):
    executor = ClusterExecutor()
    running = executor.submit(time.sleep, 2)
    wait_until(running.running)
    cores = int(site.run("sinfo -h -o %C").stdout.split("/")[-1])
    waiting = [executor.submit(time.sleep, 600) for _ in range(cores)]
    executor.shutdown(cancel_futures=True)
    assert running.result() is None
    assert waiting[-1].cancelled()


def test_wait_and_as_completed_of_the_front_door_take_our_futures(executor):
    slow, quick = executor.submit(time.sleep, 600), executor.submit(double, 1)
    done, not_done = clustrix.wait([slow, quick], return_when=FIRST_COMPLETED)
    assert (done, not_done) == ({quick}, {slow})
    assert next(clustrix.as_completed([slow, quick])) is quick
    slow.cancel()


def test_many_threads_submit_and_wait_at_once(executor):
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda number: executor.submit(double, number).result(), range(16))) == [
            number * 2 for number in range(16)
        ]


def test_a_running_event_loop_awaits_wraps_and_runs_in_the_executor(executor):
    async def main():
        loop = asyncio.get_running_loop()
        one = loop.run_in_executor(executor, double, 1)
        two = executor.submit(double, 2)
        three = asyncio.wrap_future(executor.submit(double, 3))
        failed = executor.submit(fail, "no")
        values = [await one, await two, await three]
        with pytest.raises(ValueError, match="no"):
            await failed
        given_up = asyncio.wrap_future(sleeping := executor.submit(time.sleep, 600))
        with pytest.raises(TimeoutError if sys.version_info >= (3, 11) else asyncio.TimeoutError):
            await asyncio.wait_for(given_up, 0.1)
        assert sleeping.cancelled()
        return values

    assert asyncio.run(main()) == [2, 4, 6]


def test_the_traceback_of_the_job_comes_with_its_exception(executor):
    with pytest.raises(ValueError, match="words") as caught:
        executor.submit(fail, "words").result()
    assert "raise ValueError(words)" in "".join(
        map(str, (caught.value.__cause__, *getattr(caught.value, "__notes__", ())))
    )


def test_a_callback_may_submit_and_may_shut_down():
    executor, second = ClusterExecutor(), []

    def go_on(_):
        second.append(executor.submit(double, 2))
        executor.shutdown()

    executor.submit(double, 1).add_done_callback(go_on)
    wait_until(lambda: second)
    assert second[0].result(60) == 4
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(double, 3)


def test_shutdown_without_waiting_lets_jobs_end_and_then_all_threads():
    before = our_threads()
    executor = ClusterExecutor()
    futures = [executor.submit(double, number) for number in range(3)]
    executor.shutdown(wait=False)
    assert [future.result(60) for future in futures] == [0, 2, 4]
    wait_until(lambda: not our_threads() - before)


def test_a_dropped_executor_ends_its_jobs_calls_their_callbacks_and_goes():
    before, called = our_threads(), []
    executor = ClusterExecutor()
    future = executor.submit(double, 4)
    future.add_done_callback(lambda done: called.append(done.result()))
    gone = weakref.ref(executor)
    del executor
    gc.collect()
    del future
    wait_until(lambda: called == [8])
    wait_until(lambda: gc.collect() >= 0 and gone() is None)
    wait_until(lambda: not our_threads() - before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_submits_over_a_connection_of_its_own(executor):
    assert executor.submit(double, 1).result() == 2
    mine = executor.submit(time.sleep, 1)
    context = multiprocessing.get_context("fork")
    with context.Pool(2) as pool:
        assert pool.map(_in_child, [1, 2]) == [2, 4]
    assert mine.result(60) is None
    assert executor.submit(double, 5).result(60) == 10


def _in_child(number):
    inherited = next(item for item in gc.get_objects() if type(item) is ClusterExecutor and not item.is_shut_down)
    return inherited.submit(double, number).result(60)


AT_EXIT = """
import atexit
import clustrix

@atexit.register
def run_last():
    try:
        executor.submit(id, None)
    except RuntimeError:
        print("runtime-error")
        raise

executor = clustrix.ClusterExecutor()
{first}
"""


@pytest.mark.parametrize("first", ["", "executor.submit(int).result()"], ids=["unused", "used"])
def test_nothing_can_be_submitted_once_the_interpreter_ends(first):
    with started(AT_EXIT.format(first=first)) as process:
        output, errors = process.communicate(timeout=90)
    assert "RuntimeError: cannot schedule new futures after interpreter shutdown" in errors
    assert output.strip() == "runtime-error"


# A test run in the background ignores SIGINT, and so would its children.
BLOCKING = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, {here!r})
import workload_futures
from clustrix import ClusterExecutor, cluster
talk = cluster(python="3.6")(workload_futures.talk)
{call}
"""
CALLS = {"a call": "talk(100, 0.1)", "a map": "list(talk.map([50, 50], [0.1, 0.1]))"}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c_cancels_the_job_and_a_second_one_leaves_it_running(site, call, presses):
    with started(BLOCKING.format(call=call, here=str(Path(__file__).parent))) as process:
        found = site.run(
            "for i in $(seq 600); do squeue -h -t R -o %j | grep cx | head -1 | grep . && exit; sleep 0.1; done"
        )
        job_id = found.stdout.strip()
        process.send_signal(signal.SIGINT)
        lines = iter(process.stderr.readline, "")
        said = next(line for line in lines if "cancelling job" in line)
        assert said == f"clustrix: cancelling job {job_id}; Ctrl-C once more leaves it running\n"
        if presses == 2:
            process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=90)[1]
    assert errors.endswith("KeyboardInterrupt\n")
    if presses == 2:
        assert f"job {job_id} goes on; clustrix.attach({job_id!r}) finds it again" in errors
        assert clustrix.attach(job_id).result(90) in (100, [50, 50])
    else:
        wait_until(lambda: not site.run(f"squeue -h -n {job_id} -t PD,R,CG").stdout)
        with pytest.raises(clustrix.ClustrixError, match="knows no job"):
            clustrix.attach(job_id)


@contextlib.contextmanager
def started(script):
    """A Python that runs ``script`` as the user's own, configured by environment variables."""
    settings = {
        f"CLUSTRIX_{name.upper()}": str(value)
        for name, value in clustrix.get_config().public_dict().items()
        if isinstance(value, str | int) and not isinstance(value, bool)
    }
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | settings,
    ) as process:
        try:
            yield process
        finally:
            process.kill()
