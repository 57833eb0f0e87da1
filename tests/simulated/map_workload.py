"""What the tasks of the maps of these tests run, on the cluster's oldest Python, too: nothing but the standard library."""

import os
import sys
import time
from pathlib import Path


def scaled(value, factor=2):
    return value * factor


def fails_at_seven(value):
    if value == 7:
        raise ValueError("seven")
    return value


def dies_at_seven(value):
    if value == 7:
        print("about to die")
        sys.stdout.flush()
        os._exit(3)
    return value


def dies(value):
    os._exit(3)


def waits(value):
    time.sleep(value)
    return value


def burns_and_waits_for(seconds, path):
    """Takes that much time of a CPU."""
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass
    while not Path(path).exists():
        time.sleep(0.05)
    return seconds


def notes_and_waits(directory, value, seconds):
    with (Path(directory) / str(value)).open("a") as stream:
        stream.write(f"{value}\n")
    time.sleep(seconds)
    return value


def notes_and_waits_at_first(directory, value, seconds):
    is_first = not (Path(directory) / str(value)).exists()
    return notes_and_waits(directory, value, seconds if is_first else 0)


def notes_and_waits_for(directory, value, path):
    notes_and_waits(directory, value, 0)
    while not Path(path).exists():
        time.sleep(0.1)
    return value


def notes_and_dies_at(directory, value, seconds, fatal):
    notes_and_waits(directory, value, seconds)
    if value == fatal:
        os._exit(3)
    return value
