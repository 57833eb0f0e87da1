"""What became of a submission whose answer was lost with its connection: the client sends it again, and it is never done twice."""

import os
import time
from typing import Optional

from . import jobs
from .attempts import UndecidedError
from .paths import StatePaths, remove_tree
from .schedulers import SchedulerError, scheduler

__all__ = ["settle"]

# Seconds that a job which was prepared over another connection may take until the scheduler has it. Whoever prepared
# it, if alive, needs moments for that; if it was killed, the scheduler's own command may still be on its way.
PATIENCE = 15.0
SCHEDULERS_PATIENCE = 600.0  # the same for a scheduler that does not answer
LONGEST_PAUSE = 2.0
NO_NUMBER = "0"


def settle(state: StatePaths, job_id: str, scheduler_name: str) -> Optional[str]:
    """The scheduler's number of a job that was submitted over an earlier connection; None if it was not, and never will be.

    Raises UndecidedError if the scheduler does not answer for long.
    """
    root = state.job(job_id).root
    started, pause = time.time(), 0.05
    while os.path.isdir(root):
        silent = None
        try:
            found = jobs.known_scheduler_id(state, job_id) or scheduler(scheduler_name).find(job_id)
        except SchedulerError as error:
            found, silent = None, error
        if found:
            return str(found)
        if jobs.has_run(state, job_id):
            return NO_NUMBER
        if silent is None and time.time() > started + PATIENCE:
            _take_over(state, job_id)
            return None
        if silent is not None and time.time() > started + SCHEDULERS_PATIENCE:
            raise UndecidedError("the scheduler does not tell whether job %s was submitted: %s" % (job_id, silent))
        time.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * 2)
    return None


def _take_over(state: StatePaths, job_id: str) -> None:
    """Have whoever prepared the job find nothing that it could still submit."""
    root = state.job(job_id).root
    aside = os.path.join(os.path.dirname(root), "given-up-%s-%s" % (job_id, os.urandom(4).hex()))
    try:
        os.rename(root, aside)
    except FileNotFoundError:  # refused and removed just now
        return
    remove_tree(aside)
