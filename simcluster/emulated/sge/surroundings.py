"""What a job's process sees of Grid Engine: its environment, its files, how its script is started."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from simcluster.emulated.jobs import Launch

if TYPE_CHECKING:
    from simcluster.emulated.core import Core
    from simcluster.emulated.jobs import Job

__all__ = ["Surroundings", "output_path"]

_SHELL = "/bin/bash"
_SPOOL = "/var/spool/gridengine/execd"
_UMASK = 0o022


class Surroundings:
    """See `jobs.Dialect`. The queues' shell is bash and their `shell_start_mode` `unix_behavior`: queue_conf(5)."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def job_id(self, job: Job) -> str:
        """`17`, or `17.3`."""
        return str(job.id) if job.task_id is None else f"{job.id}.{job.task_id}"

    def launch(self, job: Job, directory: str) -> Launch:
        """The script itself by the interpreter that it names, or the queue's; a command by a shell."""
        name, given = str(job.id), job.request.options
        temporary, script = posixpath.join(directory, f"{_tmp_name(job)}"), posixpath.join(directory, name)
        files = {"pe_hostfile": _hostfile(job).encode()}
        if "command" in given:
            arguments: tuple[str, ...] = (given.get("S", _SHELL), "-c", given["command"])
        else:
            files[name] = job.script
            interpreter = given.get("S") or ("" if job.script.startswith(b"#!") else _SHELL)
            arguments = (*([interpreter] if interpreter else []), script, *job.arguments)
        environment = job.environment | {
            "JOB_SCRIPT": script,
            "PE_HOSTFILE": posixpath.join(directory, "pe_hostfile"),
            "SGE_JOB_SPOOL_DIR": directory,
            "TMP": temporary,
            "TMPDIR": temporary,
        }
        environment["PATH"] = f"{temporary}:{environment['PATH']}"
        return Launch(
            arguments=arguments,
            files=files,
            directories=(_tmp_name(job),),
            environment=environment,
            cwd=job.cwd,
            streams=(job.stdin, job.stdout, job.stderr),
            memory_mb=(job.request.memory_per_cpu_mb or 0) * job.cpus if "h_vmem" in given else 0,
            umask=_UMASK,
            appends=True,
        )

    def environment(self, job: Job) -> dict[str, str]:
        """A login's variables, those that were asked for, and Grid Engine's own: qsub(1), "ENVIRONMENTAL VARIABLES"."""
        request, core = job.request, self._core
        array = core.arrays.get(job.array_id) if job.array_id is not None else None
        node = job.nodes[0] if job.nodes else ""
        own = {
            "ARC": "lx-amd64",
            "ENVIRONMENT": "BATCH",
            "HOSTNAME": node,
            "JOB_ID": str(job.id),
            "JOB_NAME": job.name,
            "NHOSTS": str(len(job.nodes)),
            "NQUEUES": str(len(job.nodes)),
            "NSLOTS": str(job.cpus),
            "QUEUE": job.partition,
            "REQNAME": job.name,
            "REQUEST": job.name,
            "RESTARTED": str(int(bool(job.restarts))),
            "SGE_ACCOUNT": job.account or "sge",
            "SGE_ARCH": "lx-amd64",
            "SGE_CELL": "default",
            "SGE_CWD_PATH": job.cwd,
            "SGE_O_HOME": request.options["home"],
            "SGE_O_HOST": request.options["submit-host"],
            "SGE_O_LOGNAME": job.user,
            "SGE_O_PATH": request.options["path"],
            "SGE_O_WORKDIR": request.options["submit-dir"],
            "SGE_ROOT": "/var/lib/gridengine",
            "SGE_STDERR_PATH": job.stderr,
            "SGE_STDIN_PATH": job.stdin,
            "SGE_STDOUT_PATH": job.stdout,
            "SGE_TASK_FIRST": str(array.first) if array else "undefined",
            "SGE_TASK_ID": str(job.task_id) if array else "undefined",
            "SGE_TASK_LAST": str(array.last) if array else "undefined",
            "SGE_TASK_STEPSIZE": str(array.step) if array else "undefined",
            "SHELL": _SHELL,
        }
        if request.options.get("pe"):
            own["PE"] = request.options["pe"].split()[0]
        if job.gpus_by_node and job.gpus_by_node[0]:
            own["CUDA_VISIBLE_DEVICES"] = own["SGE_HGR_gpu"] = ",".join(map(str, job.gpus_by_node[0]))
        return {**core.launcher.login_environment(), **request.environment, **own}

    def path(self, pattern: str, job: Job) -> str:
        """With the pseudo variables of qsub(1), `-e`, filled in."""
        values = {
            "HOME": job.request.options["home"],
            "HOSTNAME": job.nodes[0] if job.nodes else "",
            "JOB_ID": str(job.id),
            "JOB_NAME": job.name,
            "TASK_ID": str(job.task_id or 0),
            "USER": job.user,
        }
        filled = re.sub(r"\$(\w+)", lambda match: values.get(match[1], match[0]), pattern)
        return posixpath.join(job.cwd, filled)

    def notice(self, job: Job, what: str, why: str) -> str:
        """Nothing is written into a job's own files."""
        del job, what, why
        return ""


def output_path(asked: str, letter: str, *, is_array: bool, is_directory: bool) -> str:
    """The pattern for what `-o` or `-e` names, after a host that is not looked at; without one `NAME.o17`."""
    usual = f"$JOB_NAME.{letter}$JOB_ID" + (".$TASK_ID" if is_array else "")
    place = asked.rpartition(":")[2]
    return posixpath.join(place, usual) if is_directory or not place or place.endswith("/") else place


def _tmp_name(job: Job) -> str:
    return f"{job.id}.{1 if job.task_id is None else job.task_id}.{job.partition}"


def _hostfile(job: Job) -> str:
    lines = zip(job.nodes, job.cpus_by_node, strict=True)
    return "".join(f"{node} {cpus} {job.partition}@{node} UNDEFINED\n" for node, cpus in lines)
