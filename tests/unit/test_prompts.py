"""Who is asked, and how an answer gets to a running ssh: in a terminal, in a notebook, or by nobody."""

import os
import pty
import socket
import subprocess
import sys
import threading
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client

import pytest
from packed_script import ROOT

import clustrix
from clustrix.connection.askpass import Askpass
from clustrix.connection.prompts import Prompts

QUESTION = "(me@hpc) Verification code: "
# What ssh does with a question: it runs $SSH_ASKPASS.
ASK = f"""
import os, subprocess
from clustrix.connection.askpass import Askpass
from clustrix.connection.prompts import Prompts
askpass = Askpass(Prompts("me@hpc", None))
said = subprocess.run([askpass.environment["SSH_ASKPASS"], {QUESTION!r}], env={{**os.environ, **askpass.environment}}, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, start_new_session=True)
askpass.close()
print("ssh got", said.returncode, said.stdout)
"""


@pytest.fixture
def callback():
    yield clustrix.answer_prompts
    clustrix.answer_prompts(None)


def ask(askpass, question, kind=""):
    """(exit status, answer) of the program that ssh runs."""
    environment = {**os.environ, **askpass.environment, "SSH_ASKPASS_PROMPT": kind}
    said = subprocess.run(
        [askpass.environment["SSH_ASKPASS"], question], env=environment, capture_output=True, check=False
    )
    return said.returncode, said.stdout.decode()


def test_the_callback_answers_and_none_gives_up(callback):
    askpass = Askpass(Prompts("me@hpc", None))
    try:
        callback(lambda question: "grün 'x\"" if question == QUESTION else None)
        assert ask(askpass, QUESTION) == (0, "grün 'x\"\n")
        assert ask(askpass, "another") == (1, "")
        callback(lambda question: "")
        assert ask(askpass, QUESTION) == (0, "\n")
        callback(lambda question: "yes" if question.endswith("(yes/no) ") else None)
        assert ask(askpass, "Allow use of key?", "confirm") == (0, "yes\n")
        callback(lambda question: "no")
        assert ask(askpass, "Allow use of key?", "confirm") == (1, "")
    finally:
        askpass.close()


def test_a_notice_stays_until_ssh_ends_it(callback, capsys):
    prompts = Prompts("me@hpc", None)
    shown = threading.Event()
    prompts.show = lambda text: (text == "Touch your key") and shown.set()
    askpass = Askpass(prompts)
    try:
        environment = {**os.environ, **askpass.environment, "SSH_ASKPASS_PROMPT": "none"}
        notice = subprocess.Popen([askpass.environment["SSH_ASKPASS"], "Touch your key"], env=environment)
        assert shown.wait(60)
        assert notice.poll() is None
        notice.kill()
        notice.wait()
    finally:
        askpass.close()


def test_it_can_be_closed_while_a_question_is_being_answered():
    prompts = Prompts("me@hpc", None)
    asked, go = threading.Event(), threading.Event()
    prompts.show = lambda _: asked.set() or go.wait(60)
    askpass = Askpass(prompts)
    environment = {**os.environ, **askpass.environment, "SSH_ASKPASS_PROMPT": "none"}
    with subprocess.Popen([askpass.environment["SSH_ASKPASS"], "Touch your key"], env=environment) as notice:
        assert asked.wait(60)
        closing = threading.Thread(target=askpass.close, daemon=True)
        closing.start()
        assert askpass._is_closing.wait(60)
        go.set()
        closing.join(60)
        notice.kill()
    assert not closing.is_alive()


def test_who_has_not_the_key_is_told_nothing_and_keeps_nobody_waiting(callback):
    asked = []
    callback(lambda question: asked.append(question) or "code")
    askpass = Askpass(Prompts("me@hpc", "secret"))
    address = ("127.0.0.1", int(askpass.environment["CLUSTRIX_ASKPASS_PORT"]))
    try:
        with socket.create_connection(address), pytest.raises(AuthenticationError):
            Client(address, authkey=b"another")
        with socket.create_connection(address):
            assert ask(askpass, QUESTION) == (0, "code\n")
        assert asked == [QUESTION]
    finally:
        askpass.close()


def test_the_launcher_is_the_users_own_and_stays_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    Askpass(Prompts("me@hpc", "secret")).close()
    (launcher,) = (tmp_path / "clustrix").iterdir()
    assert (launcher.stat().st_mode & 0o777, launcher.parent.stat().st_mode & 0o777) == (0o700, 0o700)
    text = launcher.read_text()
    launcher.write_text("#!/bin/sh\nexec evil\n")
    Askpass(Prompts("me@hpc", "secret")).close()
    assert list(launcher.parent.iterdir()) == [launcher]
    assert launcher.read_text() == text


def test_nothing_listens_when_the_questions_are_over():
    askpass = Askpass(Prompts("me@hpc", "secret"))
    askpass.close()
    askpass._thread.join(60)
    assert not askpass._thread.is_alive()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(askpass.environment["CLUSTRIX_ASKPASS_PORT"])))


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("me@hpc's password: ", "secret"),
        ("(me@hpc) Password: ", "secret"),
        ("Password: ", "secret"),
        ("me@gate's password: ", None),
        ("(me@gate) Password: ", None),
        ("Enter passphrase for key '/home/me/.ssh/id': ", None),
        ("(me@hpc) Verification code: ", None),
    ],
)
def test_the_configured_password_is_the_answer_to_its_own_question_only_and_once(question, answer):
    prompts = Prompts("me@hpc", "secret")
    assert [prompts.answer(question), prompts.answer(question)] == [answer, None]


def test_in_a_terminal_the_user_is_asked_there():
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    child, terminal = pty.fork()
    if child == 0:
        os.execve(sys.executable, [sys.executable, "-c", ASK], environment)
    shown = b""
    try:
        while b"ssh got" not in shown or not shown.endswith(b"\n"):
            shown += os.read(terminal, 1000)
            if shown.endswith(QUESTION.encode()):
                os.write(terminal, b"123456\n")
    finally:
        os.close(terminal)
        os.waitpid(child, 0)
    assert b"ssh got 0 b'123456\\n'" in shown
    assert shown.count(b"123456") == 1  # it was not echoed


@pytest.mark.filterwarnings("ignore")  # the kernel's client makes its event loop as it likes
def test_in_a_notebook_the_page_asks(tmp_path):
    from jupyter_client.manager import KernelManager

    manager = KernelManager()
    manager.kernel_cmd = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    manager._kernel_spec = None
    manager.start_kernel(env={**os.environ, "PYTHONPATH": str(ROOT), "IPYTHONDIR": str(tmp_path)})
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        client.execute(ASK, allow_stdin=True)
        assert client.get_stdin_msg(timeout=60)["content"] == {"prompt": QUESTION, "password": True}
        client.input("123456")
        shown = ""
        while "ssh got" not in shown:
            message = client.get_iopub_msg(timeout=60)
            shown += message["content"].get("text", "")
        assert "ssh got 0 b'123456\\n'" in shown
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
