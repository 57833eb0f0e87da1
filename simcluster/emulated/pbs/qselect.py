"""qselect: the ids of jobs that are so and so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcluster.emulated.interface import Reply
from simcluster.emulated.pbs.getopt import Options
from simcluster.emulated.pbs.identifiers import entries
from simcluster.emulated.pbs.states import hold_types, is_finished, letter
from simcluster.emulated.pbs.submission import submission
from simcluster.emulated.pbs.words import UNKNOWN_QUEUE, VERSION, usage

if TYPE_CHECKING:
    from simcluster.emulated.command_line import CommandLine
    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Call
    from simcluster.emulated.pbs.identifiers import Entry

__all__ = ["qselect"]

_OPTIONS = Options("qselect", "a:A:c:h:HJl:N:p:q:r:s:t:Tu:xP:", refused="aclptT")
_USAGE = """\
usage: qselect [-a [op]date_time] [-A account_string] [-c [op]interval]
	[-h hold_list] [-H] [-J] [-l resource_list] [-N name] [-p [op]priority]
	[-q destination] [-r y|n] [-s states] [-t subopt[op]date_time] [-T] [-P project_name]
	[-x] [-u user_name]
       qselect --version
"""


def qselect(core: Core, call: Call) -> Reply:
    """Without -x or -H only what is not history."""
    if call.arguments == ("--version",):
        return Reply(f"pbs_version = {VERSION}\n")
    line = _OPTIONS.parse(call.arguments)
    if line.errors or line.rest:
        return usage("qselect", _USAGE, line.errors)
    queue = line.last("q").partition("@")[0]
    if queue and queue not in core.partitions:
        return Reply(stderr=f"qselect: {UNKNOWN_QUEUE.text}\n", code=UNKNOWN_QUEUE.code)
    found = [entry.id for entry in entries(core) if _fits(core, line, entry)]
    return Reply("".join(f"{identifier}\n" for identifier in found))


def _fits(core: Core, line: CommandLine, entry: Entry) -> bool:
    job, given = entry.job, submission(entry.job)
    is_over = is_finished(entry)
    users = {user.partition("@")[0] for user in line.last("u").split(",")}
    return not (
        (is_over and not line.has("x", "H"))
        or (not is_over and line.has("H"))
        or (line.has("J") and entry.array is None)
        or (line.has("N") and job.name != line.last("N"))
        or (line.has("q") and job.partition != line.last("q").partition("@")[0])
        or (line.has("s") and letter(core, entry) not in line.last("s"))
        or (line.has("u") and job.user not in users)
        or (line.has("A") and given.account != line.last("A"))
        or (line.has("P") and given.project != line.last("P"))
        or (line.has("r") and given.is_rerunable != (line.last("r") == "y"))
        or (line.has("h") and hold_types(job) != line.last("h"))
    )
