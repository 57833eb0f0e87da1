"""Classes and functions that functions make, in arguments and results. Runs on Python 3.6, as a script's main file."""

from __future__ import annotations

import contextlib
import enum
import functools
from fractions import Fraction

from clustrix import cluster


class Box:
    n = "global"


def boxes(k):
    class Box:
        n = k * 2

        def __init__(self, x):
            self.x = x

        def get(self):
            return [self.x, k, self.n]

    return Box


def colours(k):
    class Colour(enum.Enum):
        RED = k
        BLUE = k + 1

    return Colour


def failures(k):
    class FailedError(ValueError):
        code = k

    return FailedError


def counters():
    count = 0

    class Up:
        def go(self):
            nonlocal count
            count += 1
            return count

    class Down:
        def go(self):
            nonlocal count
            count -= 1
            return count

    return Up, Down


Two, Three = boxes(2), boxes(Fraction(3))
Colour = colours(5)
Failed = failures(7)
Up, Down = counters()
kept = Two("kept")


def captured():
    return [kept.get(), Two("x").get(), str(Three("x").n), Box.n]


def given(box):
    return [type(box).__name__, box.get(), isinstance(box, Two)]


def given_class(cls):
    return cls("new").get()


def box_back(x):
    return Two(x)


def colour(value):
    return [value is Colour.RED, Colour(6)]


def fail():
    raise Failed("no")


def shared():
    up, down = Up(), Down()
    start = up.go()
    return [up.go() - start, down.go() - start]


def called_with(function, x):
    return function(x)


def called_within(functions, x):
    return [functions["a"][0](x), functions["b"](x)]


def plus_one(x):
    return helper(x)


def helper(x):
    return x + 1


def adding(n):
    def add(x):
        return x + n

    return add


def echo(value):
    return value


def _caught(function):
    with contextlib.suppress(KeyError):
        try:
            function()
        except Failed as error:
            return [error.code, str(error)]
    return None


def mapped(f, function, *values):
    return list(map(function, *values)) if f is plain else list(f(function).map(*values))


def plain(function):
    return function


CALLS = {
    "captured": lambda f: f(captured)(),
    "given": lambda f: f(given)(Two("mine")),
    "given in a list": lambda f: f(echo)([Two("mine")])[0].get(),
    "given as a class": lambda f: f(given_class)(Two),
    "given and not captured": lambda f: f(echo)(boxes(9)("x")).get(),
    "a result": lambda f: [isinstance(f(box_back)(4), Two), f(box_back)(4).get()],
    "a member of an enum": lambda f: [f(colour)(Colour.RED)[0], f(colour)(Colour.RED)[1] is Colour.BLUE],
    "an exception": lambda f: _caught(f(fail)),
    "a shared variable": lambda f: f(shared)(),
    "a function of the script": lambda f: f(called_with)(plus_one, 4),
    "a function within a list": lambda f: f(called_within)({"a": [plus_one], "b": helper}, 4),
    "a function that was made": lambda f: f(called_with)(adding(3), 4),
    "a lambda": lambda f: f(called_with)(lambda x: helper(x) * 2, 4),
    "a map": lambda f: [each.get() for each in mapped(f, box_back, [1, 2])],
    "functions that are mapped over": lambda f: mapped(
        f, called_with, [plus_one, lambda x: x * 3, adding(1)], [4, 5, 6]
    ),
    "a partial of a function of the script": lambda f: f(called_with)(functools.partial(called_with, plus_one), 4),
}


if __name__ == "__main__":
    import json
    import sys

    import clustrix

    clustrix.configure(**json.loads(sys.argv[1]))
    wrong = {}
    for name, call in CALLS.items():
        expected = call(plain)
        try:
            got = call(cluster(python=sys.argv[2]))
        except Exception as error:  # noqa: BLE001 - told to the test
            got = f"{type(error).__name__}: {str(error)[-300:]}"
        if got != expected:
            wrong[name] = [repr(expected), repr(got)]
    print(json.dumps(wrong))
