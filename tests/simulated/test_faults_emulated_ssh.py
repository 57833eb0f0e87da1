"""What ordinary SSH clients meet while the line to an emulated cluster is bad, and that it is good again afterwards."""

import contextlib
import socket
import subprocess
import threading

import paramiko
import pytest

import simcluster
from simcluster.errors import FaultUnavailableError, SpecError


@pytest.fixture(scope="module")
def host():
    with simcluster.start("ssh", backend="emulated") as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def _mended(host):
    yield
    host.faults.undo_all()
    assert host.run("echo fine", timeout=60).stdout == "fine\n"


def ssh(host, command, *options, timeout=60):
    """The system's own client."""
    return subprocess.run(
        [*host.ssh.command()[:-1], *options, host.ssh.command()[-1], command],
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        check=False,
    )


@contextlib.contextmanager
def connected(endpoint, **options):
    client = paramiko.SSHClient()
    client.load_host_keys(str(endpoint.known_hosts_file))
    options = {"allow_agent": False, "look_for_keys": False, **options}
    try:
        client.connect(endpoint.host, endpoint.port, endpoint.username, key_filename=str(endpoint.key_file), **options)
        yield client
    finally:
        client.close()


def said(client, command):
    return client.exec_command(command, timeout=60)[1].read().decode()


def test_a_refused_connection_is_refused_and_open_ones_go_on(host):
    with connected(host.ssh) as client:
        with host.faults.ssh.refuse():
            done = ssh(host, "true")
            assert done.returncode == 255
            assert "Connection refused" in done.stderr
            assert said(client, "echo still here") == "still here\n"
        assert ssh(host, "echo again").stdout == "again\n"


def test_only_the_last_of_two_refusals_opens_the_port_again(host):
    first, second = host.faults.ssh.refuse().start(), host.faults.ssh.refuse().start()
    first.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host.ssh.host, host.ssh.port))
    second.stop()
    assert ssh(host, "echo again").stdout == "again\n"


def test_a_connection_is_dropped_after_so_many_bytes(host):
    with connected(host.ssh) as client, host.faults.ssh.drop(after_bytes=100_000):
        stdout = client.exec_command("head -c 1000000 /dev/zero", timeout=60)[1]
        assert 50_000 < len(stdout.read()) < 100_000
        # What fits into the limit passes, for each connection has its own.
        assert ssh(host, "echo small").stdout == "small\n"


def test_dropping_at_once_ends_the_handshake(host):
    with host.faults.ssh.drop():
        assert ssh(host, "true").returncode == 255


def test_all_connections_are_dropped_and_new_ones_taken(host):
    with connected(host.ssh) as client, connected(host.ssh) as other:
        host.faults.ssh.drop_all().start()
        for each in (client, other):
            each.get_transport().join(60)
            assert not each.get_transport().is_active()
    assert ssh(host, "echo again").stdout == "again\n"


def test_latency_makes_a_client_wait_longer_than_it_wants_to(host):
    with connected(host.ssh) as client:
        with host.faults.ssh.latency(600):
            done = ssh(host, "true", "-o", "ConnectTimeout=1")
            assert (done.returncode, "timed out" in done.stderr) == (255, True)
        assert said(client, "echo $((6 * 7))") == "42\n"


def test_latency_keeps_the_order_of_what_is_sent(host):
    with host.faults.ssh.latency(0.05):
        done = host.run("cat", input="".join(f"{number}\n" for number in range(20_000)))
    assert done.stdout == "".join(f"{number}\n" for number in range(20_000))


def test_bandwidth_limits_what_passes_in_a_second(host):
    with connected(host.ssh) as client:
        channel = client.get_transport().open_session()
        channel.settimeout(60)
        channel.exec_command("echo begin; read line; head -c 5000000 /dev/zero")
        assert channel.recv(6) == b"begin\n"
        with host.faults.ssh.bandwidth("10kB/s"):
            channel.sendall(b"\n")
            assert 0 < len(channel.recv(5_000_000)) < 100_000
        rest = 0
        while data := channel.recv(1 << 16):
            rest += len(data)
        assert rest > 4_900_000


def test_a_hanging_line_holds_everything_and_lets_it_go_afterwards(host):
    with connected(host.ssh) as client:
        answers = []
        with host.faults.ssh.hang():
            thread = threading.Thread(target=lambda: answers.append(said(client, "echo late")))
            thread.start()
            with socket.create_connection((host.ssh.host, host.ssh.port)) as connection:
                connection.settimeout(0.5)
                with pytest.raises(TimeoutError):
                    connection.recv(1)
            assert not answers
        thread.join(60)
        assert answers == ["late\n"]


def test_a_client_gives_up_on_a_hanging_line(host):
    with host.faults.ssh.hang():
        done = ssh(host, "true", "-o", "ConnectTimeout=1")
        assert done.returncode == 255
        assert "timed out" in done.stderr


def test_noise_comes_before_the_output_of_each_session(host):
    with host.faults.ssh.banner_noise("Welcome to the cluster"):
        assert ssh(host, "echo answer").stdout == "Welcome to the cluster\nanswer\n"
        assert ssh(host, "echo terminal", "-tt").stdout == "Welcome to the cluster\nterminal\n"
        with connected(host.ssh) as client:
            assert client.open_sftp().normalize(".") == host.home
    assert ssh(host, "echo answer").stdout == "answer\n"


def test_another_host_key_is_not_trusted(host):
    with host.faults.ssh.wrong_host_key():
        done = ssh(host, "true")
        assert done.returncode == 255
        assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in done.stderr
        with pytest.raises(paramiko.BadHostKeyException), connected(host.ssh):
            pass
    assert ssh(host, "echo trusted").stdout == "trusted\n"


def test_every_fault_is_in_the_history_with_its_span(host):
    before = len(host.faults.history())
    with host.faults.ssh.latency(0.01):
        assert [entry.name for entry in host.faults.active()] == ["ssh.latency"]
        (span,) = host.faults.history()[before:]
        assert (span.name, span.detail, span.end) == ("ssh.latency", "0.01", None)
    host.faults.ssh.drop_all().start()
    spans = host.faults.history()[before:]
    assert [(one.name, one.end is not None) for one in spans] == [("ssh.latency", True), ("ssh.drop_all", True)]
    assert host.history().faults[before:] == spans


def test_undoing_all_mends_what_anybody_broke(host):
    host.faults.ssh.banner_noise("noise").start()
    fault = host.faults.ssh.refuse().start()
    host.faults.undo_all()
    assert ssh(host, "echo answer").stdout == "answer\n"
    assert not host.faults.active()
    fault.stop()


def test_a_fault_is_made_once_at_a_time(host):
    with host.faults.ssh.latency(0.01) as fault, pytest.raises(SpecError, match="on already"):
        fault.start()
    with fault:
        assert len(host.faults.active()) == 1


def test_what_a_host_without_scheduler_has_not_says_why(host):
    assert "scheduler.down" not in host.faults.available()
    with pytest.raises(FaultUnavailableError, match=r"can.t be had.*host without a scheduler.*scheduler=.slurm.$"):
        host.faults.scheduler.down()
