"""qsub: from a script and options to a job."""

from __future__ import annotations

import logging
import shlex
import signal
from typing import TYPE_CHECKING

from simcluster.emulated.command_line import CommandLine
from simcluster.emulated.interface import Reply
from simcluster.emulated.jobs import State
from simcluster.emulated.refusals import Refusal, RefusedError
from simcluster.emulated.sge.options import MissingValueError, UnknownOptionError, table
from simcluster.emulated.sge.requests import BadValueError, RejectedError, check_slots, make_request
from simcluster.emulated.sge.words import parse_tasks
from simcluster.emulated.waiting import until_ended

if TYPE_CHECKING:
    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Call
    from simcluster.emulated.jobs import Job, Request

__all__ = ["qsub"]

_log = logging.getLogger(__name__)

_TABLE = table(
    "qsub",
    stops_early=True,
    flags="cwd h hard help terse V",
    valued="A C M N P S a b e hold_jid i j l m o p q r sync t tc v w wd",
    pairs="pe",
    refused="""@ Ap R ac ar at astnode binding c ckpt clear dc display dl dul hold_jid_ad he js jsv masterq mattr
    notify now ot sc shell soft srqs verify""",
)
_MAIL = set("beasn")


class _ScriptError(Exception):
    """Why the script can't be read; the exit code."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.text, self.code = text, code


async def qsub(core: Core, call: Call) -> Reply:
    """Exit codes: 2 for an unknown option, 7 for a bad value, 1 for what is rejected, with `-sync y` the job's."""
    try:
        line = _TABLE.parse(call.arguments)
        if line.has("help"):
            return Reply("SGE 8.1.9\nusage: qsub [options]\n")
        check_slots(line)
        is_binary = line.last("b", "n").startswith("y")
        script, name = (b"", _binary_name(line)) if is_binary else _script(core, call, line)
        inner = CommandLine((), ()) if is_binary else _directives(script, line)
        together = CommandLine((*inner.options, *line.options), line.rest)
        _refuse_what_is_not_here(together)
        command = " ".join(line.rest) if is_binary else None
        request = make_request(core, call, together, script=script, name=name, command=command)
        if not script.strip() and not is_binary:
            raise RejectedError("job rejected: no script in your request")
        job = core.submit(request)
    except UnknownOptionError as error:
        return Reply(stderr=f'qsub: invalid option argument "{error}"\n', code=2)
    except MissingValueError as error:
        what = "variable list argument" if str(error) == "-v" else "argument"
        return Reply(stderr=f"qsub: {error} option must have {what}\n", code=2)
    except _ScriptError as error:
        return Reply(stderr=f"Unable to read script file because of error: {error.text}\n", code=error.code)
    except BadValueError as error:
        return Reply(stderr=f"{error.before}qsub: {error}\n", code=7)
    except RejectedError as error:
        core.next_number()  # the server gives a job its number before it looks at it
        return Reply(stderr=f"Unable to run job: {error}\nExiting.\n", code=1)
    except RefusedError as error:
        return Reply(stderr=f"Unable to run job: {_refusal(error, request)}\nExiting.\n", code=1)
    said = _said(job, terse=together.has("terse"))
    if together.last("sync", "n").startswith("y"):
        ends = await _wait(core, job)
        good, bad = ("".join(text for text, code in ends if bool(code) is is_bad) for is_bad in (False, True))
        return Reply(said + good, bad, max(code for _, code in ends))
    return Reply(said)


def _binary_name(line: CommandLine) -> str:
    if not line.rest:
        raise RejectedError("job rejected: no script in your request")
    return line.rest[0].rpartition("/")[2]


def _script(core: Core, call: Call, line: CommandLine) -> tuple[bytes, str]:
    """The text, and the name that the job has without `-N`."""
    if not line.rest:
        if not call.stdin:
            raise _ScriptError("no input read from stdin", 4)
        return call.stdin, "STDIN"
    path = line.rest[0]
    try:
        return core.launcher.read_script(path, call.cwd), path.rpartition("/")[2]
    except OSError as error:
        raise _ScriptError(f"error opening {path}: {error.strerror}", 14) from None


def _directives(script: bytes, line: CommandLine) -> CommandLine:
    """The options in the lines that begin with `#$`, or with what `-C` says."""
    prefix = line.last("C", "#$")
    words: list[str] = []
    for text in script.decode("utf-8", "surrogateescape").splitlines() if prefix else ():
        if text.startswith(prefix):
            try:
                words += shlex.split(text.removeprefix(prefix), comments=True)
            except ValueError as error:
                raise _ScriptError(str(error), 2) from None
    try:
        return _TABLE.parse(words)
    except UnknownOptionError as error:
        raise _ScriptError(f'invalid option argument "{error}"', 2) from None
    except MissingValueError as error:
        raise _ScriptError(f"{error} option must have argument", 2) from None


def _refuse_what_is_not_here(line: CommandLine) -> None:
    if (
        line.last("w", "n") != "n"
    ):  # to verify, which a server without other jobs to look at can't do as the real one does
        _log.warning("qsub -w %s is not emulated: refused", line.last("w"))
        raise UnknownOptionError("-w")
    if line.has("P"):
        raise RejectedError(f'job rejected: the requested project "{line.last("P")}" does not exist')
    if not set(line.last("m")) <= _MAIL:
        raise BadValueError(f'Wrong mail options list format "{line.last("m")}" specified to -m option')


def _refusal(error: RefusedError, request: Request) -> str:
    if error.refusal is Refusal.ARRAY:
        return f"job rejected: array has too many tasks ({len(parse_tasks(request.options['tasks']))})"
    return f"job rejected: {error}"


def _said(job: Job, *, terse: bool) -> str:
    tasks = job.request.array
    if tasks is None:
        return f"{job.id}\n" if terse else f'Your job {job.id} ("{job.name}") has been submitted\n'
    number = f"{job.id}.{job.request.options['tasks']}"
    return f"{number}\n" if terse else f'Your job-array {number} ("{job.name}") has been submitted\n'


async def _wait(core: Core, job: Job) -> list[tuple[str, int]]:
    """Wait for the job's end, or that of all of its tasks: what is said then of each, and the exit code."""
    tasks = core.find(job.id)
    await until_ended(core, tasks)
    return [_end(task) for task in tasks]


def _end(job: Job) -> tuple[str, int]:
    number = str(job.id) if job.task_id is None else f"{job.id}.{job.task_id}"
    if job.started is None:
        return "", 1  # deleted before it ran
    if job.state is State.COMPLETED or (job.exit_code and not job.signal):
        return f"Job {number} exited with exit code {job.exit_code}.\n", job.exit_code
    return f"Job {number} exited because of signal {signal.Signals(job.signal or signal.SIGKILL).name}\n", 1
