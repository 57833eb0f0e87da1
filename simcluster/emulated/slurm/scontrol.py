"""scontrol: show and change jobs, nodes and partitions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from simcluster.emulated.conditions import Dependency
from simcluster.emulated.interface import Reply
from simcluster.emulated.jobs import State
from simcluster.emulated.refusals import Refusal, RefusedError
from simcluster.emulated.slurm.hostlists import compress, expand
from simcluster.emulated.slurm.identifiers import is_allowed, is_operator, jobs_named, split_ids
from simcluster.emulated.slurm.json_jobs import jobs_as_json
from simcluster.emulated.slurm.options import UsageError, log_refusal, table
from simcluster.emulated.slurm.release import release_of
from simcluster.emulated.slurm.requests import InvalidOptionError, parse_dependency, parse_memory
from simcluster.emulated.slurm.shown import show_config, show_jobs, show_node, show_partition, show_steps
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
    flags="all/a details/d json oneliner/o quiet/Q version/V",
    refused="clusters/M= federation/F future help/h hide local sibling uid/u= verbose/v yaml",
)


class _Error(Exception):
    """The text for stderr."""


class _NotFoundError(Exception):
    """The text for stdout, which is where scontrol says so of some things."""


def scontrol(core: Core, call: Call) -> Reply:
    """Errors end with exit code 1."""
    try:
        line = _TABLE.parse(call.arguments)
        if line.has("version"):
            return Reply(f"slurm-wlm {core.settings.version}\n")
        if not line.rest:
            return Reply("scontrol: \n")
        keyword, words = line.rest[0], list(line.rest[1:])
        if line.has("json"):
            return _as_json(core, call, keyword, words)
        if keyword == "show":
            return Reply(_show(core, call, words, one_line=line.has("oneliner"), details=line.has("details")))
        if keyword == "version":
            return Reply(f"slurm-wlm {core.settings.version}\n")
        if keyword == "ping":
            return Reply(f"Slurmctld(primary) at {core.settings.controller} is UP\n")
        action = _ACTIONS.get(keyword)
        if action is None:
            log_refusal("scontrol", keyword)
            raise _Error(f"invalid keyword: {keyword}\n")
        if not words and keyword != "update":
            raise _Error(f"too few arguments for keyword:{keyword}\n")
        return action(core, call, words)
    except _NotFoundError as error:
        return Reply(f"{error} not found\n", code=1)
    except (UsageError, _Error) as error:
        return Reply(stderr="" if {"-Q", "--quiet"} & set(call.arguments) else str(error), code=1)


def _show(core: Core, call: Call, words: list[str], *, one_line: bool, details: bool) -> str:
    if not words:
        raise _Error("too few arguments for keyword:show\n")
    entity, _, name = words[0].partition("=")
    name = name or (words[1] if len(words) > 1 else "")
    entity = entity.lower()
    if len(words) > 2:
        raise _Error("too many arguments for keyword:show\n")
    if entity in {"hostname", "hostnames", "hostlist", "hostlistsorted"}:
        return _hosts(call, entity, words[1:])
    if entity in {"licenses", "reservations"}:
        nothing = "licenses configured in Slurm." if entity == "licenses" else "reservations in the system"
        return f"No {nothing}\n"
    if entity in {"step", "steps", "stepid"}:
        return _steps(core, name, one_line=one_line)
    if entity == "config":
        return show_config(core)
    if entity in {"job", "jobs", "jobid"}:
        return show_jobs(core, _shown_jobs(core, name), one_line=one_line, details=details)
    if entity in {"node", "nodes", "nodename"}:
        nodes = expand(name) if name else list(core.nodes.position)
        for one in nodes:
            if one not in core.nodes.position:
                raise _NotFoundError(f"Node {one}")
        return "".join(show_node(core, core.nodes[one], one_line=one_line) for one in nodes)
    if entity == "partitionname" or "partitions".startswith(entity):
        if name and name not in core.partitions:
            raise _NotFoundError(f"Partition {name}")
        chosen = [core.partitions[name]] if name else list(core.partitions.values())
        return "".join(show_partition(core, one, one_line=one_line) for one in chosen)
    log_refusal("scontrol", f"show {words[0]}")
    raise _Error(f"invalid entity:{words[0]} for keyword:show \n")


def _hosts(call: Call, entity: str, words: Sequence[str]) -> str:
    """In a job, without a list, it is the job's nodes."""
    if not words and entity.startswith("hostname") and "SLURM_NODELIST" not in call.environment:
        raise _Error("scontrol: error: host list is empty\n")
    names = expand(words[0] if words else call.environment.get("SLURM_NODELIST", ""))
    if entity.startswith("hostname"):
        return "".join(f"{one}\n" for one in names)
    return f"{compress(sorted(names) if entity == 'hostlistsorted' else names)}\n"


def _steps(core: Core, name: str, *, one_line: bool) -> str:
    jobs = jobs_named(core, name) if name else list(core.running)
    if not jobs:
        raise _Error("slurm_get_job_steps error: Invalid job id specified\n")
    return show_steps(core, jobs, name.partition(".")[2], one_line=one_line)


def _as_json(core: Core, call: Call, keyword: str, words: list[str]) -> Reply:
    """Only newer releases have it, and here for jobs alone; those that are not there are no error."""
    is_for_jobs = keyword == "show" and bool(words) and words[0].partition("=")[0].lower() in {"job", "jobs", "jobid"}
    if not (is_for_jobs and release_of(core).scontrol_has_json):
        _TABLE.refuse("json")
    name = words[0].partition("=")[2] or (words[1] if len(words) > 1 else "")
    return Reply(jobs_as_json(core, call, (jobs_named(core, name) or []) if name else list(core.known)))


def _shown_jobs(core: Core, name: str) -> list[Job]:
    if not name:
        return list(core.known)
    jobs = jobs_named(core, name) if "[" not in name else None
    if jobs is None:
        raise _Error("scontrol_print_job error: Invalid job id specified\n")
    if not jobs:
        if "_" in name and core.find(int(name.split("_", maxsplit=1)[0])):
            raise _NotFoundError(f"Job {name}")
        raise _Error("slurm_load_jobs error: Invalid job id specified\n")
    return jobs


def _on_jobs(
    core: Core,
    call: Call,
    words: Sequence[str],
    do: Callable[[Job], None],
    *,
    after: str = "",
    to_strangers: Refusal = Refusal.NOT_OWNER,
) -> Reply:
    """Do it to each job; what is refused is told for each, and makes the exit code 1."""
    errors = []
    for text in (piece for word in words for piece in split_ids(word.split("=", 1)[-1])):
        jobs = jobs_named(core, text)
        try:
            if not jobs:
                raise RefusedError(Refusal.UNKNOWN_JOB)
            for job in jobs:
                if not is_allowed(call, job):
                    raise RefusedError(to_strangers)
                do(job)
        except RefusedError as error:
            errors.append(f"{strerror(error)} for job {text}\n")
            if after:
                errors.append(f"{after} error: {strerror(error)}\n")
    return Reply(stderr="".join(errors), code=1 if errors else 0)


def _hold(core: Core, call: Call, words: list[str]) -> Reply:
    named = _by_name(core, words)
    pieces = {piece for word in named for piece in split_ids(word)}

    def hold(job: Job) -> None:
        core.hold(job, by_admin=is_operator(core, call), with_array=str(job.array_id) in pieces)

    return _on_jobs(core, call, named, hold, after="slurm_suspend")


def _release(core: Core, call: Call, words: list[str]) -> Reply:
    def release(job: Job) -> None:
        if job.is_held_by_admin and not is_operator(core, call):
            raise RefusedError(Refusal.NOT_PERMITTED)
        core.release(job)

    return _on_jobs(core, call, _by_name(core, words), release, after="slurm_suspend")


def _by_name(core: Core, words: list[str]) -> list[str]:
    by_name = [word for word in words if word.lower().startswith(("name=", "jobname="))]
    names = [word.partition("=")[2] for word in by_name]
    return [word for word in words if word not in by_name] + [
        job.full_id for job in core.known if job.name in names and not job.has_ended
    ]


def _requeue(core: Core, call: Call, words: list[str]) -> Reply:
    return _on_jobs(core, call, words, core.requeue, to_strangers=Refusal.NOT_PERMITTED)


def _requeue_held(core: Core, call: Call, words: list[str]) -> Reply:
    """As `requeue`, and then it waits until somebody releases it."""

    def requeue(job: Job) -> None:
        if job.state is State.PENDING:
            raise RefusedError(Refusal.NOT_RUNNING)
        core.requeue(job, is_held=True)

    words = words[1:] if words and words[0].lower().startswith("state=") else words
    return _on_jobs(core, call, words, requeue, to_strangers=Refusal.NOT_PERMITTED)


def _operators_only(do: Callable[[Core, Job], None]) -> Callable[[Core, Call, list[str]], Reply]:
    def action(core: Core, call: Call, words: list[str]) -> Reply:
        def one(job: Job) -> None:
            if not is_operator(core, call):
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
        log_refusal("scontrol", "write batch_script to a file")
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
    if not changes:
        raise _Error("No changes specified\n")
    ids = [job.full_id for job in core.known if job.name == target] if subject == "jobname" else [target]
    return _on_jobs(core, call, ids, lambda job: _change(core, call, job, changes))


_CHANGES = {"timelimit", "jobname", "name", "comment", "partition", "priority", "nice", "starttime", "numcpus",
            "minmemorynode", "minmemorycpu", "numnodes", "account", "dependency", "qos", "requeue", "arraytaskthrottle"}  # fmt: skip


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
            fields[name] = _size(changes[key]) if "memory" in key else _number(changes[key])
    if "priority" in changes and not is_operator(core, call):
        raise RefusedError(Refusal.PRIORITY)
    if "nice" in changes:
        fields["nice"] = _number(changes["nice"])
    if "partition" in changes and job.started is not None:
        raise RefusedError(Refusal.NOT_PENDING)
    if "requeue" in changes:
        fields["is_requeueable"] = changes["requeue"] != "0"
    limit = _new_limit(core, call, job, changes["timelimit"]) if "timelimit" in changes else None
    if "arraytaskthrottle" in changes and job.array_id in core.arrays:
        core.arrays[job.array_id].limit = _number(changes["arraytaskthrottle"])
        fields["array_limit"] = _number(changes["arraytaskthrottle"])
    core.update(
        job,
        request=replace(job.request, **fields) if fields else None,  # type: ignore[arg-type]
        limit=limit,
        partition=changes.get("partition"),
        priority=_number(changes["priority"]) if "priority" in changes else None,
        begin=_moment(core, changes["starttime"]) if "starttime" in changes else None,
        dependency=_dependency(core, changes["dependency"]) if "dependency" in changes else None,
    )


def _number(text: str) -> int:
    if not text.removeprefix("-").isdecimal():
        raise _Error(f"Invalid value: {text}\nRequest aborted\n")
    return int(text)


def _size(text: str) -> int:
    megabytes = parse_memory(text)
    if megabytes is None:
        raise _Error(f"Invalid value: {text}\nRequest aborted\n")
    return megabytes


def _moment(core: Core, text: str) -> float:
    moment = parse_time(text, core.clock.time())
    if moment is None:
        raise _Error(f"Invalid time specification (pos=0): {text}\nRequest aborted\n")
    return moment


def _dependency(core: Core, text: str) -> Dependency:
    try:
        return parse_dependency(core, text) if text else Dependency(())
    except InvalidOptionError:
        raise RefusedError(Refusal.DEPENDENCY) from None


def _new_limit(core: Core, call: Call, job: Job, text: str) -> int:
    minutes = parse_limit(text.lstrip("+-"))
    if minutes is None:
        raise _Error("scontrol: error: Invalid TimeLimit value\n")
    if text.startswith("+"):
        minutes = (job.limit or 0) + minutes
    elif text.startswith("-"):
        minutes = max(60, (job.limit or 0) - minutes)
    is_longer = minutes == 0 or (job.limit is not None and minutes > job.limit)
    if job.started is not None and is_longer and not is_operator(core, call):
        raise RefusedError(Refusal.NOT_PERMITTED)
    return minutes


def _update_nodes(core: Core, call: Call, changes: dict[str, str]) -> Reply:
    if not is_operator(core, call):
        raise _Error("slurm_update error: Invalid user id\n")
    for name in expand(changes["nodename"]):
        if name not in core.nodes.position:
            raise _Error("slurm_update error: Invalid node name specified\n")
        state = changes.get("state", "").lower()
        if state in {"drain", "down", "fail"} and not changes.get("reason"):
            raise _Error("You must specify a reason when DOWNING or DRAINING a node. Request denied\n")
        if state == "drain":
            core.drain(name, changes.get("reason", ""), call.user)
        elif state in {"resume", "undrain", "idle"}:
            core.undrain(name)
        elif state == "down":
            core.node_down(name, changes["reason"], call.user)
        else:
            log_refusal("scontrol", f"update NodeName= State={state}")
            raise _Error("slurm_update error: Invalid node state specified\n")
    return Reply()


def _update_partition(core: Core, call: Call, changes: dict[str, str]) -> Reply:
    if not is_operator(core, call):
        raise _Error("slurm_update error: Invalid user id\n")
    partition = core.partitions.get(changes["partitionname"])
    if partition is None:
        raise _Error("slurm_update error: Invalid partition name specified\n")
    state = changes.get("state", "up").lower()
    strange = set(changes) - {"partitionname", "state", "maxtime", "defaulttime"}
    if strange or state not in {"up", "down"}:
        log_refusal("scontrol", f"update PartitionName= {', '.join(sorted(strange)) or f'State={state}'}")
        raise _Error("slurm_update error: Requested operation not supported on this system\n")
    is_up = state == "up" if "state" in changes else partition.is_up
    most = parse_limit(changes["maxtime"]) or None if "maxtime" in changes else partition.max_time
    usual = parse_limit(changes["defaulttime"]) or None if "defaulttime" in changes else partition.default_time
    core.set_partition(replace(partition, is_up=is_up, max_time=most, default_time=usual))
    return Reply()


_ACTIONS: dict[str, Callable[[Core, Call, list[str]], Reply]] = {
    "hold": _hold,
    "uhold": _hold,
    "release": _release,
    "requeue": _requeue,
    "requeuehold": _requeue_held,
    "suspend": _operators_only(lambda core, job: core.suspend(job)),
    "resume": _operators_only(lambda core, job: core.resume(job)),
    "update": _update,
    "write": _write,
}
