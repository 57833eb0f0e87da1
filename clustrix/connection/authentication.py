"""Who the user is, proven to a host over paramiko: keys, certificates, agents, passwords and questions, in as many steps as the host wants."""

from __future__ import annotations

import contextlib
import functools
import logging
import socket
import sys
from typing import TYPE_CHECKING, Any

import paramiko
from paramiko.agent import AgentSSH

from clustrix.connection.host_keys import fingerprint
from clustrix.errors import AuthenticationError, ClusterConnectionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from clustrix.connection.host_settings import HostSettings
    from clustrix.connection.prompts import Prompts

__all__ = ["authenticate"]

# Without a handler of its own, what paramiko logs of a failed attempt would appear on the user's screen.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

_TIME_TO_ANSWER = 600.0  # seconds; a host gives up earlier
_ATTEMPTS = 3


def authenticate(transport: paramiko.Transport, settings: HostSettings, prompts: Prompts) -> None:
    """Log in: each key first, then what the host asks. AuthenticationError says what was tried and what came of it."""
    with _agent(settings) as agent:
        login = _Login(transport, settings, prompts, list(agent.get_keys()))
        login.run()


class _Login:
    """One login: what was tried so far, and what the host still wants."""

    def __init__(
        self,
        transport: paramiko.Transport,
        settings: HostSettings,
        prompts: Prompts,
        held: list[paramiko.AgentKey],
    ) -> None:
        self._transport = transport
        self._settings = settings
        self._prompts = prompts
        self._held = held
        self._tried: list[str] = []
        self._wanted: list[str] | None = None  # what the host takes, once it has said so
        self._is_unanswered = False

    def run(self) -> None:
        if not (self._by_keys() or self._by_answers()):
            tried = "".join(f"\n  - {line}" for line in self._tried)
            advice = "\nSet key_file or username, or load the key into an SSH agent with ssh-add"
            raise AuthenticationError(
                f"{self._settings.where} refused {self._settings.username}; tried:"
                f"{tried + advice if tried else ' no key was found: set key_file, or start an SSH agent'}"
            )

    def _by_keys(self) -> bool:
        for label, key in self._keys():
            if isinstance(key, str):
                self._tried.append(f"{label}: {key}")
                continue
            step = functools.partial(self._transport.auth_publickey, self._settings.username, key)
            if self._attempt(f"{label} ({fingerprint(key)})", step):
                return True
            if self._wanted is not None and "publickey" not in self._wanted:
                break
        return False

    def _by_answers(self) -> bool:
        return self._prompts.can_answer and (
            self._repeat("keyboard-interactive", "your answers", self._interactively)
            or self._repeat("password", "the password", self._by_password)
        )

    def _repeat(self, method: str, label: str, step: Callable[[], Any]) -> bool:
        """Ask again as often as ssh does; a configured password is tried once, for a host may lock out who tries too often."""
        self._transport.auth_timeout = _TIME_TO_ANSWER
        for _ in range(_ATTEMPTS if self._prompts.can_ask else 1):
            if self._wanted is not None and method not in self._wanted:
                break
            self._is_unanswered = False
            if self._attempt(label, step):
                return True
            if self._is_unanswered:
                self._tried[-1] = (
                    f"{label}: nobody answered its questions: call from a terminal or a notebook, or see clustrix.answer_prompts"
                )
                break
        return False

    def _by_password(self) -> Any:
        password = self._prompts.answer(f"{self._settings.prompt_name}'s password: ")
        if password is None:
            self._is_unanswered = True
            raise paramiko.AuthenticationException
        return self._transport.auth_password(self._settings.username, password, fallback=False)

    def _interactively(self) -> Any:
        def answer(title: str, instructions: str, questions: list[tuple[str, bool]]) -> list[str]:
            for text in (title, instructions):
                if text.strip() and self._prompts.can_ask:
                    self._prompts.show(text.strip())
            # As ssh has it: the question says who asks.
            name = f"({self._settings.prompt_name}) "
            answers = [self._prompts.answer(name + text, is_secret=not echo) for text, echo in questions]
            self._is_unanswered = None in answers
            return [word or "" for word in answers]

        return self._transport.auth_interactive(self._settings.username, answer)

    def _attempt(self, label: str, step: Callable[[], Any]) -> bool:
        """Whether the login is complete; what is said of it otherwise is kept, and what the host takes now."""
        try:
            remaining = step()
        except paramiko.BadAuthenticationType as error:
            self._wanted = list(error.allowed_types)
            said = f"the host accepts only {', '.join(self._wanted)}"
        except paramiko.AuthenticationException:
            said = "refused"
        except (paramiko.SSHException, EOFError, OSError) as error:
            said = f"not possible: {error or type(error).__name__}"
        else:
            if not remaining:
                return True
            self._wanted = list(remaining)
            said = f"accepted, and the host wants more: {', '.join(remaining)}"
        self._tried.append(f"{label}: {said}")
        if not self._transport.is_active():
            # Too many keys, or the line: the host does not listen any more, whatever else there is to try.
            raise self._ended()
        return False

    def _ended(self) -> ClusterConnectionError:
        tried = "".join(f"\n  - {line}" for line in self._tried)
        kind = AuthenticationError if len(self._tried) > 1 else ClusterConnectionError
        return kind(
            f"{self._settings.where} ended the connection while {self._settings.username} logged in; tried:{tried}"
        )

    def _keys(self) -> Iterator[tuple[str, paramiko.PKey | str]]:
        """(what it is, the key or why it can't be used), the agent's first unless a key file was named."""
        if self._settings.use_agent:
            yield from ((f"key {key.comment or key.get_name()} of the SSH agent", key) for key in self._held)
        for path in self._settings.key_files:
            label = f"key file {path}"
            if not path.is_file():
                # Of a key that only the agent has, people keep the public half.
                held = self._held_by_agent(path)
                if held is not None:
                    yield label, held
                elif len(self._settings.key_files) == 1:
                    yield label, "there is no such file"
                continue
            yield from ((label, key) for key in self._of_file(path))

    def _of_file(self, path: Path) -> Iterator[paramiko.PKey | str]:
        key = self._load(path)
        if isinstance(key, str):
            yield key
            return
        for certificate in self._settings.certificate_files:
            certified = self._load(path)
            with contextlib.suppress(ValueError, OSError, paramiko.SSHException):  # another key's
                certified.load_certificate(str(certificate))  # type: ignore[union-attr]
                yield certified
        yield key

    def _load(self, path: Path) -> paramiko.PKey | str:
        try:
            return paramiko.PKey.from_path(path)
        except (paramiko.PasswordRequiredException, TypeError):
            # TypeError is what cryptography says of an encrypted key in OpenSSH's own format.
            return self._held_by_agent(path) or self._decrypted(path)
        except (paramiko.SSHException, OSError, ValueError) as error:
            return f"it can't be read: {error or type(error).__name__}"

    def _decrypted(self, path: Path) -> paramiko.PKey | str:
        for _ in range(_ATTEMPTS if self._prompts.can_ask else 0):
            passphrase = self._prompts.answer(f"Enter passphrase for key '{path}': ")
            if not passphrase:
                break
            with contextlib.suppress(ValueError, paramiko.SSHException):  # another one's
                return paramiko.PKey.from_path(path, passphrase.encode())  # type: ignore[arg-type]  # text is not what its parts take
        return f"it is encrypted and no SSH agent holds it: run 'ssh-add {path}' first"

    def _held_by_agent(self, path: Path) -> paramiko.PKey | None:
        publics = [path, path.with_name(path.name + ".pub")]
        words = [public.read_text(encoding="utf-8", errors="replace").split() for public in publics if public.is_file()]
        wanted = {parts[1] for parts in words if len(parts) > 1}
        return next((key for key in self._held if key.get_base64() in wanted), None)


@contextlib.contextmanager
def _agent(settings: HostSettings) -> Iterator[AgentSSH]:
    """The SSH agent that these settings name, which holds nothing if it is not there."""
    agent = AgentSSH()
    if settings.agent_socket is None:
        agent = paramiko.Agent()
    elif sys.platform != "win32":
        line = socket.socket(socket.AF_UNIX)
        try:
            line.connect(settings.agent_socket)
            agent._connect(line)  # type: ignore[attr-defined]  # noqa: SLF001 - paramiko has no other way to say which agent
        except OSError:
            line.close()
    try:
        yield agent
    finally:
        agent._close()  # type: ignore[attr-defined]  # noqa: SLF001 - likewise
