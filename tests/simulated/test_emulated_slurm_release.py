"""What differs between 22.05.8 and 24.11.5 on the emulated scheduler, as recorded of both."""

from __future__ import annotations

import pytest
from emulated_slurm import Site

from simcluster.emulated.interface import Settings
from simcluster.emulated.slurm import site as docker_site
from simcluster.spec import ClusterSpec


def of(version):
    return Site(settings=Settings(memory_per_cpu=500, controller="slurm", version=version, user_ids={"user": 1000}))


@pytest.fixture
def old():
    return of("22.05.8")


@pytest.fixture
def new():
    return of("24.11.5")


def test_a_spec_chooses_the_release():
    _, settings = docker_site(ClusterSpec("slurm", version="24.11"), "user")
    assert settings.version == "24.11.5"


def test_an_unknown_dependency(old, new):
    assert old("sbatch", "-d", "afterok:999", "--wrap", "true")[2] == 0
    refused = "sbatch: error: Batch job submission failed: Job dependency problem\n"
    assert new("sbatch", "-d", "afterok:999", "--wrap", "true") == ("", refused, 1)
    number = new.submit()
    assert new("sbatch", "-d", f"afterok:{number}", "--wrap", "true")[2] == 0


def test_no_nodes_at_all(old, new):
    assert old("sbatch", "-N0", "--wrap", "true")[2] == 0
    refused = "sbatch: error: Batch job submission failed: Node count specification invalid\n"
    assert new("sbatch", "-N0", "--wrap", "true") == ("", refused, 1)


@pytest.mark.parametrize(
    ("signal", "reason"),
    [
        (9, "RaisedSignal:9(Killed)"),
        (11, "RaisedSignal:11(Segmentation fault)"),
        (15, "RaisedSignal:15(Terminated)"),
    ],
)
def test_the_reason_of_a_job_that_a_signal_ended(signal, reason):
    for site, expected in ((of("22.05.8"), "JobLaunchFailure"), (of("24.11.5"), reason)):
        site.submit()
        site.end(1, signal=signal)
        assert site("squeue", "-h", "-t", "all", "-o", "%r")[0] == f"{expected}\n"
        assert f"Reason={expected.replace(' ', '_')} " in site("scontrol", "show", "job", "1")[0]


def test_records_of_jobs(old, new):
    for site in (old, new):
        site.submit("-H")
        site.submit()
    assert "   TRES=cpu=1,mem=500M,node=1,billing=1\n" in old("scontrol", "show", "job", "1")[0]
    assert "   Power=\n" in old("scontrol", "show", "job", "1")[0]
    waiting = new("scontrol", "show", "job", "1")[0]
    assert "   ReqTRES=cpu=1,mem=500M,node=1,billing=1\n   AllocTRES=(null)\n" in waiting
    assert "Power=" not in waiting
    assert "   AllocTRES=cpu=1,mem=500M,node=1,billing=1\n" in new("scontrol", "show", "job", "2")[0]


def test_records_of_nodes_and_partitions(old, new):
    assert "CapWatts=n/a" in old("scontrol", "show", "node", "node1")[0]
    assert "ResumeAfterTime=None" in new("scontrol", "show", "node", "node1")[0]
    assert "MaxCPUsPerSocket=UNLIMITED" in new("scontrol", "show", "partition", "debug")[0]
    assert "MaxCPUsPerSocket" not in old("scontrol", "show", "partition", "debug")[0]


def test_fields_of_sacct(old, new):
    for site in (old, new):
        site.submit("-o", "x.out")
    assert new("sacct", "-nXPo", "stdout,restarts")[0] == "/home/user/t/x.out|0\n"
    assert old("sacct", "-nXPo", "stdout") == ("", 'sacct: error: Invalid field requested: "stdout"\n', 1)
    assert old("sacct", "-nXPo", "reserved")[2] == 0
    assert new("sacct", "-nXPo", "reserved")[2] == 1


def test_variables_of_a_job(old, new):
    for site in (old, new):
        site.submit("-t", "1")
    variables = new.launcher.launched[0].environment
    assert int(variables["SLURM_JOB_END_TIME"]) - int(variables["SLURM_JOB_START_TIME"]) == 60
    assert "SLURM_JOB_END_TIME" not in old.launcher.launched[0].environment


def test_shares(old, new):
    assert old("sshare", "-nPo", "account,normshares,fairshare")[0] == "root||\n test||\n  test||0.000000\n"
    assert new("sshare", "-nPo", "account,normshares,fairshare")[0] == (
        "root|0.000000|\n test|0.500000|\n  test|0.500000|1.000000\n"
    )
