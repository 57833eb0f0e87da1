"""What the tests of executors, futures and logs run as jobs; any Python from 3.6 on runs it."""

import os
import sys
import time
import warnings


def double(number):
    return number * 2


def fail(words):
    raise ValueError(words)


def talk(lines, pause):
    for number in range(lines):
        print(f"line {number}")
        time.sleep(pause)
    warnings.warn("mind the gap", stacklevel=1)
    return lines


def say_oddly():
    """A progress bar, bytes that are no text, a long line, and no line end at the end."""
    sys.stdout.write("\r10%\r20%\n")
    sys.stdout.flush()
    os.write(1, b"caf\xe9 \xc3")
    os.write(1, b"\xa9\n")
    print("x" * 300000)
    sys.stdout.write("the very last")


def flood(megabytes):
    block = ("y" * 1023 + "\n") * 1024
    for _ in range(megabytes):
        sys.stdout.write(block)
    print("the end of it")


def say_which(number):
    for _ in range(20):
        print(f"begin {number}", end="")
        sys.stdout.flush()
        print(f" end {number}")
    return number


def hold(megabytes):
    kept = bytearray(b"x") * (megabytes << 20)
    began = time.process_time()
    while time.process_time() - began < 0.2:
        pass
    return len(kept)
