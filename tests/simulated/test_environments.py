"""From requirements to a running job, all the way: the lock is the client's, the environment the cluster's, built once."""

import re
import sys

import environment_workload
import pytest
from pointed_at import pointed_at

import clustrix
import simcluster
from clustrix import cluster
from clustrix.executors import executor_for

OLD = {"python": "3.6"}
PINNED = ["six==1.16.0", "attrs<=22.2.0"]
NO_INDEX = "http://127.0.0.1:9/simple"


@pytest.fixture(scope="module")
def site():
    with simcluster.start("slurm", nodes=1, pythons=["3.6", "3.12"]) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def configured(site, tmp_path, monkeypatch):
    """``@cluster`` runs on ``site`` with nothing there yet, and with cache and journal of the test's own."""
    site.run("rm -rf ~/.clustrix ~/.config", check=True)
    with pointed_at(site, tmp_path, monkeypatch):
        yield


def leave():
    executor_for(clustrix.get_config()).shutdown()


def built(site):
    """The environments that are there, by what they hold."""
    found = site.run("cd ~/.clustrix/envs && cat */current/about.json").stdout
    return sorted(found.replace("}{", "}\n{").splitlines())


def test_a_job_gets_what_was_locked_for_its_python(site, capfd):
    asked = cluster(**OLD, requirements=PINNED)(environment_workload.versions)
    assert asked() == ((3, 6), "22.2.0", "1.16.0")
    said = capfd.readouterr().err
    assert "Python 3.6.15 with attrs==22.2.0, six==1.16.0" in said
    assert "uv-" in said
    assert len(built(site)) == 2  # the job's, and the tools'


def test_the_next_client_builds_nothing_asks_nothing_and_hears_nothing(site, capfd, monkeypatch, tmp_path):
    asked = cluster(**OLD, requirements=PINNED)(environment_workload.prefix)
    first = asked()
    leave()
    there = built(site)
    capfd.readouterr()
    # Another client, which could make no lock even if it were asked for one.
    monkeypatch.setitem(sys.modules, "uv", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another"))
    clustrix.configure(local_cache_dir=str(tmp_path / "another-cache"))
    assert asked() == first
    assert built(site) == there
    assert capfd.readouterr().err == ""


def test_another_python_is_taken_where_the_nearest_can_not_have_what_is_required(capfd):
    nearest = cluster()(environment_workload.version)()
    numpy = "1.26.4" if nearest == (3, 6) else "1.19.5"
    taken, version = cluster(requirements=[f"numpy=={numpy}"])(environment_workload.numpy_version)()
    assert (version, taken != nearest) == (numpy, True)
    assert re.search(
        rf"Python 3\.{taken[1]}\.\d+ .* is used, for what is required can't be had on Python 3\.{nearest[1]}\.",
        capfd.readouterr().err,
    )


@pytest.mark.parametrize(
    ("requirements", "match"),
    [
        (["six==1.16.0", "six<1.10"], "six"),
        (["numpy==1.26.0"], r"Python 3\.6\.\d+ on linux .*numpy==1\.26\.0 has no usable wheels"),
        (["no-such-distribution-clustrix-asks-for"], "no-such-distribution-clustrix-asks-for"),
    ],
)
def test_what_can_not_be_had_is_refused_in_words_before_anything_is_queued(site, requirements, match):
    before = len(site.jobs())
    with pytest.raises(clustrix.EnvironmentSetupError, match=match):
        cluster(**OLD, requirements=requirements)(environment_workload.prefix)()
    assert len(site.jobs()) == before
    assert built(site) == []


@pytest.mark.parametrize("package_manager", ["uv", "pip"])
def test_where_the_login_node_reaches_no_index_the_client_sends_the_wheels(site, package_manager, capfd):
    site.run(
        f"mkdir -p ~/.config/pip && printf '[global]\\nindex-url = {NO_INDEX}\\n' > ~/.config/pip/pip.conf", check=True
    )
    clustrix.configure(package_manager=package_manager)
    asked = cluster(**OLD, requirements=PINNED)(environment_workload.versions)
    assert asked() == ((3, 6), "22.2.0", "1.16.0")
    assert "the client sends the wheels" in capfd.readouterr().err


def test_where_uv_reaches_no_index_from_here_the_login_node_finds_versions_within_the_bounds(monkeypatch, capfd):
    monkeypatch.setenv("UV_DEFAULT_INDEX", NO_INDEX)
    monkeypatch.setenv("UV_INDEX_URL", NO_INDEX)
    asked = cluster(**OLD, requirements=["six<=1.16.0", "attrs<=22.2.0"])(environment_workload.versions)
    assert asked() == ((3, 6), "22.2.0", "1.16.0")
    said = capfd.readouterr().err
    assert "the package index can't be reached to lock" in said
    assert "the login node's own installer" in said


def test_without_a_uv_here_the_login_node_finds_versions_within_the_bounds(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "uv", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    asked = cluster(**OLD, requirements=["six<=1.16.0", "attrs<=22.2.0"])(environment_workload.versions)
    assert asked() == ((3, 6), "22.2.0", "1.16.0")
