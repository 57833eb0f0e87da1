import shutil
import stat
import subprocess

import paramiko
import pytest
import yaml

from simcluster import ClusterSpec
from simcluster.access import MARKER, AccessDirectory, KeyPair


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "with space"))
    return AccessDirectory.create("mine", keep=True)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_keys_are_for_their_owner_alone(directory):
    directory.add_users()
    assert mode(directory.path) == 0o700
    assert {mode(directory.path / user) for user in ("alice", "bob")} == {0o600}


def test_a_key_pair_is_what_ssh_reads(tmp_path):
    pair = KeyPair.generate()
    (tmp_path / "key").write_text(pair.private)
    key = paramiko.Ed25519Key.from_private_key_file(str(tmp_path / "key"))
    assert f"ssh-ed25519 {key.get_base64()}" == pair.public


def test_each_user_and_each_cluster_has_a_key_of_its_own(directory):
    keys = directory.add_users()
    assert keys["alice"] != keys["bob"]


def test_the_profile_says_how_to_reach_the_cluster(directory):
    directory.add_users()
    directory.write("mine", 2222, KeyPair.generate().public, ClusterSpec())
    profile = yaml.safe_load((directory.path / "profile.yaml").read_text())
    assert profile == {
        "cluster_type": "slurm",
        "cluster_host": "127.0.0.1",
        "cluster_port": 2222,
        "username": "alice",
        "key_file": str(directory.path / "alice"),
        "known_hosts_file": str(directory.path / "known_hosts"),
    }


def test_known_hosts_holds_the_generated_key_for_the_port(directory):
    key = KeyPair.generate()
    directory.write("mine", 2222, key.public, ClusterSpec())
    known = paramiko.HostKeys(str(directory.path / "known_hosts"))
    assert known.lookup("[127.0.0.1]:2222")["ssh-ed25519"].get_base64() == key.public.split()[1]


@pytest.mark.skipif(not shutil.which("ssh"), reason="no ssh on this machine")
def test_ssh_understands_the_ssh_config(directory):
    directory.write("mine", 2222, KeyPair.generate().public, ClusterSpec())
    command = ["ssh", "-G", "-F", str(directory.path / "ssh_config"), "mine"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    for line in ("hostname 127.0.0.1", "port 2222", "user alice", f"identityfile {directory.path / 'alice'}"):
        assert line in said


def test_a_directory_left_by_a_cluster_of_that_name_is_made_anew(directory):
    (directory.path / "old").touch()
    again = AccessDirectory.create("mine", keep=True)
    assert [path.name for path in again.path.iterdir()] == [MARKER]
