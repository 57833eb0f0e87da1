"""scancel: end jobs, or send them signals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcluster.emulated.interface import Reply
from simcluster.emulated.jobs import ENDED, State
from simcluster.emulated.slurm.hostlists import expand
from simcluster.emulated.slurm.identifiers import is_allowed, jobs_named, split_ids
from simcluster.emulated.slurm.job_fields import account_of, partition_text, quality_of
from simcluster.emulated.slurm.options import UsageError, table
from simcluster.emulated.slurm.requests import parse_signal
from simcluster.emulated.slurm.surroundings import user_id
from simcluster.emulated.slurm.words import full_state, parse_state

if TYPE_CHECKING:
    from simcluster.emulated.command_line import CommandLine
    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Call
    from simcluster.emulated.jobs import Job, Step

__all__ = ["scancel"]

_TABLE = table(
    "scancel",
    flags="batch/b ctld full/f me quiet/Q verbose/v version/V",
    valued="account/A jobname/n name partition/p qos/q signal/s state/t user/u nodelist/w",
    refused="hurry/H interactive/i clusters/M= reservation/R= sibling= wckey= help usage",
)
_FILTERS = ("account", "jobname", "name", "partition", "qos", "state", "user", "me", "nodelist")
_KILL = 9


def scancel(core: Core, call: Call) -> Reply:
    """Unknown and ended jobs are passed over in silence, exit 0; somebody else's are an error, exit 210."""
    try:
        line = _TABLE.parse(call.arguments)
    except UsageError as error:
        return Reply(stderr=str(error), code=1)
    if line.has("version"):
        return Reply(f"slurm-wlm {core.settings.version}\n")
    if not line.rest and not line.has(*_FILTERS):
        return _failure("No job identification provided")
    number = parse_signal(line.last("signal")) if line.has("signal") else None
    if line.has("signal") and number is None:
        return Reply(stderr=f"Unknown job signal: {line.last('signal')}\n", code=1)
    wanted = line.last("state")
    if wanted and parse_state(wanted) not in {"PENDING", "RUNNING", "SUSPENDED"}:
        text = f"Invalid job state specified: {wanted}\nValid job states are PENDING, RUNNING, and SUSPENDED\n"
        return Reply(stderr=text, code=1)
    user = line.last("user")
    if user and user not in {call.user, "root", "slurm", *core.settings.user_ids} and not user.isdecimal():
        return _failure(f"Invalid user name: {user}")
    if not line.rest:
        fitting: dict[str, list[Job]] = {}
        for job in core.known:
            if _fits(core, line, call, job):
                fitting.setdefault(str(job.array_id or job.id), []).append(job)
        return _each(core, call, list(fitting.items()), line, number)
    chosen = []
    for text in [piece for word in line.rest for piece in (split_ids(word) or [""])]:
        jobs = jobs_named(core, text)
        if jobs is None:
            return _failure(f"Invalid job id {text}")
        step = _step(jobs, text)
        if step is not None:
            _end_or_signal_step(core, call, jobs[0], step, number)
            continue
        if "." in text and number is None:
            return _failure(f"Kill job error on job step id {text}: Invalid job id specified")
        chosen.append((text, [job for job in jobs if _fits(core, line, call, job)]))
    return _each(core, call, chosen, line, number)


def _failure(text: str) -> Reply:
    return Reply(stderr=f"scancel: error: {text}\n", code=1)


def _fits(core: Core, line: CommandLine, call: Call, job: Job) -> bool:
    name = line.last("name") or line.last("jobname")
    user = call.user if line.has("me") else line.last("user")
    state = line.last("state")
    return not (
        (name and job.name != name)
        or (user and user not in {job.user, str(user_id(core, job.user))})
        or (state and full_state(job) != parse_state(state))
        or (line.has("partition") and line.last("partition") not in partition_text(job).split(","))
        or (line.has("nodelist") and not set(expand(line.last("nodelist"))) & set(job.nodes))
        or (line.has("account") and account_of(core, job) != line.last("account"))
        or (line.has("qos") and quality_of(core, job) != line.last("qos"))
    )


def _each(core: Core, call: Call, chosen: list[tuple[str, list[Job]]], line: CommandLine, number: int | None) -> Reply:
    errors, code = [], 0
    is_loud = line.has("verbose") and not line.has("quiet")
    for text, jobs in chosen:
        alive = [job for job in jobs if job.state not in ENDED]
        if is_loud:
            errors.append(f"scancel: Terminating job {text}\n")
            if not alive:
                why = "Job/step already completing or completed" if jobs else "Invalid job id specified"
                errors.append(f"scancel: error: Kill job error on job id {text}: {why}\n")
        if not all(is_allowed(call, job) for job in alive):
            errors.append(f"scancel: error: Kill job error on job id {text}: Access/permission denied\n")
            code = 210
            continue
        if number in {None, _KILL} and not (number and line.has("batch")):
            core.cancel_all(alive, call.user)
            continue
        for job in alive:
            _signal(core, job, line, number or 0)
    return Reply(stderr="".join(errors), code=code)


def _step(jobs: list[Job], text: str) -> Step | None:
    """The step that an id such as `17.0` names, if there is one that runs."""
    name = text.partition(".")[2]
    steps = jobs[0].steps if len(jobs) == 1 and name.isdecimal() else ()
    return next((step for step in steps if step.number == int(name) and step.state is State.RUNNING), None)


def _end_or_signal_step(core: Core, call: Call, job: Job, step: Step, number: int | None) -> None:
    if number in {None, _KILL}:
        core.cancel_step(job, step, call.user)
    elif number is not None:
        core.launcher.signal_step(job, step, number)


def _signal(core: Core, job: Job, line: CommandLine, number: int) -> None:
    if job.state is not State.RUNNING:
        return
    if line.has("batch") or line.has("full"):
        core.signal(job, number, everything=line.has("full"))
    else:
        core.signal_steps(job, number)
