"""Which way ``connection="auto"`` takes, and what ssh is told of the configuration and says when it fails."""

import dataclasses
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from private_sshd import new_key, program, public

import clustrix
from clustrix.connection.choice import connection_for, is_this_machine, why_openssh
from clustrix.connection.host_keys import KnownHosts
from clustrix.connection.host_settings import HostSettings, command_line, local_user, resolve
from clustrix.connection.local import LocalConnection
from clustrix.connection.ssh import SSHConnection
from clustrix.connection.ssh_complaints import error_of


@pytest.fixture
def plain(tmp_path):
    """Settings of a host that paramiko reaches."""
    return HostSettings(
        alias="hpc",
        host="hpc.example",
        port=22,
        username=local_user(),
        key_files=(tmp_path / "key",),
        certificate_files=(),
        known_hosts=KnownHosts((tmp_path / "known_hosts",), "strict"),
        use_agent=True,
        agent_socket=None,
        jumps=("gate",),
        proxy_command=None,
        options={"proxycommand": "none", "hostbasedauthentication": "no", "securitykeyprovider": "internal"},
    )


def test_a_plain_host_needs_no_ssh_program(plain):
    assert why_openssh(plain) is None


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("proxycommand", "nc %h %p"),
        ("hostbasedauthentication", "yes"),
        ("revokedhostkeys", "/etc/ssh/revoked"),
        ("knownhostscommand", "/bin/keys"),
        ("pkcs11provider", "/usr/lib/opensc-pkcs11.so"),
    ],
)
def test_what_only_ssh_can_do_is_left_to_it(plain, option, value):
    assert why_openssh(dataclasses.replace(plain, options={option: value}))


def test_a_host_certificate_is_left_to_ssh(plain, tmp_path):
    plain.known_hosts.files[0].write_text(f"@cert-authority *.example {public(new_key(tmp_path / 'ca'))}\n")
    assert "certificate" in why_openssh(plain)
    assert why_openssh(dataclasses.replace(plain, host="hpc.elsewhere")) is None


def test_a_hardware_key_is_left_to_ssh(plain, tmp_path):
    (tmp_path / "key.pub").write_text("sk-ssh-ed25519@openssh.com AAAA me@here\n")
    assert "hardware" in why_openssh(plain)


def test_a_connection_that_is_open_already_is_used(plain, tmp_path):
    (tmp_path / "control").touch()
    assert "ControlPath" in why_openssh(dataclasses.replace(plain, options={"controlpath": f"{tmp_path}/control"}))


@pytest.mark.parametrize("has_ticket", [True, False])
def test_kerberos_is_left_to_ssh_where_there_is_a_ticket(plain, tmp_path, monkeypatch, has_ticket):
    klist = tmp_path / "klist"
    klist.write_text(f"#!/bin/sh\nexit {0 if has_ticket else 1}\n")
    klist.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = why_openssh(dataclasses.replace(plain, options={"gssapiauthentication": "yes"}))
    assert bool(found) == has_ticket


def test_a_host_whose_every_address_is_this_machine_s_is_this_machine(plain):
    # Of a datagram socket's "connection" nothing is sent.
    own = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=False).stdout.split()
    if not own:
        pytest.skip("this machine has no address but the loopback's")
    here = dataclasses.replace(plain, host=own[0], jumps=())
    assert is_this_machine(here)
    assert not is_this_machine(dataclasses.replace(here, port=2222))
    assert not is_this_machine(dataclasses.replace(here, username="somebody-else"))
    assert not is_this_machine(dataclasses.replace(here, jumps=("gate",)))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "no-such-host.invalid"])
def test_the_loopback_proves_nothing(plain, host):
    assert not is_this_machine(dataclasses.replace(plain, host=host, jumps=()))


def test_auto_takes_paramiko_for_a_host_elsewhere_and_the_agent_itself_here(monkeypatch):
    monkeypatch.setenv("KRB5CCNAME", "FILE:/nonexistent")
    assert isinstance(
        connection_for(clustrix.ClusterConfig(cluster_host="127.0.0.1", cluster_port=2222)), SSHConnection
    )
    assert isinstance(connection_for(clustrix.ClusterConfig(connection="local")), LocalConnection)


PATHS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30)


@settings(max_examples=60, deadline=None)
@given(PATHS, PATHS)
def test_whatever_a_path_holds_ssh_is_told_that_path_or_nothing(key, known):
    config = clustrix.ClusterConfig(cluster_host="hpc", username="me")
    try:
        config.key_file, config.known_hosts_file = f"/{key}", f"/{known}"
        words = command_line(config)
    except clustrix.ConfigurationError:
        return
    answer = subprocess.run(
        [program("ssh"), "-F", "none", *words, "-G", "--", "hpc"], capture_output=True, text=True, check=True
    )
    said = dict(line.split(" ", 1) for line in answer.stdout.splitlines() if " " in line)
    assert said["identityfile"].replace("%%", "%") == Path(f"/{key}").as_posix()
    assert said["userknownhostsfile"].replace("%%", "%") == Path(f"/{known}").as_posix()
    assert (said["user"], said["hostname"]) == ("me", "hpc")


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ("ssh: Could not resolve hostname hpc: Name or service not known", clustrix.ClusterConnectionError, "check cluster_host"),
        ("ssh: connect to host hpc port 22: Connection timed out", clustrix.ClusterConnectionError, "VPN"),
        ("me@hpc: Permission denied (publickey,keyboard-interactive).", clustrix.AuthenticationError, "nobody to ask"),
        ("me@hpc: Permission denied (publickey).", clustrix.AuthenticationError, "key_file"),
        ("Received disconnect from 1.2.3.4 port 22:2: Too many authentication failures", clustrix.AuthenticationError, "ssh-add"),
        ("No ED25519 host key is known for hpc.example and you have requested strict checking.\r\nHost key verification failed.", clustrix.HostKeyError, "ssh-keyscan"),
        ("WARNING: REVOKED HOST KEY DETECTED!\r\nHost key verification failed.\r\n", clustrix.HostKeyError, "revoked"),
        ("Connection closed by 1.2.3.4 port 22", clustrix.ClusterConnectionError, "Connection closed by"),
        ("", clustrix.ClusterConnectionError, "did not say why"),
    ],
)  # fmt: skip
def test_what_ssh_says_becomes_an_error_with_a_way_out(plain, said, kind, words):
    error = error_of(said, plain, can_ask=False)
    assert type(error) is kind
    assert words in str(error)
    assert "hpc.example" in str(error)


def test_settings_that_ssh_can_not_read_are_an_error_with_its_words(tmp_path, monkeypatch):
    wrapper = tmp_path / "ssh"
    (tmp_path / "config").write_text("NoSuchOption yes\n")
    wrapper.write_text(f'#!/bin/sh\nexec {program("ssh")} -F {tmp_path}/config "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(clustrix.ClusterConnectionError, match=r"(?i)hpc: ssh can't read its settings: .*nosuchoption"):
        resolve(clustrix.ClusterConfig(cluster_host="hpc"))
