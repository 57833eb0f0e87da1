"""What the tests of the pool run in processes, which import nothing else of the tests: spawned ones begin with importing it."""

import os
import signal


def square(number):
    return number * number


class OwnError(Exception):
    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


def fails_at_three(number):
    if number == 3:
        raise OwnError(17, "three")
    return number


def ends_at_three(number):
    if number == 3:
        os._exit(7)
    return number


def kills_itself_at_three(number):
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def stays(directory):
    with open(os.path.join(directory, "%d" % os.getpid()), "w") as stream:
        stream.write("%d" % os.getpid())
    while True:
        pass
