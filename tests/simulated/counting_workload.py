"""Functions that leave a line wherever they run, so that it can be counted how often that was."""

from pathlib import Path


def leaves_a_line(path, number):
    with Path(path).open("a") as stream:  # one short write: lines of several jobs don't mix
        stream.write(f"{number}\n")
    return number


def leaves_a_line_when_told(path, number, sign):
    while not Path(sign).exists():
        continue
    return leaves_a_line(path, number)
