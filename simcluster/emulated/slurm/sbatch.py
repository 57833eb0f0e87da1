"""sbatch: from a script and options to a job."""

from __future__ import annotations

import posixpath
from dataclasses import replace
from typing import TYPE_CHECKING

from simcluster.emulated.interface import Reply
from simcluster.emulated.jobs import State
from simcluster.emulated.refusals import Refusal, RefusedError
from simcluster.emulated.slurm.job_script import ScriptError, check_script, directives, wrapped
from simcluster.emulated.slurm.options import UsageError, log_refusal, table
from simcluster.emulated.slurm.requests import InvalidOptionError, make_request, refuse_what_is_not_here
from simcluster.emulated.slurm.times import stamp
from simcluster.emulated.slurm.words import strerror
from simcluster.emulated.submission import make_job
from simcluster.emulated.waiting import until_ended

if TYPE_CHECKING:
    from simcluster.emulated.command_line import CommandLine
    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Call
    from simcluster.emulated.jobs import Job, Request

__all__ = ["sbatch"]

_TABLE = table(
    "sbatch",
    stops_early=True,
    flags="""hold/H overcommit/O parsable quiet/Q wait/W test-only requeue no-requeue oversubscribe/s
    contiguous ignore-pbs version/V""",
    optional="get-user-env exclusive nice",
    valued="""account/A array/a begin/b chdir/D clusters/M comment constraint/C cpus-per-task/c dependency/d
    error/e exclude/x export gpus/G gpus-per-node gres input/i job-name/J kill-on-invalid-dep
    licenses/L mail-type mail-user mem mem-per-cpu nodelist/w nodes/N ntasks/n ntasks-per-node open-mode output/o
    partition/p priority qos/q reservation signal time/t wckey wrap""",
    refused="""acctg-freq= batch= bb= bbf= cluster-constraint= container= core-spec/S= cores-per-socket= cpu-freq=
    cpus-per-gpu= deadline= delay-boot= distribution/m= export-file= extra-node-info/B= gid= gpu-bind= gpu-freq= gpus-per-socket=
    gpus-per-task= gres-flags= help/h hint= mcs-label= mem-bind= mem-per-gpu= mincpus= network= no-kill/k nodefile/F=
    ntasks-per-core= ntasks-per-gpu= ntasks-per-socket= ntasks-per-tres= power= profile= propagate= reboot sockets-per-node=
    spread-job switches= thread-spec= threads-per-core= time-min= tmp= uid= usage use-min-nodes verbose/v
    wait-all-nodes=""",
)

_VARIABLES = {
    "SBATCH_ACCOUNT": "account",
    "SBATCH_ARRAY_INX": "array",
    "SBATCH_CONSTRAINT": "constraint",
    "SBATCH_ERROR": "error",
    "SBATCH_EXCLUSIVE": "exclusive",
    "SBATCH_EXPORT": "export",
    "SBATCH_GPUS": "gpus",
    "SBATCH_GRES": "gres",
    "SBATCH_INPUT": "input",
    "SBATCH_JOB_NAME": "job-name",
    "SBATCH_MEM_PER_CPU": "mem-per-cpu",
    "SBATCH_MEM_PER_NODE": "mem",
    "SBATCH_NO_REQUEUE": "no-requeue",
    "SBATCH_OPEN_MODE": "open-mode",
    "SBATCH_OUTPUT": "output",
    "SBATCH_OVERCOMMIT": "overcommit",
    "SBATCH_PARTITION": "partition",
    "SBATCH_QOS": "qos",
    "SBATCH_REQUEUE": "requeue",
    "SBATCH_RESERVATION": "reservation",
    "SBATCH_SIGNAL": "signal",
    "SBATCH_TIMELIMIT": "time",
    "SBATCH_WAIT": "wait",
    "SBATCH_WCKEY": "wckey",
}


async def sbatch(core: Core, call: Call) -> Reply:
    """Exit codes: 255 for options that make no sense, 1 for what is refused, with `--wait` the job's."""
    try:
        line = _TABLE.parse(call.arguments)
        if line.has("version"):
            return Reply(f"slurm-wlm {core.settings.version}\n")
        script, command = _script(core, call, line)
        inner = _TABLE.parse(directives(script))
        if inner.rest:
            raise InvalidOptionError(f"Invalid directive found in batch script: {inner.rest[0]}")
        from_environment = [(_VARIABLES[key], value) for key, value in call.environment.items() if key in _VARIABLES]
        if directives(script, "#PBS") and not (line.has("ignore-pbs") or inner.has("ignore-pbs")):
            log_refusal("sbatch", "#PBS lines in a script")
            raise InvalidOptionError("#PBS lines are not emulated; remove them or give --ignore-pbs", 1)
        options = (*inner.options, *from_environment, *line.options)
        request = make_request(core, call, options, script=script, command=command, rest=line.rest)
    except UsageError as error:
        return Reply(stderr=str(error), code=255)
    except ScriptError as error:
        return Reply(stderr=f"sbatch: error: {error.text}\n", code=error.code)
    except InvalidOptionError as error:
        return Reply(stderr=f"{error.before}sbatch: {error.kind}: {error.text}\n", code=error.code)
    try:
        given = dict(options)
        if "test-only" in given:
            return _test(core, request)
        refuse_what_is_not_here(core, given)
        job = core.submit(request)
    except RefusedError as error:
        return _refusal(error)
    number = job.array_id or job.id
    elsewhere = given.get("clusters", "")
    text = "" if "quiet" in given else f"Submitted batch job {number}{elsewhere and f' on cluster {elsewhere}'}\n"
    text = f"{number}{elsewhere and f';{elsewhere}'}\n" if "parsable" in given else text
    return Reply(text, code=await _wait(core, job) if "wait" in given else 0)


def _script(core: Core, call: Call, line: CommandLine) -> tuple[bytes, str]:
    """The script's text and the path that `scontrol show job` names as the command."""
    if line.has("wrap"):
        if line.rest:
            raise ScriptError("Script arguments not permitted with --wrap option")
        return wrapped(line.last("wrap")), ""
    if not line.rest or line.rest[0] == "/dev/stdin":
        script, path = call.stdin, line.rest[0] if line.rest else ""
    else:
        name = line.rest[0]
        path = posixpath.join(call.cwd, name)
        try:
            script = core.launcher.read_script(name, call.cwd)
        except IsADirectoryError:
            script = b""
        except FileNotFoundError:
            raise ScriptError(f"Unable to open file {name}") from None
        except OSError:
            raise ScriptError(f"Unable to open file {path}") from None
    check_script(script)
    return script, path


def _refusal(error: RefusedError) -> Reply:
    before = {
        "cpus": "sbatch: error: CPU count per node can not be satisfied\n",
        "memory": "sbatch: error: Memory specification can not be satisfied\n",
    }.get(error.detail, "")
    if error.refusal is Refusal.UNKNOWN_PARTITION:
        before = f"sbatch: error: invalid partition specified: {error.detail or '(null)'}\n"
    if error.refusal is Refusal.NO_GPUS:
        return Reply(stderr=f"sbatch: error: {strerror(error)}\n", code=1)
    return Reply(stderr=f"{before}sbatch: error: Batch job submission failed: {strerror(error)}\n", code=1)


def _test(core: Core, request: Request) -> Reply:
    try:
        core.site.check_before_numbering(request)
        number, now = core.next_number(), core.clock.time()
        job = make_job(replace(request, is_held=False), number, core.site, now, 1)
    except RefusedError as error:
        return Reply(stderr=f"allocation failure: {strerror(error)}\n", code=1)
    start, nodes = core.expect(job)
    return Reply(
        stderr=f"sbatch: Job {number} to start at {stamp(start)} using {job.cpus} processors on nodes {nodes}"
        f" in partition {job.partition}\n"
    )


async def _wait(core: Core, job: Job) -> int:
    """Wait for the end of the job, of all elements of an array, and give the highest exit code."""
    elements = core.find(job.array_id or job.id)
    await until_ended(core, elements)
    return max(1 if e.signal or (e.state is not State.COMPLETED and not e.exit_code) else e.exit_code for e in elements)
