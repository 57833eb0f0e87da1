"""srun: a job step, in the allocation that there is or in one of its own."""

from __future__ import annotations

import asyncio
import posixpath
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from simcluster.emulated.interface import Reply
from simcluster.emulated.jobs import ENDED, Job, State, StepRequest
from simcluster.emulated.refusals import Refusal, RefusedError
from simcluster.emulated.slurm.hostlists import expand
from simcluster.emulated.slurm.identifiers import is_allowed, jobs_named
from simcluster.emulated.slurm.options import UsageError
from simcluster.emulated.slurm.requests import (
    InvalidOptionError,
    count_gpus,
    exported,
    make_request,
    parse_memory,
    refuse_what_is_not_here,
)
from simcluster.emulated.slurm.srun_options import TABLE, VARIABLES
from simcluster.emulated.slurm.step_run import Command, Watch, run_step
from simcluster.emulated.slurm.times import parse_limit, stamp
from simcluster.emulated.slurm.words import strerror
from simcluster.emulated.steps import StepRefusal, StepRefusedError
from simcluster.emulated.submission import make_job

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Call, Caller
    from simcluster.emulated.jobs import Request, Step

__all__ = ["srun"]

_BINDING = re.compile(
    r"((q|quiet|v|verbose)(,|$))*(no|none|rank|rank_ldom|ldoms|cores|threads|sockets|one_thread|(map|mask)_(cpu|ldom):.+)?",
    re.IGNORECASE,
)
_REFUSALS = {
    StepRefusal.CPUS: "More processors requested than permitted",
    StepRefusal.MEMORY: "Memory required by task is not available",
    StepRefusal.GPUS: "Invalid generic resource (gres) specification",
    StepRefusal.NODES: "Requested node configuration is not available",
}


class _FailureError(Exception):
    """The text for stderr, and srun's exit code."""

    def __init__(self, text: str, code: int = 1) -> None:
        super().__init__(text)
        self.text, self.code = text, code


async def srun(core: Core, call: Call) -> Reply:
    """Exit codes: 255 for options that make no sense, 1 for what is refused, else the highest of the tasks'."""
    try:
        line = TABLE.parse(call.arguments)
        if line.has("version"):
            return Reply(f"slurm-wlm {core.settings.version}\n")
        if not line.rest:
            raise _FailureError("srun: fatal: No command given to execute.\n")
        inherited = {VARIABLES[name]: value for name, value in call.environment.items() if name in VARIABLES}
        given = inherited | dict(line.options)
        await _warn_of_binding(call, given)
        name = given.get("jobid")
        if name is None or "test-only" in given:
            return await _in_new_job(core, call, given, line.rest)
        if "constraint" in given:
            TABLE.refuse("constraint")
        job = _existing_job(core, call, name)
        is_implied = "ntasks" in dict(line.options) and "nodes" not in dict(line.options)
        wish = _step_request(job, given, line.rest, is_implied=is_implied)
        return await _in_job(core, call, job, wish, _command(call, given, line.rest))
    except UsageError as error:
        return Reply(stderr=str(error), code=255)
    except InvalidOptionError as error:
        return Reply(stderr=f"{error.before}srun: {error.kind}: {error.text}\n", code=error.code)
    except _FailureError as error:
        return Reply(stderr=error.text, code=error.code)


# --- in a job of its own


async def _in_new_job(core: Core, call: Call, given: Mapping[str, str], words: tuple[str, ...]) -> Reply:
    if "gpus-per-task" in given:
        TABLE.refuse("gpus-per-task")
    seconds = _seconds_to_wait(given)
    asked = make_request(core, call, tuple(given.items()), script=b"", command=words[0], rest=words)
    request = replace(asked, is_interactive=True, is_requeueable=False, virtual_seconds=None, arguments=())
    command = _command(call, given, words)
    try:
        if "test-only" in given:
            return _test(core, request)
        refuse_what_is_not_here(core, given)
        watch = Watch(core, _caller(call))
        try:
            job = core.submit(request)
            code = 0
            try:
                code = await _wait_for_nodes(watch, job, seconds, is_quiet="quiet" in given)
                if code == 0:
                    wish, _ = _step_request(job, given, words, is_implied=False)
                    code = await _run(watch, job, wish, command)
            finally:
                if job.state is State.PENDING:
                    core.cancel(job, call.user)
                last = job.steps[-1] if job.steps else None
                core.ended(job, last.exit_code if last else code, last.signal if last else None)
        finally:
            watch.close()
    except RefusedError as error:
        raise _FailureError(_refusal(error)) from error
    return Reply(code=code)


def _seconds_to_wait(given: Mapping[str, str]) -> int | None:
    """How long `--immediate` waits; None for ever."""
    text = given.get("immediate")
    if text and not text.isdecimal():
        raise InvalidOptionError("Invalid --immediate specification")
    return None if text is None else int(text or 0)


async def _wait_for_nodes(watch: Watch, job: Job, seconds: int | None, *, is_quiet: bool) -> int:
    """Until the job has its nodes, or the seconds are over; what srun ends with if it gets none."""
    if job.state is State.RUNNING:
        return 0
    if seconds == 0:
        watch.core.cancel(job, job.user)
        reason = {
            "PartitionDown": "Partition in DOWN state",
            "Priority": "Immediate execution impossible, insufficient priority",
        }
        why = reason.get(job.reason, "Requested partition configuration not available now")
        await watch.caller.say(f"srun: error: Unable to allocate resources: {why}\n")
        return 1
    if not is_quiet:
        held = "srun: Job is in held state, pending scheduler release\n" if job.is_held else ""
        await watch.caller.say(f"{held}srun: job {job.id} queued and waiting for resources\n")
    try:
        await asyncio.wait_for(_until_decided(watch, job), seconds)
    except asyncio.TimeoutError:
        watch.core.cancel(job, job.user)
        await watch.caller.say("srun: error: Unable to allocate resources: Requested nodes are busy\n")
        return 1
    if not _is(job, State.RUNNING):
        await watch.caller.say(
            f"srun: Job allocation {job.id} has been revoked\nsrun: Force Terminated JobId={job.id}\n"
        )
        return 1
    if not is_quiet:
        await watch.caller.say(f"srun: job {job.id} has been allocated resources\n")
    return 0


async def _until_decided(watch: Watch, job: Job) -> None:
    while job.state is State.PENDING:
        event = await watch.events.get()
        if event is None or (isinstance(event, int) and event != 18):
            watch.core.cancel(job, job.user)


def _is(job: Job, state: State) -> bool:
    """Also after a wait, which mypy knows nothing of."""
    return job.state is state


def _test(core: Core, request: Request) -> Reply:
    core.site.check_before_numbering(request)
    number, now = core.next_number(), core.clock.time()
    job = make_job(replace(request, is_held=False), number, core.site, now, 1)
    start, nodes = core.expect(job)
    return Reply(
        stderr=f"srun: Job {number} to start at {stamp(start)} using {job.cpus} processors on nodes {nodes}"
        f" in partition {job.partition}\n"
    )


def _refusal(error: RefusedError) -> str:
    before = ""
    if error.refusal is Refusal.UNKNOWN_PARTITION:
        before = f"srun: error: invalid partition specified: {error.detail}\n"
    return f"{before}srun: error: Unable to allocate resources: {strerror(error)}\n"


# --- in a job that there is


def _existing_job(core: Core, call: Call, name: str) -> Job:
    hint = f"srun: Check SLURM_JOB_ID environment variable. Expired or invalid job {name}\n"
    # An array's number is also the own one of its last element, which is meant here.
    own = core.by_id.get(int(name)) if name.isdecimal() else None
    jobs = [own] if own is not None else jobs_named(core, name)
    if not jobs:
        raise _FailureError(
            f"srun: error: Unable to confirm allocation for job {name}: Invalid job id specified\n{hint}"
        )
    job = jobs[0]
    if job.state in ENDED:
        raise _FailureError(f"srun: error: Slurm job {name} has expired\n{hint}")
    if job.state is State.PENDING:
        raise _FailureError(
            f"srun: error: Unable to confirm allocation for job {name}: Job is pending execution\n{hint}"
        )
    if not is_allowed(call, job):
        raise _FailureError(f"srun: error: Unable to create step for job {job.id}: Access/permission denied\n")
    return job


async def _in_job(core: Core, call: Call, job: Job, wish: tuple[StepRequest, str], command: Command) -> Reply:
    request, warning = wish
    watch = Watch(core, _caller(call))
    try:
        if warning:
            await watch.caller.say(warning)
        return Reply(code=await _run(watch, job, request, command))
    finally:
        watch.close()


async def _run(watch: Watch, job: Job, request: StepRequest, command: Command) -> int:
    step = await _create(watch, job, request)
    return await run_step(watch, job, step, command)


async def _create(watch: Watch, job: Job, request: StepRequest) -> Step:
    """The step, once there is room for it beside the job's other steps."""
    is_waiting = False
    while True:
        if job.state is not State.RUNNING:
            raise _FailureError(
                f"srun: error: Unable to create step for job {job.id}: Job/step already completing or completed\n"
            )
        try:
            step = watch.core.create_step(job, request)
        except StepRefusedError as error:
            text = _REFUSALS[error.refusal]
            raise _FailureError(f"srun: error: Unable to create step for job {job.id}: {text}\n") from error
        if step is not None:
            if is_waiting:
                await watch.caller.say(f"srun: Step created for StepId={job.id}.{step.number}\n")
            return step
        if not is_waiting:
            is_waiting = True
            await watch.caller.say(
                f"srun: Job {job.id} step creation temporarily disabled, retrying (Requested nodes are busy)\n"
            )
        event = await watch.events.get()
        if event is None or (isinstance(event, int) and event != 18):
            raise _FailureError("srun: Cancelled pending job step with signal 2\n" if event else "")


# --- options


def _step_request(
    job: Job, given: Mapping[str, str], words: tuple[str, ...], *, is_implied: bool
) -> tuple[StepRequest, str]:
    """`is_implied`: the number of nodes comes from the environment alone. Also a warning, or nothing."""
    warning = ""
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", given.get("nodes", ""))
    low = int(match[1]) if match else 1
    high = int(match[2] or match[1]) if match else None
    if low > len(job.nodes):
        raise _FailureError(f"srun: error: Only allocated {len(job.nodes)} nodes asked for {low}\n")
    per_node = _number(given, "ntasks-per-node")
    nodelist = tuple(expand(given["nodelist"])) if given.get("nodelist") else ()
    nodes = max(low, len(nodelist)) if match or nodelist else len(job.nodes)
    tasks = _number(given, "ntasks") or nodes * (per_node or 1)
    if job.request.is_interactive and "ntasks" not in given and job.need is not None:
        tasks = job.need.tasks
    if tasks < low:
        if not is_implied or "jobid" in given:
            warning = f"srun: Warning: can't run {tasks} processes on {low} nodes, setting nnodes to {tasks}\n"
        low = high = tasks
    cpus = _number(given, "cpus-per-task")
    gpus = None
    if {"gres", "gpus", "gpus-per-node", "gpus-per-task"} & given.keys():
        gpus = count_gpus(given) + (_number(given, "gpus-per-task") or 0) * -(-tasks // nodes)
    request = StepRequest(
        name=given.get("job-name") or posixpath.basename(words[0]),
        tasks=tasks,
        cpus_per_task=cpus or 1,
        tasks_per_node=per_node,
        min_nodes=max(1, min(low, tasks)),
        max_nodes=high,
        memory_mb=_memory(given, "mem"),
        memory_per_cpu_mb=_memory(given, "mem-per-cpu"),
        gpus=None if job.request.is_interactive else gpus,
        nodelist=nodelist,
        exclude=tuple(expand(given["exclude"])) if given.get("exclude") else (),
        # Since 22.05 -c implies --exact: srun(1).
        is_exact=not job.request.is_interactive and bool({"exact", "exclusive"} & given.keys() or cpus),
        is_overlapping="overlap" in given,
        is_overcommitted="overcommit" in given,
    )
    return request, warning


def _command(call: Call, given: Mapping[str, str], words: tuple[str, ...]) -> Command:
    mode = given.get("open-mode", "")
    if mode and mode[0] not in "at":
        raise InvalidOptionError("Invalid --open-mode specification")
    wait = given.get("wait", "0")
    limit = parse_limit(given.get("time", "0"))
    if limit is None:
        raise InvalidOptionError("Invalid --time specification")
    return Command(
        arguments=words,
        environment=_exported(call, given.get("export")),
        cwd=posixpath.join(call.cwd, given.get("chdir", "")).rstrip("/") or "/",
        umask=call.umask,
        host=call.host,
        user=call.user,
        files=(given.get("input", ""), given.get("output", ""), given.get("error", "")),
        appends=mode.startswith("a"),
        has_labels="label" in given and given["label"] != "0",
        is_killed_by_bad_exit="kill-on-bad-exit" in given and given["kill-on-bad-exit"] != "0",
        seconds_after_first=int(wait) if wait.isdecimal() else 0,
        limit=limit if "jobid" in given else 0,
        is_interrupted_at_once="disable-status" in given or "quit-on-interrupt" in given,
    )


async def _warn_of_binding(call: Call, given: Mapping[str, str]) -> None:
    """With TaskPlugin=task/none, as here, `--cpu-bind` is read and nothing else."""
    if "cpu-bind" not in given:
        return
    await _caller(call).say("srun: cluster configuration lacks support for cpu binding\n")
    if not _BINDING.fullmatch(given["cpu-bind"]):
        bad = f'srun: error: unrecognized --cpu-bind argument "{given["cpu-bind"]}"\n'
        raise _FailureError(f"{bad}srun: fatal: Failed to parse --cpu-bind= values.\n")


def _exported(call: Call, export: str | None) -> dict[str, str]:
    """What of srun's own environment the tasks get, by `--export`; of Slurm's own variables all, in any case."""
    everything = dict(call.environment)
    everything["SLURM_UMASK"] = f"{call.umask:04o}"
    if export in {None, "ALL"}:
        return everything
    names = [] if export in {"NONE", "NIL"} else str(export).split(",")
    found = {name: value for name, value in everything.items() if name.startswith("SLURM_") or "ALL" in names}
    return found | exported(names, everything)


def _number(given: Mapping[str, str], option: str) -> int | None:
    if option not in given:
        return None
    text = given[option]
    if not text.isdecimal() or int(text) < 1:
        raise InvalidOptionError(f'Invalid numeric value "{text}" for --{option}.', 1)
    return int(text)


def _memory(given: Mapping[str, str], option: str) -> int | None:
    if option not in given:
        return None
    megabytes = parse_memory(given[option])
    if megabytes is None:
        raise InvalidOptionError(f"Invalid --{option} specification")
    return megabytes


def _caller(call: Call) -> Caller:
    assert call.caller is not None  # noqa: S101 - every call comes over the socket
    return call.caller
