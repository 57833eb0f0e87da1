"""An emulated Grid Engine whose qmaster is down or unwilling on purpose; the words are those of a real 8.1.9."""

import pytest

import simcluster

COMMLIB = "error: commlib error: got select error (Connection refused)\n"
UNSENT = 'unable to send message to qmaster using port 6444 on host "login": got send error'


@pytest.fixture(scope="module")
def cluster():
    with simcluster.start("sge", nodes=1) as cluster:
        yield cluster


@pytest.mark.parametrize(
    ("command", "code", "output", "error"),
    [
        ("qstat", 1, "", f"error: {UNSENT}\n"),
        ("qstat -j 5", 1, "", f"{UNSENT}\n{UNSENT}\n"),
        ("echo true | qsub", 1, "", f"Unable to run job: {UNSENT}\nExiting.\n"),
        ("qdel 5", 1, f"{UNSENT}\n", ""),
        ("qhold 5", 11, f"{UNSENT}\n", ""),
        ("qhost", 1, "", f"error: {UNSENT}\n"),
    ],
)
def test_commands_say_that_there_is_no_qmaster(cluster, command, code, output, error):
    with cluster.faults.scheduler.down():
        done = cluster.run(command)
        assert (done.returncode, done.stdout, done.stderr) == (code, output, COMMLIB + error)
    assert cluster.run("qstat").returncode == 0


def test_jobs_are_refused_with_the_message(cluster):
    with cluster.faults.scheduler.reject_submits("Not today"):
        done = cluster.run("echo true | qsub")
        assert (done.returncode, done.stdout, done.stderr) == (1, "", "Unable to run job: Not today\nExiting.\n")
    assert cluster.run("echo true | qsub").returncode == 0
