"""What is left when a client goes: nothing that it fetched or cancelled, everything that it still wants."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import workload
from packaging.version import Version

import clustrix
from clustrix import cluster

pytestmark = pytest.mark.real_world


@pytest.fixture
def client(configured, slurm):
    """client(script) starts a Python that runs it as the user's own script, configured by environment variables."""
    started = []
    settings = {
        f"CLUSTRIX_{name.upper()}": str(value)
        for name, value in clustrix.get_config().public_dict().items()
        if isinstance(value, str)
    }
    settings |= {"CLUSTRIX_CLUSTER_PORT": str(slurm.ssh.port), "PYTHONPATH": str(Path(__file__).parent)}

    def start(script: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", "import clustrix, workload\n" + script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | settings,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def wait_for(slurm, condition: str) -> None:
    slurm.run(f"for i in $(seq 300); do {condition} && exit 0; sleep 0.1; done; exit 1", check=True, timeout=60)


def journal(tmp_path) -> list[str]:
    return [path.name for path in (tmp_path / "state").rglob("cx*.json")]


def test_a_script_that_fetches_and_ends_leaves_nothing_on_either_side(client, slurm, tmp_path):
    for _ in range(5):
        process = client("f = clustrix.ClusterExecutor().submit(workload.doubled, 4); print(f.job_id, f.result(60))")
        output, errors = process.communicate(timeout=90)
        job_id, value = output.split()
        assert (value, process.returncode, errors.replace("clustrix: ", "")[:9]) in {
            ("8", 0, ""),
            ("8", 0, "building "),
        }
        assert slurm.run(f"find ~/.clustrix -name '*{job_id}*'").stdout == ""
        assert journal(tmp_path) == []


def test_a_script_that_ends_right_after_submitting_has_submitted(client, slurm):
    process = client("print(clustrix.ClusterExecutor().submit(workload.doubled, 4).job_id)")
    job_id = process.communicate(timeout=60)[0].strip()
    assert clustrix.attach(job_id).result(60) == 8


# A test run in the background ignores SIGINT, and so would its children.
BLOCKING = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
executor = clustrix.ClusterExecutor()
executor.connect()
future = executor.submit(workload.sleeps, 300)
try:
    print(future.job_id, flush=True)
    future.result()
except KeyboardInterrupt:
    future.cancel()
    raise
"""


@pytest.mark.parametrize("moment", ["at once", "when it is queued"])
def test_ctrl_c_cancels_the_job_whenever_it_comes(client, slurm, tmp_path, moment):
    process = client(BLOCKING)
    job_id = process.stdout.readline().strip()
    if moment != "at once":
        wait_for(slurm, f"squeue -h -n {job_id} | grep -q .")
    process.send_signal(signal.SIGINT)
    errors = process.communicate(timeout=60)[1]
    assert "KeyboardInterrupt" in errors
    wait_for(slurm, f"! squeue -h -n {job_id} -t PD,R,CG | grep -q .")
    assert journal(tmp_path) == []
    assert slurm.run(f"find ~/.clustrix/jobs -name '*{job_id}*'").stdout == ""


def test_a_client_killed_while_it_sends_leaves_a_job_that_is_found_or_was_never_submitted(client, slurm):
    process = client(
        "e = clustrix.ClusterExecutor(); e.connect(); f = e.submit(workload.size, bytes(200 << 20)); print(f.job_id, flush=True); f.result()"
    )
    job_id = process.stdout.readline().strip()
    process.kill()
    process.wait()
    future = clustrix.attach(job_id)
    error = future.exception(90)
    if error is None:
        assert future.result() == 200 << 20
    else:
        assert "never submitted" in str(error)
        assert not [job for job in slurm.jobs() if job.name == job_id]


def test_jobs_of_a_closed_connection_are_heard_of_over_the_next_one(configured):
    with clustrix.ClusterExecutor() as executor:
        first = executor.submit(workload.sleeps, 2)
        executor.submit(workload.doubled, 1).result(60)
        executor.disconnect()
        assert executor.submit(workload.doubled, 2).result(60) == 4
        assert first.result(60) is None


def test_attaching_to_a_job_of_this_process_gives_its_own_future(configured):
    with clustrix.ClusterExecutor() as executor:
        future = executor.submit(workload.doubled, 1)
        assert executor.attach(future.job_id) is future
        assert future.result(60) == 2


def test_a_cancelled_future_was_not_run_when_it_was_cancelled_in_time(configured, slurm):
    with clustrix.ClusterExecutor() as executor:
        futures = [executor.submit(workload.sleeps, 60) for _ in range(12)]
        assert all(future.cancel() for future in futures)
    for future in futures:
        wait_for(slurm, f"! squeue -h -n {future.job_id} -t PD,R,CG | grep -q .")


def test_a_module_that_is_not_there_is_refused_before_anything_is_queued(configured):
    with pytest.raises(clustrix.EnvironmentSetupError, match="nosuch/1"):
        cluster(modules=["nosuch/1"], python="3.6")(workload.doubled)(1)


def test_a_command_that_fails_before_the_function_ends_the_job(configured):
    with pytest.raises(clustrix.JobFailedError) as caught:
        cluster(pre_execution_commands=["true", "(exit 3)"], python="3.6")(workload.doubled)(1)
    assert caught.value.exit_code == 3


def test_a_function_that_exits_does_not_end_the_client(configured):
    with pytest.raises(clustrix.JobFailedError, match=r"SystemExit\(4\)") as caught:
        cluster(python="3.6")(workload.exits)(4)
    assert caught.value.exit_code == 4


def test_the_users_own_sbatch_variables_do_not_override_what_was_asked_for(configured, slurm):
    slurm.run("cp .bashrc .bashrc.kept; sed -i '1i export SBATCH_TIMELIMIT=7 SBATCH_REQUEUE=1' .bashrc", check=True)
    try:
        with clustrix.ClusterExecutor(clustrix.ClusterConfig(**clustrix.get_config().public_dict())) as executor:
            future = executor.submit(workload.sleeps, 3)
            wait_for(slurm, f"squeue -h -n {future.job_id} | grep -q .")
            shown = slurm.run(f"scontrol show job $(squeue -h -n {future.job_id} -o %i)", check=True).stdout
            future.result(60)
    finally:
        slurm.run("mv .bashrc.kept .bashrc", check=True)
    assert "TimeLimit=00:05:00" in shown
    assert "Requeue=0" in shown


def test_arguments_that_the_job_cannot_read_are_an_error_that_says_why(configured):
    with pytest.raises(
        clustrix.SerializationError, match=r"can't be read by Python 3\.6.*No module named 'packaging'.*Plain data"
    ):
        cluster(python="3.6", requirements=[])(workload.doubled)(Version("1.0"))
