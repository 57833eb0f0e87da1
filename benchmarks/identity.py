"""The least that a job can do, for Python 3.6 too."""

import time


def identity(value):
    return value


def pause(seconds):
    time.sleep(seconds)
