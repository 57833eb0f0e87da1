"""What the tests of executors, futures and logs run as jobs; any Python from 3.6 on runs it."""


def double(number):
    return number * 2


def fail(words):
    raise ValueError(words)
