"""What the jobs of these tests run, on the cluster's oldest Python: 3.6 grammar, nothing but the standard library."""

import multiprocessing
import os
import platform
import resource
import sys
import time

from workload_shapes import Shape, area

SIDES = {"square": (2, 2), "strip": (1, 9)}


class UnluckyError(Exception):
    """An exception whose constructor takes something else than its message."""

    def __init__(self, code, *, hint):
        super().__init__(f"unlucky number {code}")
        self.code = code
        self.hint = hint


def where():
    return {"python": sys.version_info[:2], "node": platform.node(), "pid": os.getpid(), "cwd": os.getcwd()}


def areas(*names):
    return [area(Shape(*SIDES[name])) for name in names]


def unlucky(code):
    _check(code)
    return code


def _check(code):
    if code == 13:
        raise UnluckyError(code, hint="try 12")


def fails_twice():
    try:
        {}["first"]
    except KeyError as error:
        raise ValueError("second") from error


def environment(*names):
    return {name: os.environ.get(name) for name in names}


def doubled(value):
    return value * 2


def killed_by(number):
    print("about to die")
    sys.stdout.flush()
    os.kill(os.getpid(), number)
    time.sleep(30)


def leaves(status):
    os._exit(status)


def grabs_memory(megabytes):
    print("grabbing")
    sys.stdout.flush()
    block = bytearray(megabytes << 20)
    for position in range(0, len(block), 4096):
        block[position] = 1
    time.sleep(30)


def sleeps(seconds):
    print("sleeping")
    sys.stdout.flush()
    time.sleep(seconds)


def returns_a_lock():
    import threading

    return {"ok": 1, "locks": [threading.Lock()]}


def waits_for(path):
    """The job's token, once the file is there; that it has begun, another tells."""
    with open(path + ".began", "w"):
        pass
    while not os.path.exists(path):
        time.sleep(0.1)
    return os.environ["TOKEN"]


def squares_by_processes(numbers):
    """Processes that begin anew find the function by its module."""
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        return pool.map(_square, numbers)


def _square(number):
    return number * number


def squares_in_a_loop(count):
    """Its last value says whether this process had children."""
    squares = []
    for number in range(count):
        squares.append(number * number)  # noqa: PERF401 - a loop is what is tried
    return squares, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss > 0


def size(data):
    return len(data)


def exits(code):
    sys.exit(code)
