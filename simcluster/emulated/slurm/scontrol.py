"""scontrol: show and change jobs, nodes and partitions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from simcluster.emulated.interface import Reply
from simcluster.emulated.refusals import Refusal, RefusedError
from simcluster.emulated.slurm.hostlists import compress, expand
from simcluster.emulated.slurm.identifiers import is_allowed, jobs_named, split_ids
from simcluster.emulated.slurm.options import UsageError, table
from simcluster.emulated.slurm.shown import show_config, show_jobs, show_node, show_partition
from simcluster.emulated.slurm.times import parse_limit, parse_time
from simcluster.emulated.slurm.words import strerror

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Call
    from simcluster.emulated.jobs import Job

__all__ = ["scontrol"]

_TABLE = table(
    "scontrol",
    flags="all/a details/d oneliner/o quiet/Q verbose/v version/V local hide",
    refused="clusters/M= federation/F future help/h sibling uid/u= json yaml",
)


class _Error(Exception):
    """The text for stderr."""


def scontrol(core: Core, call: Call) -> Reply:
    """Errors end with exit code 1."""
    try:
        line = _TABLE.parse(call.arguments)
        if line.has("version"):
            return Reply(f"slurm-wlm {core.settings.version}\n")
        if not line.rest:
            return Reply("scontrol: \n")
        keyword, words = line.rest[0], list(line.rest[1:])
        if keyword == "show":
            return Reply(_show(core, words, one_line=line.has("oneliner"), details=line.has("details")))
        if keyword == "ping":
            return Reply(f"Slurmctld(primary) at {core.settings.controller} is UP\n")
        action = _ACTIONS.get(keyword)
        if action is None:
            raise _Error(f"invalid keyword: {keyword}\n")
        return action(core, call, words)
    except (UsageError, _Error) as error:
        return Reply(stderr="" if "-Q" in call.arguments else str(error), code=1)


def _show(core: Core, words: list[str], *, one_line: bool, details: bool) -> str:
    if not words:
        raise _Error("too few arguments for keyword:show\n")
    entity, _, name = words[0].partition("=")
    name = name or (words[1] if len(words) > 1 else "")
    entity = entity.lower()
    if len(words) > 2:
        raise _Error("too many arguments for keyword:show\n")
    if entity in {"hostnames", "hostlist", "hostlistsorted"}:
        names = expand(name)
        return "".join(f"{one}\n" for one in names) if entity == "hostnames" else f"{compress(names)}\n"
    if entity == "config":
        return show_config(core)
    if entity in {"job", "jobs", "jobid"}:
        return show_jobs(core, _shown_jobs(core, name), one_line=one_line, details=details)
    if entity in {"node", "nodes", "nodename"}:
        nodes = expand(name) if name else list(core.nodes.position)
        for one in nodes:
            if one not in core.nodes.position:
                raise _Error(f"Node {one} not found\n")
        return "".join(show_node(core, core.nodes[one], one_line=one_line) for one in nodes)
    if entity in {"partition", "partitions", "partitionname"}:
        if name and name not in core.partitions:
            raise _Error(f"Partition {name} not found\n")
        chosen = [core.partitions[name]] if name else list(core.partitions.values())
        return "".join(show_partition(core, one, one_line=one_line) for one in chosen)
    raise _Error(f"invalid entity:{words[0]} for keyword:show \n")


def _shown_jobs(core: Core, name: str) -> list[Job]:
    if not name:
        return list(core.known)
    jobs = jobs_named(core, name) if "[" not in name else None
    if jobs is None:
        raise _Error("scontrol_print_job error: Invalid job id specified\n")
    if not jobs:
        if "_" in name and core.find(int(name.split("_", maxsplit=1)[0])):
            raise _Error(f"Job {name} not found\n")
        raise _Error("slurm_load_jobs error: Invalid job id specified\n")
    return jobs


def _on_jobs(core: Core, call: Call, words: Sequence[str], do: Callable[[Job], None], *, after: str = "") -> Reply:
    """Do it to each job; what is refused is told for each, and makes the exit code 1."""
    errors = []
    for text in (piece for word in words for piece in split_ids(word.split("=", 1)[-1])):
        jobs = jobs_named(core, text)
        try:
            if not jobs:
                raise RefusedError(Refusal.UNKNOWN_JOB)
            for job in jobs:
                if not is_allowed(call, job):
                    raise RefusedError(Refusal.NOT_OWNER)
                do(job)
        except RefusedError as error:
            errors.append(f"{strerror(error)} for job {text}\n")
            if after:
                errors.append(f"{after} error: {strerror(error)}\n")
    return Reply(stderr="".join(errors), code=1 if errors else 0)


def _is_operator(call: Call) -> bool:
    return call.user in {"root", "slurm"}


def _hold(core: Core, call: Call, words: list[str]) -> Reply:
    return _on_jobs(
        core,
        call,
        _by_name(core, words),
        lambda job: core.hold(job, by_admin=_is_operator(call)),
        after="slurm_suspend",
    )


def _release(core: Core, call: Call, words: list[str]) -> Reply:
    def release(job: Job) -> None:
        if job.is_held_by_admin and not _is_operator(call):
            raise RefusedError(Refusal.NOT_PERMITTED)
        core.release(job)

    return _on_jobs(core, call, _by_name(core, words), release, after="slurm_suspend")


def _by_name(core: Core, words: list[str]) -> list[str]:
    names = [word[5:] for word in words if word.startswith("name=")]
    return [word for word in words if not word.startswith("name=")] + [
        job.full_id for job in core.known if job.name in names and not job.has_ended
    ]


def _requeue(core: Core, call: Call, words: list[str]) -> Reply:
    def requeue(job: Job) -> None:
        if not is_allowed(call, job):
            raise RefusedError(Refusal.NOT_PERMITTED)
        core.requeue(job)

    return _on_jobs(core, replace(call, user="root") if _is_operator(call) else call, words, requeue)


def _operators_only(do: Callable[[Core, Job], None]) -> Callable[[Core, Call, list[str]], Reply]:
    def action(core: Core, call: Call, words: list[str]) -> Reply:
        def one(job: Job) -> None:
            if not _is_operator(call):
                raise RefusedError(Refusal.NOT_PERMITTED)
            do(core, job)

        return _on_jobs(core, call, words, one)

    return action


def _write(core: Core, call: Call, words: list[str]) -> Reply:
    """`scontrol write batch_script ID -`; a file would have to be written where the caller is."""
    jobs = jobs_named(core, words[1]) if len(words) > 1 and words[0] == "batch_script" else None
    if not jobs:
        raise _Error("job script retrieval failed: Invalid job id specified\n")
    if not is_allowed(call, jobs[0]):
        raise _Error("job script retrieval failed: Invalid user id\n")
    if words[2:] != ["-"]:
        raise _Error("scontrol write batch_script to a file is not emulated; write to - instead\n")
    return Reply(jobs[0].script.decode("utf-8", "replace"))


def _update(core: Core, call: Call, words: list[str]) -> Reply:
    if not words:
        raise _Error("too few arguments for update keyword\n")
    if len(words) > 1 and "=" not in words[0]:
        words = [f"{words[0]}={words[1]}", *words[2:]]
    changes = {word.partition("=")[0].lower(): word.partition("=")[2] for word in words}
    subject = next((key for key in ("jobid", "job", "nodename", "partitionname", "jobname") if key in changes), "")
    if subject == "nodename":
        return _update_nodes(core, call, changes)
    if subject == "partitionname":
        return _update_partition(core, call, changes)
    target = changes.pop(subject) if subject else ""
    for key in changes:
        if key not in _CHANGES:
            original = next(word for word in words if word.lower().startswith(f"{key}="))
            raise _Error(f"Update of this parameter is not supported: {original}\nRequest aborted\n")
    ids = [job.full_id for job in core.known if job.name == target] if subject == "jobname" else [target]
    return _on_jobs(core, call, ids, lambda job: _change(core, call, job, changes))


_CHANGES = {"timelimit", "jobname", "name", "comment", "partition", "priority", "nice", "starttime", "numcpus",
            "minmemorynode", "minmemorycpu", "numnodes", "account", "qos", "requeue", "arraytaskthrottle"}  # fmt: skip


def _change(core: Core, call: Call, job: Job, changes: dict[str, str]) -> None:
    fields: dict[str, object] = {}
    for key, name in (
        ("jobname", "name"),
        ("name", "name"),
        ("comment", "comment"),
        ("account", "account"),
        ("qos", "qos"),
    ):
        if key in changes:
            fields[name] = changes[key]
    for key, name in (
        ("numcpus", "tasks"),
        ("minmemorynode", "memory_mb"),
        ("minmemorycpu", "memory_per_cpu_mb"),
        ("numnodes", "min_nodes"),
    ):
        if key in changes:
            if job.started is not None:
                raise RefusedError(Refusal.NOT_PENDING)
            fields[name] = int(changes[key])
    if "nice" in changes:
        fields["nice"] = int(changes["nice"])
    if "requeue" in changes:
        fields["is_requeueable"] = changes["requeue"] != "0"
    limit = _new_limit(call, job, changes["timelimit"]) if "timelimit" in changes else None
    if "arraytaskthrottle" in changes and job.array_id in core.arrays:
        core.arrays[job.array_id].limit = int(changes["arraytaskthrottle"])
        fields["array_limit"] = int(changes["arraytaskthrottle"])
    core.update(
        job,
        request=replace(job.request, **fields) if fields else None,  # type: ignore[arg-type]
        limit=limit,
        partition=changes.get("partition"),
        priority=int(changes["priority"]) if "priority" in changes else None,
        begin=parse_time(changes["starttime"], core.clock.time()) if "starttime" in changes else None,
    )


def _new_limit(call: Call, job: Job, text: str) -> int:
    minutes = parse_limit(text.lstrip("+-"))
    if minutes is None:
        raise RefusedError(Refusal.TIME_LIMIT)
    if text.startswith("+"):
        minutes = (job.limit or 0) + minutes
    elif text.startswith("-"):
        minutes = max(60, (job.limit or 0) - minutes)
    is_longer = minutes == 0 or (job.limit is not None and minutes > job.limit)
    if job.started is not None and is_longer and not _is_operator(call):
        raise RefusedError(Refusal.NOT_PERMITTED)
    return minutes


def _update_nodes(core: Core, call: Call, changes: dict[str, str]) -> Reply:
    if not _is_operator(call):
        raise _Error("slurm_update error: Invalid user id\n")
    for name in expand(changes["nodename"]):
        if name not in core.nodes.position:
            raise _Error("slurm_update error: Invalid node name specified\n")
        state = changes.get("state", "").lower()
        if state == "drain":
            core.drain(name, changes.get("reason", ""), call.user)
        elif state in {"resume", "undrain", "idle"}:
            core.undrain(name)
        elif state == "down":
            core.node_down(name)
    return Reply()


def _update_partition(core: Core, call: Call, changes: dict[str, str]) -> Reply:
    if not _is_operator(call):
        raise _Error("slurm_update error: Invalid user id\n")
    partition = core.partitions.get(changes["partitionname"])
    if partition is None:
        raise _Error("slurm_update error: Invalid partition name specified\n")
    core.set_partition(replace(partition, is_up=changes.get("state", "up").lower() == "up"))
    return Reply()


_ACTIONS: dict[str, Callable[[Core, Call, list[str]], Reply]] = {
    "hold": _hold,
    "uhold": _hold,
    "release": _release,
    "requeue": _requeue,
    "suspend": _operators_only(lambda core, job: core.suspend(job)),
    "resume": _operators_only(lambda core, job: core.resume(job)),
    "update": _update,
    "write": _write,
}
