"""The least that a job can do, for Python 3.6 too."""

import os
import time


def identity(value):
    return value


def pause(seconds):
    time.sleep(seconds)


def dies_after(seconds):
    """Print when the process is killed, and kill it."""
    time.sleep(seconds)
    print(time.time(), flush=True)
    os.kill(os.getpid(), 9)
