"""An SSH server that asks: a key first if it is told to, then questions, as hosts with a second factor do. It runs real commands."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading

import paramiko

__all__ = ["AskingServer"]


class _Login(paramiko.ServerInterface):
    def __init__(self, server: AskingServer) -> None:
        self._server = server
        self._has_key = False

    def get_allowed_auths(self, username):
        needs_key = self._server.key is not None and not self._has_key
        return "publickey" if needs_key else self._server.methods

    def check_auth_publickey(self, username, key):
        if self._server.key is None or key.get_base64() != self._server.key:
            return paramiko.AUTH_FAILED
        self._has_key = True
        return paramiko.AUTH_PARTIALLY_SUCCESSFUL

    def check_auth_password(self, username, password):
        self._server.passwords.append(password)
        right = "password" in self._server.methods and password == self._server.answers[0]
        return paramiko.AUTH_SUCCESSFUL if right else paramiko.AUTH_FAILED

    def check_auth_interactive(self, username, submethods):
        if "keyboard-interactive" not in self._server.methods or (self._server.key and not self._has_key):
            return paramiko.AUTH_FAILED
        return paramiko.InteractiveQuery("", "Two factors, please.", *self._server.questions)

    def check_auth_interactive_response(self, responses):
        return paramiko.AUTH_SUCCESSFUL if responses == self._server.answers else paramiko.AUTH_FAILED

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, command):
        threading.Thread(target=_run, args=(channel, command), daemon=True).start()
        return True


def _run(channel, command) -> None:
    process = subprocess.Popen(
        ["/bin/sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
    )

    def feed() -> None:
        with process.stdin, contextlib.suppress(OSError):
            while data := channel.recv(1 << 16):
                process.stdin.write(data)

    threading.Thread(target=feed, daemon=True).start()
    with process, contextlib.suppress(OSError):  # the client may leave in the middle of a word
        while data := process.stdout.read(1 << 16):
            channel.sendall(data)
        channel.send_exit_status(process.wait())
        channel.close()


class AskingServer:
    """Listens on the loopback as a context manager. ``key`` is a public key in base64 that has to come first."""

    def __init__(
        self,
        *,
        answers=("correct horse", "123456"),
        questions=(("Password: ", False), ("Verification code: ", True)),
        methods="keyboard-interactive",
        key=None,
    ) -> None:
        self.answers = list(answers)
        self.questions = questions
        self.methods = methods
        self.key = key
        self.passwords: list[str] = []
        self.host_key = paramiko.ECDSAKey.generate()
        self._transports: list[paramiko.Transport] = []

    def __enter__(self):
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        for transport in self._transports:
            transport.close()

    def write_known_hosts(self, path) -> str:
        path.write_text(f"[127.0.0.1]:{self.port} {self.host_key.get_name()} {self.host_key.get_base64()}\n")
        return str(path)

    def _accept(self) -> None:
        while True:
            try:
                line, _ = self._socket.accept()
            except OSError:
                return
            transport = paramiko.Transport(line)
            self._transports.append(transport)
            transport.add_server_key(self.host_key)
            try:
                transport.start_server(event=threading.Event(), server=_Login(self))
            except paramiko.SSHException:
                transport.close()
