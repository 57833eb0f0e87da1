"""qstat: jobs, queues and the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcluster.emulated.interface import Reply
from simcluster.emulated.pbs.attributes import dependents, job_attributes
from simcluster.emulated.pbs.formats import as_lines, as_one_line, json_document, nested
from simcluster.emulated.pbs.getopt import Options
from simcluster.emulated.pbs.identifiers import Entry, MalformedIdError, entries, find, full, is_job_id
from simcluster.emulated.pbs.queues import queue_list, queue_report, server_report
from simcluster.emulated.pbs.states import is_finished, letter
from simcluster.emulated.pbs.tables import alternative_table, plain_table
from simcluster.emulated.pbs.words import UNKNOWN_JOB, UNKNOWN_QUEUE, VERSION, DeniedError, usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simcluster.emulated.command_line import CommandLine
    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Call

__all__ = ["qstat"]

_OPTIONS = Options("qstat", "afinpqrstu:wxBD:EF:GHJMQT1", refused="GMT")

_USAGE = """\
usage:\x20
qstat [-f] [-J] [-p] [-t] [-x] [-E] [-F format | -w] [-D delim] [ job_identifier... | destination... ]
qstat [-a|-i|-r|-H|-T] [-J] [-t] [-u user] [-n] [-s] [-G|-M] [-1] [-w]
	[ job_identifier... | destination... ]
qstat -Q [-f] [-F format] [-D delim] [ destination... ]
qstat -q [-G|-M] [ destination... ]
qstat -B [-f] [-F format] [-D delim] [ server_name... ]
qstat --version
"""
_FINISHED = "qstat: {} Job has finished, use -x or -H to obtain historical job information\n"
_CONFLICT = "qstat: conflicting options.\n"
_STATES = {"i": "EHQTW", "r": "RS", "H": "MFX"}


def qstat(core: Core, call: Call) -> Reply:
    """Exit codes: 35 for a finished job without -x, 153 for an unknown one, 170 for an unknown queue, 2 for usage."""
    if call.arguments == ("--version",):
        return Reply(f"pbs_version = {VERSION}\n")
    line = _OPTIONS.parse(call.arguments)
    errors = [*line.errors, *_conflicts(line)]
    if errors or line.last("F", "default").lower() not in {"default", "json", "dsv"}:
        return usage("qstat", _USAGE, tuple(errors))
    if line.has("B"):
        return server_report(core, line)
    if line.has("Q"):
        return queue_report(core, line)
    if line.has("q"):
        return queue_list(core, line)
    return _Jobs(core, line).report()


def _conflicts(line: CommandLine) -> list[str]:
    found = []
    shapes = {option for option, _ in line.options if option in "airqH"}
    if len(shapes) > 1 or (line.has("F") and not line.has("f")) or (line.has("q") and line.has("f")):
        found.append(_CONFLICT)
    if line.has("1") and not line.has("n", "s"):
        found.append(_CONFLICT)
    if line.has("w") and line.last("F", "default").lower() != "default":
        found.append("qstat: option w cannot be used with -F\n")
    if line.has("D") and line.last("F").lower() != "dsv":
        found.append("")
    return found


class _Jobs:
    """One call's answer about jobs."""

    def __init__(self, core: Core, line: CommandLine) -> None:
        self._core, self._line = core, line
        self._errors: list[str] = []
        self._code = 0

    def report(self) -> Reply:
        """What is printed, for all jobs or for each of the operands in turn."""
        groups = self._groups()
        full_format = self._line.has("f") and not self._line.has("n", "s")
        out = self._full(groups) if full_format else self._tables(groups)
        return Reply(out, "".join(self._errors), self._code)

    def _groups(self) -> list[list[Entry]]:
        """For each operand what it names. In JSON, nothing is shown of those behind an unknown one."""
        if not self._line.rest:
            return [self._all()]
        groups = []
        for word in self._line.rest:
            groups.append(self._chosen(word))
            if self._code == UNKNOWN_JOB.code and self._line.last("F").lower() == "json":
                break
        return groups

    def _all(self, queue: str = "") -> list[Entry]:
        return [
            entry
            for entry in entries(self._core, with_elements=self._line.has("t"))
            if (not queue or entry.job.partition == queue) and self._is_wanted(entry)
        ]

    def _is_wanted(self, entry: Entry) -> bool:
        line = self._line
        state = letter(self._core, entry)
        if entry.array is None and entry.job.task_id is not None:
            is_history = self._core.arrays[entry.job.array_id or 0].is_over
        else:
            is_history = is_finished(entry)
        if is_history and not line.has("x", "H"):
            return False
        if line.has("J") and entry.array is None:
            return False
        users = line.last("u")
        if users and entry.job.user not in {user.partition("@")[0] for user in users.split(",")}:
            return False
        return all(state in letters for option, letters in _STATES.items() if line.has(option))

    def _chosen(self, word: str) -> list[Entry]:
        """What an operand names; its error is kept."""
        if not is_job_id(word):
            queue = word.partition("@")[0]
            if queue and queue not in self._core.partitions:
                return self._fail(f"qstat: {UNKNOWN_QUEUE.text} destination {word}\n", UNKNOWN_QUEUE.code)
            return self._all(queue)
        try:
            entry = find(self._core, full(word))
        except MalformedIdError:
            return self._fail(f"qstat: illegally formed job identifier: {word}\n", 1)
        except DeniedError as error:
            return self._fail(f"qstat: {error.text} {full(word)}\n", error.code)
        job = entry.job
        whole = self._core.arrays.get(job.array_id) if job.array_id is not None else None
        if is_finished(Entry("", job, whole)) and not self._line.has("x", "H"):
            return self._fail(_FINISHED.format(entry.id), 35)
        if entry.array is not None and self._line.has("t"):
            inner = [Entry(element.full_id, element) for element in entry.jobs]
            return [entry, *inner]
        return [entry]

    def _fail(self, text: str, code: int) -> list[Entry]:
        self._errors.append(text)
        self._code = code
        return []

    def _full(self, groups: Sequence[list[Entry]]) -> str:
        waiting = dependents(self._core)
        shown = [(entry.id, job_attributes(self._core, entry, waiting)) for group in groups for entry in group]
        style = self._line.last("F", "default").lower()
        if style == "json":
            jobs = {name: nested(attributes) for name, attributes in shown}
            return json_document("Jobs", jobs or None)
        if style == "dsv":
            delimiter = self._line.last("D", "|")
            return "".join(as_one_line("Job Id", name, attributes, delimiter) for name, attributes in shown)
        return "".join(as_lines("Job Id", name, attributes, is_wide=self._line.has("w")) for name, attributes in shown)

    def _tables(self, groups: Sequence[list[Entry]]) -> str:
        """The head comes with the first operand only, and not at all if that is an error."""
        line = self._line
        make = alternative_table if line.has("a", "i", "r", "H", "u", "n", "s", "1") else plain_table
        return "".join(
            make(self._core, line, group, with_head=not number) for number, group in enumerate(groups) if group
        )
