"""`clustrix doctor` finds what is wrong: each fault is made, and its sign and its way out are there."""

import dataclasses
import json
import shutil
import sys

import paramiko
import pytest
from pointed_at import reached

import simcluster
from clustrix.config import ClusterConfig
from clustrix.doctor import BAD, GOOD, ODD, examine


@pytest.fixture(scope="module")
def site():
    with simcluster.start("slurm", nodes=1, pythons=["3.6"]) as started:
        yield started


@pytest.fixture
def config(site, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return ClusterConfig(
        **reached(site),
        local_cache_dir=str(tmp_path / "cache"),
        default_cores=1,
        default_memory="100MB",
    )


def found(config, *, job_seconds=0, **changes):
    """The findings by what they are about."""
    findings = examine(dataclasses.replace(config, **changes), job_seconds=job_seconds)
    return {finding.what: finding for finding in findings}


def test_all_is_well(config):
    findings = found(config, job_seconds=60)
    assert {finding.verdict for finding in findings.values()} == {GOOD}, findings
    assert findings["scheduler"].text == "slurm-wlm 22.05.8"
    assert "3.6.15" in findings["Python"].text
    assert findings["job"].text.startswith("ran on node1 under Python 3.")
    assert json.dumps([finding.to_dict() for finding in findings.values()])


def bad(findings, what):
    """What it says of a thing that is BAD; there must be a way out, too."""
    assert findings[what].verdict == BAD
    assert findings[what].fix
    return findings[what].text


def test_no_host(config):
    assert "cluster_host is not set" in bad(found(config, cluster_host=None), "configuration")


def test_nobody_listens(config):
    findings = found(config, cluster_port=1)
    assert findings.keys() == {"connection"}
    assert "127.0.0.1" in bad(findings, "connection")


def test_another_host_key(config, site):
    with site.faults.ssh.wrong_host_key():
        assert "has changed" in bad(found(config), "host key")


def test_another_key(config, tmp_path):
    key = tmp_path / "key"
    paramiko.RSAKey.generate(2048).write_private_key_file(str(key))
    assert bad(found(config, key_file=str(key)), "login")


def test_a_state_directory_that_others_may_write(config, site):
    site.run("mkdir -p open; chmod 777 open", check=True)
    assert "open" in bad(found(config, remote_state_dir="~/open"), "agent")


def test_another_scheduler(config):
    findings = found(config, cluster_type="pbs")
    assert bad(findings, "scheduler") == "cluster_type='pbs', but slurm is there"
    assert "cluster_type='slurm'" in findings["scheduler"].fix


def test_jobs_on_the_login_node_of_a_cluster(config):
    assert found(config, cluster_type="ssh")["scheduler"].verdict == ODD


def test_a_silent_scheduler(config, site):
    with site.faults.scheduler.down(timeout=0.2):
        assert "sinfo" in bad(found(config), "scheduler")


def test_a_partition_that_is_not_there(config):
    assert bad(found(config, default_partition="fast"), "partition") == "there is no partition 'fast'; there is debug"


def test_defaults_that_no_node_has(config):
    findings = found(config, default_memory="64GB", default_cores=64)
    assert "but default_cores=64, default_memory='64GB'" in bad(findings, "partition")
    assert findings["partition"].fix.startswith("set default_cores=4, default_memory='4096MB'")


def test_a_disk_that_is_nearly_full(config, site):
    if "disk.quota" not in site.faults.available():
        pytest.skip(site.faults.refusals()["disk.quota"])
    with site.faults.disk.full():
        assert bad(found(config), "free space").startswith("0.0 GiB")


def test_no_uv_here(config, monkeypatch, tmp_path):
    if shutil.which("uv", path="/usr/bin:/bin"):
        pytest.skip("this machine has a uv of its own")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setitem(sys.modules, "uv", None)
    finding = found(config)["uv here"]
    assert finding.verdict == ODD
    assert "clustrix[uv]" in finding.fix


def test_a_job_that_waits(config, site):
    with site.faults.node.partition("node1"):
        finding = found(config, job_seconds=1)["job"]
    assert finding.verdict == ODD
    assert "--wait" in finding.fix


def test_a_job_that_is_refused(config, site):
    with site.faults.scheduler.reject_submits("Invalid account"):
        assert "Invalid account" in bad(found(config, job_seconds=60), "job")
