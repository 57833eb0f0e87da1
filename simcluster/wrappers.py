"""Scripts that stand before a scheduler's commands on a PATH, and make them slow, unlucky or unwilling."""

from __future__ import annotations

import shlex

__all__ = ["flaky", "slow", "wrapper"]

_WRAPPER = """\
#!/bin/bash
name=${{0##*/}}
for trouble in {directory}/*.trouble; do
    [ ! -e "$trouble" ] || . "$trouble"
done
exec {programs}/"$name" "$@"
"""
# A linear congruential generator: the same seed makes the same commands fail.
_FLAKY = """\
state=$(cat {state} 2> /dev/null || echo {seed})
state=$(((state * 1103515245 + 12345) & 0x7fffffff))
echo $state > {state}
if [ $(((state >> 8) % 1000)) -lt {share} ]; then
    {unreachable}
fi
"""


def wrapper(directory: str, programs: str) -> str:
    """To be installed under each command's name: meets the troubles in `directory`, then runs the program."""
    return _WRAPPER.format(directory=shlex.quote(directory), programs=shlex.quote(programs))


def slow(seconds: float) -> str:
    """A trouble: each command takes so much longer."""
    return f"sleep {seconds:g}\n"


def flaky(share: float, seed: int, state: str, unreachable: str) -> str:
    """A trouble: a share of the commands fails as `unreachable`, a line of bash, has them.

    `state` is a file that all users of the commands can write.
    """
    return _FLAKY.format(share=round(share * 1000), seed=seed, state=shlex.quote(state), unreachable=unreachable)
