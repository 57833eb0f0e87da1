"""What a real Grid Engine 8.1.9 in containers wrote about its jobs, read."""

from simcluster.docker.schedulers.sge_records import alive, directories, ended

ACCOUNTING = """\
# Version: 8.1.9
all.q:node1:alice:alice:three:1:sge:0:1795869364:1795869364:1795869365:0:3:1:0.006852:0.000000:4364.000000:0:0:0:0:330:0:0:0.000000:16:0:0:0:7:5:NONE:defaultdepartment:NONE:1:0:0.006852:0.000000:0.000000:NONE:0.000000:NONE:0.000000:0:0
all.q:node2:alice:alice:arr:3:sge:0:1795869364:1795869365:1795869367:0:0:2:0.001288:0.006074:4372.000000:0:0:0:0:329:0:0:0.000000:16:0:0:0:8:9:NONE:defaultdepartment:smp:2:2:0.007362:0.000000:0.000000:-pe smp 2:0.000000:NONE:3284992.000000:0:0
all.q:node2:alice:alice:slow:2:sge:0:1795869364:1795869364:1795869370:100:137:6:0.004641:0.000000:4456.000000:0:0:0:0:212:0:0:0.000000:8:0:0:0:3:2:NONE:defaultdepartment:NONE:1:0:0.004641:0.000000:0.000000:NONE:0.000000:NONE:3268608.000000:0:0
all.q:node1:alice:alice:over:4:sge:0:1795869364:1795869364:1795869368:37:137:4:0.004641:0.000000:4456.000000:0:0:0:0:212:0:0:0.000000:8:0:0:0:3:2:NONE:defaultdepartment:NONE:1:0:0.004641:0.000000:0.000000:-l h_rt=3:0.000000:NONE:3268608.000000:0:0
"""
LISTED = """<?xml version='1.0'?>
<job_info  xmlns:xsd="http://qstat.xsd">
  <queue_info>
    <job_list state="running">
      <JB_job_number>3</JB_job_number>
      <JAT_prio>0.60500</JAT_prio>
      <JB_name>arr</JB_name>
      <JB_owner>alice</JB_owner>
      <state>r</state>
      <JAT_start_time>2026-11-28T12:36:05</JAT_start_time>
      <queue_name>all.q@node1</queue_name>
      <slots>2</slots>
      <tasks>1</tasks>
      <full_job_name>arr</full_job_name>
    </job_list>
  </queue_info>
  <job_info>
    <job_list state="pending">
      <JB_job_number>5</JB_job_number>
      <JAT_prio>0.50500</JAT_prio>
      <JB_name>averylong</JB_name>
      <JB_owner>bob</JB_owner>
      <state>hqw</state>
      <JB_submission_time>2026-11-28T12:36:04</JB_submission_time>
      <queue_name></queue_name>
      <slots>1</slots>
      <full_job_name>averylongname</full_job_name>
    </job_list>
  </job_info>
</job_info>
"""
DETAILS = """\
==============================================================
job_number:                 2
owner:                      alice
sge_o_workdir:              /home/alice/a place
job_name:                   slow
==============================================================
job_number:                 3
sge_o_workdir:              /home/alice
"""


def test_states_are_those_of_the_end_and_elements_of_arrays_are_jobs():
    jobs = {job.id: job for job in ended(ACCOUNTING)}
    assert {id_: (job.name, job.state, job.exit_code, job.reason) for id_, job in jobs.items()} == {
        "1": ("three", "FAILED", "3", None),
        "3.2": ("arr", "COMPLETED", "0", None),
        "2": ("slow", "FAILED", "137", "failed 100"),
        "4": ("over", "TIMEOUT", "137", "failed 37"),
    }
    assert (jobs["3.2"].runs[0].nodes, jobs["3.2"].runs[0].cpus) == (("node2",), (2,))
    assert jobs["1"].submitted <= jobs["1"].runs[0].start < jobs["1"].ended


def test_the_runs_of_a_job_that_ran_again_are_told_together():
    (job,) = ended("".join(line + "\n" for line in [ACCOUNTING.splitlines()[4], ACCOUNTING.splitlines()[4]]))
    assert [run.state for run in job.runs] == ["TIMEOUT", "TIMEOUT"]


def test_who_waits_or_runs_is_told_with_the_whole_name():
    running, waiting = alive(LISTED)
    assert (running.id, running.state, running.runs[0].nodes, running.ended) == ("3.1", "RUNNING", ("node1",), None)
    assert (waiting.id, waiting.name, waiting.user, waiting.state, waiting.reason, waiting.runs) == (
        "5",
        "averylongname",
        "bob",
        "PENDING",
        "hqw",
        (),
    )


def test_nobody_on_an_empty_cluster():
    assert list(alive("")) == ended("") == []
    assert directories("") == {}


def test_where_jobs_were_submitted_is_found():
    assert directories(DETAILS) == {"2": "/home/alice/a place", "3": "/home/alice"}
