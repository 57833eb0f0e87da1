"""However an element of a map, the connection or the client ends, every task has its result or its death, and runs once."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import map_workload as work
import pytest
from map_ends import ends
from pointed_at import pointed_at

import clustrix
import simcluster
from clustrix import cluster

# Shell text: from now on each call of a scheduler's command by a login shell leaves a line in ~/calls.
COUNTED = """
mkdir -p ~/counted
for name in sbatch squeue scontrol sacct scancel; do
    printf '#!/bin/sh\\necho %s >> ~/calls\\nexec %s "$@"\\n' $name $(command -v $name) > ~/counted/$name
    chmod +x ~/counted/$name
done
echo 'export PATH=$HOME/counted:$PATH' >> ~/.bashrc
"""


@pytest.fixture(scope="module")
def site():
    with simcluster.start("slurm", nodes=2, cpus_per_node=50, memory_per_node="50GB", pythons=["3.12"]) as started:
        started.run(COUNTED, check=True)
        yield started


@pytest.fixture(autouse=True)
def configured(site, tmp_path, monkeypatch):
    """``@cluster`` runs on ``site``, with cache and journal of the test's own."""
    with pointed_at(site, tmp_path, monkeypatch):
        yield
    site.faults.undo_all()
    for node in site.nodes.values():
        if not node.is_up:
            node.restart()


@pytest.fixture
def ran(site, tmp_path):
    """ran(): how often each task wrote that it ran; ``ran.directory`` is where, on the cluster."""

    class Ran:
        directory = f"{site.home}/{tmp_path.name}"

        def __call__(self):
            return sorted(map(int, site.run(f"cat {self.directory}/*", check=True).stdout.split()))

    site.run(f"mkdir {Ran.directory}", check=True)
    return Ran()


def until(site, condition):
    """Wait for a shell's condition to be true."""
    assert site.run(f"for i in $(seq 600); do {condition} && exit; sleep 0.1; done; exit 1", timeout=90).returncode == 0


def test_a_thousand_tasks_of_a_second_cost_one_submission_and_few_questions(site):
    site.run("rm -f ~/calls")
    assert list(cluster(work.waits).map([1] * 1000)) == [1] * 1000
    calls = site.run("cat ~/calls").stdout.split()
    assert calls.count("sbatch") == 1
    assert len([name for name in calls if name not in ("sbatch", "scancel")]) <= 12
    assert calls.count("scancel") <= 1


@pytest.mark.parametrize(
    ("fault", "error"), [("oom", clustrix.OutOfMemoryError), ("timeout", clustrix.JobTimeoutError)]
)
def test_an_element_that_the_scheduler_kills_fails_one_task_and_the_rest_is_run_once(site, ran, fault, error):
    waiting, quick = cluster(max_parallel_jobs=1)(work.notes_and_waits), 5
    results = waiting.map([ran.directory] * 6, range(6), [0, 0, 60, 0, 0, 0], chunksize=6)
    assert [next(results), next(results)] == [0, 1]
    until(site, f"[ -e {ran.directory}/2 ]")
    (job,) = [job for job in site.jobs() if job.name == results.job_id and job.state == "RUNNING"]
    with getattr(site.faults.job, fault)(job.id):
        died, *rest = ends(results)
    assert isinstance(died, error)
    assert f"{results.job_id}.2" in str(died)
    assert rest == [3, 4, 5]
    assert ran() == list(range(quick + 1))


def test_a_lost_node_fails_the_tasks_that_were_running_there_and_the_others_go_on(site, ran):
    go = f"{ran.directory}-go"
    results = cluster(work.notes_and_waits_for).map([ran.directory] * 60, range(60), [go] * 60, chunksize=1)
    until(site, f"[ $(ls {ran.directory} | wc -l) = 60 ]")
    site.nodes["node1"].kill()
    site.run(f"touch {go}", check=True)
    ended = ends(results)
    lost = [number for number, end in enumerate(ended) if isinstance(end, clustrix.NodeFailureError)]
    assert lost
    assert [end for end in ended if not isinstance(end, clustrix.NodeFailureError)] == [
        number for number in range(60) if number not in lost
    ]
    assert ran() == list(range(60))


def test_with_a_policy_a_task_that_had_too_little_memory_is_run_by_an_element_that_has_more(site, ran, capfd):
    options = {"max_parallel_jobs": 1, "retries": 1, "retry_policy": {"memory": 3}, "memory": "100MB"}
    grabbing = cluster(**options)(work.notes_and_waits_at_first)
    results = grabbing.map([ran.directory] * 6, range(6), [0, 0, 60, 0, 0, 0], chunksize=6)
    assert [next(results), next(results)] == [0, 1]
    until(site, f"[ -e {ran.directory}/2 ]")
    (job,) = [job for job in site.jobs() if job.name == results.job_id and job.state == "RUNNING"]
    with site.faults.job.oom(job.id):
        assert list(results) == [2, 3, 4, 5]
    assert ran() == [0, 1, 2, 2, 3, 4, 5]
    said = f"task 2 of map {results.job_id} had too little memory; attempt 2 of 2 comes with memory=300MB"
    assert said in capfd.readouterr().err
    assert site.run(f"squeue -h -t all -n {results.job_id}1 -o %m", check=True).stdout.split() == ["300M"]


def test_an_array_that_is_cancelled_by_hand_ends_as_cancelled(site):
    results = cluster(max_parallel_jobs=2)(work.waits).map([0, 60, 60, 60, 60])
    assert next(results) == 0
    site.run(f"scancel -n {results.job_id}", check=True)
    assert [type(end) for end in ends(results)] == [clustrix.JobCancelledError] * 4


def test_results_come_where_others_files_are_seen_late(site, ran):
    if "disk.stale" not in site.faults.available():
        assert "/dev/fuse" in site.faults.refusals()["disk.stale"]
        pytest.skip(site.faults.refusals()["disk.stale"])
    results = cluster(max_parallel_jobs=6)(work.notes_and_dies_at).map(
        [ran.directory] * 60, range(60), [0.3] * 60, [33] * 60
    )
    until(site, f"[ $(ls {ran.directory} | wc -l) -ge 6 ]")
    with site.faults.disk.stale(1.0):
        ended = ends(results)
    assert isinstance(ended[33], clustrix.JobFailedError)
    assert ended[:33] + ended[34:] == [number for number in range(60) if number != 33]
    assert ran() == list(range(60))


def test_a_lost_connection_loses_no_result(site, ran):
    count = 40
    results = cluster(work.notes_and_waits).map([ran.directory] * count, range(count), [0.5] * count)
    for _ in range(3):
        next(results)
        site.faults.ssh.drop_all().start()
    assert list(results) == list(range(3, count))
    assert ran() == list(range(count))


def test_another_process_has_the_list_after_the_first_was_killed(site, ran, tmp_path):
    count, told = 30, tmp_path / "told"
    here = Path(__file__).parent
    program = f"""
import sys
sys.path[:0] = {[str(here), str(here.parent.parent)]!r}
import clustrix, map_workload
clustrix.configure(**{ {field: getattr(clustrix.get_config(), field) for field in SAME}!r})
awaited = [{ran.directory!r}] * {count - 1} + [{ran.directory + "/go"!r}]
results = clustrix.cluster(map_workload.notes_and_waits_for).map([{ran.directory!r}] * {count}, range({count}), awaited)
next(results)
open({str(told)!r}, "w").write(results.job_id)
list(results)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program], env={**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    )
    deadline = time.monotonic() + 90
    while not (told.exists() and told.read_text()):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    site.run(f"touch {ran.directory}/go", check=True)
    job_id = told.read_text()
    assert clustrix.attach(f"{job_id}.7").result(120) == 7
    assert clustrix.attach(job_id).result(120) == list(range(count))
    assert ran() == list(range(count))
    with pytest.raises(clustrix.ClustrixError, match="knows no job"):
        clustrix.attach(job_id)


SAME = (
    "cluster_host", "cluster_port", "username", "key_file", "known_hosts_file", "local_cache_dir", "default_cores",
    "default_memory", "default_time",
)  # fmt: skip
