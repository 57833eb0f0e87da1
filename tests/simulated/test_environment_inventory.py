"""Environments without jobs: what the command line lists, shows, builds and removes."""

import environment_workload
import pytest
from pointed_at import pointed_at

import clustrix
import simcluster
from clustrix import cluster
from clustrix.environment_inventory import EnvironmentInventory

PINNED = ["six==1.16.0", "attrs<=22.2.0"]


@pytest.fixture(scope="module")
def site():
    with simcluster.start("slurm", nodes=1, pythons=["3.6", "3.12"]) as cluster:
        yield cluster


@pytest.fixture
def inventory(site, tmp_path, monkeypatch):
    """That of ``site``, on which ``@cluster`` runs, too, with nothing there yet."""
    site.run("rm -rf ~/.clustrix", check=True)
    with pointed_at(site, tmp_path, monkeypatch), EnvironmentInventory() as found:
        yield found


def test_a_job_finds_the_environment_that_was_built_in_advance(inventory, site, capfd):
    said = []
    made = inventory.build(PINNED, python="3.6", say=said.append)
    assert any("building the environment" in line for line in said)
    assert made.is_ready
    assert made.python.startswith("3.6.")
    assert made.packages == {"attrs": "22.2.0", "six": "1.16.0"}
    assert made.key in {item.key for item in inventory.environments()}
    assert len(site.jobs()) == 0
    _, prefix = cluster(python="3.6", requirements=PINNED)(environment_workload.prefix)()
    assert made.key in prefix
    assert "building" not in capfd.readouterr().err


def test_what_is_there_already_is_not_built_again(inventory):
    first, said = inventory.build(["six==1.16.0"], python="3.12"), []
    assert inventory.build(["six==1.16.0"], python="3.12", say=said.append).key == first.key
    assert said == []


def test_one_environment_is_shown_with_interpreter_size_use_and_log(inventory, site):
    made = inventory.build(["six==1.16.0"], python="3.12")
    shown = inventory.show(made.key)
    assert shown.interpreter.endswith("python3.12")
    assert shown.packages == {"six": "1.16.0"}
    assert 10_000 < shown.size < 50_000_000
    assert shown.used >= shown.built > 0
    assert "six" in shown.log
    room = inventory.room()
    assert 0 < room.free <= room.total


def test_what_is_removed_is_gone_and_another_time_there_is_none(inventory):
    made = inventory.build([], python="3.12")
    inventory.remove(made.key)
    assert inventory.environments() == []
    for ask in (inventory.show, inventory.remove):
        with pytest.raises(clustrix.EnvironmentSetupError, match=f"there is no environment {made.key}"):
            ask(made.key)


def test_what_can_not_be_built_is_refused_as_for_a_job(inventory):
    with pytest.raises(clustrix.EnvironmentSetupError, match=r"numpy==1\.26\.0 has no usable wheels"):
        inventory.build(["numpy==1.26.0"], python="3.6")
    with pytest.raises(clustrix.EnvironmentSetupError, match=r"no Python 3\.8 on the cluster"):
        inventory.build([], python="3.8")


def test_nothing_is_built_for_an_environment_that_exists(site, tmp_path, monkeypatch):
    with pointed_at(site, tmp_path, monkeypatch):
        clustrix.configure(conda_env_name="mine")
        with EnvironmentInventory() as found, pytest.raises(clustrix.ConfigurationError, match="mine"):
            found.build(["six"])
