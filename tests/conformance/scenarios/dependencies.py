"""Jobs that wait for jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.scenarios.phrases import HOLDING, ended, scenario, state, submit
from conformance.stage import Until

if TYPE_CHECKING:
    from conformance.stage import Scenario, Step

__all__ = ["SCENARIOS"]

_NEVER = Until("squeue -h -j @b -o '%T %r %E'", "DependencyNeverSatisfied")


def _after(kind: str, end: str, *then: Step | str) -> Scenario:
    """A job that waits for one that ends so."""
    return scenario(
        f"dependency {kind} of a job that ends by {end}",
        submit("a", f"--wrap 'until [ -e go ]; do sleep 0.1; done; {end}'"),
        submit("b", f"-d {kind}:@a --wrap true"),
        state("a", "RUNNING"),
        "squeue -h -j @b -o '%T %r %E'",
        "touch go",
        ended("a"),
        *then,
    )


SCENARIOS = (
    _after("afterok", "true", ended("b")),
    _after("afterok", "false", _NEVER, "scontrol show job @b | grep -E 'JobState|Dependency'", "squeue -j @b"),
    _after("afternotok", "true", _NEVER),
    _after("afternotok", "exit 3", ended("b")),
    _after("afterany", "false", ended("b")),
    scenario(
        "dependency after a job that starts",
        submit("a", f"-H {HOLDING}"),
        submit("b", "-d after:@a --wrap true"),
        "squeue -h -j @b -o '%T %r %E'",
        "scontrol release @a",
        ended("b"),
        "squeue -h -j @a -o %T",
    ),
    scenario(
        "dependency on a job that is cancelled",
        submit("a", f"-H {HOLDING}"),
        submit("b", "-d afterok:@a --wrap true"),
        submit("c", "-d afterany:@a --wrap true"),
        "scancel @a",
        _NEVER,
        ended("c"),
        "scontrol show job @b | grep -oE 'JobState=.*'",
    ),
    scenario(
        "dependency with kill-on-invalid-dep",
        submit("a", "--wrap false"),
        submit("b", "-d afterok:@a --kill-on-invalid-dep=yes --wrap true"),
        ended("b"),
        "squeue -h -t all -j @b -o '%T %r'",
        "sbatch --kill-on-invalid-dep=maybe --wrap true",
    ),
    scenario(
        "dependencies: all of several, any of several",
        submit("a", f"-H {HOLDING}"),
        submit("b", f"-H {HOLDING}"),
        submit("c", "-d afterok:@a:@b --wrap true"),
        submit("d", "-d 'afterany:@a?afterany:@b' --wrap true"),
        submit("e", "-d afterok:@a,afternotok:@b --wrap true"),
        "squeue -h -j @c,@d,@e -o '%E' | sort",
        "scancel @b",
        ended("d"),
    ),
    scenario(
        "dependency singleton",
        submit("a", f"-J only {HOLDING}"),
        state("a", "RUNNING"),
        submit("b", "-J only -d singleton --wrap true"),
        "squeue -h -j @b -o '%T %r %E'",
        "scancel @a",
        ended("b"),
    ),
    scenario(
        "dependency on a job that is over",
        submit("a", "--wrap true"),
        ended("a"),
        submit("b", "-d afterok:@a --wrap true"),
        ended("b"),
        submit("c", "-d afternotok:@a -H --wrap true"),
        "squeue -h -j @c -o '%T %r'",
    ),
    scenario(
        "dependency on an id that nobody has",
        submit("a", "-d afterok:999999 --wrap true"),
        ended("a"),
        submit("b", "-d afterany:999999 --wrap true"),
        ended("b"),
    ),
    scenario(
        "dependencies are changed",
        submit("a", f"-H {HOLDING}"),
        submit("b", "-d afterok:@a --wrap true"),
        "scontrol update jobid=@b dependency=",
        ended("b"),
        submit("c", "-H --wrap true"),
        "scontrol update jobid=@c dependency=afterany:@a; scontrol show job @c | grep -o Dependency=.*",
        "scontrol update jobid=@c dependency=nonsense",
    ),
)
