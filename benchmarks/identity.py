"""The least that a job can do, for Python 3.6 too."""


def identity(value):
    return value
