"""An emulated PBS whose server is down or unwilling on purpose."""

import json

import pytest

import simcluster


@pytest.fixture(scope="module")
def cluster():
    with simcluster.start("pbs", nodes=1) as cluster:
        yield cluster


@pytest.mark.parametrize(
    ("command", "code", "error"),
    [
        ("qstat", 255, "qstat: cannot connect to server pbs (errno=15010)"),
        ("echo true | qsub", 162, "qsub: cannot connect to server pbs (errno=15010)"),
        ("qdel 0", 162, "Couldn't connect to cluster: pbs"),
        ("pbsnodes -a -F json", 1, "pbsnodes: cannot connect to server pbs, error=15010"),
    ],
)
def test_commands_say_that_there_is_no_server(cluster, command, code, error):
    with cluster.faults.scheduler.down():
        done = cluster.run(command)
        assert (done.returncode, done.stdout, done.stderr) == (code, "", f"Connection refused\n{error}\n")
    assert cluster.run("qstat").returncode == 0


def test_qstat_still_prints_json_without_jobs(cluster):
    with cluster.faults.scheduler.down():
        done = cluster.run("qstat -f -F json")
        assert done.returncode == 255
        assert list(json.loads(done.stdout)) == ["timestamp", "pbs_version", "pbs_server"]


def test_jobs_are_refused_with_the_message(cluster):
    with cluster.faults.scheduler.reject_submits("Not today"):
        done = cluster.run("echo true | qsub")
        assert (done.returncode, done.stdout, done.stderr) == (1, "", "qsub: Not today\n")
    assert cluster.run("echo true | qsub").returncode == 0


def test_a_running_job_is_found_by_its_full_id(cluster):
    job_id = cluster.run("echo 'sleep 600' | qsub", check=True).stdout.strip()
    until_runs = f"until qstat -f {job_id} | grep -q 'job_state = R'; do sleep 0.1; done"
    cluster.run(until_runs, timeout=60, check=True)
    cluster.faults.job.timeout(job_id).start()
    cluster.run(f"until qstat -xf {job_id} | grep -q 'Exit_status = -29'; do sleep 0.1; done", timeout=60, check=True)
