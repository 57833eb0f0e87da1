"""What the jobs of test_ends_on_a_cluster.py and its kin run: 3.6 grammar, nothing but the standard library."""

import os
import sys
import time


def note(path):
    """One more line in a file on the cluster: each run of a function is counted."""
    with open(os.path.expanduser(path), "a") as stream:
        stream.write("run\n")


def counted(path, value):
    note(path)
    return value


def counted_sleep(path, seconds, value):
    note(path)
    print("sleeping")
    sys.stdout.flush()
    time.sleep(seconds)
    return value


def sleeps_at_first(path, seconds):
    """The first run waits for its end, a later one says which it was."""
    note(path)
    with open(os.path.expanduser(path)) as stream:
        runs = len(stream.readlines())
    if runs == 1:
        time.sleep(seconds)
    return runs


def notes_and_waits_at_first(directory, value, path):
    """Leaves a line in a file of the directory; the first time, it waits until somebody makes the other file."""
    directory = os.path.expanduser(directory)
    if not os.path.isdir(directory):
        os.makedirs(directory, exist_ok=True)
    own = os.path.join(directory, str(value))
    is_first = not os.path.exists(own)
    note(own)
    return gate(path, value) if is_first else value


def grabs_at_first(path, megabytes):
    """The first run takes that much memory and waits for its end, a later one says which it was."""
    note(path)
    with open(os.path.expanduser(path)) as stream:
        runs = len(stream.readlines())
    if runs == 1:
        block = bytearray(megabytes << 20)
        for position in range(0, len(block), 4096):
            block[position] = 1
        time.sleep(60)
    return runs


def fails(path):
    note(path)
    raise ValueError("mine")


def gate(path, value):
    """Waits until somebody makes a file."""
    deadline = time.time() + 120
    while not os.path.exists(os.path.expanduser(path)) and time.time() < deadline:
        time.sleep(0.05)
    return value


def noted_gate(runs, path, value):
    note(runs)
    return gate(path, value)


def gate_and_size(path, size):
    gate(path, None)
    return os.urandom(size)


def returns_a_lock(value):
    import threading

    return {"worth": value, "locks": [threading.Lock()]}


def untellable():
    import threading

    class Silent:
        lock = threading.Lock()

        def __init__(self):
            self.lock = threading.Lock()

        def __str__(self):
            raise RuntimeError("no words")

    return [Silent()]


def counted_exchange(path, go, data):
    note(path)
    return gate(go, data)
