"""PBS's own words: its name, its errors with their numbers, its times."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simcluster.emulated.interface import Reply
from simcluster.emulated.refusals import Refusal

if TYPE_CHECKING:
    from simcluster.emulated.refusals import RefusedError

__all__ = ["NO_SERVER", "SERVER", "VERSION", "Denied", "DeniedError", "clock_text", "refused", "short_moment", "usage"]

SERVER = "pbs"
VERSION = "23.06.06"

NO_SERVER = "Unknown Host.\n{program}: cannot connect to server {server} (errno=15008)\n"


@dataclass(frozen=True)
class Denied:
    """A PBS error: its number modulo 256, which is the exit code, and the text."""

    code: int
    text: str


class DeniedError(Exception):
    """The server said no."""

    def __init__(self, denied: Denied, detail: str = "") -> None:
        super().__init__(denied.text)
        self.code = denied.code
        self.text = denied.text + detail


UNKNOWN_JOB = Denied(153, "Unknown Job Id")
NO_ATTRIBUTE = Denied(154, "Undefined attribute ")
UNAUTHORIZED = Denied(159, "Unauthorized Request ")
UNKNOWN_SIGNAL = Denied(165, "Unknown/illegal signal name")
ILLEGAL_VALUE = Denied(166, "Illegal attribute or resource value")
MODIFY_RUNNING = Denied(167, "Cannot modify attribute while job running ")
BAD_STATE = Denied(168, "Request invalid for state of job")
UNKNOWN_QUEUE = Denied(170, "Unknown queue")
NOT_ENABLED = Denied(173, "Queue is not enabled")
BAD_USER = Denied(175, "Bad UID for job execution")
UNKNOWN_RESOURCE = Denied(187, "Unknown resource")
OVER_LIMIT = Denied(188, "Job violates queue and/or server resource limits")
NOT_RERUNNABLE = Denied(190, "job is not rerunnable")
FINISHED = Denied(35, "Job has finished")
FINISHED_SUBJOB = Denied(55, "Request invalid for finished array subjob")
ARRAY_TOO_LARGE = Denied(3, "Array job exceeds server or queue size limit")
NOT_IN_SELECT = Denied(4, 'Resource invalid in "select" specification')
NOT_WITH_SELECT = Denied(5, '"-lresource=" cannot be used with "select" or "place", resource is')
NODES_AND_SELECT = Denied(6, "Cannot be used with select or place")
PLACE_ALONE = Denied(7, 'Cannot have "place" without "select"')


def refused(error: RefusedError) -> DeniedError:
    """The core's reason in PBS's words."""
    known = {
        Refusal.UNKNOWN_PARTITION: UNKNOWN_QUEUE,
        Refusal.ENDED: FINISHED,
        Refusal.NOT_REQUEUEABLE: NOT_RERUNNABLE,
        Refusal.TOO_MANY_JOBS: OVER_LIMIT,
        Refusal.NO_GPUS: UNKNOWN_RESOURCE,
    }
    return DeniedError(known.get(error.refusal, BAD_STATE))


def usage(program: str, text: str, errors: tuple[str, ...] = ()) -> Reply:
    """What a program says that does not understand its command line."""
    return Reply(stderr=f"{''.join(errors)}{text}", code=1 if program == "pbsnodes" else 2)


def clock_text(seconds: float) -> str:
    """`00:01:30`."""
    whole = int(seconds)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"


def short_moment(seconds: float) -> str:
    """`Sat Nov 21 at 01:29`, as in comments."""
    return time.strftime("%a %b %d at %H:%M", time.localtime(seconds))
