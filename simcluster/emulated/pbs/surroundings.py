"""What a job's process sees of PBS: its environment, its files, the words of its node's pbs_mom."""

from __future__ import annotations

import posixpath
from hashlib import md5
from typing import TYPE_CHECKING

from simcluster.emulated.jobs import Launch, State
from simcluster.emulated.pbs import identifiers
from simcluster.emulated.pbs.submission import submission
from simcluster.emulated.pbs.words import SERVER

if TYPE_CHECKING:
    from simcluster.emulated.core import Core
    from simcluster.emulated.jobs import Job
    from simcluster.emulated.pbs.submission import Submission

__all__ = ["Surroundings", "chunk_nodes", "default_path"]

_SHELLS = {"bash", "dash", "ksh", "sh", "zsh"}
_UMASK = 0o077
_DELIVERY_DELAYS = (31, 11, 31, 21)
"""Seconds between pbs_mom's attempts to copy output, and after the last one."""


class Surroundings:
    """See `jobs.Dialect`."""

    def __init__(self, core: Core, submission: Submission) -> None:
        self._core = core
        self.submission = submission

    def job_id(self, job: Job) -> str:
        """`17.pbs` or `17[3].pbs`."""
        return identifiers.job_id(job)

    def launch(self, job: Job, directory: str) -> Launch:
        """A login shell that reads the script's path, as pbs_mom starts it; or what followed `--`, with no shell at all."""
        self._take_slots(job)
        given, name = self.submission, self.job_id(job)
        files = {name: "".join(f"{node}\n" for node in _node_lines(job, given)).encode()}
        arguments, program, stdin = given.command or (), None, "/dev/null"
        if given.command is None:
            program = given.shell or "/bin/bash"
            shell = posixpath.basename(program)
            script = f"{directory}/{name}.SC"
            # pbs_mom spares the shell when it sends TERM to the job; what the shell starts has no such trap.
            before = "trap : TERM; " if shell in _SHELLS else ""
            if job.script:  # of an empty one pbs_mom makes no file, which the shell then misses
                files[f"{name}.SC"] = job.script
            files |= {f"{name}.in": f"{before}{script}\n".encode()}
            arguments, stdin = (f"-{shell}",), f"{directory}/{name}.in"
        streams, deliveries = self._output(job, directory)
        return Launch(
            arguments=arguments,
            program=program,
            files=files,
            directories=("tmp",),
            environment=_variables(job, given, directory),
            cwd=given.home,
            streams=(stdin, *streams),
            umask=_UMASK if given.umask is None else given.umask,
            appends=True,
            program_words="pbs_mom: {}\n",
            deliveries=deliveries,
            delivery_delays=_DELIVERY_DELAYS,
        )

    def environment(self, job: Job) -> dict[str, str]:
        """What the job's variables are before its node has added its own."""
        return {**dict(self.submission.variables), "PBS_JOBID": self.job_id(job)}

    def path(self, pattern: str, job: Job) -> str:
        """A path with the element's number filled in."""
        return pattern.replace("^array_index^", "" if job.task_id is None else str(job.task_id))

    def notice(self, job: Job, what: str, why: str) -> str:
        """Of pbs_mom, when a job is over one of its limits."""
        del what, why
        if job.state is State.TIMEOUT:
            elapsed = max(int((job.ended or 0) - (job.started or 0)), (job.limit or 0) + 1)
            return f"=>> PBS: job killed: walltime {elapsed} exceeded limit {job.limit}\n"
        if job.state is State.OUT_OF_MEMORY:
            limit = self.submission.resources.chunk.mem_kb * self.submission.resources.chunk.count
            return f"=>> PBS: job killed: mem {limit + 4}kb exceeded limit {limit}kb\n"
        return ""

    def _take_slots(self, job: Job) -> None:
        """On each node the lowest number that no other job has there: the one in `node1/0*2`."""
        slots = []
        for name in job.nodes:
            taken = {
                slot
                for other in self._core.nodes[name].jobs
                if other is not job
                for node, slot in zip(other.nodes, other.slots, strict=False)
                if node == name
            }
            slots.append(next(number for number in range(len(taken) + 1) if number not in taken))
        job.slots = tuple(slots)

    def _output(self, job: Job, directory: str) -> tuple[tuple[str, str], tuple[tuple[str, str], ...]]:
        """Where stdout and stderr go, and what is brought where when the job is over."""
        given = self.submission
        kept = "oe" if given.join == "n" else given.join[0]
        places, deliveries = {}, []
        for letter, suffix, asked in (("o", "OU", given.output), ("e", "ER", given.error)):
            wanted = asked or default_path(job, letter)
            final = self.path(wanted.partition(":")[2] if ":" in wanted else wanted, job)
            if letter in given.keep:
                usual = posixpath.join(given.home, posixpath.basename(self.path(default_path(job, letter), job)))
                places[letter] = final if "d" in given.keep else usual
                continue
            places[letter] = f"{directory}/{self.job_id(job)}.{suffix}"
            if letter in kept and letter not in (given.remove or ""):
                deliveries.append((places[letter], final))
        if given.join != "n":
            places = dict.fromkeys("oe", places[given.join[0]])
        return (places["o"], places["e"]), tuple(deliveries)


def default_path(job: Job, letter: str) -> str:
    """`NAME.o17` or `NAME.o17.^array_index^` where `qsub` ran."""
    suffix = "" if job.array_id is None else ".^array_index^"
    given = submission(job)
    return posixpath.join(given.directory, f"{given.name}.{letter}{job.id}{suffix}")


def chunk_nodes(job: Job, given: Submission) -> list[tuple[str, int]]:
    """For each chunk its node, with the node's place among the job's."""
    found = []
    ncpus = max(1, given.resources.chunk.ncpus)
    for place, (name, cpus) in enumerate(zip(job.nodes, job.cpus_by_node, strict=True)):
        found += [(name, place)] * max(1, cpus // ncpus)
    return found[: given.resources.chunk.count]


def _node_lines(job: Job, given: Submission) -> list[str]:
    processes = given.resources.chunk.mpiprocs
    return [name for name, _ in chunk_nodes(job, given) for _ in range(1 if processes is None else processes)]


def _variables(job: Job, given: Submission, directory: str) -> dict[str, str]:
    name, chunk = identifiers.job_id(job), given.resources.chunk
    own = {
        "HOME": given.home,
        "LOGNAME": job.user,
        "USER": job.user,
        "SHELL": "/bin/bash",
        "ENVIRONMENT": "BATCH",
        "NCPUS": str(chunk.ncpus),
        "OMP_NUM_THREADS": str(chunk.ompthreads or chunk.ncpus),
        "PBS_ENVIRONMENT": "PBS_BATCH",
        "PBS_JOBCOOKIE": md5(f"{name}{job.started}".encode(), usedforsecurity=False).hexdigest().upper(),
        "PBS_JOBDIR": given.home,
        "PBS_JOBID": name,
        "PBS_JOBNAME": job.name,
        "PBS_MOMPORT": "15003",
        "PBS_NODEFILE": f"{directory}/{name}",
        "PBS_NODENUM": "0",
        "PBS_QUEUE": job.partition,
        "PBS_TASKNUM": "1",
        "TMPDIR": posixpath.join(directory, "tmp"),
    }
    if job.task_id is not None:
        own |= {"PBS_ARRAY_INDEX": str(job.task_id), "PBS_ARRAY_ID": f"{job.array_id}[].{SERVER}"}
    if job.gpus_by_node and job.gpus_by_node[0]:
        own["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, job.gpus_by_node[0]))
    return {"PATH": "/bin:/usr/bin", **dict(given.variables), **own}
