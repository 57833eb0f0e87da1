"""Has an environment built in a job, where the site forbids that on the login node (``build_on="compute"``).

Until the builder has begun in its job, the claim is this process's, so nobody else builds meanwhile. If it is given up before
that, the job, should it still start, finds no plan and ends.
"""

import contextlib
import os
import time
from typing import Any, Dict, NamedTuple, Optional

from . import builder
from .builds import BuildFailedError, ClientGoneError, Waiting
from .claims import Claim
from .passing import Passing
from .paths import JobPaths, look_again, write_aside
from .schedulers import JobState, SchedulerError, SchedulerUnavailableError, scheduler
from .script import build_script, with_modules

__all__ = ["BuildJob"]

MEMORY_MB = 2048
LOOK_EVERY = 0.2  # seconds between looks whether the builder has begun
ASK_FIRST, ASK_LAST = 2.0, 15.0  # seconds between questions to the scheduler
# What decides where a job may run; how much it takes there is the build's own matter.
_WHERE = ("partition", "queue", "account", "qos", "constraint", "reservation", "extra_directives")
# Deaths of which the build is not the cause: another one may have more luck.
_OF_ITS_SURROUNDINGS = ("COMPLETED", "NODE_FAIL", "PREEMPTED")


class BuildJob(NamedTuple):
    """A job that builds: by which scheduler, and what the job asks for that the environment is for."""

    scheduler: str
    resources: Dict[str, Any]

    def start(self, claim: Claim, plan: builder.Plan, waiting: Waiting) -> str:
        """Submit the job, and return its number when the builder has begun in it.

        Raises BuildFailedError when it is refused or ends before, and ClientGoneError, after which it is no more.
        """
        builder.write_plan(claim, plan)
        job = _files(claim)
        os.makedirs(job.file("log"), 0o700, exist_ok=True)
        write_aside(job.script, self._script(claim, plan, job).encode("utf-8"))
        try:
            number = str(scheduler(self.scheduler).submit(job.script))
        except (SchedulerError, ValueError) as error:
            words = "the job that is to build the environment was not taken: %s" % error
            raise BuildFailedError("job", words, "") from error
        try:
            self._wait_until_begun(claim, number, waiting)
        except BaseException:
            with contextlib.suppress(SchedulerError):
                scheduler(self.scheduler).cancel([number])
            raise
        return number

    def death(self, claim: Claim, number: str) -> Optional[BuildFailedError]:
        """What has ended a builder that does not live any more; None where another one may have more luck."""
        state: Optional[JobState] = None
        with contextlib.suppress(SchedulerError):
            state = scheduler(self.scheduler).post_mortem(number)
        if state is None or not state.is_ended or state.state in _OF_ITS_SURROUNDINGS:
            return None
        return self._failure(claim, number, state, "while it built")

    def _script(self, claim: Claim, plan: builder.Plan, job: JobPaths) -> str:
        resources = {name: self.resources.get(name) for name in _WHERE}
        resources.update(cores=1, memory_mb=MEMORY_MB, time_seconds=int(plan["seconds"]) + 60)
        name = "cx0" + plan["token"][:11]  # no job's id has a 0
        root = os.path.dirname(os.path.dirname(claim.path))
        directives = scheduler(self.scheduler).directives(name, job, root, resources)
        about = plan["about"]
        # Another Python than the environment's own need not be there.
        command = with_modules(about["modules"], builder.command_in_a_job(about["interpreter"], claim))
        return build_script(directives, claim.file("log"), command)

    def _wait_until_begun(self, claim: Claim, number: str, waiting: Waiting) -> None:
        key, started = os.path.basename(os.path.dirname(claim.path)), time.monotonic()
        pause, asked, is_dead, told = ASK_FIRST, started, False, ""
        while not builder.has_begun(claim):
            if waiting.gone.wait(LOOK_EVERY):
                raise ClientGoneError("the client has gone before job %s began to build %s" % (number, key))
            if time.monotonic() - asked < pause:
                continue
            passed, asked, pause = time.monotonic() - started, time.monotonic(), min(ASK_LAST, pause * 1.5)
            waiting.report(Passing("the environment %s is built by job %s, which waits (%d s)" % (key, number, passed)))
            look_again(claim.path)
            with contextlib.suppress(SchedulerUnavailableError):
                state = self._state(number)
                if (state is None or state.is_ended) and not builder.has_begun(claim):
                    if is_dead:  # and so it was at the question before
                        raise self._failure(claim, number, state, "before it began to build")
                    is_dead, pause = True, ASK_FIRST
                elif state is not None and state.held and state.held != told:
                    told = state.held
                    waiting.report(
                        "job %s, which builds the environment, will not start by itself: %s" % (number, told)
                    )

    def _state(self, number: str) -> Optional[JobState]:
        module = scheduler(self.scheduler)
        known: Optional[JobState] = module.states([number]).get(number) or module.post_mortem(number)
        return known

    def _failure(self, claim: Claim, number: str, state: Optional[JobState], when: str) -> BuildFailedError:
        job, words = _files(claim), "in a state that nobody knows any more"
        if state is not None:
            words = "as %s%s" % (state.state, " on " + state.node if state.node else "")
            words += " (%s)" % state.reason if state.reason not in ("", "None") else ""
        logs = [builder.tail(path, 3000) for path in (claim.file("log"), job.stdout, job.stderr)]
        return BuildFailedError("job", "job %s ended %s %s" % (number, words, when), "\n".join(filter(None, logs)))


def _files(claim: Claim) -> JobPaths:
    """Beside the claim, for a scheduler may write them when that is gone."""
    return JobPaths(os.path.join(os.path.dirname(claim.path), "job"))
