"""Grid Engine's commands on an emulated cluster, over SSH. What they should say was recorded from 8.1.9."""

from __future__ import annotations

import re
import time

import pytest

import simcluster


@pytest.fixture(scope="module")
def cluster():
    with simcluster.start(
        "sge", nodes=2, cpus_per_node=4, gpus_per_node=1, pythons=["3.12"], partitions=[{"name": "short"}]
    ) as cluster:
        yield cluster


@pytest.fixture
def run(cluster, request):
    directory = f"{cluster.home}/{re.sub('[^a-z0-9]', '_', request.node.name)}"
    cluster.run(["mkdir", "-p", directory], check=True)

    def run(command, text=None):
        done = cluster.run(f"cd {directory} && {command}", input=text, timeout=60)
        return done.stdout, done.stderr, done.returncode

    yield run
    cluster.run("qdel -u $USER")


def until(run, command, wanted):
    deadline = time.monotonic() + 60
    while (found := run(command))[0] != wanted:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def submit(run, options, script="true"):
    stdout, _, _ = run(f"cat > job.sh; qsub -terse -cwd {options} job.sh", text=f"#!/bin/bash\n{script}\n")
    return re.match(r"\d+", stdout)[0]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("qsub true.sh", 'Your job N ("true.sh") has been submitted\n'),
        ("qsub -N name true.sh", 'Your job N ("name") has been submitted\n'),
        ("echo true | qsub", 'Your job N ("STDIN") has been submitted\n'),
        ("qsub -b y sleep 0", 'Your job N ("sleep") has been submitted\n'),
        ("qsub -t 1-6:2 true.sh", 'Your job-array N.1-6:2 ("true.sh") has been submitted\n'),
        ("qsub -t 3-1 true.sh", 'Your job-array N.1-3:1 ("true.sh") has been submitted\n'),
        ("qsub -terse true.sh", "N\n"),
        ("qsub -terse -t 1-2 true.sh", "N.1-2:1\n"),
    ],
)
def test_qsub_says_what_it_took(run, command, said):
    run("echo true > true.sh")
    stdout, stderr, code = run(command)
    assert (re.sub(r"(job |array |^)\d+", r"\1N", stdout), stderr, code) == (said, "", 0)


@pytest.mark.parametrize(
    ("command", "stderr", "code"),
    [
        ("qsub nofile", "Unable to read script file because of error: error opening nofile: No such file or directory\n", 14),
        ("qsub < /dev/null", "Unable to read script file because of error: no input read from stdin\n", 4),
        ("qsub -foo true.sh", 'qsub: invalid option argument "-foo"\n', 2),
        ("qsub -verify true.sh", 'qsub: invalid option argument "-verify"\n', 2),
        ("qsub -w e true.sh", 'qsub: invalid option argument "-w"\n', 2),
        ("qsub -N", "qsub: -N option must have argument\n", 2),
        ("qsub -v", "qsub: -v option must have variable list argument\n", 2),
        ("qsub -N 1bad true.sh", 'Unable to run job: denied: "1bad" is not a valid object name (cannot start with a digit)\nExiting.\n', 1),
        ("qsub -l foo=1 true.sh", 'Unable to run job: unknown resource "foo"\nExiting.\n', 1),
        ("qsub -l select=1 true.sh", 'Unable to run job: unknown resource "select"\nExiting.\n', 1),
        ("qsub -l h_rt=abc true.sh", 'Unable to run job: attribute "h_rt" is not a time value\nExiting.\n', 1),
        ("qsub -q x.q true.sh", 'Unable to run job: Job was rejected because job requests unknown queue "x.q"\nExiting.\n', 1),
        ("qsub -pe x 2 true.sh", 'Unable to run job: job rejected: the requested parallel environment "x" does not exist\nExiting.\n', 1),
        ("qsub -t 0-3 true.sh", "Unable to run job: job rejected: 0 is an invalid task id\nExiting.\n", 1),
        ("qsub -t 1-x true.sh", 'qsub: Numerical value invalid!\nThe initial portion of string "x" contains no decimal number\n', 7),
        ("qsub -j q true.sh", 'qsub: invalid option argument "-j q"\n', 7),
        ("qsub -p abc true.sh", 'qsub: invalid priority "abc".  Must be an integer from -1023 to 1024\n', 7),
        ("qsub -P x true.sh", 'Unable to run job: job rejected: the requested project "x" does not exist\nExiting.\n', 1),
        ("qsub -m zzz true.sh", 'qsub: Wrong mail options list format "zzz" specified to -m option\n', 7),
        ("qsub bad.sh", 'Unable to read script file because of error: invalid option argument "-Z"\n', 2),
    ],
)  # fmt: skip
def test_qsub_refuses_in_grid_engines_words(run, command, stderr, code):
    run("echo true > true.sh; echo '#$ -Z' > bad.sh")
    assert run(command) == ("", stderr, code)


def test_an_option_that_is_not_emulated_is_named_in_the_log(cluster, run):
    run("echo true > true.sh; qsub -binding linear true.sh")
    log = (cluster.ssh.key_file.parent / "daemon.log").read_text()
    assert "qsub -binding is an option of Grid Engine's that is not emulated: refused" in log


def test_a_job_sees_its_environment_and_runs_where_cwd_says(run):
    lines = "echo $JOB_ID $JOB_NAME $QUEUE $NSLOTS $SGE_TASK_ID $SGE_O_WORKDIR $PE; pwd; echo $FOO; test -d $TMPDIR"
    number = submit(run, "-N env -pe smp 2 -v FOO=bar -sync y -j y", lines)
    directory = run("pwd")[0].strip()
    assert run(f"cat env.o{number}")[0] == f"{number} env all.q 2 undefined {directory} smp\n{directory}\nbar\n"


def test_python3_of_a_job_is_the_cluster_s(cluster, run):
    number = submit(run, "-sync y -j y -N py", "python3 --version")
    assert run(f"cat py.o{number}")[0].startswith("Python 3.12")


def test_tasks_have_files_and_numbers_of_their_own(run):
    number = submit(run, "-t 2-4:2 -sync y -j y", "echo $SGE_TASK_ID of $SGE_TASK_LAST by $SGE_TASK_STEPSIZE")
    assert run(f"cat job.sh.o{number}.2 job.sh.o{number}.4")[0] == "2 of 4 by 2\n4 of 4 by 2\n"


def test_output_goes_where_it_is_sent(run):
    number = submit(run, "-sync y -o '$JOB_NAME.$JOB_ID.log' -j y", "echo here; echo there >&2")
    run("mkdir logs")
    other = submit(run, "-sync y -o logs -e /dev/null", "echo in a directory")
    assert run(f"cat job.sh.{number}.log logs/job.sh.o{other}")[0] == "here\nthere\nin a directory\n"


@pytest.mark.parametrize(
    ("script", "said", "code"),
    [
        ("exit 0", "", 0),
        ("exit 3", "Job N exited with exit code 3.\n", 3),
        ("kill -9 $$", "Job N exited because of signal SIGKILL\n", 1),
    ],
)
def test_sync_waits_and_ends_as_the_job_does(run, script, said, code):
    _, stderr, found = run(f"echo '{script}' > job.sh; qsub -cwd -sync y job.sh")
    assert (re.sub(r"\d+ exited", "N exited", stderr), found) == (said, code)


def test_qstat_shows_what_runs_and_what_waits(run):
    number = submit(run, "-N sleeper -pe smp 4", "sleep 300")
    until(run, "qstat | awk '/sleeper/ {print $5}'", "r\n")
    held = submit(run, "-h -N held -t 1-3")
    stdout, _, _ = run("qstat")
    head, dashes, first, second = stdout.splitlines()
    assert (
        head
        == "job-ID  prior   name       user         state submit/start at     queue                          slots ja-task-ID "
    )
    assert dashes == "-" * 113
    assert re.fullmatch(
        rf" {{5,6}}{number} 0\.50000 sleeper    \w+ +r     \S{{10}} \S{{8}} all\.q@node\d {{20}}    4 {{8}}", first
    ), first
    assert re.fullmatch(rf" {{5,6}}{held} 0\.00000 held       \w+ +hqw   \S{{10}} \S{{8}} {{35}} 1 1-3:1", second), (
        second
    )
    assert run("qstat -s p | wc -l; qstat -s r | wc -l; qstat -u nobody")[0] == "3\n3\n"
    assert "<JB_name>held</JB_name>" in run("qstat -xml")[0]
    assert f"job_number:                 {held}\n" in run(f"qstat -j {held}")[0]
    assert run("qstat -j 99999") == ("", "Following jobs do not exist: \n99999\n", 1)


def test_qdel_tells_what_it_deleted(cluster, run):
    user = cluster.ssh.username
    running = submit(run, "-N sleeper", "sleep 300")
    until(run, "qstat | awk '/sleeper/ {print $5}'", "r\n")
    waiting, array = submit(run, "-h"), submit(run, "-h -t 1-4")
    assert run(f"qdel {running}") == (f"{user} has registered the job {running} for deletion\n", "", 0)
    assert run(f"qdel {waiting}") == (f"{user} has deleted job {waiting}\n", "", 0)
    assert run(f"qdel {array} -t 2") == (f"{user} has deleted job-array task {array}.2\n", "", 0)
    assert run(f"qdel {array}.3-4") == (f"{user} has deleted job-array tasks 3,4 of job {array}\n", "", 0)
    assert run("qdel 99999") == ('denied: job "99999" does not exist\n', "", 1)
    until(run, "qstat -j sleeper 2>&1 | head -1", "Following jobs do not exist: \n")
    assert "failed       100 : assumedly after job\n" in run(f"qacct -j {running}")[0]


def test_a_hold_keeps_a_job_from_starting_until_qrls(run):
    number = submit(run, "-h -N kept")
    assert run("qstat | awk '/kept/ {print $5}'")[0] == "hqw\n"
    assert run(f"qrls {number}") == (f"modified hold of job {number}\n", "", 0)
    until(run, f"qacct -j {number} | awk '/exit_status/ {{print $2}}'", "0\n")
    assert run("qrls 99999") == ('denied: job "99999" does not exist\n', "", 3)


def test_hold_jid_waits_for_jobs_by_number_and_name(run):
    first = submit(run, "-h -N first", "exit 3")
    submit(run, f"-N second -hold_jid {first}")
    submit(run, "-N third -hold_jid 'fir*',nosuch")
    assert run("qstat | awk '/second|third/ {print $5}'")[0] == "hqw\nhqw\n"
    run(f"qrls {first}")
    until(run, "qstat", "")


def test_what_is_over_its_time_is_killed_after_a_warning(run):
    script = 'trap "echo warned" USR1; for i in $(seq 600); do sleep 0.1; done'
    number = submit(run, "-l h_rt=4,s_rt=1 -sync y -j y -N late", script)
    assert "warned" in run(f"cat late.o{number}")[0]
    stdout, _, _ = run(f"qacct -j {number}")
    assert "failed       37  : qmaster enforced h_rt, h_cpu, or h_vmem limit\n" in stdout
    assert "exit_status  137                  (Killed)\n" in stdout


def test_exit_99_comes_back_and_exit_100_waits_in_error(run):
    submit(run, "-N again", "[ -e here ] && exit 0; touch here; exit 99")
    until(run, "qacct -j again 2>/dev/null | awk '/exit_status/ {print $2}'", "99\n0\n")
    submit(run, "-N broken", "exit 100")
    until(run, "qstat | awk '/broken/ {print $5}'", "Eqw\n")


def test_an_output_that_can_not_be_opened_puts_the_job_into_error(run):
    submit(run, "-o nodir/file -N nowhere")
    until(run, "qstat | awk '/nowhere/ {print $5}'", "Eqw\n")


def test_queues_hosts_and_gpus_are_chosen(run):
    number = submit(run, "-q short@node2 -l gpu=1 -sync y -j y", "echo $QUEUE $HOSTNAME $CUDA_VISIBLE_DEVICES")
    assert run(f"cat job.sh.o{number}")[0] == "short node2 0\n"


def test_qhost_and_the_queues_show_the_nodes(run):
    stdout, _, code = run("qhost")
    assert code == 0
    assert stdout.splitlines()[3:] == [
        f"node{n}                   lx-amd64        4    1    4    4  0.00    4.0G    0.0M     0.0     0.0"
        for n in (1, 2)
    ]
    assert [line.split()[:3] for line in run("qstat -f")[0].splitlines()[2::2]] == [
        [f"{queue}@node{number}", "BIP", "0/0/4"] for queue in ("all.q", "short") for number in (1, 2)
    ]


def test_a_node_that_dies_ends_its_jobs_and_restartable_ones_run_again(cluster, run):
    submit(run, "-q all.q@node1 -N gone", "sleep 300")
    submit(run, "-q all.q@node1 -r y -N back", "sleep 300")
    until(run, "qstat | awk '/gone|back/ {print $5}' | sort -u", "r\n")
    cluster.nodes["node1"].restart()
    until(run, "qacct -j gone 2>/dev/null | awk '/failed/ {print $2}'", "100\n")
    until(run, "qstat | awk '/back/ {print $5}'", "Rr\n")
