"""Logging in by a Kerberos ticket, with a real KDC of the test's own on the loopback."""
# ruff: noqa: F401, F811 - the fixtures of ssh_ways

import getpass
import os
import socket
import subprocess
import threading

import pytest
from private_sshd import Sshd, program, public
from ssh_ways import reach, state_dir, way

import clustrix

REALM = "TEST.INVALID"


@pytest.fixture
def realm(tmp_path, monkeypatch):
    """A realm with this user, whose password is "secret", and localhost as a host; nobody has a ticket yet."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "krb5.conf").write_text(
        f"[libdefaults]\n default_realm = {REALM}\n dns_lookup_kdc = false\n dns_canonicalize_hostname = false\n rdns = false\n"
        f"[realms]\n {REALM} = {{\n  kdc = 127.0.0.1:{port}\n }}\n[domain_realm]\n localhost = {REALM}\n"
    )
    (tmp_path / "kdc.conf").write_text(
        f"[kdcdefaults]\n kdc_listen = 127.0.0.1:{port}\n kdc_tcp_listen = 127.0.0.1:{port}\n"
        f"[realms]\n {REALM} = {{\n  database_name = {tmp_path}/principal\n  key_stash_file = {tmp_path}/stash\n }}\n"
    )
    monkeypatch.setenv("KRB5_CONFIG", str(tmp_path / "krb5.conf"))
    monkeypatch.setenv("KRB5_KDC_PROFILE", str(tmp_path / "kdc.conf"))
    monkeypatch.setenv("KRB5_KTNAME", f"FILE:{tmp_path}/keytab")
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path}/tickets")
    subprocess.run([program("kdb5_util"), "create", "-s", "-P", "master", "-r", REALM], check=True, capture_output=True)
    for query in (
        f"addprinc -pw secret {getpass.getuser()}",
        "addprinc -randkey host/localhost",
        "ktadd host/localhost",
    ):
        subprocess.run([program("kadmin.local"), "-q", query], check=True, capture_output=True)
    kdc = subprocess.Popen([program("krb5kdc"), "-n"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield
    kdc.kill()
    kdc.wait()


@pytest.mark.parametrize("way", ["auto"])
def test_a_ticket_logs_in_by_the_system_s_ssh_and_without_one_nobody_gets_in(realm, tmp_path, monkeypatch, reach):
    server = Sshd(
        tmp_path / "sshd", ["GSSAPIAuthentication yes", "PubkeyAuthentication no", "GSSAPIStrictAcceptorCheck no"]
    )
    server.start()
    try:
        known = tmp_path / "known"
        known.write_text(f"[localhost]:{server.port} {public(server.host_key)}\n")
        (tmp_path / "ssh_config").write_text("GSSAPIAuthentication yes\nIdentityFile none\n")
        wrapper = tmp_path / "ssh"
        wrapper.write_text(f'#!/bin/sh\nexec {program("ssh")} -F {tmp_path}/ssh_config "$@"\n')
        wrapper.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        config = server.config(cluster_host="localhost", key_file=None, known_hosts_file=str(known))
        with pytest.raises(clustrix.AuthenticationError):
            reach(config)
        kinit = [program("kinit"), getpass.getuser()]
        while subprocess.run(kinit, input=b"secret\n", capture_output=True, check=False).returncode:
            threading.Event().wait(0.05)  # until the KDC answers; pytest-timeout is the deadline
        assert reach(config).facts
    finally:
        server.stop()
