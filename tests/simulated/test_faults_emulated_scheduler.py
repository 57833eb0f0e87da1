"""An emulated Slurm that is down, slow, forgetful or unwilling on purpose, and jobs that it ends."""

import time

import pytest

import simcluster
from simcluster.errors import SimclusterError, SpecError

UNREACHABLE = "Unable to contact slurm controller (connect failure)"


@pytest.fixture(scope="module")
def cluster():
    with simcluster.start("slurm", backend="emulated", nodes=2, cpus_per_node=2) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def _mended(cluster):
    yield
    cluster.faults.undo_all()
    cluster.run("scancel --me", check=True)


def until(condition, what):
    deadline = time.monotonic() + 60
    while not (value := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return value


def submit(cluster, script, *options):
    done = cluster.run(["sbatch", "--parsable", *options], input=f"#!/bin/bash\n{script}\n", check=True)
    return done.stdout.strip()


def state(cluster, job_id):
    (job,) = (job for job in cluster.jobs() if job.id == job_id)
    return job.state


def wait(cluster, job_id, *wanted):
    until(lambda: state(cluster, job_id) in wanted, f"job {job_id} becomes {wanted}")


def outcome(cluster, command):
    done = cluster.run(command)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("command", "code", "error"),
    [
        ("sbatch --wrap true", 1, f"sbatch: error: Batch job submission failed: {UNREACHABLE}"),
        ("squeue", 1, f"slurm_load_jobs error: {UNREACHABLE}"),
        ("squeue -h -j 1 -o %T", 1, f"slurm_load_jobs error: {UNREACHABLE}"),
        ("sinfo", 1, f"slurm_load_partitions: {UNREACHABLE}"),
        ("scancel 17", 8, f"scancel: error: Kill job error on job id 17: {UNREACHABLE}"),
        ("scontrol show job 17", 1, f"slurm_load_jobs error: {UNREACHABLE}"),
        ("scontrol show config", 1, f"slurm_load_ctl_conf error: {UNREACHABLE}"),
        (
            "scontrol hold 17",
            1,
            "Unexpected message received for job 17\nslurm_suspend error: Unexpected message received",
        ),
    ],
)
def test_commands_say_that_there_is_no_controller(cluster, command, code, error):
    with cluster.faults.scheduler.down(timeout=0):
        assert outcome(cluster, command) == (code, "", f"{error}\n")


def test_what_needs_no_controller_still_answers(cluster):
    with cluster.faults.scheduler.down(timeout=0):
        assert outcome(cluster, "scontrol ping") == (1, "Slurmctld(primary) at login is DOWN\n", "")
        assert outcome(cluster, "sbatch --version")[0] == 0
        assert outcome(cluster, "scontrol show hostnames node[1-2]") == (0, "node1\nnode2\n", "")
        assert outcome(cluster, "sacct -n")[0] == 0
    assert outcome(cluster, "scontrol ping")[0] == 0


def test_jobs_go_on_without_a_controller_and_none_is_started(cluster):
    first = submit(cluster, "until [ -e go ]; do sleep 0.05; done; touch went", "--exclusive", "-N2")
    wait(cluster, first, "RUNNING")
    second = submit(cluster, "true", "--exclusive", "-N2")
    with cluster.faults.scheduler.down():
        cluster.run("touch go")
        until(lambda: cluster.run("ls went").returncode == 0, "the job ends")
        assert state(cluster, second) == "PENDING"
    wait(cluster, second, "COMPLETED")
    assert state(cluster, first) == "COMPLETED"


def test_commands_wait_as_long_as_the_real_ones_unless_told_otherwise(cluster):
    with cluster.faults.scheduler.down():
        done = cluster.run("timeout 1 squeue")
        assert (done.returncode, done.stderr) == (124, "")


def test_a_slow_scheduler_answers_late(cluster):
    with cluster.faults.scheduler.slow(600):
        assert cluster.run("timeout 1 sinfo").returncode == 124
    with cluster.faults.scheduler.slow(0.01):
        assert cluster.run("sinfo").returncode == 0


def test_submissions_are_refused_with_the_message(cluster):
    with cluster.faults.scheduler.reject_submits("Invalid account"):
        refused = (1, "", "sbatch: error: Batch job submission failed: Invalid account\n")
        assert outcome(cluster, "sbatch --wrap true") == refused
        assert outcome(cluster, "squeue -h") == (0, "", "")
    wait(cluster, submit(cluster, "true"), "COMPLETED")


def test_a_flaky_scheduler_fails_the_same_commands_for_the_same_seed(cluster):
    def codes():
        with cluster.faults.scheduler.flaky(0.5, seed=3):
            return [cluster.run("squeue -h").returncode for _ in range(12)]

    first = codes()
    assert set(first) == {0, 1}
    assert codes() == first


def test_a_forgotten_job_is_unknown_and_goes_on(cluster):
    job_id = submit(cluster, "until [ -e finish ]; do sleep 0.05; done; touch finished")
    wait(cluster, job_id, "RUNNING")
    with cluster.faults.scheduler.forget(job_id):
        assert outcome(cluster, f"squeue -h -j {job_id}")[2] == "slurm_load_jobs error: Invalid job id specified\n"
        assert cluster.run(f"scontrol show job {job_id}").returncode == 1
        assert cluster.run(f"sacct -nX -j {job_id} -o state%10").stdout.strip() == "RUNNING"
        cluster.run("touch finish")
        wait(cluster, job_id, "COMPLETED")
        assert cluster.run("ls finished").returncode == 0
    assert cluster.run(f"squeue -h -t all -j {job_id} -o %T").stdout == "COMPLETED\n"


def test_an_element_of_an_array_is_forgotten_alone(cluster):
    array = submit(cluster, "true", "--array=1-2")
    for element in (f"{array}_1", f"{array}_2"):
        wait(cluster, element, "COMPLETED")
    with cluster.faults.scheduler.forget(f"{array}_1"):
        assert cluster.run(f"squeue -h -t all -j {array} -o %K").stdout == "2\n"
    assert sorted(cluster.run(f"squeue -h -t all -j {array} -o %K").stdout.split()) == ["1", "2"]


def test_a_preempted_job_goes_back_into_the_queue(cluster):
    job_id = submit(cluster, "sleep 600")
    wait(cluster, job_id, "RUNNING")
    cluster.faults.job.preempt(job_id).start()
    until(lambda: cluster.run(f"squeue -h -j {job_id} -o '%T %r'").stdout == "PENDING BeginTime\n", "it waits")
    assert "DUE TO PREEMPTION" in cluster.run(f"cat slurm-{job_id}.out").stdout


def test_jobs_end_for_memory_and_for_time(cluster):
    jobs = {name: submit(cluster, "sleep 600") for name in ("oom", "timeout")}
    for job_id in jobs.values():
        wait(cluster, job_id, "RUNNING")
    cluster.faults.job.oom(jobs["oom"]).start()
    cluster.faults.job.timeout(jobs["timeout"]).start()
    wait(cluster, jobs["oom"], "OUT_OF_MEMORY")
    wait(cluster, jobs["timeout"], "TIMEOUT")
    assert "DUE TO TIME LIMIT" in cluster.run(f"cat slurm-{jobs['timeout']}.out").stdout
    assert not cluster.faults.active()


def test_faults_of_jobs_want_one_that_runs(cluster):
    job_id = submit(cluster, "true")
    wait(cluster, job_id, "COMPLETED")
    with pytest.raises(SpecError, match=f"job {job_id} does not run: it is COMPLETED"):
        cluster.faults.job.oom(job_id).start()
    with pytest.raises(SpecError, match="there is no job '99999'"):
        cluster.faults.job.timeout(99999).start()
    held = submit(cluster, "true", "--hold")
    with pytest.raises(SimclusterError, match="has not started"):
        cluster.faults.scheduler.forget(held).start()
