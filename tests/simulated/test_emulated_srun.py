"""Steps on an emulated cluster: srun on the login host and in jobs, as 22.05.8 was recorded."""

from __future__ import annotations

import re
import time

import pytest

import simcluster


@pytest.fixture(scope="module")
def cluster():
    with simcluster.start("slurm", backend="emulated", nodes=2, cpus_per_node=4, gpus_per_node=2) as cluster:
        yield cluster


@pytest.fixture
def run(cluster):
    def run(command, **more):
        done = cluster.run(command, timeout=120, **more)
        return done.stdout, done.stderr, done.returncode

    return run


def batch(cluster, script, *options):
    """Run a script as a job and wait for its end: the job's id and its output."""
    command = " ".join(["sbatch", "--parsable", "-W", "-o", "%j.out", *options])
    job_id = cluster.run(command, input=f"#!/bin/bash\n{script}\n", timeout=120).stdout.strip()
    return job_id, cluster.run(f"cat {job_id}.out", check=True).stdout


def wait_for(cluster, command, text):
    """Until a command prints something."""
    deadline = time.monotonic() + 60
    while text not in cluster.run(command).stdout:
        assert time.monotonic() < deadline, command


@pytest.mark.parametrize(
    ("command", "stdout"),
    [
        ("srun hostname", "node1\n"),
        ("srun -n2 -N2 -l hostname | sort", "0: node1\n1: node2\n"),
        ("srun -N2 hostname | sort", "node1\nnode2\n"),
        (
            "srun -n3 -l bash -c 'echo $SLURM_PROCID $SLURM_LOCALID $SLURM_NODEID $SLURM_STEP_ID' | sort",
            "0: 0 0 0 0\n1: 1 1 0 0\n2: 2 2 0 0\n",
        ),
        ("srun --ntasks 2 -l echo hi | sort", "0: hi\n1: hi\n"),
        ("srun --unbuffered echo hi", "hi\n"),
        ("echo in | srun cat", "in\n"),
        ("echo in | srun -n2 -l cat | sort", "0: in\n1: in\n"),
        ("echo in | srun -n2 -i0 -l cat", "0: in\n"),
        ("srun -i none cat", ""),
        ("srun -o none hostname", ""),
        ("srun -D /tmp pwd", "/tmp\n"),
        ("FOO=1 srun --export=BAR=2 /usr/bin/env | grep -E '^(FOO|BAR|PATH)'", "BAR=2\n"),
        ("srun -w node2 hostname", "node2\n"),
        ("srun -O -n9 hostname | sort -u", "node1\n"),
    ],
)
def test_what_the_tasks_print_is_what_srun_prints(run, command, stdout):
    assert run(command) == (stdout, "", 0)


@pytest.mark.parametrize(
    ("command", "stderr", "code"),
    [
        ("srun bash -c 'exit 3'", "srun: error: node1: task 0: Exited with exit code 3\n", 3),
        ("srun bash -c 'kill -SEGV $$'", "srun: error: node1: task 0: Segmentation fault\n", 139),
        (
            "srun nosuch",
            (
                "slurmstepd-node1: error: execve(): nosuch: No such file or directory\n"
                "srun: error: node1: task 0: Exited with exit code 2\n"
            ),
            2,
        ),
        ("srun", "srun: fatal: No command given to execute.\n", 1),
        ("srun --bad", "srun: unrecognized option '--bad'\nTry \"srun --help\" for more information\n", 255),
        ("srun --pty bash", "srun: unrecognized option '--pty'\nTry \"srun --help\" for more information\n", 255),
        (
            "srun -p nosuch hostname",
            (
                "srun: error: invalid partition specified: nosuch\n"
                "srun: error: Unable to allocate resources: Invalid partition name specified\n"
            ),
            1,
        ),
        (
            "srun -n2 nosuch",
            (
                "slurmstepd-node1: error: execve(): nosuch: No such file or directory\n"
                "slurmstepd-node1: error: execve(): nosuch: No such file or directory\n"
                "srun: error: node1: tasks 0-1: Exited with exit code 2\n"
            ),
            2,
        ),
        (
            "srun --cpu-bind=nosuch hostname",
            (
                "srun: cluster configuration lacks support for cpu binding\n"
                'srun: error: unrecognized --cpu-bind argument "nosuch"\n'
                "srun: fatal: Failed to parse --cpu-bind= values.\n"
            ),
            1,
        ),
        ("srun -L x hostname", "srun: error: Unable to allocate resources: Invalid license specification\n", 1),
        (
            "srun --reservation=x hostname",
            "srun: error: Unable to allocate resources: Requested reservation is invalid\n",
            1,
        ),
        (
            "srun -H -I1 hostname",
            (
                "srun: Job is in held state, pending scheduler release\n"
                "srun: job {job} queued and waiting for resources\n"
                "srun: error: Unable to allocate resources: Requested nodes are busy\n"
            ),
            1,
        ),
        ("srun -o /nonexistent/x hostname", "srun: error: Could not open stdout file: No such file or directory\n", 1),
        (
            "srun --jobid=99999 hostname",
            (
                "srun: error: Unable to confirm allocation for job 99999: Invalid job id specified\n"
                "srun: Check SLURM_JOB_ID environment variable. Expired or invalid job 99999\n"
            ),
            1,
        ),
    ],
)
def test_what_goes_wrong_is_said_in_srun_s_words(run, command, stderr, code):
    stdout, said, exit_code = run(command)
    assert (stdout, re.sub(r"job \d+ queued", "job {job} queued", said), exit_code) == ("", stderr, code)


@pytest.mark.parametrize(
    "option",
    [
        *("-Z", "-v", "-E", "-k", "-m block", "--distribution=cyclic", "--hint=nomultithread", "--spread-job"),
        *("--use-min-nodes", "--whole", "--gpus-per-task=1", "--mpi=pmix"),
    ],
)
def test_what_would_have_no_effect_is_refused(run, option):
    stdout, stderr, code = run(f"srun {option} hostname")
    assert (stdout, code) == ("", 255)
    assert stderr.endswith('Try "srun --help" for more information\n')


@pytest.mark.parametrize("command", ["salloc true", "sstat -a", "sprio"])
def test_programs_that_are_not_emulated_are_not_found(run, command):
    assert run(command) == ("", f"bash: {command.split()[0]}: command not found\n", 127)


@pytest.mark.parametrize("value", ["none", "q", "v,none", "cores", "map_cpu:0,1"])
def test_cpus_are_not_bound_and_srun_says_so(run, value):
    assert run(f"srun --cpu-bind={value} hostname") == (
        "node1\n",
        "srun: cluster configuration lacks support for cpu binding\n",
        0,
    )


def test_the_exit_code_is_the_highest_of_the_tasks(run):
    _, stderr, code = run("srun -n2 bash -c 'exit $((SLURM_PROCID+1))'")
    assert code == 2
    assert sorted(stderr.splitlines()) == [
        "srun: error: node1: task 0: Exited with exit code 1",
        "srun: error: node1: task 1: Exited with exit code 2",
    ]


def test_output_files_have_their_patterns_filled_in(run):
    run("mkdir -p patterns && cd patterns && srun -n2 -N2 -o o.%t.%N -e e.%s hostname")
    assert run("cd patterns; ls; cat o.0.node1 o.1.node2")[0] == "e.0\no.0.node1\no.1.node2\nnode1\nnode2\n"


def test_a_bad_exit_kills_the_others_where_that_was_asked_for(run):
    assert run("srun -K -n2 bash -c '[ $SLURM_PROCID = 0 ] && exit 4; sleep 4331'")[2] == 137
    assert run("srun --wait=1 -n2 bash -c '[ $SLURM_PROCID = 0 ] && exit 0; sleep 4331'")[2] == 137


@pytest.mark.parametrize(
    ("end", "code", "word", "state"),
    [("kill -TERM $srun", 137, "Killed", "FAILED|0:9"), ("scancel -n st", 143, "Terminated", "CANCELLED by")],
)
def test_a_step_ends_with_its_srun_and_with_its_job(cluster, end, code, word, state):
    def run(command):
        done = cluster.run(command, timeout=120)
        return done.stdout, done.stderr, done.returncode

    started = "until squeue -h -n st -t R -o %i | grep .; do :; done >/dev/null; sleep 1"
    script = f"srun -J st sleep 4332 & srun=$!; {started}; {end}; wait $srun; echo $?"
    out, err, _ = run(f"bash -c '{script}'")
    assert out == f"{code}\n"
    assert "srun: Job step aborted: Waiting up to 4 seconds for job step to finish.\n" in err
    assert f"srun: error: node1: task 0: {word}\n" in err
    assert state in run("sacct -n -X -P -o state,exitcode --name st | tail -1")[0]
    wait_for(cluster, "srun bash -c \"cat /proc/*/cmdline | tr '\\0' ' ' | grep -c '[s]leep 4332'\"", "0")


def test_one_step_can_be_cancelled(cluster):
    job_id, said = batch(cluster, "srun sleep 4334 & sleep 1; scancel $SLURM_JOB_ID.0; wait $!; echo after $?")
    assert said.splitlines()[-2:] == ["srun: error: node1: task 0: Killed", "after 137"]
    shown = cluster.run(f"sacct -n -P -j {job_id} -o state,exitcode").stdout.splitlines()
    assert shown[:2] == ["COMPLETED|0:0", "COMPLETED|0:0"]
    assert shown[2].startswith("CANCELLED by ")


def test_a_killed_srun_takes_its_step_along(cluster, run):
    started = "until squeue -h -n kd -t R -o %i | grep .; do :; done >/dev/null; sleep 1"
    run(f"bash -c 'srun -J kd sleep 4333 & {started}; kill -KILL $!'")
    wait_for(cluster, "sacct -n -X -P -o state --name kd", "FAILED")
    assert run("squeue -h -n kd")[0] == ""


def test_a_signal_reaches_the_step(run):
    started = "until [ -e u1 ]; do :; done"
    step = 'srun -J us bash -c "trap \\"echo got; exit 9\\" USR1; touch u1; while :; do sleep 0.1; done"'
    assert run(f"bash -c '{step} & {started}; scancel -s USR1 -n us; wait $!'")[::2] == ("got\n", 9)


def test_steps_of_a_job_run_on_all_of_its_nodes(cluster):
    script = """
srun hostname | sort
srun -n2 -N2 -l hostname | sort
srun -n1 -N1 bash -c 'exit 5'; echo rc=$?
srun -n9 hostname; echo rc=$?
srun -N3 hostname; echo rc=$?
srun -n1 -N1 bash -c 'echo $SLURM_STEP_ID $SLURM_NTASKS $SLURM_STEP_NODELIST $SLURM_CPUS_ON_NODE'
srun -n2 -N2 bash -c 'echo $SLURM_NODEID $SLURM_PROCID $SLURMD_NODENAME' | sort"""
    job_id, said = batch(cluster, script, "-N2", "-n5")
    assert said.splitlines() == [
        *["node1"] * 4,
        "node2",
        "0: node1",
        "1: node2",
        "srun: error: node1: task 0: Exited with exit code 5",
        "rc=5",
        f"srun: error: Unable to create step for job {job_id}: More processors requested than permitted",
        "rc=1",
        "srun: error: Only allocated 2 nodes asked for 3",
        "rc=1",
        "3 1 node1 4",
        "0 0 node1",
        "1 1 node2",
    ]
    accounted = cluster.run(f"sacct -n -P -j {job_id} -o jobid,jobname,state,exitcode,ntasks").stdout.splitlines()
    assert accounted[1:4] == [
        f"{job_id}.batch|batch|COMPLETED|0:0|1",
        f"{job_id}.0|hostname|COMPLETED|0:0|5",
        f"{job_id}.1|hostname|COMPLETED|0:0|2",
    ]
    assert accounted[4] == f"{job_id}.2|bash|FAILED|5:0|1"


def test_a_step_waits_for_room_unless_it_overlaps(cluster):
    script = """
srun -n1 sleep 2 & sleep 1
srun --overlap -n1 echo overlaps
srun -n1 echo waited
wait"""
    job_id, said = batch(cluster, script, "-n1")
    assert said.splitlines() == [
        "overlaps",
        f"srun: Job {job_id} step creation temporarily disabled, retrying (Requested nodes are busy)",
        f"srun: Step created for StepId={job_id}.2",
        "waited",
    ]


def test_what_submitit_and_parsl_call_in_a_job(cluster):
    script = "srun --unbuffered --output $PWD/%j_%t_log.out --error $PWD/%j_%t_log.err bash -c 'echo o; echo e >&2'"
    job_id, _ = batch(cluster, script)
    assert cluster.run(f"cat {job_id}_0_log.out {job_id}_0_log.err").stdout == "o\ne\n"
    _, said = batch(cluster, "srun --ntasks 2 -l bash -c 'echo $SLURM_NTASKS' | sort", "-n2")
    assert said == "0: 2\n1: 2\n"


@pytest.mark.parametrize(("mode", "kept"), [("append", "a\nb\n"), ("truncate", "b\n")])
def test_steps_open_their_files_as_their_job_does(cluster, mode, kept):
    _, said = batch(cluster, "srun -o m.txt echo a; srun -o m.txt echo b; cat m.txt; rm m.txt", f"--open-mode={mode}")
    assert said == kept


def test_a_step_counts_against_the_memory_of_its_job(cluster):
    eat = "python3 -c \"import time; x = b'x' * 200_000_000; time.sleep(1000)\""
    job_id, _ = batch(cluster, f"srun {eat}", "--mem=100")
    assert cluster.run(f"sacct -X -n -P -o state -j {job_id}").stdout == "OUT_OF_MEMORY\n"


def test_jobs_that_share_a_node_have_gpus_of_their_own(cluster):
    jobs = [
        cluster.run(
            f"sbatch --parsable -w node1 -o gpu.{number} --gres=gpu:1"
            " --wrap 'echo $CUDA_VISIBLE_DEVICES; until [ -s gpu.0 ] && [ -s gpu.1 ]; do sleep 0.1; done'",
            check=True,
        )
        for number in range(2)
    ]
    wait_for(cluster, f"squeue -h -t all -o %T -j {jobs[1].stdout.strip()}", "COMPLETED")
    assert sorted(cluster.run("cat gpu.0 gpu.1").stdout.split()) == ["0", "1"]


def test_the_umask_of_the_submitter_is_the_job_s(run, cluster):
    cluster.run("umask 027; sbatch -W -o umask.out --wrap umask", check=True, timeout=120)
    assert run("cat umask.out")[0] == "0027\n"
    assert run("umask 077; srun bash -c umask")[0] == "0077\n"


def test_the_last_element_of_an_array_has_steps_though_its_number_is_the_array_s(run):
    run("mkdir -p elements && cd elements && sbatch --wait -a 0-2 --wrap 'srun echo $SLURM_ARRAY_TASK_ID'")
    assert run("cd elements; cat *.out | sort")[0] == "0\n1\n2\n"


@pytest.mark.parametrize(("option", "who"), [("", "step"), ("B:", "script")])
def test_the_warning_before_the_time_limit_is_for_the_steps_or_for_the_script(cluster, option, who):
    trap = "trap 'echo {} was warned; exit' USR1"
    step = f"{trap.format('step')}; until [ -e {who} ]; do sleep 0.1; done; echo step was not"
    script = f"""rm -f {who}
{trap.format("script").replace("exit", f"touch {who}")}
srun bash -c "{step}" & srun=$!
while kill -0 $srun 2>/dev/null; do wait $srun; done
[ -e {who} ] || echo script was not"""
    _, said = batch(cluster, script, "-t 1", f"--signal={option}USR1@57")
    assert said.splitlines()[-2:] == [
        f"{who} was warned",
        f"{'script' if who == 'step' else 'step'} was not",
    ]


def test_a_step_has_more_tasks_than_its_job_cpus_when_that_was_asked_for(cluster):
    job_id, said = batch(cluster, "srun -n3 hostname; srun -O -n3 -l hostname | sort", "-n1")
    assert said.splitlines() == [
        f"srun: error: Unable to create step for job {job_id}: More processors requested than permitted",
        *(f"{number}: node1" for number in range(3)),
    ]


def test_the_end_of_a_script_ends_its_step_on_another_node(cluster):
    script = (
        "srun -N2 -n2 bash -c 'touch s.$SLURM_PROCID; exec sleep 4335' & until [ -e s.0 ] && [ -e s.1 ]; do :; done"
    )
    job_id, _ = batch(cluster, script, "-N2", "-n2")
    assert cluster.run(f"sacct -X -n -P -o state -j {job_id}").stdout == "COMPLETED\n"
    counted = 'cat /proc/*/cmdline | tr "\\0" " " | grep -c "[s]leep 4335"'
    assert cluster.run(f"srun -N2 -n2 bash -c '{counted}'").stdout == "0\n0\n"
