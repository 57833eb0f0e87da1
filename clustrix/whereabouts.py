"""Whether this process is on the cluster of a configuration, so that its files are here.

Names only make that likely: a job's variables of its scheduler, or a host name of its domain. What proves it is its storage: a
file with a random mark in the state directory there, which is read here, and whose mark there was learnt over a connection.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clustrix.journal import state_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from clustrix.config import ClusterConfig
    from clustrix.remote.files import Answer

__all__ = ["is_likely_there", "is_on_the_cluster", "registered_domain"]

_JOB_VARIABLES = {"slurm": ("SLURM_JOB_ID",), "pbs": ("PBS_JOBID",), "sge": ("SGE_TASK_ID", "JOB_ID")}
# Second levels below the domains of countries under which others register theirs: ac.uk, edu.au, go.jp.
_SHARED_LEVELS = frozenset(
    "ac co com edu gob gouv gov govt go gv health id ind info lg ltd me mil muni net nhs nic nom or org plc police re res sch school tm".split()  # noqa: SIM905
)


def is_on_the_cluster(config: ClusterConfig, ask: Callable[[str, dict[str, Any]], Answer]) -> bool:
    """Whether this machine has the storage of the login node of ``config``; ``ask`` has an operation on files done there.

    Asked is only where it is likely, and once: what the storage is known by is then kept on the client's disk.
    """
    if not is_likely_there(config, os.environ, _own_name()):
        return False
    place = f"{config.username or ''}@{config.cluster_host}:{config.cluster_port} {config.remote_state_dir}"
    if (os.getpid(), place) in _elsewhere:
        return False
    own, known = _mark_here(config.remote_state_dir), _known_marks()
    if own is None or known.get(place) != own:
        known[place] = ask("mark", {"path": config.remote_state_dir})[0]["mark"]
        if _mark_here(config.remote_state_dir) != known[place]:
            _elsewhere.add((os.getpid(), place))
            return False
        _keep(known)
    return True


def is_likely_there(config: ClusterConfig, environ: Mapping[str, str], own_name: str) -> bool:
    """Whether the names speak for it: this is a job of such a scheduler, or a host of the same domain."""
    names = _JOB_VARIABLES.get(config.cluster_type)
    if names and all(environ.get(name) for name in names):
        return True
    host, own_name = (config.cluster_host or "").rstrip(".").lower(), own_name.rstrip(".").lower()
    if host == own_name or ("." not in host and host == own_name.partition(".")[0]):
        return True
    domain = registered_domain(host)
    return domain is not None and domain == registered_domain(own_name)


def registered_domain(host: str) -> str | None:
    """The part of a host's name that somebody registered: ``uni-x.de``, ``uni-x.ac.uk``; None for a short name or an address."""
    labels = host.rstrip(".").lower().split(".")
    if ":" in host or not re.search("[a-z]", labels[-1]) or labels[-1] in ("local", "localdomain", "internal"):
        return None
    count = 3 if len(labels[-1]) == 2 and len(labels) > 1 and labels[-2] in _SHARED_LEVELS else 2
    return ".".join(labels[-count:]) if len(labels) >= count else None


_elsewhere: set[tuple[int, str]] = set()


@cache
def _own_name() -> str:
    return socket.getfqdn()


def _mark_here(state_dir: str) -> str | None:
    try:
        return (Path(state_dir).expanduser() / "storage").read_text(encoding="ascii")
    except (OSError, ValueError, RuntimeError):
        return None


def _known_marks() -> dict[str, str]:
    try:
        found = json.loads((state_directory() / "storages.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _keep(known: dict[str, str]) -> None:
    path = state_directory() / "storages.json"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    new.write_text(json.dumps(known), encoding="utf-8")
    new.replace(path)
