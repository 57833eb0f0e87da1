"""What the jobs run that end in one way or another, on the cluster's oldest Python."""

import os
import sys
import time


def doubled(value):
    return value * 2


def python():
    return sys.version_info[:2]


def raises(text):
    raise ValueError(text)


def killed_by(number):
    print("about to die", flush=True)
    os.kill(os.getpid(), number)
    time.sleep(30)


def leaves(status):
    os._exit(status)


def sleeps(seconds):
    print("sleeping", flush=True)
    time.sleep(seconds)


def grabs_memory(megabytes):
    return len(bytearray(megabytes << 20))


def survives(number):
    if number == 7:
        os._exit(7)
    return number
