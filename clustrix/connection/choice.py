"""Which way leads to a host: ``connection="auto"`` decides it from what the configuration and ~/.ssh/config say."""

from __future__ import annotations

import logging
import os
import queue
import shutil
import socket
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from clustrix.connection.host_settings import local_user, resolve, ssh_program

if TYPE_CHECKING:
    from clustrix.config import ClusterConfig
    from clustrix.connection.channel import Connection
    from clustrix.connection.host_settings import HostSettings

__all__ = ["connection_for", "is_here", "why_openssh"]

_LONGEST_LOOKUP = 2.0  # seconds
_log = logging.getLogger("clustrix")


def is_here(config: ClusterConfig) -> bool:
    """Whether the configuration itself says that the agent is a child process on this machine."""
    return not config.cluster_host or "local" in (config.connection, config.cluster_type)


def connection_for(config: ClusterConfig) -> Connection:
    """The connection for ``config``; nothing is connected to yet.

    Raises ClusterConnectionError where ~/.ssh/config can't be read.
    """
    if is_here(config):
        return _local()
    settings = resolve(config)
    reason = "the configuration says so" if config.connection == "openssh" else None
    if config.connection == "auto":
        if is_this_machine(settings):
            _log.info("%s is this machine: the agent starts without SSH", settings.host)
            return _local()
        reason = why_openssh(settings) if ssh_program() else None
    if reason:
        _log.info("%s is connected to by the system's ssh: %s", settings.host, reason)
        from clustrix.connection.openssh import OpenSSHConnection  # noqa: PLC0415 - only what is used is imported

        return OpenSSHConnection(config, settings)
    from clustrix.connection.ssh import SSHConnection  # noqa: PLC0415 - paramiko takes 0.1 s

    return SSHConnection(config, settings)


def _local() -> Connection:
    from clustrix.connection.local import LocalConnection  # noqa: PLC0415 - likewise

    return LocalConnection()


def is_this_machine(settings: HostSettings) -> bool:
    """Whether logging in there would end here, as the same user.

    An address of the loopback proves nothing: tunnels and simulated clusters end there.
    """
    if settings.port != 22 or settings.jumps or settings.proxy_command or settings.username != local_user():
        return False
    addresses = _addresses(settings.host)
    return bool(addresses) and all(map(_is_own_address, addresses))


def _addresses(host: str) -> set[str]:
    """The addresses of a name; none if that takes long, which connecting will find out in its own time."""
    outcome: queue.SimpleQueue[set[str]] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            outcome.put({str(item[4][0]) for item in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)})
        except OSError:
            outcome.put(set())

    threading.Thread(target=look_up, name="clustrix-resolve", daemon=True).start()
    try:
        return outcome.get(timeout=_LONGEST_LOOKUP)
    except queue.Empty:
        return set()


def _is_own_address(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # 127.0.1.1 is what Debian calls a machine that has no fixed address.
    if address.startswith("127.0.0.") or address == "::1":
        return False
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def why_openssh(settings: HostSettings) -> str | None:
    """What of these settings only the system's ssh can do; None if paramiko can do it all."""
    options = settings.options
    for name, words in _ONLY_OPENSSH.items():
        if options.get(name, "none") not in ("none", "no", "internal", ""):
            return words
    if settings.known_hosts.has_authority_for(settings.key_name):
        return "its host certificate is trusted by @cert-authority in known_hosts"
    if any(_is_hardware_key(path) for path in settings.key_files):
        return "one of its keys is a hardware key"
    if os.path.exists(options.get("controlpath", "none")):  # noqa: PTH110 - "none" is no path of ours
        return "there is an open connection to it (ControlPath)"
    if options.get("gssapiauthentication") == "yes" and _has_ticket():
        return "GSSAPIAuthentication is on and there is a Kerberos ticket"
    return None


_ONLY_OPENSSH = {
    "proxycommand": "it is reached by ProxyCommand",
    "hostbasedauthentication": "HostbasedAuthentication is on",
    "revokedhostkeys": "RevokedHostKeys is set",
    "knownhostscommand": "KnownHostsCommand is set",
    "pkcs11provider": "PKCS11Provider is set",
    "securitykeyprovider": "SecurityKeyProvider is set",
}
"""Options by their lower-case names. What they say if they are off: nothing, "none", "no" or "internal"."""


def _is_hardware_key(path: Path) -> bool:
    public = Path(f"{path}.pub")
    try:
        return public.read_text(encoding="utf-8", errors="replace").startswith("sk-")
    except OSError:
        return False


def _has_ticket() -> bool:
    """Debian and others switch GSSAPI on for everybody; who has no ticket does not use it."""
    klist = shutil.which("klist")
    if klist is None:
        return False
    try:
        return subprocess.run([klist, "-s"], check=False, timeout=5, capture_output=True).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
