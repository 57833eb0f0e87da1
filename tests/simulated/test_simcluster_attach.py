"""A cluster can be used by other processes than the one that started it."""

import gc
import subprocess
import sys

import pytest

import simcluster

ATTACHED = """
import sys
import simcluster
with simcluster.attach(sys.argv[1]) as cluster:
    print(cluster.run("sbatch --parsable --wrap true", check=True).stdout, cluster.home, *cluster.pythons)
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        with simcluster.start("slurm", nodes=1) as cluster:
            yield cluster


def test_an_attached_cluster_is_the_same_for_its_user(cluster):
    with simcluster.attach(cluster.name) as attached:
        for name in ("name", "spec", "ssh", "home", "scratch", "pythons", "isolation"):
            assert getattr(attached, name) == getattr(cluster, name)
        assert list(attached.nodes) == ["node1"]
        job = attached.run("sbatch --parsable --wrap true", check=True).stdout.strip()
    assert job in [job.id for job in cluster.jobs()]


def test_whoever_is_attached_can_break_it_and_others_see_it(cluster):
    with simcluster.attach(cluster.name) as attached:
        attached.nodes["node1"].kill()
        assert not cluster.nodes["node1"].is_up
        cluster.nodes["node1"].restart()
        assert attached.nodes["node1"].is_up
        with attached.faults.scheduler.reject_submits("Invalid account"):
            assert [fault.name for fault in cluster.faults.active()] == ["scheduler.reject_submits"]


def test_closing_an_attached_cluster_leaves_it_up(cluster):
    attached = simcluster.attach(cluster.name)
    attached.close()
    assert cluster.run("true").returncode == 0


def test_another_process_finds_it_by_its_name(cluster):
    done = subprocess.run([sys.executable, "-c", ATTACHED, cluster.name], capture_output=True, text=True, check=True)
    job, home, *pythons = done.stdout.split()
    assert job in [job.id for job in cluster.jobs()]
    assert (home, pythons) == (cluster.home, list(cluster.pythons))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_is_not_up_can_not_be_attached_to(cluster, monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(simcluster.SimclusterError, match=f"no cluster 'other'; up are {cluster.name}"):
        simcluster.attach("other")
    gc.collect()  # the docker package leaves the socket that failed to the collector
