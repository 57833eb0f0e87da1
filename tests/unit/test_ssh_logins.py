"""Logging in over either way of SSH: certificates, agents, jump hosts, and what hosts ask of people."""
# ruff: noqa: F401, F811 - the fixtures of ssh_ways

import contextlib
import getpass
import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from asking_server import AskingServer
from private_sshd import Sshd, certify, new_key, program, public
from ssh_ways import reach, state_dir, way

import clustrix
from clustrix.connection.channel import _give_up
from clustrix.connection.openssh import OpenSSHConnection


@pytest.fixture(scope="module")
def sshd(tmp_path_factory):
    server = Sshd(tmp_path_factory.mktemp("sshd")).start()
    yield server
    server.stop()


@pytest.fixture
def ssh_config(tmp_path, monkeypatch):
    """ssh_config(text): from now on this is the user's ~/.ssh/config, for ssh itself finds that in no variable."""
    real = program("ssh")

    def write(text):
        (tmp_path / "ssh_config").write_text(text)
        wrapper = tmp_path / "bin" / "ssh"
        wrapper.parent.mkdir(exist_ok=True)
        wrapper.write_text(f'#!/bin/sh\nexec {real} -F {tmp_path}/ssh_config "$@"\n')
        wrapper.chmod(0o755)
        monkeypatch.setenv("PATH", f"{wrapper.parent}{os.pathsep}{os.environ['PATH']}")

    return write


@pytest.fixture
def answers():
    """answers(mapping): questions that end in a key get its value; gives the list of what was asked."""
    asked = []

    def give(mapping):
        def answer(question):
            asked.append(question)
            return next((value for end, value in mapping.items() if question.endswith(end)), None)

        clustrix.answer_prompts(answer)
        return asked

    yield give
    clustrix.answer_prompts(None)


def test_a_user_certificate_logs_in(tmp_path, reach):
    authority, key = new_key(tmp_path / "ca"), new_key(tmp_path / "key")
    certify(authority, key, getpass.getuser(), is_host=False)
    server = Sshd(tmp_path / "sshd", [f"TrustedUserCAKeys {authority}.pub"]).start()
    try:
        assert reach(server.config(key_file=str(key))).facts
    finally:
        server.stop()


def test_a_certificate_that_only_ssh_config_names_logs_in(tmp_path, reach, ssh_config):
    authority, key = new_key(tmp_path / "ca"), new_key(tmp_path / "key")
    certificate = certify(authority, key, getpass.getuser(), is_host=False).rename(tmp_path / "signed.pub")
    ssh_config(f"CertificateFile {certificate}\n")
    server = Sshd(tmp_path / "sshd", [f"TrustedUserCAKeys {authority}.pub"]).start()
    try:
        assert reach(server.config(key_file=str(key))).facts
    finally:
        server.stop()


@pytest.fixture
def agent(tmp_path):
    """The socket of an ssh-agent of the test's own."""
    path = tmp_path / "agent.sock"
    process = subprocess.Popen([program("ssh-agent"), "-D", "-a", path], stdout=subprocess.DEVNULL)
    while not path.exists() and process.poll() is None:
        threading.Event().wait(0.01)
    yield path
    process.terminate()
    process.wait()


def add_to(agent, key):
    subprocess.run(
        ["ssh-add", "-q", key], check=True, stderr=subprocess.DEVNULL, env={**os.environ, "SSH_AUTH_SOCK": str(agent)}
    )


def test_a_key_of_the_agent_logs_in_and_no_file_is_needed(sshd, reach, agent, monkeypatch, ssh_config):
    add_to(agent, sshd.key)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
    ssh_config("IdentityFile none\n")
    assert reach(sshd.config(key_file=None)).facts


def test_the_agent_that_ssh_config_names_is_asked_and_not_the_environment_s(
    sshd, reach, agent, monkeypatch, ssh_config
):
    add_to(agent, sshd.key)
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    ssh_config(f"IdentityAgent {agent}\nIdentityFile none\n")
    assert reach(sshd.config(key_file=None)).facts


def test_settings_of_an_included_file_count(sshd, reach, tmp_path, ssh_config):
    (tmp_path / "more").write_text(
        f"Match exec true host hpc\n HostName 127.0.0.1\n Port {sshd.port}\n User {getpass.getuser()}\n"
        f" IdentityFile {sshd.key}\n UserKnownHostsFile {sshd.known_hosts}\n"
    )
    ssh_config(f"Include {tmp_path}/more\n")
    config = sshd.config(cluster_host="hpc", cluster_port=22, username=None, key_file=None, known_hosts_file=None)
    assert reach(config).facts


def test_a_host_key_alias_is_the_name_under_which_the_key_is_known(sshd, reach, tmp_path, ssh_config):
    ssh_config("HostKeyAlias login-of-hpc\n")
    known = tmp_path / "known"
    known.write_text(f"login-of-hpc {public(sshd.host_key)}\n")
    assert reach(sshd.config(known_hosts_file=str(known))).facts


@pytest.fixture(scope="module")
def inner(tmp_path_factory):
    """A host behind others."""
    server = Sshd(tmp_path_factory.mktemp("inner")).start()
    yield server
    server.stop()


def way_through(sshd, known, **jump):
    hop = f"Host gate\n HostName 127.0.0.1\n Port {sshd.port}\n IdentityFile {sshd.key}\n IdentitiesOnly yes\n"
    more = "".join(f" {name} {value}\n" for name, value in jump.items())
    return f"{hop}Host *\n UserKnownHostsFile {known}\n User {getpass.getuser()}\n{more}"


def test_a_jump_host_is_passed_through(sshd, inner, reach, tmp_path, ssh_config):
    known = tmp_path / "known"
    known.write_text(sshd.known_hosts.read_text() + inner.known_hosts.read_text())
    ssh_config(f"Host 127.0.0.1 inner\n ProxyJump gate\n{way_through(sshd, known)}")
    before = (sshd.directory / "log").read_text().count("Accepted publickey")
    # The gate's own address is not to be reached through itself.
    config = inner.config(cluster_host="inner", known_hosts_file=str(known))
    ssh_config(f"Host inner\n HostName 127.0.0.1\n ProxyJump gate\n{way_through(sshd, known)}")
    assert reach(config).facts
    assert (sshd.directory / "log").read_text().count("Accepted publickey") == before + 1


def test_a_chain_of_jump_hosts_is_passed_through(sshd, inner, reach, tmp_path, ssh_config):
    known = tmp_path / "known"
    known.write_text(sshd.known_hosts.read_text() + inner.known_hosts.read_text())
    ssh_config(
        f"Host inner\n HostName 127.0.0.1\n ProxyJump gate,{getpass.getuser()}@gate:{sshd.port}\n{way_through(sshd, known)}"
    )
    assert reach(inner.config(cluster_host="inner", known_hosts_file=str(known))).facts


def test_the_key_of_a_jump_host_is_checked_too(sshd, inner, reach, tmp_path, ssh_config):
    known = tmp_path / "known"
    known.write_text(inner.known_hosts.read_text())
    ssh_config(
        f"Host inner\n HostName 127.0.0.1\n ProxyJump gate\n{way_through(sshd, known)} StrictHostKeyChecking yes\n"
    )
    with pytest.raises(clustrix.HostKeyError, match=rf"\[127\.0\.0\.1\]:{sshd.port} is not known"):
        reach(inner.config(cluster_host="inner", known_hosts_file=str(known)))


@pytest.mark.parametrize("way", ["openssh", "auto"])
def test_a_proxy_command_is_run_by_ssh(sshd, inner, reach, tmp_path, ssh_config):
    ssh_config(
        f"Host inner\n ProxyCommand {sys.executable} {Path(__file__).with_name('pass_on.py')} 127.0.0.1 {inner.port}\n"
    )
    known = tmp_path / "known"
    known.write_text(f"[inner]:{inner.port} {public(inner.host_key)}\n")
    assert reach(inner.config(cluster_host="inner", known_hosts_file=str(known))).facts


@pytest.mark.parametrize("way", ["paramiko"])
def test_who_insists_on_paramiko_reads_what_runs_a_proxy_command(inner, reach, ssh_config):
    ssh_config("Host inner\n ProxyCommand nc gate 22\n")
    with pytest.raises(clustrix.ClusterConnectionError, match=r"ProxyCommand.*connection='openssh'"):
        reach(inner.config(cluster_host="inner"))


def config_of(server, tmp_path, **more):
    return clustrix.ClusterConfig(
        cluster_host="127.0.0.1",
        cluster_port=server.port,
        username="alice",
        known_hosts_file=server.write_known_hosts(tmp_path / "known_hosts"),
        **more,
    )


def test_two_questions_are_answered_by_the_callback(tmp_path, reach, answers, ssh_config):
    ssh_config("IdentityFile none\n")
    asked = answers({"Password: ": "correct horse", "Verification code: ": "123456"})
    with AskingServer() as server:
        assert reach(config_of(server, tmp_path)).facts
    assert asked == ["(alice@127.0.0.1) Password: ", "(alice@127.0.0.1) Verification code: "]


def test_the_configured_password_answers_its_question_and_the_user_the_other(tmp_path, reach, answers, ssh_config):
    ssh_config("IdentityFile none\n")
    asked = answers({"Verification code: ": "123456"})
    with AskingServer() as server:
        assert reach(config_of(server, tmp_path, password="correct horse")).facts
    assert asked == ["(alice@127.0.0.1) Verification code: "]


def test_a_key_and_then_a_code(tmp_path, reach, answers):
    key = new_key(tmp_path / "key")
    answers({"Password: ": "correct horse", "Verification code: ": "123456"})
    with AskingServer(key=public(key).split()[1]) as server:
        assert reach(config_of(server, tmp_path, key_file=str(key))).facts


def test_a_wrong_answer_may_be_corrected(tmp_path, reach, answers, ssh_config):
    ssh_config("IdentityFile none\n")
    codes = iter(["000000", "123456"])
    clustrix.answer_prompts(lambda question: "correct horse" if "Password" in question else next(codes))
    with AskingServer() as server:
        assert reach(config_of(server, tmp_path)).facts
    answers({})


def test_a_host_that_takes_passwords_only_gets_the_configured_one_once(tmp_path, reach, ssh_config):
    ssh_config("IdentityFile none\n")
    with AskingServer(methods="password") as server:
        assert reach(config_of(server, tmp_path, password="correct horse")).facts
        server.passwords.clear()
        with pytest.raises(clustrix.AuthenticationError, match="refused alice"):
            reach(config_of(server, tmp_path, password="wrong"))
        assert server.passwords == ["wrong"]


def test_with_nobody_to_ask_the_error_says_how_somebody_can_be(tmp_path, reach, ssh_config):
    ssh_config("IdentityFile none\n")
    with AskingServer() as server, pytest.raises(clustrix.AuthenticationError, match="refused alice"):
        reach(config_of(server, tmp_path))


def test_the_passphrase_of_a_key_is_asked_for(sshd, tmp_path, reach, answers):
    key = tmp_path / "locked"
    key.write_bytes(sshd.key.read_bytes())
    key.chmod(0o600)
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "secret", "-f", key], check=True, stdout=subprocess.DEVNULL)
    asked = answers({": ": "secret"})
    assert reach(sshd.config(key_file=str(key))).facts
    assert asked == [f"Enter passphrase for key '{key}': "]


@pytest.fixture
def token(tmp_path, monkeypatch, ssh_config):
    """The public part of a key that never leaves its device, which asks for a PIN. ssh is told of the device."""
    tool = program("softhsm2-util")
    library = next(path for path in map(Path, TOKEN_LIBRARIES) if path.exists())
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm2.conf").write_text(f"directories.tokendir = {tmp_path}/tokens\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(tmp_path / "softhsm2.conf"))
    key = new_key(tmp_path / "card", kind="rsa")
    subprocess.run(
        ["ssh-keygen", "-q", "-p", "-m", "PKCS8", "-N", "", "-f", key], check=True, stdout=subprocess.DEVNULL
    )
    for words in (
        ["--init-token", "--free", "--label", "card", "--so-pin", "5678", "--pin", "1234"],
        ["--import", key, "--token", "card", "--label", "login", "--id", "01", "--pin", "1234"],
    ):
        subprocess.run([tool, *words], check=True, stdout=subprocess.DEVNULL)
    key.unlink()
    ssh_config(f"PKCS11Provider {library}\nIdentityFile none\n")
    return public(key)


TOKEN_LIBRARIES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so")


@pytest.mark.parametrize("way", ["auto"])
def test_a_key_on_a_hardware_token_logs_in_with_its_pin(tmp_path, reach, token, answers, way):
    server = Sshd(tmp_path / "sshd")
    (server.directory / "authorized_keys").write_text(token + "\n")
    asked = answers({"PIN for 'card': ": "1234"})
    try:
        assert reach(server.start().config(key_file=None)).facts
    finally:
        server.stop()
    assert asked == ["Enter PIN for 'card': "]


@pytest.mark.parametrize("way", ["openssh"])
def test_while_somebody_is_asked_the_pipe_says_so(tmp_path, ssh_config, answers, way):
    ssh_config("IdentityFile none\n")
    pipes, seen = queue.SimpleQueue(), []

    def answer(question):
        seen.append(pipes.get(timeout=60).is_asking)
        return "correct horse"

    answers({})
    clustrix.answer_prompts(answer)
    with AskingServer(answers=["correct horse"], questions=[("Password: ", False)]) as server:
        connection = OpenSSHConnection(config_of(server, tmp_path))
        try:
            pipe = connection.start("echo welcome")
            pipes.put(pipe)
            assert pipe.read(8) == b"welcome\n"
            assert (seen, pipe.is_asking) == ([True], False)
        finally:
            connection.close()


class Asking:
    """A pipe whose user answers when they have been looked at three times."""

    def __init__(self):
        self.looks, self.is_aborted = 0, False

    @property
    def is_asking(self):
        self.looks += 1
        return self.looks <= 3

    def abort(self):
        self.is_aborted = True


def test_a_start_is_not_given_up_while_somebody_is_asked():
    pipe = Asking()
    _give_up(pipe, 0.01, threading.Event())
    assert (pipe.looks, pipe.is_aborted) == (4, True)


ASKED = """
import sys, threading, clustrix
clustrix.answer_prompts(lambda question: print(question, flush=True) or threading.Event().wait())
clustrix.ClusterExecutor(clustrix.ClusterConfig(**eval(sys.argv[1]))).connect()
"""


def children_of(pid):
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if path.read_text().rpartition(")")[2].split()[1] == str(pid):
                found.append(int(path.parent.name))
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.parametrize("way", ["openssh"])
def test_a_client_killed_while_ssh_asks_leaves_no_process_and_nothing_but_the_cached_launcher(
    tmp_path, ssh_config, way
):
    ssh_config("IdentityFile none\n")
    places = {
        name: tmp_path / name.lower() for name in ("TMPDIR", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR")
    }
    for place in places.values():
        place.mkdir(mode=0o700)
    environment = {**os.environ, **{name: str(place) for name, place in places.items()}}
    with AskingServer() as server:
        config = config_of(server, tmp_path, connection=way).public_dict()
        client = subprocess.Popen(
            [sys.executable, "-c", ASKED, repr(config)], env=environment, stdout=subprocess.PIPE, text=True
        )
        assert "Password" in client.stdout.readline()
        processes = children_of(client.pid)
        assert processes
        client.kill()
        client.communicate()
        deadline = time.monotonic() + 60
        while any(Path(f"/proc/{pid}").exists() for pid in processes):
            assert time.monotonic() < deadline, "an ssh that nobody answers goes on"
            time.sleep(0.05)
    left = [path for place in places.values() for path in place.rglob("*") if not path.is_dir()]
    assert [path.name.partition("-")[0] for path in left if path.name != "client_id"] == ["askpass"]
