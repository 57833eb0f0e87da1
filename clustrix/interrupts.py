"""Ctrl-C in a call that waits for a job: one cancels the job, two leave it running."""

from __future__ import annotations

import concurrent.futures
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clustrix.future import ClusterFuture

__all__ = ["cancel_unless_again"]

# Seconds in which a second Ctrl-C leaves the job as it is; a scheduler takes back no cancellation.
AGAIN_WITHIN = 1.0
CANCELLED_WITHIN = 10.0


def cancel_unless_again(future: ClusterFuture) -> None:
    """Cancel the job of a call that Ctrl-C ended, and wait until that is done; a second Ctrl-C leaves it running, and says how to attach."""
    job_id = future.job_id
    try:
        _say(f"cancelling job {job_id}; Ctrl-C once more leaves it running")
        time.sleep(AGAIN_WITHIN)
    except KeyboardInterrupt:
        _say(f"job {job_id} goes on; clustrix.attach({job_id!r}) finds it again")
        return
    try:
        future.cancel()
        concurrent.futures.wait([future], CANCELLED_WITHIN)
    except KeyboardInterrupt:
        _say(f"job {job_id} is being cancelled; clustrix.attach({job_id!r}) tells whether it was")


def _say(line: str) -> None:
    sys.stderr.write(f"clustrix: {line}\n")
    sys.stderr.flush()
