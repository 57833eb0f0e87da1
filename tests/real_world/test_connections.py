"""What a user reads when the cluster can't be reached: before anything is sent, with what to do."""

import dataclasses
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import workload

import clustrix
from clustrix import cluster
from clustrix.connection.host_settings import resolve
from clustrix.connection.ssh import SSHConnection

pytestmark = pytest.mark.real_world


def call(**overrides):
    """One call with the configuration of ``configured``, changed in some fields."""
    return cluster(python="3.6", connect_timeout=5, **overrides)(workload.doubled)(1)


def new_key(path: Path, passphrase: str = "") -> str:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", path], check=True)
    return str(path)


def test_a_host_that_does_not_exist_is_named_with_its_port(configured):
    with pytest.raises(clustrix.ClusterConnectionError, match=r"no-such-host\.invalid port \d+.*check cluster_host"):
        call(cluster_host="no-such-host.invalid")


def test_a_port_where_nobody_listens_is_named(configured):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(clustrix.ClusterConnectionError, match=rf"127\.0\.0\.1 port {port}.*refused"):
        call(cluster_port=port)


def test_a_host_that_accepts_and_says_nothing_is_given_up_within_the_connect_timeout(configured):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(clustrix.ClusterConnectionError, match=f"port {port} does not speak SSH"):
            call(cluster_port=port)


def test_an_unknown_host_key_is_refused_and_the_message_says_how_to_accept_it(configured, slurm, tmp_path):
    empty = tmp_path / "known_hosts"
    with pytest.raises(clustrix.HostKeyError, match="is not known") as caught:
        call(known_hosts_file=str(empty))
    command = next(line for line in str(caught.value).splitlines() if ">>" in line)
    subprocess.run(command, shell=True, check=True, capture_output=True)
    assert call(known_hosts_file=str(empty)) == 2


def test_a_new_host_is_accepted_once_where_that_is_the_policy(configured, slurm, tmp_path):
    fresh = tmp_path / "known_hosts"
    assert call(known_hosts_file=str(fresh), host_key_policy="accept-new") == 2
    # Debian's ssh_config has names written down as hashes.
    found = subprocess.run(
        ["ssh-keygen", "-F", f"[127.0.0.1]:{slurm.ssh.port}", "-f", fresh], check=True, capture_output=True, text=True
    )
    assert " ssh-ed25519 " in found.stdout


def test_a_changed_host_key_is_refused_and_the_message_says_how_to_forget_the_old_one(configured, slurm, tmp_path):
    other = Path(new_key(tmp_path / "other") + ".pub").read_text().split()[1]
    known = tmp_path / "known_hosts"
    known.write_text(f"[127.0.0.1]:{slurm.ssh.port} ssh-ed25519 {other}\n")
    with pytest.raises(clustrix.HostKeyError, match="has changed") as caught:
        call(known_hosts_file=str(known), host_key_policy="accept-new")
    command = next(line for line in str(caught.value).splitlines() if "ssh-keygen -R" in line)
    subprocess.run(command, shell=True, check=True, capture_output=True)
    assert call(known_hosts_file=str(known), host_key_policy="accept-new") == 2


def test_a_wrong_key_is_an_error_that_says_what_was_tried(configured, tmp_path):
    key = new_key(tmp_path / "wrong")
    with pytest.raises(
        clustrix.AuthenticationError, match=r"refused alice; tried:\n  - key file .*wrong \(SHA256:.*refused"
    ):
        call(key_file=key)


def test_a_missing_key_file_is_named(configured, tmp_path):
    with pytest.raises(clustrix.AuthenticationError, match="absent: there is no such file"):
        call(key_file=str(tmp_path / "absent"))


def test_no_key_at_all_is_an_error_that_says_what_to_set(configured, monkeypatch):
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    connection = SSHConnection(clustrix.get_config())
    target = dataclasses.replace(resolve(clustrix.get_config()), key_files=())
    with pytest.raises(clustrix.AuthenticationError, match="no key was found: set key_file, or start an SSH agent"):
        connection.connect_to(target)


def test_an_encrypted_key_without_an_agent_is_an_error_that_says_what_to_run(configured, tmp_path, monkeypatch):
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    key = new_key(tmp_path / "locked", passphrase="secret")
    with pytest.raises(
        clustrix.AuthenticationError, match="locked: it is encrypted and no SSH agent holds it: run 'ssh-add"
    ):
        call(key_file=key)


@pytest.fixture
def agent(tmp_path, monkeypatch):
    """An ssh-agent of the test's own."""
    path = tmp_path / "agent.sock"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    while not path.exists() and process.poll() is None:
        threading.Event().wait(0.01)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
    yield
    process.terminate()
    process.wait()


def test_an_encrypted_key_that_the_agent_holds_is_used(configured, slurm, tmp_path, agent):
    key = tmp_path / "locked"
    key.write_bytes(Path(slurm.ssh.key_file).read_bytes())
    key.chmod(0o600)
    subprocess.run(["ssh-add", "-q", key], check=True, stderr=subprocess.DEVNULL)
    public = subprocess.run(["ssh-keygen", "-y", "-f", key], check=True, capture_output=True).stdout
    key.with_name("locked.pub").write_bytes(public)
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "secret", "-f", key], check=True)
    assert call(key_file=str(key)) == 2


def test_a_connection_that_is_cut_is_made_again_and_the_result_arrives(configured, slurm):
    with clustrix.ClusterExecutor(clustrix.get_config()) as executor:
        future = executor.submit(workload.sleeps, 4)
        slurm.run(f"until squeue -h -n {future.job_id} -t R | grep -q .; do sleep 0.1; done", check=True, timeout=60)
        slurm.run("pkill -u alice -f 'sys.stdin.buffer.read'", timeout=30)
        assert future.result(60) is None


SUBMITTER = """
import sys, clustrix, workload
future = clustrix.ClusterExecutor().submit(workload.sleeps, 2)
print(future.job_id, flush=True)
sys.stdin.read()
"""


def test_a_job_outlives_its_killed_client_and_its_result_is_fetched_once(configured, slurm):
    settings = {
        f"CLUSTRIX_{name.upper()}": str(value)
        for name, value in clustrix.get_config().public_dict().items()
        if isinstance(value, str)
    }
    settings |= {"CLUSTRIX_CLUSTER_PORT": str(slurm.ssh.port), "PYTHONPATH": str(Path(__file__).parent)}
    client = subprocess.Popen(
        [sys.executable, "-c", SUBMITTER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | settings,
    )
    job_id = client.stdout.readline().strip()
    slurm.run(f"until squeue -h -n {job_id} | grep -q .; do sleep 0.1; done", check=True, timeout=60)
    client.kill()
    client.communicate()
    assert clustrix.attach(job_id).result(60) is None
    slurm.run(f"while [ -e ~/.clustrix/jobs/{job_id} ]; do sleep 0.1; done", check=True, timeout=60)
    with pytest.raises(clustrix.ClustrixError, match="fetched already"):
        clustrix.attach(job_id)


def test_the_password_is_in_no_file_on_either_side(configured, slurm, tmp_path):
    with clustrix.ClusterExecutor(
        clustrix.ClusterConfig(**clustrix.get_config().public_dict(), password="correct horse")
    ) as executor:
        future = executor.submit(workload.sleeps, 2)
        slurm.run(f"until squeue -h -n {future.job_id} | grep -q .; do sleep 0.1; done", check=True, timeout=60)
        assert slurm.run("grep -rl 'correct horse' ~/.clustrix").stdout == ""
        assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"correct horse" in path.read_bytes()]
        future.result(60)
