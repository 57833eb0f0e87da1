"""Both ways of SSH, with real servers: what they reach, and what a user reads when they do not."""
# ruff: noqa: F401, F811 - the fixtures of ssh_ways

import subprocess
from pathlib import Path

import pytest
from private_sshd import Sshd, certify, new_key, public
from ssh_ways import reach, state_dir, way

import clustrix


@pytest.fixture(scope="module")
def sshd(tmp_path_factory):
    server = Sshd(tmp_path_factory.mktemp("sshd")).start()
    yield server
    server.stop()


def test_an_agent_starts_and_answers(sshd, reach, state_dir):
    channel = reach(sshd.config())
    assert channel.facts["root"] == state_dir
    answer = channel.request("status", {"client": "c1", "scheduler": "slurm", "job": "cx1"})
    assert answer == {"state": "UNKNOWN"}


def test_a_large_message_crosses_in_both_directions(sshd, reach):
    channel = reach(sshd.config())
    with pytest.raises(clustrix.SubmissionError, match="no operation"):
        channel.request("dance", {}, (bytes(30 << 20),))


def test_an_unknown_host_key_is_refused_and_the_message_says_how_to_accept_it(sshd, reach, tmp_path):
    known = tmp_path / "known_hosts"
    with pytest.raises(clustrix.HostKeyError, match="is not known") as caught:
        reach(sshd.config(known_hosts_file=str(known)))
    command = next(line for line in str(caught.value).splitlines() if ">>" in line)
    subprocess.run(command, shell=True, check=True, capture_output=True)
    assert reach(sshd.config(known_hosts_file=str(known))).facts


def test_a_new_host_is_written_down_privately_where_that_is_the_policy(sshd, reach, tmp_path):
    known = tmp_path / "with blanks" / "known_hosts"
    known.parent.mkdir()
    reach(sshd.config(known_hosts_file=str(known), host_key_policy="accept-new"))
    assert public(sshd.host_key) in known.read_text()
    assert known.stat().st_mode & 0o077 == 0


def test_a_changed_key_is_refused_with_file_and_line_and_the_way_out_works(sshd, reach, tmp_path):
    known = tmp_path / "known_hosts"
    other = public(new_key(tmp_path / "other"))
    known.write_text(f"# mine\n{sshd.name} {other}\n")
    config = sshd.config(known_hosts_file=str(known), host_key_policy="accept-new")
    with pytest.raises(clustrix.HostKeyError, match=r"has changed.*SHA256:.*known_hosts, line 2,") as caught:
        reach(config)
    command = next(line for line in str(caught.value).splitlines() if "ssh-keygen -R" in line)
    subprocess.run(command, shell=True, check=True, capture_output=True)
    assert reach(config).facts


def test_a_revoked_key_is_refused(sshd, reach, tmp_path):
    known = tmp_path / "known_hosts"
    known.write_text(f"@revoked * {public(sshd.host_key)}\n{sshd.name} {public(sshd.host_key)}\n")
    with pytest.raises(clustrix.HostKeyError, match="revoked"):
        reach(sshd.config(known_hosts_file=str(known)))


def test_a_name_that_is_hashed_is_found(sshd, reach, tmp_path):
    known = tmp_path / "known_hosts"
    known.write_text(sshd.known_hosts.read_text())
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", known], check=True, capture_output=True)
    assert known.read_text().startswith("|1|")
    assert reach(sshd.config(known_hosts_file=str(known))).facts


def test_a_key_that_the_host_does_not_take_is_an_authentication_error(sshd, reach, tmp_path):
    with pytest.raises(
        clustrix.AuthenticationError,
        match=r"(?s)127\.0\.0\.1 port \d+ refused .*(Permission denied.*key_file|wrong \(SHA256.*refused)",
    ):
        reach(sshd.config(key_file=str(new_key(tmp_path / "wrong"))))


def test_a_host_that_nobody_knows_and_a_port_where_nobody_listens_are_named(sshd, reach):
    with pytest.raises(clustrix.ClusterConnectionError, match=r"no-such\.invalid port.*check cluster_host"):
        reach(sshd.config(cluster_host="no-such.invalid"))
    with pytest.raises(clustrix.ClusterConnectionError, match=r"127\.0\.0\.1 port 1: .*refused.*check"):
        reach(sshd.config(cluster_port=1))


@pytest.fixture
def certified(tmp_path):
    """A server that shows a host certificate, and the key that signed it."""
    authority = new_key(tmp_path / "ca")
    server = Sshd(tmp_path / "sshd")
    server.lines.append(f"HostCertificate {certify(authority, server.host_key, '127.0.0.1', is_host=True)}")
    server.start()
    server.known_hosts.write_text(f"@cert-authority * {public(authority)}\n")
    yield server
    server.stop()


@pytest.mark.parametrize("way", ["openssh", "auto"])
def test_a_host_certificate_is_trusted_by_its_authority_and_no_other(certified, tmp_path, reach):
    assert reach(certified.config()).facts
    certified.known_hosts.write_text(f"@cert-authority * {public(new_key(tmp_path / 'other'))}\n")
    with pytest.raises(clustrix.HostKeyError, match="is not known"):
        reach(certified.config())


@pytest.mark.parametrize("way", ["paramiko"])
def test_who_insists_on_paramiko_reads_what_can_check_a_host_certificate(certified, reach):
    with pytest.raises(clustrix.HostKeyError, match=r"(?s)is not known.*connection='openssh'"):
        reach(certified.config())


@pytest.mark.parametrize("way", ["openssh"])
def test_no_secret_is_in_the_arguments_or_the_environment_of_ssh(sshd, reach):
    process = reach(sshd.config(password="correct horse"))._pipe._process
    words = Path(f"/proc/{process.pid}/cmdline").read_bytes()
    assert b"127.0.0.1" in words
    assert b"correct horse" not in words + Path(f"/proc/{process.pid}/environ").read_bytes()


@pytest.mark.parametrize("noise", ["echo hello", "printf 'no line end'", "yes 'a chatty shell' | head -c 1000000"])
def test_what_a_login_prints_first_does_no_harm(noise, tmp_path, reach):
    script = tmp_path / "login"
    script.write_text(f'#!/bin/sh\n{noise}\nexec /bin/sh -c "$SSH_ORIGINAL_COMMAND"\n')
    script.chmod(0o755)
    server = Sshd(tmp_path / "sshd", [f"ForceCommand {script}", f"Banner {script}"]).start()
    try:
        assert reach(server.config()).request("ping", {}).keys() == {"time"}
    finally:
        server.stop()


def test_one_connection_and_one_session_carry_everything(tmp_path, reach):
    server = Sshd(tmp_path / "sshd", ["MaxSessions 1", "LogLevel DEBUG1"]).start()
    try:
        channel = reach(server.config())
        for _ in range(5):
            channel.request("ping", {})
        log = (server.directory / "log").read_text()
    finally:
        server.stop()
    assert log.count("Accepted publickey") == 1
    assert log.count("request exec") == 1
