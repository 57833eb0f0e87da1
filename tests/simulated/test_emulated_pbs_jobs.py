"""An emulated PBS cluster, spoken to over SSH: how jobs run and end, in the words of OpenPBS 23.06.06."""

import json
import shlex
import time

import pytest

import simcluster

QUEUES = [
    {"name": "workq", "max_time": "2:00:00"},
    {"name": "long", "max_cpus": 2},
    {"name": "frozen", "state": "DOWN"},
    {"name": "closed", "state": "DRAIN"},
]


@pytest.fixture(scope="module")
def cluster():
    with simcluster.start("pbs", nodes=2, cpus_per_node=4, partitions=QUEUES) as cluster:
        yield cluster


@pytest.fixture
def directory(cluster, request):
    """A directory of the test's own."""
    path = f"{cluster.home}/{request.node.name.replace('[', '_').replace(']', '')}"
    cluster.run(f"mkdir -p {path}", check=True)
    return path


def submit(cluster, script, *options, directory=None):
    """Submit a script; its id."""
    where = f"cd {directory}; " if directory else ""
    return cluster.run(where + shlex.join(["qsub", *options]), input=f"{script}\n", check=True).stdout.strip()


def attributes(cluster, job_id):
    """What `qstat -xf` says of a job."""
    shown = json.loads(cluster.run(f"qstat -x -f -F json '{job_id}'", check=True).stdout)
    return shown["Jobs"][job_id]


def wait(cluster, job_id, *states):
    """Wait until the job is in one of the states; what is then said of it."""
    deadline = time.monotonic() + 60
    while (found := attributes(cluster, job_id))["job_state"] not in states:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def ended(cluster, job_id):
    return wait(cluster, job_id, "F")


def wait_for_file(cluster, path):
    deadline = time.monotonic() + 60
    while cluster.run(f"test -s {path}").returncode:
        assert time.monotonic() < deadline, path
        time.sleep(0.05)


def ending(cluster, script, *options):
    """Exit_status and substate of a job that ends by itself."""
    found = ended(cluster, submit(cluster, script, *options))
    return found["Exit_status"], found["substate"]


def test_a_job_starts_at_home_and_leaves_its_output_where_it_was_submitted(cluster, directory):
    job_id = submit(
        cluster, "pwd; hostname; cat $PBS_NODEFILE; echo $PBS_O_WORKDIR", "-N", "where", directory=directory
    )
    found = ended(cluster, job_id)
    number, node = job_id.removesuffix(".pbs"), found["exec_host"].partition("/")[0]
    said = cluster.run(f"cat {directory}/where.o{number}", check=True).stdout.split()
    assert said == [cluster.home, node, node, directory]
    assert cluster.run(f"cat {directory}/where.e{number}", check=True).stdout == ""
    assert found["Output_Path"] == f"login:{directory}/where.o{number}"
    assert (found["Exit_status"], found["Stageout_status"], found["substate"]) == (0, 1, 92)


def test_the_variables_are_those_of_pbs_and_none_of_the_submitters(cluster, directory):
    command = "export MINE=1; qsub -v \"A='x,y',B\" -l select=2:ncpus=2:mpiprocs=2 -l place=scatter -N vars -j oe"
    job_id = cluster.run(f"cd {directory}; export B=2; {command}", input="env; cat $PBS_NODEFILE\n", check=True)
    job_id = job_id.stdout.strip()
    ended(cluster, job_id)
    lines = cluster.run(f"cat {directory}/vars.o*", check=True).stdout.splitlines()
    seen = dict(line.split("=", 1) for line in lines if "=" in line)
    assert lines[-4:] == ["node1", "node1", "node2", "node2"]
    assert "MINE" not in seen
    wanted = {
        "A": "x,y",
        "B": "2",
        "ENVIRONMENT": "BATCH",
        "NCPUS": "2",
        "OMP_NUM_THREADS": "2",
        "PBS_ENVIRONMENT": "PBS_BATCH",
        "PBS_JOBID": job_id,
        "PBS_JOBNAME": "vars",
        "PBS_O_QUEUE": "workq",
        "PBS_O_WORKDIR": directory,
        "PBS_QUEUE": "workq",
        "PBS_TASKNUM": "1",
    }
    assert {name: seen[name] for name in wanted} == wanted


def test_output_appears_at_the_end_or_live_with_d(cluster, directory):
    script = "echo begun; touch begun.$PBS_JOBID; while [ ! -e go.$PBS_JOBID ]; do sleep 0.1; done"
    late = submit(cluster, script, "-N", "late", directory=directory)
    live = submit(cluster, script, "-N", "live", "-k", "oed", directory=directory)
    wait_for_file(cluster, f"{directory}/live.o*")
    assert cluster.run(f"ls {directory}").stdout.split() == [f"live.e{live[:-4]}", f"live.o{live[:-4]}"]
    cluster.run(f"touch go.{late} go.{live}", check=True)
    ended(cluster, late)
    assert cluster.run(f"cat {directory}/late.o*").stdout == "begun\n"


@pytest.mark.parametrize(
    ("options", "files"),
    [
        (["-o", "out.txt", "-j", "oe"], {"out.txt": "out\nerr\n"}),
        (["-e", "err.txt", "-j", "eo"], {"err.txt": "out\nerr\n"}),
        (["-o", "out.txt", "-R", "e"], {"out.txt": "out\n"}),
    ],
)
def test_output_goes_where_it_was_asked_to(cluster, directory, options, files):
    ended(cluster, submit(cluster, "echo out; echo err >&2", *options, directory=directory))
    assert cluster.run(f"ls {directory}").stdout.split() == list(files)
    for name, text in files.items():
        assert cluster.run(f"cat {directory}/{name}").stdout == text


def test_output_goes_into_a_directory_under_the_id(cluster, directory):
    job_id = submit(cluster, "echo out", "-o", directory, "-e", f"{directory}/")
    ended(cluster, job_id)
    assert cluster.run(f"ls {directory}").stdout.split() == [f"{job_id}.ER", f"{job_id}.OU"]


def test_output_that_can_not_be_delivered_keeps_the_job_exiting(cluster):
    job_id = submit(cluster, "exit 3", "-o", "/nosuch/dir/out")
    found = wait(cluster, job_id, "E")
    assert (found["substate"], found["Exit_status"], found.get("Stageout_status")) == (51, 3, None)
    refused = cluster.run(f"qdel {job_id}")
    assert (refused.stderr, refused.returncode) == (f"qdel: Request invalid for state of job {job_id}\n", 168)


def test_files_are_the_users_alone_unless_the_umask_says_otherwise(cluster, directory):
    ended(cluster, submit(cluster, "true", "-N", "own", "-j", "oe", directory=directory))
    ended(cluster, submit(cluster, "true", "-N", "all", "-j", "oe", "-W", "umask=022", directory=directory))
    modes = cluster.run(f"stat -c %a {directory}/own.o* {directory}/all.o*").stdout.split()
    assert modes == ["600", "644"]


@pytest.mark.parametrize(
    ("script", "wanted"),
    [
        ("true", (0, 92)),
        ("exit 3", (3, 93)),
        ("kill -9 $$", (137, 93)),
        ("sh -c 'kill -SEGV $$'", (139, 93)),
        ("#!/no/such/interp", (127, 93)),
        ("#!/usr/bin/env python3\nraise SystemExit(5)", (5, 93)),
    ],
)
def test_the_exit_status_is_what_the_login_shell_makes_of_it(cluster, script, wanted):
    assert ending(cluster, script) == wanted


def test_a_command_runs_without_a_shell(cluster, directory):
    job_id = cluster.run(f"cd {directory}; qsub -N direct -- /bin/echo 'two  words' '$HOME'", check=True).stdout.strip()
    assert ended(cluster, job_id)["executable"] == "<jsdl-hpcpa:Executable>/bin/echo</jsdl-hpcpa:Executable>"
    assert cluster.run(f"cat {directory}/direct.o*").stdout == "two  words $HOME\n"


def test_over_its_walltime_a_job_is_killed_and_told_why(cluster, directory):
    job_id = submit(cluster, "#!/bin/bash\nsleep 4331", "-l", "walltime=1", "-N", "over", directory=directory)
    found = ended(cluster, job_id)
    assert (found["Exit_status"], found["substate"]) == (-29, 93)
    assert found["comment"].endswith(" and exceeded resource walltime")
    told = cluster.run(f"cat {directory}/over.e*").stdout
    assert told.startswith("=>> PBS: job killed: walltime 2 exceeded limit 1\n")


def test_more_memory_than_asked_for_is_let_pass_as_on_a_site_that_does_not_enforce_it(cluster):
    script = "exec python3 -c 'x = b\"x\" * 200_000_000; import time; time.sleep(1)'"
    assert ending(cluster, script, "-l", "select=1:ncpus=1:mem=100mb") == (0, 92)


def test_a_running_job_that_is_deleted_ends_with_271_after_its_trap_has_run(cluster, directory):
    script = "trap 'echo got TERM; exit 7' TERM\necho start > started\nwhile :; do sleep 0.1; done"
    job_id = submit(cluster, f"cd {directory}\n{script}", "-N", "trap", directory=directory)
    wait_for_file(cluster, f"{directory}/started")
    assert cluster.run(f"qdel {job_id}", check=True).stdout == ""
    found = ended(cluster, job_id)
    assert (found["Exit_status"], found["substate"]) == (271, 91)
    assert found["comment"].endswith(f" and terminated by {cluster.ssh.username}@login")
    assert cluster.run(f"cat {directory}/trap.o*").stdout == "got TERM\n"


def test_force_kills_at_once(cluster):
    job_id = submit(cluster, "trap '' TERM; sleep 4332")
    wait(cluster, job_id, "R")
    cluster.run(f"qdel -W force {job_id}", check=True)
    assert ended(cluster, job_id)["Exit_status"] == 265


def test_a_waiting_job_that_is_deleted_has_no_exit_status(cluster):
    job_id = submit(cluster, "true", "-q", "frozen")
    assert attributes(cluster, job_id)["comment"] == "Not Running: Queue not started."
    cluster.run(f"qdel {job_id}", check=True)
    found = attributes(cluster, job_id)
    assert (found["job_state"], found["substate"], found.get("Exit_status")) == ("F", 91, None)
    assert found["comment"] == "Not Running: Queue not started. and terminated"


def test_a_hold_is_kept_until_it_is_released(cluster):
    job_id = submit(cluster, "true", "-h")
    found = attributes(cluster, job_id)
    assert (found["job_state"], found["Hold_Types"], found["substate"]) == ("H", "u", 20)
    cluster.run(f"qrls {job_id}", check=True)
    assert ended(cluster, job_id)["Exit_status"] == 0


def test_a_hold_on_a_running_job_lets_it_go_on(cluster):
    job_id = submit(cluster, "sleep 4333")
    wait(cluster, job_id, "R")
    cluster.run(f"qhold {job_id}", check=True)
    found = attributes(cluster, job_id)
    assert (found["job_state"], found["Hold_Types"]) == ("R", "u")
    assert found["comment"].startswith("Job held by user on ")
    cluster.run(f"qdel -W force {job_id}", check=True)


def test_a_job_that_may_wait_until_a_date_waits(cluster):
    job_id = submit(cluster, "true", "-a", "203001010000")
    assert attributes(cluster, job_id)["job_state"] == "W"
    cluster.run(f"qdel {job_id}", check=True)


def test_block_waits_for_the_end_and_exits_as_the_job(cluster):
    done = cluster.run("qsub -W block=true", input="exit 3\n")
    assert done.returncode == 3
    assert attributes(cluster, done.stdout.strip())["job_state"] == "F"


def test_signals_reach_what_the_job_started(cluster, directory):
    script = f"trap 'echo usr1 > {directory}/heard' USR1; echo > {directory}/ready; while :; do sleep 0.1; done"
    job_id = cluster.run(f"qsub -- /bin/bash -c {shlex.quote(script)}", check=True).stdout.strip()
    wait_for_file(cluster, f"{directory}/ready")
    cluster.run(f"qsig -s SIGUSR1 {job_id}", check=True)
    wait_for_file(cluster, f"{directory}/heard")
    cluster.run(f"qdel {job_id}", check=True)


def test_a_job_of_a_node_that_is_lost_runs_again_or_ends_with_minus_20(cluster):
    stays = submit(cluster, "sleep 4334", "-r", "n")
    again = submit(cluster, "sleep 4334")
    first, second = wait(cluster, stays, "R"), wait(cluster, again, "R")
    names = {found["exec_host"].partition("/")[0] for found in (first, second)}
    for name in names:
        cluster.nodes[name].kill()
    assert ended(cluster, stays)["Exit_status"] == -20
    deadline = time.monotonic() + 60
    while attributes(cluster, again).get("run_count") != 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    for name in names:
        cluster.nodes[name].restart()
    cluster.run(f"qdel -W force {again}", check=True)


def test_dependencies_hold_release_and_delete(cluster):
    first = submit(cluster, "while [ ! -e go.dependencies ]; do sleep 0.1; done; exit 3")
    wait(cluster, first, "R")
    kinds = ("afterok", "afternotok", "afterany", "after")
    ids = {kind: submit(cluster, "true", "-W", f"depend={kind}:{first}") for kind in kinds}
    assert ended(cluster, ids["after"])["Exit_status"] == 0
    waiting = attributes(cluster, ids["afterok"])
    assert (waiting["job_state"], waiting["Hold_Types"], waiting["substate"]) == ("H", "s", 22)
    assert waiting["depend"] == f"afterok:{first}@pbs"
    assert attributes(cluster, first)["depend"] == ",".join(
        f"{kind}:{ids[other]}@pbs"
        for kind, other in (("beforeok", "afterok"), ("beforenotok", "afternotok"), ("beforeany", "afterany"))
    )
    cluster.run("touch go.dependencies", check=True)
    deleted = ended(cluster, ids["afterok"])
    assert (deleted.get("Exit_status"), deleted["substate"]) == (None, 92)
    assert ended(cluster, ids["afternotok"])["Exit_status"] == 0
    assert ended(cluster, ids["afterany"])["Exit_status"] == 0


def test_what_waits_for_an_unknown_job_is_deleted(cluster):
    found = ended(cluster, submit(cluster, "true", "-W", "depend=afterany:99999"))
    assert (found["substate"], found["depend"], found.get("Exit_status")) == (92, "afterany:99999.pbs@pbs", None)


def test_the_elements_of_an_array_share_its_id(cluster, directory):
    script = "echo $PBS_JOBID $PBS_ARRAY_INDEX $PBS_ARRAY_ID; [ $PBS_ARRAY_INDEX != 3 ]"
    array = submit(cluster, script, "-J", "1-5:2", "-N", "arr", directory=directory)
    assert array.endswith("[].pbs")
    number = array.partition("[")[0]
    found = ended(cluster, array)
    assert (found["Exit_status"], found["substate"], found["array_indices_submitted"]) == (1, 93, "1-5:2")
    for index in (1, 3, 5):
        said = cluster.run(f"cat {directory}/arr.o{number}.{index}").stdout
        assert said == f"{number}[{index}].pbs {index} {array}\n"
        assert attributes(cluster, f"{number}[{index}].pbs")["array_index"] == index


def test_an_array_runs_no_more_at_once_than_it_may_and_can_be_ended_by_element(cluster):
    array = submit(cluster, "sleep 4335", "-J", "0-9%3")
    number = array.partition("[")[0]
    wait(cluster, f"{number}[2].pbs", "R")
    rows = cluster.run(f"qstat -t '{array}'", check=True).stdout.splitlines()[2:]
    assert [row.split()[4] for row in rows] == ["B", *"RRR", *"QQQQQQQ"]
    counts = attributes(cluster, array)
    assert counts["array_state_count"] == "Queued:7 Running:3 Exiting:0 Expired:0"
    assert counts["array_indices_remaining"] == "3-9"
    cluster.run(f"qdel '{number}[9]'", check=True)
    assert wait(cluster, f"{number}[9].pbs", "X").get("Exit_status") is None
    again = cluster.run(f"qdel '{number}[9]'")
    assert (again.stderr, again.returncode) == (
        f"qdel: Request invalid for finished array subjob {number}[9].pbs\n",
        55,
    )
    cluster.run(f"qdel '{array}'", check=True)
    ended(cluster, array)
    assert attributes(cluster, f"{number}[0].pbs")["Exit_status"] == 271
