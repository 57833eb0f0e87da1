"""What an ordinary SSH client finds on the login host of an emulated cluster."""

import contextlib
import socket
import threading
import time

import paramiko
import pytest

import simcluster
from simcluster.access import KeyPair


@pytest.fixture(scope="module")
def host():
    with simcluster.start("ssh", backend="emulated") as cluster:
        yield cluster


@contextlib.contextmanager
def connected(ssh, **changes):
    client = paramiko.SSHClient()
    client.load_host_keys(str(ssh.known_hosts_file))
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    options = {"username": ssh.username, "key_filename": str(ssh.key_file), **changes}
    try:
        client.connect(ssh.host, ssh.port, allow_agent=False, look_for_keys=False, **options)
        yield client
    finally:
        client.close()


@pytest.fixture
def client(host):
    with connected(host.ssh) as client:
        yield client


def until(channel, what, deadline=20):
    """What the channel says, up to and with `what`."""
    channel.settimeout(deadline)
    said = b""
    while what not in said:
        piece = channel.recv(1024)
        assert piece, said
        said += piece
    return said


def test_a_command_gets_its_input_and_gives_output_errors_and_exit_code(host):
    done = host.run("cat; echo problem >&2; exit 3", input="line\n")
    assert (done.stdout, done.stderr, done.returncode) == ("line\n", "problem\n", 3)


def test_binary_data_of_any_size_passes_in_both_directions(client):
    data = bytes(range(256)) * (1 << 14)
    channel = client.get_transport().open_session()
    channel.exec_command("cat")

    def send():
        for offset in range(0, len(data), 1 << 15):
            channel.sendall(data[offset : offset + (1 << 15)])
        channel.shutdown_write()

    sender = threading.Thread(target=send)
    sender.start()
    assert channel.makefile("rb").read() == data
    sender.join()
    assert channel.recv_exit_status() == 0


def test_a_command_that_a_signal_ended_says_so(client):
    # paramiko has no word for exit signals: it leaves its -1.
    channel = client.get_transport().open_session()
    channel.exec_command("kill -KILL $$")
    assert channel.recv_exit_status() == -1


def test_the_environment_is_a_login_and_nothing_of_the_callers(host, monkeypatch):
    listed = host.run("env").stdout
    variables = dict(line.split("=", 1) for line in listed.splitlines() if "=" in line)
    assert variables["HOME"] == host.home
    assert variables["USER"] == variables["LOGNAME"] == host.ssh.username
    assert variables["SSH_CONNECTION"].split()[2:] == [host.ssh.host, str(host.ssh.port)]
    assert not {"PYTHONPATH", "VIRTUAL_ENV", "PYTEST_CURRENT_TEST", "PYENV_ROOT"} & set(variables)


def test_commands_start_at_home(host):
    assert host.run("pwd").stdout.strip() == host.home
    assert host.run("echo ~; cd $SCRATCH; pwd").stdout.split() == [host.home, host.scratch]


def test_commands_run_as_the_user(host):
    assert host.run("id -un").stdout.strip() == host.ssh.username


def test_a_shell_has_a_terminal_of_the_size_that_was_asked_for(client):
    channel = client.invoke_shell(term="xterm", width=97, height=31)
    channel.sendall(b"stty size; echo $TERM $0 | tr a-z A-Z\n")
    said = until(channel, b"XTERM -BASH")
    assert b"31 97" in said
    channel.resize_pty(width=50, height=20)
    channel.sendall(b"stty size\n")
    until(channel, b"20 50")
    channel.sendall(b"exit 5\n")
    assert channel.recv_exit_status() == 5


def test_control_c_interrupts_what_runs_in_a_terminal(client):
    channel = client.get_transport().open_session()
    channel.get_pty()
    channel.exec_command("trap 'echo interrupted; exit 4' INT; echo ready; while :; do sleep 0.1; done")
    until(channel, b"ready")
    channel.sendall(b"\x03")
    until(channel, b"interrupted")
    assert channel.recv_exit_status() == 4


def test_a_shell_that_the_client_leaves_is_hung_up(host, client):
    channel = client.invoke_shell()
    channel.sendall(b"echo $$ > left; echo rea''dy\n")
    until(channel, b"ready")
    channel.close()
    deadline = time.monotonic() + 20
    while host.run("kill -0 $(cat left)").returncode == 0:
        assert time.monotonic() < deadline


def test_files_travel_by_sftp_and_are_those_that_commands_see(host, client):
    with client.open_sftp() as sftp:
        assert sftp.normalize(".") == host.home
        with sftp.open("from-sftp", "w") as file:
            file.write("text")
        sftp.symlink(f"{host.home}/from-sftp", "link")
        sftp.mkdir("made")
        sftp.rename("from-sftp", "made/moved")
        assert "made" in sftp.listdir(".")
        assert host.run("cat made/moved").stdout == "text"
        host.run(["ln", "-s", f"{host.home}/made/moved", f"{host.scratch}/absolute"], check=True)
        with sftp.open(f"{host.scratch}/absolute") as file:
            assert file.read() == b"text"
        with pytest.raises(FileNotFoundError):
            sftp.open("nowhere")


def test_a_port_of_the_cluster_can_be_reached_through_it(client):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        for name in ("127.0.0.1", "localhost", "login"):
            channel = client.get_transport().open_channel("direct-tcpip", (name, address[1]), ("127.0.0.1", 0))
            connection, _ = server.accept()
            with connection:
                channel.sendall(b"question")
                assert connection.recv(8) == b"question"
                connection.sendall(b"answer")
                assert channel.recv(6) == b"answer"


def test_a_port_of_the_client_can_be_reached_from_the_cluster(host, client):
    transport = client.get_transport()
    port = transport.request_port_forward("127.0.0.1", 0)

    def greet():
        channel = transport.accept(20)
        channel.sendall(b"greeting")
        channel.close()

    greeter = threading.Thread(target=greet)
    greeter.start()
    assert host.run(f"exec 3<>/dev/tcp/127.0.0.1/{port}; cat <&3").stdout == "greeting"
    greeter.join()
    transport.cancel_port_forward("127.0.0.1", port)


def test_a_wrong_key_is_refused(host, tmp_path):
    (tmp_path / "wrong").write_text(KeyPair.generate().private)
    with pytest.raises(paramiko.AuthenticationException), connected(host.ssh, key_filename=str(tmp_path / "wrong")):
        pass


def test_a_password_and_another_user_are_refused(host):
    with pytest.raises(paramiko.SSHException), connected(host.ssh, key_filename=None, password="secret"):
        pass
    with pytest.raises(paramiko.AuthenticationException), connected(host.ssh, username="somebody-else"):
        pass


def test_a_key_that_the_user_adds_is_accepted(host, tmp_path):
    key = paramiko.ECDSAKey.generate()
    key.write_private_key_file(str(tmp_path / "second"))
    host.run(
        "mkdir -p .ssh; cat >> .ssh/authorized_keys", input=f"{key.get_name()} {key.get_base64()} me\n", check=True
    )
    with connected(host.ssh, key_filename=str(tmp_path / "second")) as client:
        _, stdout, _ = client.exec_command("echo in")
        assert stdout.read() == b"in\n"
    host.run("rm .ssh/authorized_keys", check=True)


def test_the_server_listens_on_loopback_alone(host):
    assert host.ssh.host == "127.0.0.1"
    addresses = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for address in addresses - {"127.0.0.1", "127.0.1.1"}:
        with pytest.raises(OSError), socket.create_connection((address, host.ssh.port), timeout=5):
            pass
