"""Batch scripts of an emulated cluster are real processes, on nodes that can die."""

import json
import shlex
import time

import pytest

import simcluster

pytest.importorskip("simcluster.emulated.slurm.scontrol")


@pytest.fixture(scope="module")
def cluster():
    with simcluster.start("slurm", backend="emulated", nodes=2, cpus_per_node=2) as cluster:
        yield cluster


def submit(cluster, script, *options):
    """Submit a script; its id."""
    command = shlex.join(["sbatch", "--parsable", *options])
    return cluster.run(command, input=f"#!/bin/bash\n{script}\n", check=True).stdout.strip()


def wait(cluster, job_id, *states):
    """Wait until the job is in one of the states; it."""
    deadline = time.monotonic() + 60
    while True:
        (job,) = (job for job in cluster.jobs() if job.id == job_id)
        if job.state in states:
            return job
        assert time.monotonic() < deadline, job


def ended(cluster, job_id):
    return wait(cluster, job_id, "COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL")


def test_a_job_runs_on_its_node_where_it_was_submitted(cluster):
    cluster.run("mkdir -p work", check=True)
    job_id = cluster.run("cd work; sbatch --parsable --wrap 'hostname; pwd; whoami'", check=True).stdout.strip()
    job = ended(cluster, job_id)
    assert (job.state, job.exit_code) == ("COMPLETED", "0:0")
    said = cluster.run(f"cat work/slurm-{job_id}.out").stdout.split()
    assert said == [job.node, f"{cluster.home}/work", cluster.ssh.username]


def test_the_exit_code_and_the_signal_are_the_scripts(cluster):
    assert ended(cluster, submit(cluster, "exit 7")).exit_code == "7:0"
    assert ended(cluster, submit(cluster, "kill -KILL $$")).exit_code == "0:9"


def test_output_and_errors_go_where_they_were_asked_to(cluster):
    job_id = submit(cluster, "echo out; echo err >&2", "--output=%j.out", "--error=%j.err")
    ended(cluster, job_id)
    assert cluster.run(f"cat {job_id}.out; cat {job_id}.err").stdout == "out\nerr\n"


def test_output_into_a_directory_that_is_not_there_fails_the_job(cluster):
    job = ended(cluster, submit(cluster, "touch ran", "--output=/nowhere/at/all"))
    assert (job.state, job.exit_code) == ("FAILED", "0:53")
    assert cluster.run("test -e ran").returncode == 1


def test_an_interpreter_that_is_not_there_fails_the_job(cluster):
    made = cluster.run("sbatch --parsable -o bad.out", input="#!/no/such/shell\n", check=True)
    assert ended(cluster, made.stdout.strip()).state == "FAILED"
    assert "bad interpreter(/no/such/shell): No such file or directory" in cluster.run("cat bad.out").stdout


def test_modules_are_there_in_jobs(cluster):
    newest = list(cluster.pythons)[-1]
    job_id = submit(cluster, f"module load python/{newest}; python -V", "--output=module.out")
    assert ended(cluster, job_id).state == "COMPLETED"
    assert cluster.run("cat module.out").stdout.startswith(f"Python {newest}.")


def test_cancelling_ends_all_that_descends_from_the_script(cluster):
    script = "(setsid sleep 4322 & setsid nohup sleep 4322 &)\nsleep 4322 & echo $! > child; wait"
    job_id = submit(cluster, script)
    deadline = time.monotonic() + 30
    while cluster.run("test -s child").returncode:
        assert time.monotonic() < deadline
    cluster.run(f"scancel {job_id}", check=True)
    assert ended(cluster, job_id).state == "CANCELLED"
    probe = submit(cluster, "cat /proc/*/cmdline | tr '\\0' ' ' | grep -c '[s]leep 4322'", "--output=probe.out")
    ended(cluster, probe)
    assert cluster.run("cat probe.out").stdout.strip() == "0"


def test_what_a_job_leaves_behind_is_ended_with_it(cluster):
    job_id = submit(cluster, "setsid nohup sleep 4323 >/dev/null 2>&1 & sleep 0.1")
    assert ended(cluster, job_id).state == "COMPLETED"
    probe = submit(cluster, "cat /proc/*/cmdline | tr '\\0' ' ' | grep -c '[s]leep 4323'", "--output=left.out")
    ended(cluster, probe)
    assert cluster.run("cat left.out").stdout.strip() == "0"


def test_a_job_over_its_memory_is_ended(cluster):
    job = ended(
        cluster, submit(cluster, "exec python3 -c 'x = b\"x\" * 400_000_000; input()' < <(sleep 1000)", "--mem=100")
    )
    assert job.state == "OUT_OF_MEMORY"


def test_a_job_of_a_node_that_dies_runs_again_when_it_may(cluster):
    job_id = submit(cluster, "sleep 4324", "--no-requeue")
    again = submit(cluster, "sleep 4324", "--requeue")
    first, second = wait(cluster, job_id, "RUNNING"), wait(cluster, again, "RUNNING")
    for name in {first.node, second.node}:
        cluster.nodes[name].kill()
    assert ended(cluster, job_id).state == "NODE_FAIL"
    assert wait(cluster, again, "PENDING").node is None
    cluster.run(f"scancel {again}", check=True)
    for name in {first.node, second.node}:
        cluster.nodes[name].restart()
    assert ended(cluster, submit(cluster, "true", "--nodes=2", "--ntasks-per-node=1")).state == "COMPLETED"


def test_a_restarted_node_has_lost_what_ran_on_it(cluster):
    job_id = submit(cluster, "sleep 4325", "--no-requeue")
    cluster.nodes[wait(cluster, job_id, "RUNNING").node].restart()
    assert ended(cluster, job_id).state == "NODE_FAIL"


def test_the_scripts_of_commands_come_from_files_links_and_input(cluster):
    cluster.run(
        f"printf '#!/bin/sh\\necho from a file\\n' > file.sh; ln -sf {cluster.home}/file.sh link.sh", check=True
    )
    for command in ("sbatch --parsable file.sh", "sbatch --parsable $PWD/link.sh", "sbatch --parsable < file.sh"):
        job_id = cluster.run(command, check=True).stdout.strip()
        ended(cluster, job_id)
        assert cluster.run(f"cat slurm-{job_id}.out").stdout == "from a file\n"


def test_commands_do_not_wait_for_input_that_they_do_not_read(cluster):
    assert cluster.run("squeue < <(exec sleep 1000 2>&-)", timeout=60).returncode == 0


def test_jobs_know_their_machine_by_name_in_python_too(cluster):
    job_id = submit(
        cluster, "exec python3 -c 'import json, socket; print(json.dumps(socket.gethostname()))'", "-o", "name"
    )
    job = ended(cluster, job_id)
    if "uts" in cluster.isolation:
        assert json.loads(cluster.run("cat name").stdout) == job.node


def test_get_user_env_gives_a_job_the_login_s_variables_where_its_submitter_has_none(cluster):
    script = "#!/bin/bash\n#SBATCH --get-user-env=L\n#SBATCH -o login.out\necho $SCRATCH $FOO\n"
    cluster.run("env -u SCRATCH FOO=mine sbatch --wait", input=script, check=True)
    assert cluster.run("cat login.out").stdout == f"{cluster.scratch} mine\n"


@pytest.mark.parametrize("number", ["200", "99999999999"])
def test_a_signal_that_there_is_none_of_does_no_harm(cluster, number):
    job_id = submit(cluster, "sleep 4338")
    wait(cluster, job_id, "RUNNING")
    cluster.run(f"scancel --full -s {number} {job_id}", check=True)
    assert cluster.run(f"srun --jobid={job_id} --overlap echo alive", timeout=60).stdout == "alive\n"
    assert wait(cluster, job_id, "RUNNING", "FAILED").state == "RUNNING"
    cluster.run(f"scancel {job_id}", check=True)
