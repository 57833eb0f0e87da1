"""qsub: from a script and options to a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcluster.emulated.interface import Reply
from simcluster.emulated.pbs.directives import DirectiveError, directive_lines
from simcluster.emulated.pbs.getopt import Options
from simcluster.emulated.pbs.identifiers import Entry, is_operator
from simcluster.emulated.pbs.requests import IllegalOptionError, Script, make_request
from simcluster.emulated.pbs.states import exit_status
from simcluster.emulated.pbs.variables import UnsendableError
from simcluster.emulated.pbs.words import BAD_USER, NO_SERVER, SERVER, VERSION, DeniedError, refused, usage
from simcluster.emulated.refusals import RefusedError
from simcluster.emulated.waiting import until_ended

if TYPE_CHECKING:
    from simcluster.emulated.command_line import CommandLine
    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Call
    from simcluster.emulated.jobs import Job

__all__ = ["qsub"]

_OPTIONS = Options("qsub", "a:A:C:e:fhj:J:k:l:m:M:N:o:p:q:r:R:S:v:VW:zP:c:Iu:X", refused="cIuX")

_USAGE = """\
usage: qsub [-a date_time] [-A account_string] [-c interval]
	[-C directive_prefix] [-e path] [-f ] [-h ] [-I [-X]] [-j oe|eo] [-J X-Y[:Z]]
	[-k keep] [-l resource_list] [-m mail_options] [-M user_list]
	[-N jobname] [-o path] [-p priority] [-P project] [-q queue] [-r y|n]
	[-R o|e|oe] [-S path] [-u user_list] [-W otherattributes=value...]
	[-v variable_list] [-V ] [-z] [script | -- command [arg1 ...]]
       qsub --version
"""


class _ScriptError(Exception):
    """The text for stderr."""


async def qsub(core: Core, call: Call) -> Reply:
    """Exit codes: 2 for a command line that makes no sense, 1 for a bad script, else PBS's error, with block the job's."""
    if call.arguments == ("--version",):
        return Reply(f"pbs_version = {VERSION}\n")
    line = _OPTIONS.parse(call.arguments)
    if line.errors or len(line.rest) > 1 or line.command == () or (line.command and line.rest):
        return usage("qsub", _USAGE, line.errors)
    try:
        script = _script(core, call, line)
        given = [*_from_directives(call, line, script), *line.options]
        request = make_request(core, call, given, script)
        if not _is_here(given):
            return Reply(stderr=NO_SERVER.format(program="qsub", server=SERVER), code=160)
        if is_operator(core, call):
            raise DeniedError(BAD_USER)
        job = core.submit(request)
    except _ScriptError as error:
        return Reply(stderr=str(error), code=1)
    except IllegalOptionError as error:
        return usage("qsub", _USAGE if error.has_usage else "", (f"qsub: {error.text}\n",))
    except UnsendableError:
        return Reply(stderr="qsub: cannot send environment with the job\n", code=1)
    except RefusedError as error:
        denied = refused(error)
        return Reply(stderr=f"qsub: {denied.text}\n", code=denied.code)
    except DeniedError as error:
        return Reply(stderr=f"qsub: {error.text}\n", code=error.code)
    said = "" if line.has("z") else f"{_shown_id(job)}\n"
    return Reply(said, code=await _wait(core, job) if request.options.get("block") else 0)


def _shown_id(job: Job) -> str:
    return f"{job.id}.{SERVER}" if job.array_id is None else f"{job.array_id}[].{SERVER}"


def _script(core: Core, call: Call, line: CommandLine) -> Script:
    """What to run, and the name that the job has without `-N`."""
    if line.command is not None:
        return Script(b"", "STDIN", line.command)
    if not line.rest or line.rest[0] == "-":
        return Script(call.stdin, "STDIN")
    path = line.rest[0]
    try:
        return Script(core.launcher.read_script(path, call.cwd), path.rpartition("/")[2])
    except IsADirectoryError:
        raise _ScriptError("qsub: script not a file\n") from None
    except FileNotFoundError:
        raise _ScriptError("qsub: script file:: No such file or directory\n") from None
    except OSError as error:
        raise _ScriptError(f"qsub: opening script file: {error.strerror}\n") from None


def _from_directives(call: Call, line: CommandLine, script: Script) -> list[tuple[str, str]]:
    """Options of the script's directives. Raises _ScriptError."""
    prefix = line.last("C") if line.has("C") else call.environment.get("PBS_DPREFIX", "#PBS")
    found: list[tuple[str, str]] = []
    try:
        lines = [] if script.command is not None else directive_lines(script.text, prefix)
    except DirectiveError:
        raise _ScriptError("qsub: unmatched \n") from None
    for words in lines:
        inner = _OPTIONS.parse(words)
        if inner.errors or inner.rest or inner.command is not None:
            raise _ScriptError(f"{''.join(inner.errors)}qsub: directive error: {' '.join(words)} \n")
        found += inner.options
    return found


def _is_here(given: list[tuple[str, str]]) -> bool:
    """Whether the queue is one of this server's."""
    server = dict(given).get("q", "").partition("@")[2]
    return not server or server == SERVER


async def _wait(core: Core, job: Job) -> int:
    """Wait for the end of the job, and give its exit status."""
    entry = Entry("", job, core.arrays.get(job.array_id) if job.array_id is not None else None)
    await until_ended(core, entry.jobs)
    return max((exit_status(one) or 0) & 0xFF for one in entry.jobs)
