"""qstat -j: all that is known of a job that waits or runs."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from simcluster.emulated.jobs import State
from simcluster.emulated.sge.words import is_in_error, long_time, short_time

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simcluster.emulated.core import Core
    from simcluster.emulated.jobs import Job

__all__ = ["details", "details_xml"]

_SCHEMA = "http://arc.liv.ac.uk/repos/darcs/sge/source/dist/util/resources/schemas/qstat/detailed_job_info.xsd"


def details(core: Core, job: Job) -> str:
    """The lines of a job, or of a whole array."""
    text = "=" * 62 + "\n"
    for name, value in _lines(core, job):
        text += f"{name + ':':<28}{value}\n"
    return text


def _lines(core: Core, job: Job) -> list[tuple[str, str]]:
    request, options = job.request, job.request.options
    uid = str(core.settings.user_ids.get(job.user, 1000))
    tasks = core.find(job.id)
    lines = [
        ("job_number", str(job.id)),
        ("exec_file", f"job_scripts/{job.id}"),
        ("submission_time", long_time(job.submitted)),
        ("owner", job.user),
        ("uid", uid),
        ("group", job.user),
        ("gid", uid),
        ("sge_o_home", options["home"]),
        ("sge_o_log_name", job.user),
        ("sge_o_path", options["path"]),
        ("sge_o_workdir", options["submit-dir"]),
        ("sge_o_host", options["submit-host"]),
        *([("execution_time", long_time(request.begin))] if request.begin else []),
        ("account", job.account or "sge"),
        ("cwd", job.cwd),
        *([("merge", "y")] if options.get("j", "n").startswith("y") else []),
        *([("hard resource_list", options["resources"])] if options["resources"] else []),
        ("mail_list", f"{job.user}@{options['submit-host']}"),
        ("notify", "FALSE"),
        ("job_name", job.name),
        *([("stderr_path_list", f"NONE:NONE:{options['e']}")] if "e" in options else []),
        *([("stdout_path_list", f"NONE:NONE:{options['o']}")] if "o" in options else []),
        ("jobshare", "0"),
        *([("hard_queue_list", options["q"])] if "q" in options else []),
        ("env_list", ",".join(f"{n}={v}" for n, v in request.environment.items()) or "TERM=NONE"),
        ("script_file", options["script-file"]),
        *([("parallel environment", " range: ".join(options["pe"].split()))] if "pe" in options else []),
        *_neighbours(core, job),
        *_array_lines(job),
        ("binding", "NONE"),
        ("job_type", "NONE"),
    ]
    for task in tasks:
        number = task.task_id or 1
        if task.state in {State.RUNNING, State.SUSPENDED} or task.is_completing:
            usage = "cpu=00:00:00, mem=0.00000 GB s, io=0.00000 GB, vmem=N/A, maxvmem=N/A"
            lines += [(f"usage {number:>9}", usage), (f"binding {number:>7}", "NONE")]
        elif is_in_error(task):
            attempt = task.attempts[-1]
            lines.append((f"error reason {number:>10}", f"     {short_time(attempt.end)} can't start the job"))
    return [*lines, ("scheduling info", _why(job))]


def _array_lines(job: Job) -> list[tuple[str, str]]:
    if job.request.array is None:
        return []
    limit = [("maximum concurrency", str(job.request.array_limit))] if job.request.array_limit else []
    return [("job-array tasks", job.request.options["tasks"]), *limit]


def _neighbours(core: Core, job: Job) -> list[tuple[str, str]]:
    before = _predecessors(job)
    after = sorted({other.id for other in core.known if job.id in _predecessors(other)})
    lines = []
    if before:
        numbers = ",".join(map(str, before))
        asked = job.request.options["hold_jid"]
        lines += [("jid_predecessor_list (req)", asked), ("jid_predecessor_list", numbers)]
    return lines + ([("jid_successor_list", ",".join(map(str, after)))] if after else [])


def _predecessors(job: Job) -> list[int]:
    if job.state is not State.PENDING or job.dependency is None:
        return []
    return [condition.job_id for condition in job.dependency.conditions if condition.state != "fulfilled"]


def _why(job: Job) -> str:
    if job.state is not State.PENDING:
        return "There are no messages available"
    if is_in_error(job):
        return "Job is in error state"
    return {
        "Dependency": "job dropped because of job dependencies",
        "BeginTime": "start time not reached",
        "JobHeldUser": "job dropped because of user hold",
        "JobArrayTaskLimit": "not all array tasks may be started due to 'max_aj_instances'",
        "Resources": "no host can provide all requested resources now",
        "Priority": "jobs of higher priority wait for the same resources",
    }.get(job.reason, "There are no messages available")


def details_xml(core: Core, jobs: Iterable[Job]) -> str:
    """The elements that programs read, under the names of the real ones."""
    text = f"<?xml version='1.0'?>\n<detailed_job_info  xmlns:xsd=\"{_SCHEMA}\">\n  <djob_info>\n"
    for job in jobs:
        text += "    <element>\n"
        for name, value in _xml_fields(core, job).items():
            text += f"      <{name}>{escape(value)}</{name}>\n"
        text += "      <JB_ja_tasks>\n"
        for task in core.find(job.id):
            if task.started is not None and not task.has_ended:
                text += (
                    "        <ulong_sublist>\n          <JAT_status>128</JAT_status>\n"
                    f"          <JAT_task_number>{task.task_id or 1}</JAT_task_number>\n"
                    f"          <JAT_start_time>{int(task.started)}</JAT_start_time>\n        </ulong_sublist>\n"
                )
        text += "      </JB_ja_tasks>\n    </element>\n"
    return f"{text}  </djob_info>\n</detailed_job_info>\n"


def _xml_fields(core: Core, job: Job) -> dict[str, str]:
    uid = str(core.settings.user_ids.get(job.user, 1000))
    return {
        "JB_job_number": str(job.id),
        "JB_exec_file": f"job_scripts/{job.id}",
        "JB_submission_time": str(int(job.submitted)),
        "JB_owner": job.user,
        "JB_uid": uid,
        "JB_group": job.user,
        "JB_gid": uid,
        "JB_account": job.account or "sge",
        "JB_job_name": job.name,
        "JB_script_file": job.request.options["script-file"],
        "JB_cwd": job.cwd,
    }
