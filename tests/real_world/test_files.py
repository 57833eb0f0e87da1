"""Files behind OpenSSH's server and in jobs of a real Slurm: the answers of this machine."""

import json
from pathlib import Path

import file_cases
import pytest
from installed_clustrix import install_clustrix

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
    slurm.run("mkdir -p listed/shut; touch listed/f; chmod 0 listed/shut", check=True)
    with pytest.raises(PermissionError, match=rf"on {slurm.ssh.host}: '{slurm.home}/listed/shut'") as caught:
        clustrix.cluster_find("*", "listed")
    assert caught.value.filename == f"{slurm.home}/listed/shut"
    with pytest.warns(UserWarning, match="listed/shut' can't be read"):
        assert clustrix.cluster_find("*", "listed", on_error="skip") == ["listed/f"]
    with pytest.raises(PermissionError):
        clustrix.cluster_write("/etc/x", "")
    slurm.run("rmdir listed/shut && rm -r listed", check=True)


# The environment that it runs in has no paramiko, and an ssh would find no key: what is answered needed no SSH.
ON_THE_CLUSTER = """
import json, sys
import file_cases
from clustrix import ClusterConfig, filesystem

config = ClusterConfig(cluster_host="login", username="alice", remote_work_dir=sys.argv[1])
answers = file_cases.answers(config)
print(json.dumps([type(filesystem.ClusterFilesystem(config)._place()).__name__, answers]))
"""


def test_on_the_cluster_itself_they_are_read_directly_without_ssh(slurm, tmp_path):
    file_cases.make_tree(str(tmp_path / "tree"))
    expected = file_cases.answers(ClusterConfig(cluster_type="local", local_work_dir=tmp_path / "tree"))
    python = install_clustrix(slurm) + "/bin/python"
    for name, text in (("file_cases.py", Path(file_cases.__file__).read_text()), ("ask.py", ON_THE_CLUSTER)):
        slurm.run(f"cat > {name}", input=text, check=True)
    tree = f"{slurm.home}/direct/tree"
    slurm.run([python, "-c", f"import file_cases; file_cases.make_tree({tree!r})"], check=True)
    # A compute node knows the storage by what was learnt on the login node.
    for where in ([], ["srun", "-n1"]):
        said = slurm.run([*where, python, "ask.py", tree], check=True, timeout=120).stdout
        place, answers = json.loads(said.splitlines()[-1])
        differing = {name: (answers[name], expected[name]) for name in expected if answers[name] != expected[name]}
        assert (place, differing) == ("LocalPlace", {})
    slurm.run(["rm", "-r", "direct"], check=True)
