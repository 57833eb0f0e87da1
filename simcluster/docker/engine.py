"""The Docker engine, or a sentence that says how to get one."""

from __future__ import annotations

import os
from pathlib import Path

import docker
import docker.errors

from simcluster.errors import BackendUnavailableError

__all__ = ["connect", "prompt_acknowledgements", "proxies"]

_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy")


_PINGPONG = "net.ipv4.tcp_pingpong_thresh"


def prompt_acknowledgements(client: docker.DockerClient) -> dict[str, str]:
    """The kernel setting, where this engine's kernel has it, under which slurmdbd's clients don't wait.

    Slurm writes each message to slurmdbd in two pieces, and the second waits for the delayed acknowledgement of the
    first: 88 ms a call, half a second for a start. Linux 6.7 and newer can be told to acknowledge at once
    (Documentation/networking/ip-sysctl.rst). Only an engine on this machine certainly has this machine's kernel.
    """
    is_local = client.api.base_url.startswith("http+docker://")
    return {_PINGPONG: "255"} if is_local and Path("/proc/sys", *_PINGPONG.split(".")).exists() else {}


def connect() -> docker.DockerClient:
    """A client of this machine's engine; `DOCKER_HOST` and its kin are respected."""
    try:
        client = docker.from_env(timeout=600)
        client.ping()
    except (docker.errors.DockerException, OSError) as error:
        raise BackendUnavailableError(f"no Docker engine: {_way_out(str(error))}") from error
    return client


def proxies() -> dict[str, str]:
    """The caller's proxy settings, for builds and for what runs in containers."""
    names = [*_PROXIES, *(name.upper() for name in _PROXIES)]
    return {name: os.environ[name] for name in names if os.environ.get(name)}


def _way_out(reason: str) -> str:
    if "Permission denied" in reason or "PermissionError" in reason:
        return "it runs, but this user may not use it; join its group (sudo usermod -aG docker $USER) and log in again"
    if "No such file" in reason or "FileNotFoundError" in reason or "Connection refused" in reason:
        return (
            "none is running; start it (sudo systemctl start docker, or Docker Desktop),"
            " or install it first (Debian and Ubuntu: sudo apt-get install docker.io)"
        )
    return f"it does not answer ({reason}); look at DOCKER_HOST and at `docker version`"
