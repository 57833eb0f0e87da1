"""Files behind OpenSSH's server and in jobs of a real Slurm: the answers of this machine."""

import file_cases
import pytest

import clustrix
from clustrix import ClusterConfig, cluster

pytestmark = pytest.mark.real_world


def test_over_ssh_and_in_jobs_every_answer_is_that_of_this_machine(configured, slurm, tmp_path):
    file_cases.make_tree(str(tmp_path / "tree"))
    expected = file_cases.answers(ClusterConfig(cluster_type="local", local_work_dir=tmp_path / "tree"))
    cluster(python="3.6")(file_cases.make_tree)(f"{slurm.home}/tree")
    clustrix.configure(remote_work_dir=f"{slurm.home}/tree")
    assert file_cases.answers() == expected
    for python in ("3.6", "3.12"):
        assert cluster(python=python)(file_cases.answers)() == expected
    clustrix.configure(remote_work_dir="~")
    clustrix.cluster_rm("tree", recursive=True)
    assert not clustrix.cluster_exists("tree")


def test_what_the_user_may_not_read_is_named_with_its_host(configured, slurm):
    slurm.run("mkdir -p open/shut; touch open/f; chmod 0 open/shut", check=True)
    with pytest.raises(PermissionError, match=rf"on {slurm.ssh.host}: '{slurm.home}/open/shut'") as caught:
        clustrix.cluster_find("*", "open")
    assert caught.value.filename == f"{slurm.home}/open/shut"
    with pytest.warns(UserWarning, match="open/shut' can't be read"):
        assert clustrix.cluster_find("*", "open", on_error="skip") == ["open/f"]
    with pytest.raises(PermissionError):
        clustrix.cluster_write("/etc/x", "")
    slurm.run("rmdir open/shut", check=True)
