"""What sbatch's options do to a job, as `scontrol show job` has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.scenarios.phrases import scenario, submit

if TYPE_CHECKING:
    from conformance.stage import Scenario

__all__ = ["SCENARIOS"]


def _held(title: str, words: str, *fields: str) -> Scenario:
    """A held job with these options, and the lines of it that have one of the fields."""
    shown = "scontrol show job @a" + (f" | grep -E '{'|'.join(fields)}'" if fields else "")
    return scenario(f"option {title}", submit("a", f"-H {words} --wrap true"), shown)


_SIZE = ("NumNodes", "TRES=", "MinCPUs", "Socks")

SCENARIOS = (
    _held("none", ""),
    _held("nodes and tasks", "-N 2 -n 6", *_SIZE),
    _held("a range of nodes", "-N 1-2", *_SIZE),
    _held("CPUs per task", "-n 2 -c 3", *_SIZE),
    _held("tasks per node", "-N 2 --ntasks-per-node 3", *_SIZE),
    _held("memory", "--mem 1G", *_SIZE),
    _held("memory per CPU", "-n 3 --mem-per-cpu 300M", *_SIZE),
    _held("all of a node", "--exclusive", *_SIZE, "OverSubscribe"),
    _held("GPUs", "--gres gpu:1", *_SIZE, "Tres"),
    _held("node list", "-w node2", "NumNodes", "NodeList"),
    _held("nodes to avoid", "-x node1", "NumNodes", "NodeList"),
    _held("time limit", "-t 1-2:30", "TimeLimit"),
    _held("time in seconds", "-t 0:30", "TimeLimit"),
    _held("time to begin", "--begin=now+1hour", "JobState", "RunTime", "Deadline"),
    _held("nice", "--nice=100", "Nice"),
    _held("comment and account", "--comment 'a  b' -A nobody", "Comment", "Account"),
    _held("requeue", "--no-requeue", "Requeue"),
    _held("signal", "--signal B:USR1@60"),
    _held("mail", "--mail-type END --mail-user a@b.example", "Mail"),
    _held("several partitions", "-p debug,long", "Partition"),
    _held("licence, constraint and others", "--contiguous -k --spread-job", "Contiguous", "Partition"),
)
