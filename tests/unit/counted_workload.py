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
