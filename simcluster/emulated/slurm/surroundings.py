"""What a job's process sees of Slurm: its environment, its files' names, slurmstepd's words."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from simcluster.emulated.jobs import Launch
from simcluster.emulated.slurm.hostlists import compress
from simcluster.emulated.slurm.release import release_of
from simcluster.emulated.slurm.times import stamp

if TYPE_CHECKING:
    from simcluster.emulated.core import Core
    from simcluster.emulated.jobs import Job

__all__ = ["Surroundings", "dependency_text", "fill_pattern", "job_variables", "per_node", "task_count", "user_id"]

_NO_TASK = 4294967294


class Surroundings:
    """See `jobs.Dialect`."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def job_id(self, job: Job) -> str:
        """`17`, or `17_3`."""
        return str(job.id) if job.array_id is None else f"{job.array_id}_{job.task_id}"

    def launch(self, job: Job, directory: str) -> Launch:
        """The script itself, where it was submitted."""
        script = f"{directory}/slurm_script"
        interpreter = job.script[2:].partition(b"\n")[0].decode("utf-8", "replace").strip().partition(" ")[0]
        return Launch(
            arguments=(script, *job.arguments),
            files={"slurm_script": job.script},
            environment=job.environment,
            cwd=job.cwd,
            streams=(job.stdin, job.stdout, job.stderr),
            memory_mb=job.memory_by_node[0],
            umask=job.request.umask,
            appends=job.open_mode == "append",
            program_words=f"slurmstepd-{job.nodes[0]}: error: execve(): bad interpreter({interpreter}): {{}}\n",
        )

    def environment(self, job: Job) -> dict[str, str]:
        return {**job.request.environment, **job_variables(job, self._core)}

    def path(self, pattern: str, job: Job) -> str:
        """As sbatch(1) has it under "filename pattern"; without a pattern the usual file."""
        usual = "slurm-%j.out" if job.array_id is None else "slurm-%A_%a.out"
        values = {
            "A": str(job.id if job.array_id is None else job.array_id),
            "a": str(_NO_TASK if job.task_id is None else job.task_id),
            "j": str(job.id),
            "J": str(job.id),
            "N": job.nodes[0] if job.nodes else "",
            "n": "0",
            "s": "batch",
            "t": "0",
            "u": job.user,
            "x": job.name,
        }

        return posixpath.join(job.cwd, fill_pattern(pattern or usual, values))

    def notice(self, job: Job, what: str, why: str) -> str:
        """Of slurmstepd, when a job is being ended."""
        if not what:
            return ""
        moment = stamp(job.ended)
        node = job.nodes[0]
        return f"slurmstepd-{node}: error: *** JOB {job.id} ON {node} {what} AT {moment}{why} ***\n"


def fill_pattern(pattern: str, values: dict[str, str]) -> str:
    """`%5j` and its kin, from values by letter; a backslash anywhere turns this off."""

    def fill(match: re.Match[str]) -> str:
        width, letter = match[1], match[2]
        if letter == "%":
            return "%"
        value = values.get(letter)
        return match[0] if value is None else value.zfill(min(int(width or 0), 10))

    if "\\" in pattern:
        return pattern.replace("\\", "")
    return re.sub(r"%(\d*)([%AajJNnstux])", fill, pattern)


def job_variables(job: Job, core: Core) -> dict[str, str]:
    """What Slurm itself sets in a job's script."""
    found = {**_general(job, core), **_asked_for(job), **_array(job, core)} | _of_release(job, core)
    if not core.accounting:
        del found["SLURM_JOB_QOS"]
        if job.account is None:
            del found["SLURM_JOB_ACCOUNT"]
    return found


def _of_release(job: Job, core: Core) -> dict[str, str]:
    if not release_of(core).sets_times_of_jobs or job.started is None:
        return {}
    end = {"SLURM_JOB_END_TIME": str(int(job.started) + job.limit)} if job.limit else {}
    return {"SLURM_JOB_START_TIME": str(int(job.started)), "SLURM_OOM_KILL_STEP": "0", **end}


def user_id(core: Core, user: str) -> int:
    """The number of a user: root's 0, and 1000 for one that nobody has given a number."""
    return 0 if user == "root" else core.settings.user_ids.get(user, 1000)


def task_count(job: Job) -> int:
    """How many tasks the job was submitted for; at least one on each of its nodes."""
    return max(job.request.tasks, job.need.min_nodes if job.need else 1)


def dependency_text(job: Job, *, with_states: bool = True) -> str:
    """`afterok:143(unfulfilled)`, of what is not yet fulfilled."""
    if job.dependency is None:
        return ""
    shown = []
    for condition in job.dependency.conditions:
        if with_states and condition.state == "fulfilled":
            continue
        text = condition.kind
        if condition.kind != "singleton":
            text += f":{condition.job_id}"
            is_array = condition.kind == "aftercorr" or condition.is_array
            if condition.task_id is not None:
                text += f"_{condition.task_id}"
            elif is_array:
                text += "_*"
            if condition.delay:
                text += f"+{condition.delay // 60}"
        shown.append(f"{text}({condition.state})" if with_states else text)
    return ("?" if job.dependency.is_any else ",").join(shown)


def _general(job: Job, core: Core) -> dict[str, str]:
    node = job.nodes[0] if job.nodes else ""
    identity = str(user_id(core, job.user))
    nodes = compress(job.nodes)
    return {
        "ENVIRONMENT": "BATCH",
        "HOSTNAME": node,
        "TMPDIR": job.request.environment.get("TMPDIR", "/tmp"),  # noqa: S108
        "SLURMD_NODENAME": node,
        "SLURM_CLUSTER_NAME": core.cluster_name,
        "SLURM_CONF": "/etc/slurm/slurm.conf",
        "SLURM_CPUS_ON_NODE": str(job.cpus_by_node[0] if job.cpus_by_node else 0),
        "SLURM_GTIDS": "0",
        "SLURM_JOBID": str(job.id),
        "SLURM_JOB_ACCOUNT": job.account or core.settings.accounts[0],
        "SLURM_JOB_CPUS_PER_NODE": per_node(job.cpus_by_node),
        "SLURM_JOB_GID": identity,
        "SLURM_JOB_ID": str(job.id),
        "SLURM_JOB_NAME": job.name,
        "SLURM_JOB_NODELIST": nodes,
        "SLURM_JOB_NUM_NODES": str(len(job.nodes)),
        "SLURM_JOB_PARTITION": job.partition,
        "SLURM_JOB_QOS": job.qos or "normal",
        "SLURM_JOB_UID": identity,
        "SLURM_JOB_USER": job.user,
        "SLURM_LOCALID": "0",
        "SLURM_NNODES": str(len(job.nodes)),
        "SLURM_NODEID": "0",
        "SLURM_NODELIST": nodes,
        "SLURM_NODE_ALIASES": "(null)",
        "SLURM_PRIO_PROCESS": "0",
        "SLURM_PROCID": "0",
        "SLURM_SUBMIT_DIR": job.request.options.get("submit-dir", job.cwd),
        "SLURM_SUBMIT_HOST": job.request.options.get("submit-host", core.settings.controller),
        "SLURM_TASKS_PER_NODE": per_node(_tasks_by_node(job)),
        "SLURM_TOPOLOGY_ADDR": node,
        "SLURM_TOPOLOGY_ADDR_PATTERN": "node",
        "SLURM_WORKING_CLUSTER": f"{core.cluster_name}:{core.settings.controller}:6817:9728:109",
    }


def _asked_for(job: Job) -> dict[str, str]:
    """Variables that are there only where an option was given."""
    request, given = job.request, job.request.options
    found = {}
    if "cpus-per-task" in given:
        found["SLURM_CPUS_PER_TASK"] = str(request.cpus_per_task)
    if "ntasks" in given or "ntasks-per-node" in given:
        found["SLURM_NTASKS"] = found["SLURM_NPROCS"] = str(task_count(job))
    if "ntasks-per-node" in given:
        found["SLURM_NTASKS_PER_NODE"] = str(request.tasks_per_node)
    if request.is_overcommitted:
        found["SLURM_OVERCOMMIT"] = "1"
    if request.memory_mb:
        found["SLURM_MEM_PER_NODE"] = str(request.memory_mb)
    elif request.memory_mb is None and job.need is not None:
        found["SLURM_MEM_PER_CPU"] = str(job.need.memory_per_cpu_mb)
    if "open-mode" in given:
        found["SLURM_OPEN_MODE"] = given["open-mode"][:1]  # so that the steps open their files alike
    if "dependency" in given:
        found["SLURM_JOB_DEPENDENCY"] = dependency_text(job, with_states=False)
    if job.restarts:
        found["SLURM_RESTART_COUNT"] = str(job.restarts)
    if job.gpus_by_node:
        found["CUDA_VISIBLE_DEVICES"] = found["GPU_DEVICE_ORDINAL"] = found["SLURM_JOB_GPUS"] = ",".join(
            map(str, job.gpus_by_node[0])
        )
        found["SLURM_GPUS_ON_NODE"] = str(job.gpus)
    return found


def _array(job: Job, core: Core) -> dict[str, str]:
    array = core.arrays.get(job.array_id) if job.array_id is not None else None
    if array is None:
        return {}
    return {
        "SLURM_ARRAY_JOB_ID": str(array.id),
        "SLURM_ARRAY_TASK_ID": str(job.task_id),
        "SLURM_ARRAY_TASK_COUNT": str(array.total),
        "SLURM_ARRAY_TASK_MAX": str(array.last),
        "SLURM_ARRAY_TASK_MIN": str(array.first),
        "SLURM_ARRAY_TASK_STEP": str(array.step),
    }


def _tasks_by_node(job: Job) -> tuple[int, ...]:
    if job.request.is_exclusive and job.request.tasks_per_node:
        return (job.request.tasks_per_node,) * len(job.nodes)
    tasks = task_count(job)
    if job.request.is_overcommitted:
        nodes = max(1, len(job.nodes))
        return tuple(tasks // nodes + (place < tasks % nodes) for place in range(len(job.nodes)))
    return tuple(max(1, min(cpus // job.request.cpus_per_task, tasks)) for cpus in job.cpus_by_node)


def per_node(counts: tuple[int, ...]) -> str:
    """`4(x2),1`."""
    runs: list[list[int]] = []
    for count in counts:
        if runs and runs[-1][0] == count:
            runs[-1][1] += 1
        else:
            runs.append([count, 1])
    return ",".join(str(count) if times == 1 else f"{count}(x{times})" for count, times in runs)
