"""Files of an emulated cluster: the same answers over SSH and in its jobs, from Python 3.6 to the newest."""

import file_cases
import pytest
from pointed_at import pointed_at

import clustrix
import simcluster
from clustrix import ClusterConfig, cluster


@pytest.fixture(scope="module")
def site():
    with simcluster.start("slurm", nodes=1, pythons=["3.6", "3.13"]) as started:
        yield started


@pytest.fixture(autouse=True)
def configured(site, tmp_path, monkeypatch):
    with pointed_at(site, tmp_path, monkeypatch):
        yield


def test_over_ssh_and_in_jobs_every_answer_is_that_of_this_machine(site, tmp_path):
    file_cases.make_tree(str(tmp_path / "tree"))
    expected = file_cases.answers(ClusterConfig(cluster_type="local", local_work_dir=tmp_path / "tree"))
    work_dir = f"{site.home}/tree"
    cluster(python="3.6")(file_cases.make_tree)(work_dir)
    clustrix.configure(remote_work_dir=work_dir)
    assert file_cases.answers() == expected
    for python in ("3.6", "3.13"):
        assert cluster(python=python)(file_cases.answers)() == expected


def test_what_a_job_finds_out_comes_back_as_the_clients_own_class(site):
    site.run("mkdir -p f && echo hello > f/g", check=True)
    value, is_same, is_its = cluster(python="3.6")(file_cases.described)("f/g")
    assert value == clustrix.cluster_stat("f/g")
    assert (type(value), is_same, is_its) == (clustrix.FileInfo, True, True)
    assert cluster(python="3.6")(file_cases.same)(value) == value
