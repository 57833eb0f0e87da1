"""Which environments there are, what is in them, and when they were last used; and what the disk has room for."""

import contextlib
import glob
import json
import os
import re
import shutil
import stat
import subprocess
import tempfile
import time
from typing import Any, Dict, List, Optional

from .claims import DEAD_AFTER, current_claim, make_claim, release
from .paths import StatePaths, remove_tree
from .schedulers import scheduler
from .wheels import MAY_BE_NEEDED, prune_wheels

__all__ = [
    "EnvironmentInUseError",
    "NoEnvironmentError",
    "environment",
    "environments",
    "libraries",
    "measured",
    "note_use",
    "remove_environment",
    "room",
]

USE_IS_NOTED_EVERY = 3600  # seconds
LOG_TAIL = 1 << 16  # bytes
SUBMITTED_WITHIN = 600.0  # seconds after it was prepared: what has no number then was never submitted


class EnvironmentInUseError(ValueError):
    """The environment can't be removed now; the message names who needs it."""


class NoEnvironmentError(ValueError):
    """There is none with that key."""


def environments(state: StatePaths) -> List[Dict[str, Any]]:
    """All environments, built or being built, sorted by last use, the latest first.

    Each has ``key``, ``interpreter`` (path), ``python`` ("3.6.15"), ``platform``, ``packages`` ({name: version}), ``size``
    (bytes on the disk), ``built`` and ``used`` (Unix seconds), ``is_ready`` and ``is_building``. One that was never built
    whole has its key and the two last only, and ``failed``, why.
    """
    root = os.path.join(state.root, "envs")
    found = [_describe(os.path.join(root, key)) for key in sorted(os.listdir(root)) if not key.startswith(".")]
    return sorted(found, key=lambda item: -item.get("used", 0.0))


def environment(state: StatePaths, key: str) -> Dict[str, Any]:
    """One of them, as in ``environments``, with the end of its build's ``log``. Raises NoEnvironmentError."""
    directory = state.environment(key)
    if not os.path.isdir(directory):
        raise NoEnvironmentError("there is no environment %s on the cluster" % key)
    item = _describe(directory)
    item["log"] = ""
    with contextlib.suppress(OSError), open(os.path.join(directory, "build.log"), "rb") as log:
        log.seek(max(0, os.fstat(log.fileno()).st_size - LOG_TAIL))
        item["log"] = log.read().decode("utf-8", "replace")
    return item


def room(state: StatePaths) -> Dict[str, Any]:
    """``free`` and ``total`` bytes of the file system, and ``quotas`` of the user: ``file_system``, ``used``, ``limit`` (bytes)."""
    there = os.statvfs(state.root)
    return {"free": there.f_bavail * there.f_frsize, "total": there.f_blocks * there.f_frsize, "quotas": _quotas()}


def note_use(state: StatePaths, key: str) -> None:
    """Remember that the environment is used now; written once an hour at most, and never worth an error."""
    path = os.path.join(state.environment(key), "used")
    with contextlib.suppress(OSError):
        if not os.path.exists(path) or time.time() - os.path.getmtime(path) > USE_IS_NOTED_EVERY:
            with open(path, "wb"):
                os.utime(path)


def remove_environment(state: StatePaths, key: str) -> None:
    """Remove an environment, with what was decided for it, and wheels that were sent for it or others and are not needed.

    Raises EnvironmentInUseError while it is being built, or an unfinished job needs it; SchedulerError when that can't be known.
    """
    directory = state.environment(key)
    if not os.path.isdir(directory):
        raise NoEnvironmentError("there is no environment %s on the cluster" % key)
    there = current_claim(directory)
    token = there.token() if there else ""
    claim = None if _is_building(directory) else make_claim(directory, there, token)
    if claim is None:
        raise EnvironmentInUseError("the environment %s is being built: try again when that has ended" % key)
    try:
        # Taken away before the look: a job that is prepared after it finds no environment, and is not submitted.
        current, aside = os.path.join(directory, "current"), claim.file("current")
        with contextlib.suppress(FileNotFoundError):
            os.rename(current, aside)
        try:
            users = _unfinished_jobs(state, key)
            if users:
                raise EnvironmentInUseError(
                    "the environment %s is needed by %s: cancel or await them first" % (key, ", ".join(users))
                )
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.rename(aside, current)
            raise
        for name in os.listdir(directory):
            if os.path.join(directory, name) != claim.path:
                remove_tree(os.path.join(directory, name))
                with contextlib.suppress(OSError):
                    os.unlink(os.path.join(directory, name))
    finally:
        release(claim)
    with contextlib.suppress(OSError):
        os.rmdir(directory)
    _forget_decisions(state)
    prune_wheels(state, MAY_BE_NEEDED)


def libraries(target: str) -> str:
    """The directory of an environment where modules are."""
    return glob.glob(os.path.join(glob.escape(target), "lib", "python3*", "site-packages"))[0]


def measured(target: str) -> Dict[str, Any]:
    """What can be seen of a built environment: ``packages``, ``size`` and ``built``."""
    names = [os.path.basename(path) for path in glob.glob(os.path.join(glob.escape(libraries(target)), "*.dist-info"))]
    packages = dict(name[: -len(".dist-info")].split("-", 1) for name in names if "-" in name[: -len(".dist-info")])
    sizes = {}
    for parent, directories, files in os.walk(target):
        for name in directories + files:
            info = os.lstat(os.path.join(parent, name))
            sizes[info.st_dev, info.st_ino] = info.st_blocks * 512
    return {"packages": packages, "size": sum(sizes.values()), "built": time.time()}


def _describe(directory: str) -> Dict[str, Any]:
    item: Dict[str, Any] = {"key": os.path.basename(directory), "is_ready": False}
    item["is_building"] = _is_building(directory)
    try:
        with open(os.path.join(directory, "current", "about.json"), encoding="utf-8") as stream:
            item.update(json.load(stream), is_ready=True)
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError), open(
            os.path.join(directory, "failed.json"), encoding="utf-8"
        ) as stream:
            item["failed"] = json.load(stream)["message"]
        return item
    item["used"] = item["built"]
    with contextlib.suppress(OSError):
        item["used"] = os.path.getmtime(os.path.join(directory, "used"))
    return item


def _is_building(directory: str) -> bool:
    """By the file server's clock, which dates the heartbeat and a file that is made now: nobody waits for a second look."""
    claim = current_claim(directory)
    if claim is None:
        return False
    try:
        with tempfile.NamedTemporaryFile(prefix=".now-", dir=directory) as now:
            return os.fstat(now.fileno()).st_mtime - os.stat(claim.heartbeat)[stat.ST_MTIME] < DEAD_AFTER
    except OSError:
        return False


def _forget_decisions(state: StatePaths) -> None:
    """Those for environments that are not there."""
    root = os.path.join(state.root, "decisions")
    for name in os.listdir(root):
        path = os.path.join(root, name)
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError), open(path, encoding="utf-8") as stream:
            if not os.path.isdir(state.environment(json.load(stream)["key"])):
                os.unlink(path)


def _unfinished_jobs(state: StatePaths, key: str) -> List[str]:
    """The jobs that need it and may still run: without a mark of their end, and known to their scheduler as not ended."""
    users = []
    for job_id in sorted(os.listdir(os.path.join(state.root, "jobs"))):
        try:
            with open(state.job(job_id).spec, encoding="utf-8") as stream:
                spec = json.load(stream)
            done = state.done(spec["client"])
        except (OSError, ValueError, KeyError):
            continue
        is_marked = any(os.path.exists(os.path.join(done, job_id + end)) for end in (".done", ".exit"))
        if key in spec.get("environments", ()) and not is_marked and _may_run(state, job_id, spec):
            users.append(job_id)
    return users


def _may_run(state: StatePaths, job_id: str, spec: Dict[str, Any]) -> bool:
    """What ended without a mark, as on a node that lost its power, does not; nor what an agent that was killed prepared."""
    known = scheduler(spec["scheduler"])
    try:
        with open(state.job(job_id).scheduler_id, encoding="ascii") as stream:
            scheduler_id = stream.read().strip()
    except FileNotFoundError:
        scheduler_id = known.find(job_id)
    if not scheduler_id:
        with contextlib.suppress(FileNotFoundError):
            return time.time() - os.path.getmtime(state.job(job_id).spec) < SUBMITTED_WITHIN
        return False
    found = known.states([scheduler_id]).get(scheduler_id)
    return found is not None and not found.is_ended


def _quotas() -> List[Dict[str, Any]]:
    """What ``quota`` says (quota-tools 4: blocks of 1 KiB; ``-w`` one line each, ``-p`` numbers only), if there is one."""
    program = shutil.which("quota")
    if program is None:
        return []
    try:
        answer = subprocess.run(
            [program, "-w", "-p"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    found = [_quota(line) for line in answer.stdout.decode("utf-8", "replace").splitlines()]
    return [item for item in found if item]


def _quota(line: str) -> Optional[Dict[str, Any]]:
    match = re.match(r"\s*(\S+)\s+(\d+)\*?\s+(\d+)\s+(\d+)\s+\d+\s", line)
    if match is None:
        return None
    used, soft, hard = (int(number) * 1024 for number in match.groups()[1:])
    return {"file_system": match.group(1), "used": used, "limit": hard or soft or None}
