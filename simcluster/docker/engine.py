"""The Docker engine, or a sentence that says how to get one."""

from __future__ import annotations

import docker.errors

import docker
from simcluster.errors import BackendUnavailableError

__all__ = ["connect"]


def connect() -> docker.DockerClient:
    """A client of this machine's engine; `DOCKER_HOST` and its kin are respected."""
    try:
        client = docker.from_env(timeout=600)
        client.ping()
    except (docker.errors.DockerException, OSError) as error:
        raise BackendUnavailableError(f"no Docker engine: {_way_out(str(error))}") from error
    return client


def _way_out(reason: str) -> str:
    if "Permission denied" in reason or "PermissionError" in reason:
        return "it runs, but this user may not use it; join its group (sudo usermod -aG docker $USER) and log in again"
    if "No such file" in reason or "FileNotFoundError" in reason or "Connection refused" in reason:
        return (
            "none is running; start it (sudo systemctl start docker, or Docker Desktop),"
            " or install it first (Debian and Ubuntu: sudo apt-get install docker.io)"
        )
    return f"it does not answer ({reason}); look at DOCKER_HOST and at `docker version`"
