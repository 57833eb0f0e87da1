"""Clusters with a real Slurm, broken on purpose, as an ordinary SSH client meets them, and mended."""

import contextlib
import os
import subprocess
import time

import pytest

import simcluster
from simcluster.errors import FaultUnavailableError
from simcluster.faults import WHERE

pytestmark = pytest.mark.real_world


@pytest.fixture(scope="module", params=["docker", "native"])
def cluster(request):
    try:
        cluster = simcluster.start("slurm", backend=request.param, nodes=2, accounting=False)
    except simcluster.BackendUnavailableError as problem:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(problem))
    with cluster:
        yield cluster


@pytest.fixture(autouse=True)
def _mended(cluster):
    yield
    cluster.faults.undo_all()
    cluster.run("scancel --user $USER")
    until(lambda: states(cluster) == {"node1": "idle", "node2": "idle"}, "the nodes are idle")


def until(condition, what):
    deadline = time.monotonic() + 90
    while not (value := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.2)
    return value


def ssh(cluster, command, *options):
    """The system's own client."""
    *words, host = cluster.ssh.command()
    return subprocess.run(
        [*words, *options, host, command],
        capture_output=True,
        text=True,
        timeout=90,
        stdin=subprocess.DEVNULL,
        check=False,
    )


@contextlib.contextmanager
def talking(cluster):
    """A session that stays open; what is said to it, it says again."""
    with subprocess.Popen(
        [*cluster.ssh.command(), "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as client:

        def say(text):
            client.stdin.write(text + "\n")
            client.stdin.flush()
            return client.stdout.readline().rstrip("\n")

        assert say("hello") == "hello"
        yield say
        client.stdin.close()


def states(cluster):
    lines = ssh(cluster, "sinfo -hN -o '%N %T'").stdout.splitlines()
    return dict(line.split() for line in lines)


def state(cluster, job_id):
    return ssh(cluster, f"squeue -h -t all -j {job_id} -o %T").stdout.strip()


def ticking(cluster, *options):
    """A job on node1 that writes down, again and again, that it lives."""
    command = "while :; do date +%s%N > tick.$SLURM_JOB_ID; sleep 0.1; done"
    job_id = ssh(cluster, f"sbatch --parsable -w node1 {' '.join(options)} --wrap '{command}'").stdout.strip()
    until(lambda: ssh(cluster, f"cat tick.{job_id}").stdout, "the job ticks")
    return job_id


def ticks(cluster, job_id):
    first = ssh(cluster, f"cat tick.{job_id}").stdout
    return lambda: ssh(cluster, f"cat tick.{job_id}").stdout not in {first, ""}


def test_it_has_what_the_table_says(cluster):
    assert set(cluster.faults.available()) == {name for name, where in WHERE.items() if cluster.spec.backend in where}
    with pytest.raises(FaultUnavailableError, match=r"job.preempt can't be had on this cluster"):
        cluster.faults.job.preempt(1)


def test_a_hanging_server_does_not_greet(cluster):
    with cluster.faults.ssh.hang():
        done = ssh(cluster, "true", "-o", "ConnectTimeout=2")
        assert (done.returncode, "timed out" in done.stderr) == (255, True)
    assert ssh(cluster, "echo again").stdout == "again\n"


def test_refused_connections_leave_the_open_ones_alone(cluster):
    with talking(cluster) as say:
        with cluster.faults.ssh.refuse():
            assert ssh(cluster, "true").returncode == 255
            assert say("still here") == "still here"
        assert ssh(cluster, "echo again").stdout == "again\n"
        assert say("afterwards") == "afterwards"


def test_a_connection_is_dropped_after_so_many_bytes(cluster):
    with cluster.faults.ssh.drop(after_bytes=100_000):
        done = ssh(cluster, "head -c 1000000 /dev/zero")
        assert (done.returncode, 10_000 < len(done.stdout) < 100_000) == (255, True)
        assert ssh(cluster, "echo small").stdout == "small\n"
    assert len(ssh(cluster, "head -c 1000000 /dev/zero").stdout) == 1_000_000


def test_a_slow_line_is_slower_than_a_client_wants(cluster):
    with cluster.faults.ssh.latency(600):
        done = ssh(cluster, "true", "-o", "ConnectTimeout=2")
        assert (done.returncode, "timed out" in done.stderr) == (255, True)
    assert ssh(cluster, "echo again").stdout == "again\n"


def test_a_narrow_line_is_narrow_and_loses_nothing(cluster):
    # A handshake takes more than a thousand bytes.
    with cluster.faults.ssh.bandwidth("1B/s"), pytest.raises(subprocess.TimeoutExpired):
        subprocess.run([*cluster.ssh.command(), "true"], stdin=subprocess.DEVNULL, timeout=3, check=False)
    with cluster.faults.ssh.bandwidth("200kB/s"), cluster.faults.ssh.latency(0.02):
        assert len(ssh(cluster, "head -c 100000 /dev/zero").stdout) == 100_000
    assert ssh(cluster, "echo again").stdout == "again\n"


def test_a_connection_outlives_the_bad_line_on_which_it_was_made(cluster):
    fault = cluster.faults.ssh.latency(0.02).start()
    with talking(cluster) as say:
        assert say("late") == "late"
        fault.stop()
        assert say("and on time") == "and on time"
        with cluster.faults.ssh.refuse():
            assert say("still") == "still"
    assert ssh(cluster, "echo again").stdout == "again\n"


def test_a_bad_line_is_mended_by_who_did_not_break_it(cluster):
    cluster.faults.ssh.latency(0.01).start()
    cluster.faults.ssh.refuse().start()
    assert ssh(cluster, "true").returncode == 255
    simcluster.attach(cluster.name).faults.undo_all()
    assert ssh(cluster, "echo again").stdout == "again\n"


def test_a_server_that_hangs_can_have_a_bad_line_too(cluster):
    with cluster.faults.ssh.hang(), cluster.faults.ssh.latency(0.01):
        assert "timed out" in ssh(cluster, "true", "-o", "ConnectTimeout=2").stderr
    with cluster.faults.ssh.latency(0.01), cluster.faults.ssh.wrong_host_key():
        assert "HOST IDENTIFICATION HAS CHANGED" in ssh(cluster, "true").stderr
    assert ssh(cluster, "echo again").stdout == "again\n"


def test_all_connections_are_dropped(cluster):
    with subprocess.Popen([*cluster.ssh.command(), "echo in; sleep 600"], stdout=subprocess.PIPE) as client:
        assert client.stdout.readline() == b"in\n"
        cluster.faults.ssh.drop_all().start()
        assert client.wait(60) == 255
    assert ssh(cluster, "echo again").stdout == "again\n"


def test_noise_comes_before_the_output(cluster):
    text = "Welcome to 'all' % \\ of you…"
    with cluster.faults.ssh.banner_noise(text):
        assert ssh(cluster, "echo answer").stdout == f"{text}\nanswer\n"
    assert ssh(cluster, "echo answer").stdout == "answer\n"


def test_another_host_key_is_not_trusted(cluster):
    with cluster.faults.ssh.wrong_host_key():
        assert "HOST IDENTIFICATION HAS CHANGED" in ssh(cluster, "true").stderr
    assert ssh(cluster, "echo trusted").stdout == "trusted\n"


def test_a_killed_node_is_lost_and_comes_back(cluster):
    job_id = ticking(cluster, "--no-requeue")
    with cluster.faults.node.kill("node1"):
        until(lambda: state(cluster, job_id) == "NODE_FAIL", "the job is lost")
    until(lambda: states(cluster)["node1"] == "idle", "the node is back")


def test_a_restarted_node_has_lost_its_job(cluster):
    job_id = ticking(cluster, "--no-requeue")
    cluster.faults.node.restart("node1").start()
    until(lambda: state(cluster, job_id) == "NODE_FAIL", "the job is lost")


def test_a_paused_node_is_missed_and_goes_on(cluster):
    job_id = ticking(cluster, "--no-requeue")
    with cluster.faults.node.pause("node1"):
        stopped = ticks(cluster, job_id)
        until(lambda: states(cluster)["node1"].endswith("*"), "the node is missed")
        assert not stopped()
    until(lambda: not states(cluster)["node1"].endswith("*"), "the node is back")


def test_without_slurmctld_commands_fail_and_jobs_go_on(cluster):
    job_id = ticking(cluster)
    with cluster.faults.scheduler.down():
        done = ssh(cluster, "squeue")
        assert (done.returncode, "Unable to contact slurm controller" in done.stderr) == (1, True)
        until(ticks(cluster, job_id), "the job goes on")
    until(lambda: state(cluster, job_id) == "RUNNING", "slurmctld knows the job again")


def test_submissions_are_refused_with_the_message(cluster):
    with cluster.faults.scheduler.reject_submits("Nobody's account"):
        done = ssh(cluster, "sbatch --wrap true")
        assert (done.returncode, done.stderr) == (
            1,
            "sbatch: error: Batch job submission failed: Nobody's account\n",
        )
    assert ssh(cluster, "sbatch --wrap true").returncode == 0


def test_a_slow_scheduler_answers_late(cluster):
    with cluster.faults.scheduler.slow(600):
        assert ssh(cluster, "timeout 1 sinfo").returncode == 124
    assert ssh(cluster, "sinfo").returncode == 0


def test_a_flaky_scheduler_fails_the_same_commands_for_the_same_seed(cluster):
    def codes():
        with cluster.faults.scheduler.flaky(0.5, seed=3):
            return ssh(cluster, "for _ in {1..12}; do squeue -h > out 2>&1; echo $?; done").stdout.split()

    first = codes()
    assert set(first) == {"0", "1"}
    assert codes() == first


def test_a_jobs_time_is_over(cluster):
    job_id = ticking(cluster)
    cluster.faults.job.timeout(job_id).start()
    until(lambda: state(cluster, job_id) == "TIMEOUT", "the job is over")


def test_faults_are_in_the_history(cluster):
    with cluster.faults.scheduler.slow(0):
        assert cluster.history().faults[-1].end is None
    assert (cluster.history().faults[-1].name, cluster.history().faults) == ("scheduler.slow", cluster.faults.history())


def test_processes_of_a_node_that_was_cut_off_go_on_without_the_scheduler(cluster):
    if "node.partition" not in cluster.faults.available():
        assert "loopback" in cluster.faults.refusals()["node.partition"]
        return
    job_id = ticking(cluster, "--no-requeue")
    with cluster.faults.node.partition("node1"):
        until(lambda: state(cluster, job_id) == "NODE_FAIL", "the job is lost")
        until(ticks(cluster, job_id), "its processes go on")
    until(lambda: states(cluster)["node1"] == "idle", "the node is back")


def test_a_bad_disk_is_bad_for_jobs_too(cluster):
    if "disk.full" not in cluster.faults.available():
        assert "privileges" in cluster.faults.refusals()["disk.full"]
        return
    with cluster.faults.disk.full():
        # On a node that is up already.
        assert ssh(cluster, "sbatch --wait -w node1 -o /dev/null --wrap 'echo text > file'").returncode == 1
        assert "No space left" in ssh(cluster, "echo text > file").stderr
    with cluster.faults.disk.stale(600):
        assert ssh(cluster, "sbatch --wait -w node1 -o /dev/null --wrap 'echo text > late'").returncode == 0
        assert ssh(cluster, "cat late").returncode == 1
    assert ssh(cluster, "cat late").stdout == "text\n"
