"""Where a host is and how it is logged in to: the configuration, completed by ~/.ssh/config as the system's ssh reads it."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from clustrix.config import ClusterConfig
from clustrix.connection.host_keys import KnownHosts
from clustrix.errors import ClusterConnectionError, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HostSettings", "command_line", "local_user", "resolve", "resolve_jump", "ssh_program"]


@dataclass(frozen=True)
class HostSettings:
    """``options`` are all that ``ssh -G`` says, by lower-case name; what may be given several times is in lines."""

    alias: str
    host: str
    port: int
    username: str
    key_files: tuple[Path, ...]
    certificate_files: tuple[Path, ...]
    known_hosts: KnownHosts
    use_agent: bool
    agent_socket: str | None  # None: what SSH_AUTH_SOCK says
    jumps: tuple[str, ...]
    proxy_command: str | None
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def where(self) -> str:
        """The host in messages."""
        return f"{self.host} port {self.port}"

    @property
    def key_name(self) -> str:
        """The name under which the host's key is known."""
        alias = self.options.get("hostkeyalias")
        return alias or (self.host if self.port == 22 else f"[{self.host}]:{self.port}")

    @property
    def prompt_name(self) -> str:
        """How ssh names the login in its questions."""
        return f"{self.username}@{self.options.get('hostkeyalias') or self.host}"


def ssh_program() -> str | None:
    """The system's ssh, if there is one."""
    return shutil.which("ssh")


def resolve(config: ClusterConfig) -> HostSettings:
    """The settings for ``config``. Fields that are set win over ~/.ssh/config; port 22 counts as not set.

    Raises ClusterConnectionError where ~/.ssh/config can't be read, ConfigurationError for a path that ssh can't be told.
    """
    alias = bare_address(config.cluster_host or "")
    return _settings(alias, _ssh_options(alias, command_line(config), config.connect_timeout), config)


def resolve_jump(jump: str, config: ClusterConfig) -> HostSettings:
    """The settings of a host that is passed through, as ``ProxyJump`` names it: [user@]host[:port] or an ssh:// address.

    Its keys and known_hosts files are those of ~/.ssh/config, as for ssh itself.
    """
    match = re.fullmatch(r"(?:ssh://)?(?:(?P<user>[^@]+)@)?(?P<host>\[[^\]]+\]|[^:@\[\]]+)(?::(?P<port>\d+))?/?", jump)
    if match is None:
        raise ClusterConnectionError(f"ProxyJump {jump!r} in ~/.ssh/config is not of the form user@host:port")
    own = ClusterConfig(
        cluster_host=match["host"],
        cluster_port=int(match["port"] or 22),
        username=match["user"],
        host_key_policy=config.host_key_policy,
        connect_timeout=config.connect_timeout,
    )
    return resolve(own)


def bare_address(host: str) -> str:
    """``host`` without the brackets that an IPv6 address may stand in."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def command_line(config: ClusterConfig) -> list[str]:
    """The options by which the system's ssh is told what the configuration sets."""
    words = ["-o", f"StrictHostKeyChecking={'yes' if config.host_key_policy == 'strict' else 'accept-new'}"]
    if config.cluster_port != 22:
        words += ["-p", str(config.cluster_port)]
    if config.username:
        words += ["-l", config.username]
    if config.key_file:
        words += ["-o", f"IdentityFile={_quoted('key_file', config.key_file)}", "-o", "IdentitiesOnly=yes"]
    if config.known_hosts_file:
        words += ["-o", f"UserKnownHostsFile={_quoted('known_hosts_file', config.known_hosts_file)}"]
    return words


def _quoted(name: str, path: str) -> str:
    """A path as ssh_config(5) takes it: in double quotes, with its tokens' sign doubled."""
    text = Path(path).as_posix()  # on Windows, too, ssh reads a backslash as an escape
    if any(mark in text for mark in ('"', "\\", "${")) or not text.isprintable():
        raise ConfigurationError(
            f'{name}={path!r}: ssh can\'t be told of a path with a quotation mark, a backslash, "${{" or a line break: '
            "make a link to it"
        )
    return '"' + text.replace("%", "%%") + '"'


def _settings(alias: str, options: dict[str, str], config: ClusterConfig) -> HostSettings:
    def lines(name: str, default: str = "") -> list[str]:
        return [line for line in options.get(name, default).split("\n") if line not in ("", "none")]

    known = (
        [config.known_hosts_file] if config.known_hosts_file else " ".join(lines("userknownhostsfile", _KNOWN)).split()
    )
    known += " ".join(lines("globalknownhostsfile", _KNOWN_TO_ALL)).split()
    agent = options.get("identityagent", _FROM_ENVIRONMENT)
    jumps = "".join(lines("proxyjump"))
    return HostSettings(
        alias=alias,
        host=bare_address(options.get("hostname", alias)),
        port=config.cluster_port if config.cluster_port != 22 else int(options.get("port", "22")),
        username=config.username or options.get("user") or local_user(),
        key_files=_paths([config.key_file] if config.key_file else lines("identityfile")),
        certificate_files=_paths(lines("certificatefile")),
        known_hosts=KnownHosts(_paths(known), config.host_key_policy, options.get("hashknownhosts") == "yes"),
        use_agent=agent != "none" and not config.key_file and options.get("identitiesonly", "no") != "yes",
        agent_socket=None if agent in (_FROM_ENVIRONMENT, "none") else agent,
        jumps=tuple(jumps.split(",")) if jumps else (),
        proxy_command="".join(lines("proxycommand")) or None,
        options=options,
    )


_KNOWN, _KNOWN_TO_ALL = "~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts"
_FROM_ENVIRONMENT = "SSH_AUTH_SOCK"


def _paths(names: list[str]) -> tuple[Path, ...]:
    return tuple(Path(name).expanduser() for name in names)


def _ssh_options(alias: str, overrides: list[str], timeout: float) -> dict[str, str]:
    """What ~/.ssh/config says of ``alias``: asked from ``ssh -G`` where there is an ssh, for paramiko ignores Include and Match."""
    ssh = ssh_program()
    if ssh is None:
        return _options_without_ssh(alias)
    try:
        answer = subprocess.run(
            [ssh, "-T", *overrides, "-G", "--", alias],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ClusterConnectionError(f"{alias}: 'ssh -G {alias}' does not tell how to connect: {error}") from error
    if answer.returncode != 0:
        raise ClusterConnectionError(f"{alias}: ssh can't read its settings: {answer.stderr.strip()}")
    options: dict[str, str] = {}
    for name, _, value in (line.partition(" ") for line in answer.stdout.splitlines()):
        options[name] = f"{options[name]}\n{value}" if name in options else value
    return options


def _options_without_ssh(alias: str) -> dict[str, str]:
    import paramiko  # noqa: PLC0415 - it takes 0.1 s

    path = Path("~/.ssh/config").expanduser()
    if not path.is_file():
        return {}
    found = paramiko.SSHConfig.from_path(str(path)).lookup(alias)
    return {name: "\n".join(value) if isinstance(value, list) else value for name, value in found.items()}


def local_user() -> str:
    import getpass  # noqa: PLC0415 - pulls in pwd and termios

    return getpass.getuser()
