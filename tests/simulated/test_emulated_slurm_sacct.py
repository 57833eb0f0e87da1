"""sacct on the emulated scheduler, against what 22.05.8 printed."""

from __future__ import annotations

import pytest
from emulated_slurm import Site

from simcluster.emulated.jobs import State, StepRequest
from simcluster.emulated.steps import create_step


@pytest.fixture
def site():
    return Site()


def ids(site, *options):
    return site("sacct", "-nXPo", "jobid", *options)[0].split()


def test_a_requeued_job_has_a_row_for_each_run(site):
    site.submit()
    site.clock.now += 7
    site("scontrol", "requeue", "1")
    site.end(1, signal=15)
    columns = "jobid,state,elapsed,nodelist"
    assert site("sacct", "-nXPj1", "-o", columns)[0] == "1|REQUEUED|00:00:07|node1\n"
    site.clock.now += 5
    assert site("sacct", "-nXPj1", "-o", columns)[0] == "1|PENDING|00:00:00|None assigned\n"
    assert site("sacct", "-nDPj1", "-o", columns)[0] == (
        "1|REQUEUED|00:00:07|node1\n1.batch|CANCELLED|00:00:07|node1\n1|PENDING|00:00:00|None assigned\n"
    )


def test_a_job_that_lost_its_node_has_a_batch_step_without_exit_code(site):
    site.submit("--no-requeue")
    site.core.node_down("node1")
    assert site("sacct", "-nPo", "jobid,state,exitcode")[0] == "1|NODE_FAIL|0:0\n1.batch|CANCELLED|\n"


def test_steps_have_rows_of_their_own(site):
    site.submit("-n2")
    job = site.core.find(1)[0]
    step = create_step(job, StepRequest("work", 2), site.clock.now)
    step.state, step.ended, step.exit_code = State.FAILED, site.clock.now, 5
    site.end(1)
    assert site("sacct", "-nPo", "jobid,jobidraw,jobname,state,exitcode,derivedexitcode,ntasks,alloccpus")[0] == (
        "1|1|wrap|COMPLETED|0:0|5:0||2\n1.batch|1.batch|batch|COMPLETED|0:0||1|2\n1.0|1.0|work|FAILED|5:0||2|2\n"
    )
    assert site("sacct", "-nPj", "1.0", "-o", "jobid")[0] == "1.0\n"
    assert site("sacct", "-nPj", "1.batch", "-o", "jobid")[0] == "1.batch\n"


def test_rows_are_chosen_by_what_the_jobs_are(site):
    site.submit("-J", "one", "-w", "node1")
    site.submit("-J", "two", "-p", "long", "-w", "node2")
    assert ids(site, "--name", "two") == ["2"]
    assert ids(site, "-r", "long,debug") == ["1", "2"]
    assert ids(site, "-N", "node[1,7]") == ["1"]
    assert ids(site, "-A", "test") == ["1", "2"]
    assert ids(site, "-A", "nosuch") == []
    assert ids(site, "-q", "normal") == ["1", "2"]
    assert ids(site, "-M", "all") == ids(site, "-L") == ["1", "2"]
    assert ids(site, "-M", "nosuch") == []
    assert site("sacct", "-nX", user="other")[0] == ""
    assert ids(site, "-u", "user", "--allusers") == ["1", "2"]


def test_rows_are_chosen_by_when_the_jobs_were(site):
    site.submit("-J", "past")
    site.clock.now += 10
    site.end(1)
    site.clock.now += 3600
    site.submit("-J", "now")
    site.submit("-J", "held", "-H")
    assert ids(site, "-S", "now-1minute") == ["2"]
    assert ids(site, "-S", "now-2hours", "-E", "now-30minutes") == ["1"]
    assert ids(site, "-j", "3") == ["3"]
    assert ids(site, "-s", "CD") == []
    assert ids(site, "-s", "R,PD") == ["2"]
    assert ids(site, "-s", "CD", "-S", "now-2hours") == ["1"]
    assert site("sacct", "-S", "now+1hour")[2] == 1
    assert site("sacct", "-S", "now+1hour")[1].startswith("sacct: error: Start time (")


def test_sizes_are_shown_in_the_unit_asked_for(site):
    site.submit("--mem=2G")
    assert site("sacct", "-nXPo", "reqmem")[0] == "2G\n"
    assert site("sacct", "-nXPo", "reqmem", "--units=K")[0] == "2097152K\n"
    assert site("sacct", "-nXPo", "reqmem", "--noconvert")[0] == "2048M\n"
    assert site("sacct", "-nXPo", "alloctres", "--units=G")[0] == "billing=1,cpu=1,mem=2G,node=1\n"


def test_all_fields_are_known(site):
    site.submit()
    header, row = site("sacct", "-XPo", "ALL")[0].splitlines()
    assert len(header.split("|")) == len(row.split("|")) == 109
    assert site("sacct", "-e")[0].split() == header.split("|")
    assert site("sacct", "-XlP")[0].startswith("JobID|JobIDRaw|JobName|Partition|MaxVMSize|")


def test_a_width_is_taken_at_its_word(site):
    site.submit("-J", "name")
    assert site("sacct", "-nXo", "jobid%6,jobname%-8,state%4")[0] == "     1 name     RUN+ \n"


def test_the_reason_is_why_a_job_waited(site):
    site.submit("-n8", "-N2")
    site.submit("-d", "afterok:1")
    site.submit()
    site.end(1)
    assert site("sacct", "-nXPo", "jobid,reason")[0] == "1|None\n2|Dependency\n3|Resources\n"


def test_options_that_are_given_again_add_up(site):
    for name in ("one", "two", "three"):
        site.submit("-J", name)
    # As submitit asks.
    assert site("sacct", "-o", "JobID,State,NodeList", "--parsable2", "-X", "-j", "1", "-j", "3")[0] == (
        "JobID|State|NodeList\n1|RUNNING|node1\n3|RUNNING|node1\n"
    )
    assert ids(site, "--name", "one", "--name", "two") == ["1", "2"]
    assert site("sacct", "-nXP", "-j", "2", "-o", "jobid", "-o", "state")[0] == "2|RUNNING\n"
