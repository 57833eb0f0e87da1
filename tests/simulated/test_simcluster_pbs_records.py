"""What OpenPBS 23.06.06's `qstat -x -f -t -F json` says, read; the values are those of its transcripts."""

import json

from simcluster.docker.schedulers.pbs_records import directories, jobs

ENDED = {
    "Job_Name": "envjob",
    "Job_Owner": "alice@login",
    "job_state": "F",
    "ctime": "Sat Nov 21 01:29:00 2026",
    "stime": "Sat Nov 21 01:29:00 2026",
    "obittime": "Sat Nov 21 01:29:01 2026",
    "mtime": "Sat Nov 21 01:29:02 2026",
    "exec_host": "node1/0*2+node2/3",
    "Exit_status": 0,
    "Variable_List": {"PBS_O_WORKDIR": "/home/alice/a place"},
}


def listed(**jobs_):
    return json.dumps({"pbs_server": "login", "Jobs": {id_.replace("_", "."): values for id_, values in jobs_.items()}})


def test_a_job_is_told_with_its_run_and_its_cpus_on_each_node():
    (job,) = jobs(listed(**{"0_login": ENDED}))
    assert (job.id, job.name, job.user, job.state, job.exit_code) == ("0.login", "envjob", "alice", "COMPLETED", "0")
    assert (job.runs[0].nodes, job.runs[0].cpus) == (("node1", "node2"), (2, 1))
    assert (job.submitted, job.ended) == (1795224540.0, 1795224541.0)
    assert directories(listed(**{"0_login": ENDED})) == {"0.login": "/home/alice/a place"}


def test_how_a_job_ended_is_told_by_its_exit_status():
    ends = {3: "FAILED", -29: "TIMEOUT", -20: "NODE_FAIL", 271: "CANCELLED", 137: "FAILED"}
    for status, state in ends.items():
        (job,) = jobs(listed(**{"1_login": {**ENDED, "Exit_status": status}}))
        assert job.state == state
    never = {name: value for name, value in ENDED.items() if name not in {"Exit_status", "stime", "exec_host"}}
    (job,) = jobs(listed(**{"1_login": never}))
    assert (job.state, job.runs) == ("CANCELLED", ())


def test_elements_of_arrays_are_jobs_and_the_array_is_none():
    waiting = {"Job_Name": 123, "Job_Owner": "alice@login", "job_state": "Q", "ctime": ENDED["ctime"]}
    found = jobs(listed(**{"15[]_login": waiting, "15[10]_login": waiting, "15[2]_login": waiting, "9_login": waiting}))
    assert [(job.id, job.name, job.state) for job in found] == [
        ("9.login", "123", "PENDING"),
        ("15[2].login", "123", "PENDING"),
        ("15[10].login", "123", "PENDING"),
    ]


def test_nobody_on_an_empty_cluster():
    assert jobs("") == jobs(json.dumps({"pbs_server": "login"})) == []
