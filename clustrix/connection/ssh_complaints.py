"""What the system's ssh complains of, as errors with a way out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from clustrix.errors import AuthenticationError, ClusterConnectionError

if TYPE_CHECKING:
    from clustrix.connection.host_settings import HostSettings

__all__ = ["error_of"]


def error_of(said: str, settings: HostSettings, *, can_ask: bool) -> ClusterConnectionError:
    """The error for ``said``, which is the stderr of an ssh that ended with its own status, 255. OpenSSH 6.7 to 10 say it so."""
    said = said.replace("\r", "")
    return _about_host_key(said, settings) or _about_login(said, settings, can_ask) or _about_line(said, settings)


def _about_host_key(said: str, settings: HostSettings) -> ClusterConnectionError | None:
    known = settings.known_hosts
    names = re.findall(r"(?:host key for|host key is known for) (\S+) (?:has changed|was revoked|and you have)", said)
    name = names[-1] if names else settings.key_name
    kind = re.search(r"(?:for the|No|Offending) ([A-Z0-9-]+)(?: host)? key", said)
    prints = re.search(r"SHA256:[A-Za-z0-9+/]+", said)
    shown = " ".join(match for match in (kind and kind[1], prints and prints[0]) if match) or "the key it shows"
    if offending := re.search(r"Offending [A-Z0-9-]+ key in (.+):(\d+)\n", said):
        if "revoked" in said.lower():
            return known.revoked(name, shown, f"{offending[1]}, line {offending[2]}")
        return known.changed(name, shown, offending[1], int(offending[2]))
    if "REVOKED HOST KEY DETECTED" in said or "was revoked" in said:
        return known.revoked(name, shown, "a known_hosts file")
    if unknown := re.search(r"No (\S+) host key is known for", said):
        return known.unknown(name, unknown[1], f"its {unknown[1]} key")
    if "Host key verification failed" in said:
        return known.unknown(name, "ed25519", f"its key is not accepted (ssh said: {_words(said)}), and it")
    return None


def _about_login(said: str, settings: HostSettings, can_ask: bool) -> ClusterConnectionError | None:
    if not re.search(r"Permission denied|Too many authentication failures|No more authentication methods", said):
        return None
    advice = "set key_file or username, or load the key into an SSH agent with ssh-add"
    if re.search(r"\((?:[\w-]+,)*(?:keyboard-interactive|password)(?:,[\w-]+)*\)", said) and not can_ask:
        advice += ". The host would also take an answer of yours, and there is nobody to ask: call from a terminal or a notebook, or see clustrix.answer_prompts"
    return AuthenticationError(f"{settings.where} refused {settings.username}: {_words(said)}; {advice}")


def _about_line(said: str, settings: HostSettings) -> ClusterConnectionError:
    if "Could not resolve hostname" in said or "Name or service not known" in said:
        return ClusterConnectionError(f"can't connect to {settings.where}: {_words(said)}; check cluster_host")
    if re.search(r"connect to host|timed out during banner exchange|Connection timed out", said):
        advice = "check cluster_host and cluster_port, and whether a VPN is needed"
        return ClusterConnectionError(f"can't connect to {settings.where}: {_words(said)}; {advice}")
    return ClusterConnectionError(f"the connection to {settings.where} ended: {_words(said) or 'ssh did not say why'}")


def _words(said: str) -> str:
    """The last lines, as one."""
    return "; ".join(line.strip() for line in said.splitlines()[-3:] if line.strip())
