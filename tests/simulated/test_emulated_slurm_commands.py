"""Slurm's commands on the emulated scheduler, against what 22.05.8 printed."""

from __future__ import annotations

import asyncio

import pytest
from emulated_slurm import Site

from simcluster.emulated.interface import Partition


@pytest.fixture
def site():
    return Site()


def test_a_submission_says_its_number(site):
    assert site("sbatch", "--wrap", "true") == ("Submitted batch job 1\n", "", 0)
    assert site("sbatch", "--parsable", stdin=b"#!/bin/sh\n") == ("2\n", "", 0)
    assert site("sbatch", "-Q", "--wrap", "true") == ("", "", 0)


def test_a_submission_to_a_cluster_by_name_says_which(site):
    name = site.core.cluster_name
    assert site("sbatch", "-M", name, "--wrap", "true")[0] == f"Submitted batch job 1 on cluster {name}\n"
    assert site("sbatch", "--parsable", "-M", name, "--wrap", "true")[0] == f"2;{name}\n"


def test_sizes_are_in_large_units_unless_that_is_not_wanted(site):
    for size in ("500M", "1536M", "2G"):
        site("sbatch", "-H", f"--mem={size}", "--wrap", "true")
    assert site("squeue", "-h", "-S", "i", "-o", "%m")[0] == "500M\n1.50G\n2G\n"
    assert site("squeue", "-h", "-S", "i", "-o", "%m", "--noconvert")[0] == "500M\n1536M\n2048M\n"


@pytest.mark.parametrize(
    ("words", "stderr", "code"),
    [
        (["nosuch.sh"], "sbatch: error: Unable to open file nosuch.sh\n", 1),
        (["--wrap", "hostname", "extra"], "sbatch: error: Script arguments not permitted with --wrap option\n", 1),
        (["--foo"], "sbatch: unrecognized option '--foo'\nTry \"sbatch --help\" for more information\n", 255),
        (["-Z"], "sbatch: invalid option -- 'Z'\nTry \"sbatch --help\" for more information\n", 255),
        (
            ["--container=/x"],
            "sbatch: unrecognized option '--container=/x'\nTry \"sbatch --help\" for more information\n",
            255,
        ),
        (["-t", "30s", "--wrap", "x"], "sbatch: error: Invalid --time specification\n", 255),
        (["-n", "0", "--wrap", "x"], 'sbatch: error: Invalid numeric value "0" for --ntasks.\n', 1),
        (["--mem=1.5G", "--wrap", "x"], "sbatch: error: Invalid --mem specification\n", 255),
        (
            ["--mem=1", "--mem-per-cpu=1", "--wrap", "x"],
            "sbatch: fatal: --mem, --mem-per-cpu, and --mem-per-gpu are mutually exclusive.\n",
            1,
        ),
        (
            ["-p", "nosuch", "--wrap", "x"],
            (
                "sbatch: error: invalid partition specified: nosuch\n"
                "sbatch: error: Batch job submission failed: Invalid partition name specified\n"
            ),
            1,
        ),
        (
            ["-w", "nosuch", "--wrap", "x"],
            "sbatch: error: Batch job submission failed: Invalid node name specified\n",
            1,
        ),
        (
            ["-C", "nosuch", "--wrap", "x"],
            "sbatch: error: Batch job submission failed: Invalid feature specification\n",
            1,
        ),
        (["--gres=gpu:1", "--wrap", "x"], "sbatch: error: Invalid generic resource (gres) specification\n", 1),
        (
            ["--array=10-1", "--wrap", "x"],
            "sbatch: error: Batch job submission failed: Invalid job array specification\n",
            1,
        ),
        (
            ["--array=1001", "--wrap", "x"],
            "sbatch: error: Batch job submission failed: Invalid job array specification\n",
            1,
        ),
        (["-d", "foo:1", "--wrap", "x"], "sbatch: error: Batch job submission failed: Job dependency problem\n", 1),
        (
            ["--begin=junk", "--wrap", "x"],
            "Invalid time specification (pos=0): junk\nsbatch: error: Invalid --begin specification\n",
            255,
        ),
    ],
)
def test_what_sbatch_refuses(site, words, stderr, code):
    assert site("sbatch", *words) == ("", stderr, code)


def test_the_queue_is_a_table(site):
    site.submit("-J", "big", "-N2", "-n6", "-t", "30")
    site.submit("-J", "held", "-H")
    site.clock.now += 4
    assert site("squeue")[0] == (
        "             JOBID PARTITION     NAME     USER ST       TIME  NODES NODELIST(REASON)\n"
        "                 2     debug     held     user PD       0:00      1 (JobHeldUser)\n"
        "                 1     debug      big     user  R       0:04      2 node[1-2]\n"
    )
    assert site("squeue", "-h", "-j", "1", "-o", "%i|%T") == ("1|RUNNING\n", "", 0)
    assert site("squeue", "-h", "-O", "JobArrayID,StateCompact,Reason", "-j", "2")[0] == (
        "2                   PD                  JobHeldUser         \n"
    )


def test_one_unknown_id_is_an_error_and_one_of_several_is_not(site):
    number = site.submit()
    assert site("squeue", "-j", "999") == ("", "slurm_load_jobs error: Invalid job id specified\n", 1)
    assert site("squeue", "-h", "-o", "%i", "-j", f"{number},999") == ("1\n", "", 0)
    assert site("squeue", "-j", "abc") == ("", "squeue: error: Invalid job id: abc\n", 1)


def test_elements_wait_together_and_get_numbers_when_they_start(site):
    site.submit("--array=0-9", "-n1")
    assert site("squeue", "-h", "-o", "%i|%F|%A|%K|%T|%r")[0].splitlines() == [
        "1_[8-9]|1|1|8-9|PENDING|Resources",
        *(f"1_{task}|1|{task + 2}|{task}|RUNNING|None" for task in range(8)),
    ]


def test_an_array_runs_no_more_elements_than_its_limit(site):
    site.submit("--array=0-3%2")
    assert site("squeue", "-h", "-o", "%i %r", "-t", "PD")[0] == "1_[2-3%2] JobArrayTaskLimit\n"


def test_a_job_is_shown_as_scontrol_does(site):
    site.submit("-n2", "-c2", "-t", "10", "-p", "long", "--comment", "c c", "-J", "show")
    shown = site("scontrol", "show", "job", "1")[0]
    assert shown.startswith("JobId=1 JobName=show\n   UserId=user(1000) GroupId=user(1000) MCS_label=N/A\n")
    for line in (
        "   JobState=RUNNING Reason=None Dependency=(null)",
        "   Requeue=1 Restarts=0 BatchFlag=1 Reboot=0 ExitCode=0:0",
        "   RunTime=00:00:00 TimeLimit=00:10:00 TimeMin=N/A",
        "   NumNodes=1 NumCPUs=4 NumTasks=2 CPUs/Task=2 ReqB:S:C:T=0:0:*:*",
        "   TRES=cpu=4,mem=2000M,node=1,billing=4",
        "   MinCPUsNode=2 MinMemoryCPU=500M MinTmpDiskNode=0",
        "   Comment=c c ",
        "   StdOut=/home/user/t/slurm-1.out",
    ):
        assert line in shown.splitlines()


@pytest.mark.parametrize(
    ("code", "signal", "state", "shown", "recorded"),
    [
        (0, None, "COMPLETED None", "0:0", "COMPLETED|0:0"),
        (3, None, "FAILED NonZeroExitCode", "3:0", "FAILED|3:0"),
        (255, None, "FAILED NonZeroExitCode", "255:0", "FAILED|127:0"),
        (0, 9, "FAILED JobLaunchFailure", "0:9", "FAILED|0:9"),
    ],
)
def test_how_a_job_ended(code, signal, state, shown, recorded):
    site = Site()
    site.submit()
    site.end(1, code, signal)
    assert site("squeue", "-h", "-t", "all", "-o", "%T %r")[0] == f"{state}\n"
    assert f"ExitCode={shown}" in site("scontrol", "show", "job", "1")[0]
    assert site("sacct", "-nXPj", "1", "-o", "state,exitcode")[0] == f"{recorded}\n"


def test_a_running_job_is_cancelled_by_term_and_then_kill(site):
    site.submit()
    assert site("scancel", "1") == ("", "", 0)
    assert site("squeue", "-h", "-o", "%t %T")[0] == "CG COMPLETING\n"
    assert site.launcher.signals == [(1, 15, True), (1, 18, True)]
    assert site.launcher.notices[0].startswith("slurmstepd-node1: error: *** JOB 1 ON node1 CANCELLED AT ")
    site.clock.now += 30
    site.core.tick()
    assert site.launcher.signals[-1] == (1, 9, True)
    site.end(1, signal=9)
    assert (
        site("sacct", "-nPj", "1", "-o", "jobid,state,exitcode")[0]
        == "1|CANCELLED by 1000|0:0\n1.batch|CANCELLED|0:9\n"
    )


def test_what_scancel_says(site):
    number = site.submit()
    assert site("scancel", "999") == ("", "", 0)
    assert site("scancel", "abc") == ("", "scancel: error: Invalid job id abc\n", 1)
    assert site("scancel") == ("", "scancel: error: No job identification provided\n", 1)
    refused = f"scancel: error: Kill job error on job id {number}: Access/permission denied\n"
    assert site("scancel", str(number), user="other") == ("", refused, 210)


def test_waiting_gives_the_exit_code(site):
    async def scenario():
        waiting = asyncio.create_task(site.call("sbatch", "--wait", "--wrap", "exit 3"))
        await asyncio.sleep(0)
        site.end(1, 3)
        return await waiting

    assert asyncio.run(scenario()).code == 3


def test_the_environment_of_a_job(site):
    site.submit("-N2", "-n4", "-c2", "--mem=300", "-J", "multi")
    variables = site.launcher.launched[0].environment
    expected = {
        "SLURM_CPUS_ON_NODE": "4",
        "SLURM_JOB_CPUS_PER_NODE": "4(x2)",
        "SLURM_JOB_NODELIST": "node[1-2]",
        "SLURM_MEM_PER_NODE": "300",
        "SLURM_NTASKS": "4",
        "SLURM_TASKS_PER_NODE": "2(x2)",
        "SLURM_CPUS_PER_TASK": "2",
    }
    assert expected.items() <= variables.items()
    assert "SLURM_MEM_PER_CPU" not in variables


def test_output_patterns_are_filled(site):
    site.submit("-J", "nm", "-o", "o_%j_%A_%a_%x_%N_%u_%t_%n_%s_%J_%%.out", "-e", "e_%5j.err")
    job = site.launcher.launched[0]
    assert job.stdout == "/home/user/t/o_1_1_4294967294_nm_node1_user_0_0_batch_1_%.out"
    assert job.stderr == "/home/user/t/e_00001.err"


def test_directives_are_read_until_the_first_command(site):
    site.launcher.files["opts.sh"] = (
        b'#!/bin/bash\n#SBATCH --job-name="quoted name"\n#SBATCH -n 2 -c2  # why\n  #SBATCH --mem=1\necho\n#SBATCH -t 1\n'
    )
    assert site("sbatch", "opts.sh", "a", "b c")[2] == 0
    job = site.launcher.launched[0]
    assert (job.name, job.cpus, job.memory_mb, job.limit, job.arguments) == ("quoted name", 4, 2000, 7200, ("a", "b c"))


def test_without_accounting_sacct_says_so():
    assert Site(accounting=False)("sacct") == ("", "Slurm accounting storage is disabled\n", 1)


def test_partitions_are_a_table(site):
    assert site("sinfo")[0] == (
        "PARTITION AVAIL  TIMELIMIT  NODES  STATE NODELIST\n"
        "debug*       up    2:00:00      2   idle node[1-2]\n"
        "long         up 7-00:00:00      2   idle node[1-2]\n"
        "down       down   infinite      1   idle node2\n"
    )


def test_hold_and_release(site):
    site.submit("--begin=now+600")
    assert site("scontrol", "hold", "1") == ("", "", 0)
    assert site("squeue", "-ho", "%T %r")[0] == "PENDING JobHeldUser\n"
    site("scontrol", "release", "1")
    assert site("squeue", "-ho", "%T %r")[0] == "PENDING BeginTime\n"
    bad = "Invalid job id specified for job 999\nslurm_suspend error: Invalid job id specified\n"
    assert site("scontrol", "hold", "999") == ("", bad, 1)


def test_a_job_for_several_partitions_starts_in_the_first_that_has_room(site):
    blocking = site.submit("-p", "long", "-N2", "-n8")
    assert site.submit("-p", "down,long", "-J", "either") == 2
    assert site("squeue", "-ho", "%i %P %T", "-j", "2")[0] == "2 down,long PENDING\n"
    assert site("squeue", "-ho", "%i", "-p", "long", "-t", "PD")[0] == "2\n"
    site.end(blocking)
    assert site("squeue", "-ho", "%i %P %T", "-j", "2")[0] == "2 long RUNNING\n"


def test_a_partition_that_comes_up_is_taken_by_a_job_that_named_it(site):
    site.submit("-N2", "-n8")
    site.submit("-p", "debug,down")
    site.core.set_partition(Partition("down", nodes=("node2",), is_up=True))
    assert site("squeue", "-ho", "%P %r", "-j", "2")[0] == "debug,down Resources\n"
    site.end(1)
    assert site("squeue", "-ho", "%P %T", "-j", "2")[0] == "debug RUNNING\n"


def test_the_time_limit_is_that_of_the_partition_that_a_job_starts_in(site):
    site.submit("-p", "down,long")
    assert site("squeue", "-ho", "%P %l")[0] == "long 7-00:00:00\n"


def test_an_array_is_announced_by_its_own_number(site):
    assert site("sbatch", "--array=1-2", "--wrap", "true")[0] == "Submitted batch job 1\n"
    assert site("sbatch", "--wrap", "true")[0] == "Submitted batch job 3\n"


def test_overcommitted_tasks_share_a_cpu(site):
    site.submit("-O", "-n8")
    assert "NumNodes=1 NumCPUs=1 NumTasks=8 " in site("scontrol", "show", "job", "1")[0]
    variables = site.launcher.launched[0].environment
    assert (variables["SLURM_NTASKS"], variables["SLURM_CPUS_ON_NODE"]) == ("8", "1")
    assert (variables["SLURM_OVERCOMMIT"], variables["SLURM_TASKS_PER_NODE"]) == ("1", "8")


def test_a_priority_counts_for_operators_and_0_is_a_hold(site):
    site.submit("--priority=0")
    assert site("squeue", "-ho", "%r %Q")[0] == "JobHeldUser 0\n"
    site("sbatch", "--priority=5", "--begin=now+60", "--wrap", "true", user="root")
    site.submit("--priority=5", "--begin=now+60")
    assert site("squeue", "-ho", "%Q", "-j", "2,3")[0] == "4294901757\n5\n"


@pytest.mark.parametrize(
    "option",
    ["--distribution=block", "--hint=nomultithread", "--switches=1", "--profile=all", "--spread-job", "--no-kill", "-k",
     "--wait-all-nodes=1", "--use-min-nodes", "-v", "--exclusive=mcs"],
)  # fmt: skip
def test_what_would_have_no_effect_is_refused_and_named_in_the_log(site, option, caplog):
    assert site("sbatch", option, "--wrap", "true")[2] == 255
    assert option.split("=", maxsplit=1)[0] in caplog.text


def test_pbs_lines_are_refused_unless_they_are_to_be_ignored(site, caplog):
    script = b"#!/bin/sh\n#PBS -N x\n#SBATCH -J y\ntrue\n"
    assert site("sbatch", stdin=script)[2] == 1
    assert "#PBS" in caplog.text
    assert site("sbatch", "--ignore-pbs", stdin=script) == ("Submitted batch job 1\n", "", 0)


def test_details_are_the_cpus_on_each_node(site):
    site.submit("-n2")
    shown = site("scontrol", "-d", "show", "job", "1")[0]
    assert "   DerivedExitCode=0:0\n" in shown
    assert "   JOB_GRES=(null)\n     Nodes=node1 CPU_IDs=0-1 Mem=1000 GRES=\n" in shown
    assert "GRES" not in site("scontrol", "show", "job", "1")[0]
