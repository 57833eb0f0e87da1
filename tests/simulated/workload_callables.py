"""What is called in more ways than by a function's name. Runs on Python 3.6, as a module that a job imports."""


class Scale:
    def __init__(self, factor: int) -> None:
        self.factor = factor

    def times(self, x: int) -> int:
        return self.factor * x

    @classmethod
    def name(cls, x: int) -> str:
        return cls.__name__ * x

    def __call__(self, x: int) -> int:
        return self.factor * x


def subtract(a: int, b: int) -> int:
    return a - b


def adding(n: int):
    def add(x: int) -> int:
        return x + n

    return add


def counting():
    count = 10

    def up(x: int) -> int:
        nonlocal count
        count += x
        return count

    return up


async def later(x: int) -> int:
    return x + 1
