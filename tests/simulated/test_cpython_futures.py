"""CPython's own tests of concurrent.futures, through a ClusterExecutor on an emulated cluster.

They are those that its tests run for every kind of executor: submit and map, wait, as_completed, shutdown, and the future's own.
What each skip says is the whole list of what does not hold.
"""

import importlib
import logging
import os
import sys
import time
import unittest

import pytest
from pointed_at import pointed_at

import simcluster
from clustrix import ClusterExecutor, ClusterFuture

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
if sys.version_info < (3, 13):
    PARTS = ["test.test_concurrent_futures"]
else:
    PARTS = [f"test.test_concurrent_futures.{name}" for name in ("executor", "test_shutdown", "test_wait", "test_as_completed", "test_future", "util")]  # fmt: skip

try:
    parts = [importlib.import_module(name) for name in PARTS]
except ImportError as error:
    if os.environ.get("CI") and sys.version_info >= (3, 13):  # the one that runs them in CI
        raise
    pytest.skip(f"this Python came without CPython's own tests: {error}", allow_module_level=True)


def part(name):
    return next(getattr(module, name) for module in parts if hasattr(module, name))


class Executor(ClusterExecutor):
    """As the tests make one; a cluster's workers are its nodes."""

    def __init__(self, max_workers):
        super().__init__()

    def shutdown(self, wait=True, *, cancel_futures=False):
        """A thread has begun as soon as it is asked for, a job a moment later."""
        deadline = time.monotonic() + 60
        while cancel_futures and not any(job.future.running() for job in list(self._dispatch._jobs.values())):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        super().shutdown(wait, cancel_futures=cancel_futures)


class Future(ClusterFuture):
    """As the tests make one, of no job."""

    def __init__(self):
        super().__init__("cxtest", self)

    def cancel_job(self, job_id):
        """Nothing runs."""


@pytest.fixture(scope="module", autouse=True)
def cluster(tmp_path_factory):
    with (
        simcluster.start("slurm", nodes=2, pythons=[VERSION]) as site,
        pytest.MonkeyPatch.context() as patch,
        pointed_at(site, tmp_path_factory.mktemp("client"), patch),
    ):
        ClusterExecutor().submit(int).result()  # so that no test waits for the environment
        yield


class OnACluster(part("ExecutorMixin")):
    executor_type = Executor


OUTLIVES = "a job outlives its client: the interpreter's exit waits for its submission, not for its end"


class ExecutorTests(OnACluster, part("ExecutorTest"), part("BaseTestCase")):
    test_max_workers_negative = unittest.skip("how many jobs run at once is the cluster's to say")(lambda self: None)


class ShutdownTests(OnACluster, part("ExecutorShutdownTest"), part("BaseTestCase")):
    test_interpreter_shutdown = unittest.skip(OUTLIVES)(lambda self: None)
    test_hang_gh83386 = unittest.skip(OUTLIVES)(lambda self: None)
    test_submit_after_interpreter_shutdown = unittest.skip(
        "it names an executor of concurrent.futures; test_executor_lifetime.py has the same for ours"
    )(lambda self: None)


class WaitTests(OnACluster, part("WaitTests"), part("BaseTestCase")):
    pass


class AsCompletedTests(OnACluster, part("AsCompletedTests"), part("BaseTestCase")):
    pass


class FutureTests(part("FutureTests")):
    @pytest.fixture(autouse=True)
    def of_ours(self, monkeypatch):
        # What a callback raises is looked for on stderr, where it goes as long as nobody handles log records, as pytest does.
        monkeypatch.setattr(logging.getLogger("concurrent.futures"), "handlers", [logging.lastResort])
        for module in parts:
            if hasattr(module, "Future"):
                monkeypatch.setattr(module, "Future", Future)
