"""squeue, scontrol, sinfo and scancel on the emulated scheduler, where 22.05.8 surprises."""

from __future__ import annotations

import pytest
from emulated_slurm import Site

from simcluster.emulated.interface import Partition
from simcluster.emulated.jobs import StepRequest
from simcluster.emulated.slurm.times import stamp
from simcluster.emulated.steps import create_step


@pytest.fixture
def site():
    return Site()


def test_held_jobs_come_last(site):
    site.submit("-H")
    site.submit("--begin=now+60")
    assert site("squeue", "-ho", "%i %Q")[0] == "2 4294901758\n1 0\n"
    site("scontrol", "release", "1")
    assert site("squeue", "-ho", "%i %T")[0].splitlines()[-1] == "1 RUNNING"


def test_named_elements_are_shown_without_the_others(site):
    site.submit("--array=1-9%2", "-H")
    assert site("squeue", "-ho", "%i")[0] == "1_[1-9%2]\n"
    assert site("squeue", "-ho", "%i", "-j", "1_3,1_4")[0] == "1_[3-4]\n"
    assert site("squeue", "-ho", "%i", "-j", "1_3")[0] == "1_3\n"
    assert "ArrayTaskId=3 ArrayTaskThrottle=2 " in site("scontrol", "show", "job", "1_3")[0]


def test_an_empty_list_of_ids_is_no_job(site):
    site.submit()
    assert site("squeue", "-h", "-j", "") == ("", "", 0)


def test_nodes_of_a_waiting_job_are_as_many_as_could_hold_it(site):
    site.submit("-n8", "-N2")
    site.submit("-n8")
    assert site("squeue", "-ho", "%D", "-t", "PD")[0] == "2\n"


@pytest.mark.parametrize("entity", ["node", "partition"])
def test_what_is_not_there_is_said_on_stdout(site, entity):
    assert site("scontrol", "show", entity, "nosuch") == (f"{entity.capitalize()} nosuch not found\n", "", 1)


def test_hostlists(site):
    assert site("scontrol", "show", "hostname", "node[1-2]")[0] == "node1\nnode2\n"
    assert site("scontrol", "show", "hostlistsorted", "b2,b1,a1")[0] == "a1,b[1-2]\n"
    assert site("scontrol", "show", "hostnames", environment={"SLURM_NODELIST": "n[1-2]"})[0] == "n1\nn2\n"
    assert site("scontrol", "show", "hostnames") == ("", "scontrol: error: host list is empty\n", 1)
    assert site("scontrol", "version")[0] == "slurm-wlm 22.05.8\n"


def test_a_job_requeued_in_held_state_waits_for_its_release(site):
    site.submit("--begin=now+60")
    refused = "Job is pending execution for job 1\n"
    assert site("scontrol", "requeuehold", "1") == ("", refused, 1)
    site.submit()
    assert site("scontrol", "requeuehold", "2") == ("", "", 0)
    site.end(2, signal=15)
    site.clock.now += 600
    site.core.tick()
    assert site("squeue", "-ho", "%T %r", "-j", "2")[0] == "PENDING JobHeldUser\n"
    site("scontrol", "release", "2")
    assert site("squeue", "-ho", "%T", "-j", "2")[0] == "RUNNING\n"


def test_strangers_may_not_requeue(site):
    site.submit()
    refused = "Access/permission denied for job 1\n"
    assert site("scontrol", "requeue", "1", user="other") == ("", refused, 1)


def test_only_operators_set_priorities(site):
    site.submit("--begin=now+60")
    refused = "Changes to job priority are not persistent, change nice instead for job 1\n"
    assert site("scontrol", "update", "job=1", "Priority=100") == ("", refused, 1)
    assert site("scontrol", "update", "job=1", "Priority=100", user="root") == ("", "", 0)
    assert site("squeue", "-ho", "%Q")[0] == "100\n"


def test_steps_that_run_have_records(site):
    site.submit("-n2")
    create_step(site.core.find(1)[0], StepRequest("work", 2), site.clock.now)
    shown = site("scontrol", "show", "step", "1")[0]
    assert "StepId=1.batch UserId=1000 StartTime=" in shown
    assert "   Nodes=1 CPUs=0 Tasks=1 Name=batch Network=(null)\n" in shown
    assert "   Nodes=1 CPUs=2 Tasks=2 Name=work Network=(null)\n   TRES=cpu=2,mem=1000M,node=1\n" in shown
    assert site("scontrol", "-o", "show", "step", "1.0")[0].startswith("StepId=1.0 ")


def test_a_drained_node_has_a_reason(site):
    refused = "You must specify a reason when DOWNING or DRAINING a node. Request denied\n"
    assert site("scontrol", "update", "NodeName=node1", "State=DRAIN", user="root") == ("", refused, 1)
    site("scontrol", "update", "NodeName=node1", "State=DRAIN", "Reason=disk bad", user="root")
    assert site("sinfo", "-R")[0] == (
        "REASON               USER      TIMESTAMP           NODELIST\n"
        f"disk bad             root      {stamp(site.clock.now)} node1\n"
    )
    assert site("sinfo", "-hNo", "%N %T", "-p", "debug")[0] == "node1 drained\nnode2 idle\n"


def test_nodes_that_do_not_answer(site):
    site.core.node_down("node1")
    site("scontrol", "update", "NodeName=node2", "State=DOWN", "Reason=y", user="root")
    assert site("sinfo", "-hdo", "%N %T", "-p", "debug")[0] == "node1 down*\n"
    assert site("sinfo", "-hro", "%N %T", "-p", "debug")[0] == "node2 down\n"


def test_a_partition_is_changed_or_the_change_refused(site, caplog):
    site("scontrol", "update", "PartitionName=down", "State=UP", "MaxTime=5", user="root")
    assert site("sinfo", "-ho", "%a %l", "-p", "down")[0] == "up 5:00\n"
    assert site("scontrol", "update", "PartitionName=down", "PriorityTier=2", user="root")[2] == 1
    assert "prioritytier" in caplog.text


@pytest.mark.parametrize(
    "words",
    [("squeue", "-v"), ("squeue", "-i", "1"), ("sinfo", "-e"), ("sinfo", "-S", "N"), ("scontrol", "-v", "ping"),
     ("scancel", "-H", "1"), ("sacct", "-v"), ("scontrol", "listpids"), ("scontrol", "show", "topology")],
)  # fmt: skip
def test_what_is_not_emulated_is_refused_and_named_in_the_log(site, words, caplog):
    assert site(*words)[2] == 1
    assert words[0] in caplog.text
    assert words[-1] in caplog.text or words[1] in caplog.text


def test_an_array_that_is_cancelled_while_it_waits_stays_one_record(site):
    site.submit("--array=0-3%1", "-n1")
    site("scancel", "1_2")
    assert site("squeue", "-ho", "%i")[0] == "1_[1,3%1]\n1_0\n"
    site("scancel", "1")
    site.end(2, signal=15)
    assert site("sacct", "-nXPo", "jobid,jobidraw,state")[0] == (
        "1_0|2|CANCELLED by 1000\n1_[1,3%1]|1|CANCELLED by 1000\n"
    )
    assert site.submit() == 3


def test_jobs_are_cancelled_by_what_they_are(site):
    site.submit("-J", "one", "-w", "node1")
    site.submit("-J", "two", "-p", "down,long", "-H")
    site.submit("-J", "three", "--array=1-2", "-H")
    site.submit("-J", "four", "-A", "test", "-w", "node2")
    for options, left in (
        (("-p", "long"), "1 3_[1-2] 4"),
        (("-w", "node[1,3]"), "3_[1-2] 4"),
        (("-n", "three"), "4"),
        (("-A", "test", "-u", "1000", "-t", "RUNNING"), ""),
    ):
        assert site("scancel", *options) == ("", "", 0)
        for job in list(site.core.running):
            if job.is_completing:
                site.core.ended(job, None, 15)
        assert sorted(site("squeue", "-ho", "%i")[0].split()) == left.split()
    assert site("squeue", "-h", "-t", "CA", "-o", "%i", "-n", "three")[0] == "3_[1-2]\n"


def test_a_kill_of_the_batch_script_alone_is_a_signal(site):
    site.submit()
    site("scancel", "-b", "-s", "KILL", "1")
    assert site.launcher.signals == [(1, 9, False)]
    site("scancel", "-f", "-s", "USR1", "1")
    assert site.launcher.signals[-1] == (1, 10, True)


def test_starts_are_expected_in_order(site):
    start = site.clock.now
    site.submit("-n8", "-N2", "-t", "30")
    site.submit("-n1", "-t", "20", "-J", "small")
    site.submit("-N2", "-n8", "-t", "20")
    site.submit("-n1")
    site.submit("-H")
    seconds = {"SLURM_TIME_FORMAT": "%s"}
    shown = site("squeue", "-h", "--start", "-o", "%i %S %Y", environment=seconds)[0].splitlines()
    assert shown == [
        f"2 {start + 1800:.0f} node1",
        f"3 {start + 3000:.0f} node[1-2]",
        f"4 {start + 4200:.0f} node1",
        "5 N/A (null)",
    ]
    assert site("squeue", "-h", "-j", "2", "-o", "%e", environment=seconds)[0] == f"{start + 3000:.0f}\n"


def test_nothing_is_expected_behind_a_job_without_a_limit(site):
    site.core.set_partition(Partition("debug", is_default=True))
    site.submit("-n8", "-N2")
    site.submit("-n1")
    assert site("squeue", "-h", "--start", "-o", "%i %S")[0] == "2 N/A\n"


def test_steps_that_run_are_a_table(site):
    site.submit("-n2")
    create_step(site.core.find(1)[0], StepRequest("work", 2), site.clock.now)
    site.clock.now += 6
    assert site("squeue", "-s")[0] == (
        "         STEPID     NAME PARTITION     USER      TIME NODELIST\n"
        "            1.0     work     debug     user      0:06 node1\n"
        "        1.batch    batch     debug     user      0:06 node1\n"
    )
    assert site("squeue", "-h", "--steps=1.0", "-o", "%i %A")[0] == "1.0 2\n"


def test_an_array_is_held_in_one_piece(site):
    site.submit("--array=1-4", "--begin=now+60")
    site("scontrol", "hold", "1")
    assert site("squeue", "-ho", "%i %r")[0] == "1_[1-4] JobHeldUser\n"
    site("scontrol", "release", "1")
    assert site("squeue", "-ho", "%i %r")[0] == "1_[1-4] BeginTime\n"
    site("scontrol", "hold", "1_2")
    assert sorted(site("squeue", "-ho", "%i %r")[0].splitlines()) == ["1_2 JobHeldUser", "1_[1,3-4] BeginTime"]


def test_a_waiting_job_is_changed(site):
    site.submit("-n8", "-N2")
    site.submit("-J", "old", "-H")
    changes = ("MinMemoryNode=1G", "NumCPUs=2", "Partition=long", "TimeLimit=5", "Dependency=afterok:1", "JobName=new")
    assert site("scontrol", "update", "job=2", *changes) == ("", "", 0)
    assert site("squeue", "-ho", "%m %C %P %l %E %j", "-j", "2")[0] == "1G 2 long 5:00 afterok:1(unfulfilled) new\n"
    assert site("squeue", "-ho", "%i", "-w", "node[1-2]")[0] == "1\n"


@pytest.mark.parametrize("change", ["NumCPUs=abc", "Nice=x", "StartTime=junk", "MinMemoryNode=x", "Dependency=foo:1"])
def test_a_change_that_makes_no_sense_is_refused(site, change):
    site.submit("-H")
    assert site("scontrol", "update", "job=1", change)[2] == 1
