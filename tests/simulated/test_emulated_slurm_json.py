"""`--json` on the emulated scheduler, against the recorded shapes."""

from __future__ import annotations

import json

import pytest
from emulated_slurm import Site

from simcluster.emulated.interface import Settings


@pytest.fixture
def site():
    return Site()


@pytest.fixture
def new():
    return Site(settings=Settings(memory_per_cpu=500, controller="slurm", version="24.11.5", user_ids={"user": 1000}))


def test_squeue_shows_all_jobs_whatever_was_asked_for(site):
    site.submit("-J", "one", "-n2", "-t", "10")
    site.submit("-a", "1-3%2", "-H")
    site.submit("-J", "over")
    site.end(3, 3)
    answer = json.loads(site("squeue", "--json", "-j", "999", "-t", "PD", "-u", "nobody")[0])
    assert answer["meta"]["Slurm"] == {"version": {"major": 22, "micro": 8, "minor": 5}, "release": "22.05.8"}
    assert answer["errors"] == []
    first, array, over = answer["jobs"]
    assert (first["job_id"], first["job_state"], first["nodes"], first["time_limit"]) == (1, "RUNNING", "node1", 10)
    assert (first["tasks"], first["cpus"], first["tres_alloc_str"]) == (2, 2, "cpu=2,mem=1000M,node=1,billing=2")
    assert first["job_resources"]["allocated_nodes"][0]["memory_allocated"] == 1000
    assert (array["array_job_id"], array["array_task_string"], array["state_reason"]) == (2, "1-3%2", "JobHeldUser")
    assert (over["job_state"], over["exit_code"], over["state_reason"]) == ("FAILED", 768, "NonZeroExitCode")


def test_sinfo_shows_the_nodes(site):
    site.submit("-n3")
    site("scontrol", "update", "NodeName=node2", "State=DRAIN", "Reason=disk", user="root")
    one, two = json.loads(site("sinfo", "--json")[0])["nodes"]
    assert (one["name"], one["state"], one["alloc_cpus"], one["idle_cpus"]) == ("node1", "mixed", 3, 1)
    assert (two["state"], two["state_flags"], two["reason"]) == ("idle", ["DRAIN"], "disk")
    assert two["partitions"] == ["debug", "long", "down"]


def test_sacct_shows_jobs_with_their_steps(site):
    site.submit("-J", "f3")
    site.end(1, 3)
    (job,) = json.loads(site("sacct", "--json", "-j", "1")[0])["jobs"]
    assert (job["name"], job["state"]["current"], job["nodes"], job["job_id"]) == ("f3", "FAILED", "node1", 1)
    assert job["exit_code"] == {"status": "SUCCESS", "return_code": 0}  # so it is in 22.05.8
    assert [step["step"]["id"] for step in job["steps"]] == ["batch"]
    nothing = json.loads(site("sacct", "--json", "-j", "999")[0])
    assert (nothing["jobs"], nothing["errors"][0]["error_number"]) == ([], 9003)


def test_scontrol_has_none_in_the_old_release(site):
    refused = "scontrol: unrecognized option '--json'\nTry \"scontrol --help\" for more information\n"
    assert site("scontrol", "show", "job", "1", "--json") == ("", refused, 1)


def test_the_new_release_filters_and_wraps_numbers(new):
    new.submit("-n2")
    new.submit("-H")
    answer = json.loads(new("squeue", "--json", "-j", "1")[0])
    assert answer["meta"]["slurm"]["release"] == "24.11.5"
    assert answer["meta"]["command"] == ["squeue", "--json", "-j", "1"]
    (job,) = answer["jobs"]
    assert job["job_state"] == ["RUNNING"]
    assert job["cpus"] == {"set": True, "infinite": False, "number": 2}
    assert job["memory_per_node"] == {"set": False, "infinite": False, "number": 0}
    assert job["exit_code"]["return_code"]["number"] == 0
    assert new("squeue", "--json", "-j", "999")[1:] == ("slurm_load_jobs error: Invalid job id specified\n", 1)
    shown = json.loads(new("scontrol", "show", "job", "2", "--json")[0])["jobs"]
    assert [(each["job_id"], each["hold"]) for each in shown] == [(2, True)]
    assert json.loads(new("scontrol", "show", "job", "999", "--json")[0])["jobs"] == []


@pytest.mark.parametrize("program", ["sacct", "sinfo"])
def test_what_is_not_emulated_of_the_new_release_is_refused(new, program, caplog):
    assert new(program, "--json")[2] == 1
    assert f"{program} --json" in caplog.text
