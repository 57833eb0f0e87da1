"""The same calls on every kind of site: Slurm with accounting and without, PBS, Grid Engine, and a host without a scheduler.

Which sites and which of the cluster's Pythons, ``--sites`` and ``--cluster-pythons`` say; what worked where is a table at the end.
What is the scheduler's own is tried once for each site.
"""

import os
import subprocess
import sys
import time
import traceback
from pathlib import Path

import file_cases
import numpy as np
import pytest
import workload
from real_world_sites import started, wanted_pythons

import clustrix
from clustrix import ClusterConfig, ClusterExecutor, cluster

pytestmark = pytest.mark.real_world

DEADLINE = 180.0
ARRAY = np.arange(6.0).reshape(2, 3)
SUBMIT = """
import sys, clustrix, workload
decorated = clustrix.cluster(cores=1)(workload.doubled)
print(clustrix.ClusterExecutor().submit(decorated, 21).job_id)
"""
ATTACH = "import sys, clustrix; print(clustrix.attach(sys.argv[1]).result(150))"


def until(condition, what):
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.1)
    pytest.fail(f"not within {DEADLINE:.0f} s: {what}")


@pytest.fixture(scope="module")
def site(request):
    with started(request.param, request.config) as running:
        yield running


@pytest.fixture(scope="module")
def settings(site, tmp_path_factory):
    """What ClusterConfig is told; the client's journal is the module's own."""
    directory = tmp_path_factory.mktemp("client")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(directory / "state"))
        yield {
            "cluster_type": site.spec.scheduler,
            "cluster_host": site.ssh.host,
            "cluster_port": str(site.ssh.port),
            "username": site.ssh.username,
            "key_file": str(site.ssh.key_file),
            "known_hosts_file": str(site.ssh.known_hosts_file),
            "local_cache_dir": str(directory / "cache"),
            "default_memory": "300MB",
            "default_time": "00:05:00",
        }


@pytest.fixture(scope="module")
def executor(settings):
    with ClusterExecutor(ClusterConfig(**{**settings, "cluster_port": int(settings["cluster_port"])})) as executor:
        yield executor


@pytest.fixture(scope="module")
def submit(executor):
    """submit(python, function, *args, **options) gives a future."""
    return lambda python, function, *args, **options: executor.submit(
        cluster(**{"cores": 1, "python": python, **options})(function), *args
    )


@pytest.fixture(scope="module")
def late(submit):
    """A job that is over its time, a minute from now: other tests go on meanwhile."""
    return submit(None, workload.sleeps, 600, time="00:01:00")


@pytest.fixture(scope="module")
def arrays(submit, request):
    """Of each Python a job in both stages whose environment has numpy, all submitted at once: these take long to build."""
    options = {"use_two_venv": True, "requirements": ["numpy"]}
    return {python: submit(python, workload.doubled, ARRAY, **options) for python in wanted_pythons(request.config)}


@pytest.fixture(scope="module")
def tree(submit, tmp_path_factory):
    """(the path of a directory on the cluster, what its files are answered to be)."""
    here = tmp_path_factory.mktemp("files") / "tree"
    file_cases.make_tree(str(here))
    path = submit(None, file_cases.made_tree, "~/tree").result(DEADLINE)
    return path, file_cases.answers(ClusterConfig(cluster_type="local", local_work_dir=here))


@pytest.mark.usefixtures("late", "arrays")
def test_packaging(site, submit, python):
    future = submit(python, workload.where)
    seen = future.result(DEADLINE)
    assert seen["python"] == tuple(map(int, python.split(".")))
    assert seen["node"] in (set(site.nodes) or {"login"})
    assert future.python.startswith(f"{python}.")
    assert submit(python, workload.areas, "square", "strip").result(DEADLINE) == [4, 9]


@pytest.mark.usefixtures("site")
def test_remote_traceback(submit, python):
    with pytest.raises(workload.UnluckyError, match="unlucky number 13") as caught:
        submit(python, workload.unlucky, 13).result(DEADLINE)
    assert (caught.value.code, caught.value.hint) == (13, "try 12")
    assert "in _check" in "".join(traceback.format_exception(caught.value))


@pytest.mark.usefixtures("site")
def test_files(submit, tree, python):
    path, expected = tree
    assert submit(python, file_cases.answers, remote_work_dir=path).result(DEADLINE) == expected


@pytest.mark.usefixtures("site")
def test_local_parallelism(submit, python):
    spawned = submit(python, workload.squares_by_processes, list(range(9)))
    loop = submit(python, workload.squares_in_a_loop, 99, cores=2, parallel=True, local_parallel_threshold=0)
    assert spawned.result(DEADLINE) == [number**2 for number in range(9)]
    assert loop.result(DEADLINE) == ([number**2 for number in range(99)], True)


@pytest.mark.usefixtures("site")
def test_two_environments(arrays, python):
    future = arrays[python]
    np.testing.assert_array_equal(future.result(DEADLINE), ARRAY * 2)
    assert future.python.startswith(f"{python}.")


@pytest.mark.usefixtures("site")
def test_output(submit):
    future = submit(None, workload.sleeps, 0)
    future.result(DEADLINE)
    assert future.stdout() == "sleeping\n"


def test_cancel(site, submit):
    future = submit(None, workload.sleeps, 600)
    until(lambda: future.status() == "RUNNING" and future.stdout(), "it runs")
    assert future.cancel()
    assert future.cancelled()
    until(lambda: not [job for job in site.jobs() if job.name == future.job_id and not job.end], "it has left")


@pytest.mark.usefixtures("site")
@pytest.mark.usefixtures("site")
def test_map(executor, python):
    doubled = cluster(cores=1, python=python)(workload.doubled)
    assert list(executor.map(doubled, range(20), timeout=DEADLINE)) == [2 * number for number in range(20)]


def test_attach_from_another_process(settings):
    environment = {f"CLUSTRIX_{name.upper()}": value for name, value in settings.items()}
    environment["PYTHONPATH"] = str(Path(__file__).parent)

    def said(*words):
        done = subprocess.run(
            [sys.executable, "-c", *words],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert said(ATTACH, said(SUBMIT)) == "42"


@pytest.mark.usefixtures("site")
def test_time_limit(late):
    with pytest.raises(TimeoutError, match="time=") as caught:
        late.result(DEADLINE)
    assert isinstance(caught.value, clustrix.JobTimeoutError)
    assert caught.value.state == "TIMEOUT"
