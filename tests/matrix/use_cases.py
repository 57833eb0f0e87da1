"""The use cases of the matrix: a script with ordinary functions, as users write them, and what each call must give.

Run by every client Python against every Python of the cluster, see run.py. Nothing here makes concessions to the cluster
but this: the file has to be read by the oldest client.
"""

import csv
import datetime
import decimal
import enum
import functools
import hashlib
import multiprocessing
import os
import pathlib
import platform
import re
import shutil
import sys
import tempfile
import warnings
from dataclasses import dataclass, field

import geometry
import modern
import numpy as np
import pandas as pd
from case import UseCase, gives, raises
from geometry import area_in_metres

from clustrix import cluster_du, cluster_find, cluster_get, cluster_ls, cluster_read, cluster_stat, cluster_write

RATES = {"EUR": 1.0, "USD": 1.25}
WORD = re.compile(r"\w+")
MEGABYTE = bytes(range(256)) * 4096
FRAME = pd.DataFrame({"sensor": ["north", "south", "north"], "value": [1.5, 2.5, 4.0]})


def python_version():
    return platform.python_version_tuple()[:2]


def arithmetic(left, right):
    return left * right + left // right - left**2 % 7


def scaled_by(factor):
    def scaled(value):
        return value * factor

    return scaled


def in_dollars(amount):
    return amount * RATES["USD"]


def count_words(text):
    return len(WORD.findall(text))


def with_helper(values):
    return mean(values) * 2


def mean(values):
    return total(values) / len(values)


def total(values):
    return sum(values)


def normalised(values):
    return [value / largest(values) for value in values]


def largest(values):
    return max(values)


class Account:
    interest = 0.5

    def __init__(self, owner, balance):
        self.owner = owner
        self.balance = balance

    def __eq__(self, other):
        return isinstance(other, Account) and vars(self) == vars(other)

    def __hash__(self):
        return hash(self.owner)

    def after(self, years):
        return self.balance * (1 + self.interest) ** years


class SavingsAccount(Account):
    interest = 1.0


def open_account(owner, balance):
    account = SavingsAccount(owner, balance)
    account.balance = account.after(1)
    return account


@dataclass
class Reading:
    sensor: str
    value: float
    tags: list[str] = field(default_factory=list)


def calibrated(reading: Reading) -> Reading:
    return Reading(reading.sensor, reading.value + 0.5, [*reading.tags, "calibrated"])


class Colour(enum.Enum):
    RED = "r"
    GREEN = "g"


def other_colour(colour):
    return Colour.GREEN if colour is Colour.RED else Colour.RED


def kilometres(width, height):
    return area_in_metres(width, height, "km")


def unit_box():
    return geometry.Box(1, 1).area()


def box_area(box):
    return box.area()


def balance_of(account):
    return account.balance


def doubled_box(width, height):
    return geometry.Box(2 * width, 2 * height)


def written_and_read(lines):
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "lines.txt")
        with open(path, "w", encoding="utf-8") as stream:
            stream.writelines(f"{line}\n" for line in lines)
        return pathlib.Path(path).read_text(encoding="utf-8").splitlines()


def files_by_helpers(text):
    directory = os.path.basename(tempfile.mkdtemp(dir="."))
    path = f"{directory}/ä b.csv"
    cluster_write(path, text)
    try:
        with open(cluster_find("*.csv", directory)[0], encoding="utf-8") as stream:
            seen = stream.read()
        cluster_get(path, f"{directory}/copy")
        return seen, cluster_read(path, 1, 2), cluster_ls(directory), cluster_stat(path), cluster_du(directory)
    finally:
        shutil.rmtree(directory)


def is_what_helpers_say(seen):
    text, part, names, info, usage = seen.value
    return (
        (text, part, names) == ("1,2\n", b",2", ["copy", "ä b.csv"])
        and (info.name, info.size, info.is_file, usage.total_bytes, usage.file_count) == ("ä b.csv", 4, True, 8, 2)
        and type(info).__module__ == "clustrix.filesystem"
    )


def sensors_of_file():
    with open("measurements.csv", encoding="utf-8", newline="") as stream:
        return [row["sensor"] for row in csv.DictReader(stream)]


def semantic_version(text):
    import attr

    @attr.s
    class Version:
        major = attr.ib(converter=int)
        minor = attr.ib(converter=int)

    return attr.astuple(Version(*text.split(".")))


def digest(data):
    return len(data), hashlib.sha256(data).hexdigest()


def many_bytes(megabytes):
    return (bytes(range(256)) * 4096) * megabytes


def nothing(value):
    assert value is None


def described(name, *, unit="m", **more):
    return f"{name} [{unit}] {sorted(more.items())}"


def unchanged(data):
    return data


NESTED = {
    "list": [1, 2.5, -0.0, 10**30, True, None, ("tuple", b"bytes", 3 + 4j)],
    "sets": [{1, 2}, frozenset("a"), range(3), slice(1, 2)],
    ("a", 1): {"ä": {"deep": [[[]]]}},
    "time": [datetime.datetime(2024, 2, 29, tzinfo=datetime.timezone.utc), datetime.timedelta(days=1)],
    "number": decimal.Decimal("1.10"),
    "path": pathlib.PurePosixPath("data/ä.csv"),
}


def priced(amount, rate=RATES["USD"], places=2, *, currency="USD"):
    return f"{amount * rate:.{places}f} {currency}"


def divided(dividend, divisor):
    return dividend / divisor


class PaymentError(Exception):
    def __init__(self, owner, *, missing):
        super().__init__(f"{owner} lacks {missing}")
        self.owner = owner
        self.missing = missing


def pay(owner):
    try:
        return {}[owner]
    except KeyError as error:
        raise PaymentError(owner, missing=3) from error


def is_a_payment_error_with_its_cause(seen):
    error = seen.error
    return (
        type(error) is PaymentError
        and (str(error), error.owner, error.missing) == ("ada lacks 3", "ada", 3)
        and type(error.__cause__) is KeyError
        and error.__cause__.args == ("ada",)
        and "in pay\n" in seen.traceback
    )


def evens(limit):
    number = 0
    while number < limit:
        yield number
        number += 2


def sum_of_evens(limit):
    return sum(evens(limit)) + sum(number for number in evens(limit) if number > 2)


def power(base, exponent):
    return base**exponent


def twice(function):
    @functools.wraps(function)
    def wrapper(*arguments):
        return function(*arguments) + function(*arguments)

    return wrapper


@twice
def repeated(text):
    return f"<{text}>"


def is_even(number):
    return True if number == 0 else is_odd(number - 1)


def is_odd(number):
    return False if number == 0 else is_even(number - 1)


def factorial(number):
    return 1 if number < 2 else number * factorial(number - 1)


def recursive(number):
    return factorial(number), is_even(number)


def newer_syntax(values: list[int], /, limit: int | None = None) -> str:
    if (count := len(values)) > (limit or 0):
        return f"{count=}"
    return ""


def modern_module(values):
    return modern.spread(values)


def standardised(values):
    return (values - values.mean(axis=0)) / np.ptp(values, axis=0)


MATRIX = np.arange(12.0).reshape(4, 3)


def is_standardised(seen):
    return (
        isinstance(seen.value, np.ndarray)
        and seen.value.dtype == np.float64
        and np.array_equal(seen.value, (MATRIX - MATRIX.mean(axis=0)) / 9.0)
    )


def mean_of_sensors():
    frame = pd.DataFrame({"sensor": ["north", "south", "north"], "value": [1.5, 2.5, 4.5]})
    return {str(name): float(value) for name, value in frame.groupby("sensor")["value"].mean().items()}


def with_ranks(frame):
    ranks = pd.DataFrame({"rank": frame["value"].rank()})
    return frame.join(ranks)


def sum_of(array):
    return float(array.sum())


def is_frame_with_ranks(seen):
    # Text has a dtype of its own from pandas 3 on: a frame that an older one made comes back as that made it.
    pd.testing.assert_frame_equal(seen.value, with_ranks(FRAME), check_dtype=False, check_column_type=False)
    return list(seen.value.dtypes[["value", "rank"]]) == ["float64", "float64"]


def in_processes(method, numbers):
    with multiprocessing.get_context(method).Pool(2) as pool:
        return pool.map(account_of, numbers), os.getpid() in pool.map(process_of, numbers)


def account_of(number):
    owner = WORD.findall("ada, countess")[0]
    return Account(owner, geometry.Box(number, number).area())


def process_of(number):
    return os.getpid()


ACCOUNTS = [Account("ada", 1), Account("ada", 4), Account("ada", 9)]


def warned():
    warnings.warn("rates are of last year", UserWarning, stacklevel=1)
    return RATES["EUR"]


def printed():
    print("größer", 1, flush=True)
    sys.stdout.write("second line\n")


USE_CASES = [
    UseCase("which Python ran it", python_version, is_right=lambda seen: ".".join(seen.value) == seen.python),
    UseCase("arithmetic", arithmetic, (17, 5), is_right=gives(86)),
    UseCase("closure", scaled_by(3), (14,), is_right=gives(42)),
    UseCase("module constant", in_dollars, (4,), is_right=gives(5.0)),
    UseCase("computed constant", count_words, ("one two, three",), is_right=gives(3)),
    UseCase("helper", normalised, ([1, 2, 4],), is_right=gives([0.25, 0.5, 1.0])),
    UseCase("helper of helper", with_helper, ([1, 2, 3],), is_right=gives(4.0)),
    UseCase("custom class", open_account, ("ada", 50), is_right=gives(SavingsAccount("ada", 100.0))),
    UseCase("dataclass", calibrated, (Reading("a", 1.0),), is_right=gives(Reading("a", 1.5, ["calibrated"]))),
    UseCase("enum", other_colour, (Colour.RED,), is_right=lambda seen: seen.value is Colour.GREEN),
    UseCase("local module function", kilometres, (2, 3), is_right=gives(6_000_000)),
    UseCase("local module class", unit_box, is_right=gives(1)),
    UseCase("instance of a local class as argument", box_area, (geometry.Box(3, 4),), is_right=gives(12)),
    UseCase("instance of a script's class as argument", balance_of, (Account("ada", 5),), is_right=gives(5)),
    UseCase("instance of a local class as result", doubled_box, (3, 4), is_right=gives(geometry.Box(6, 8))),
    UseCase("file round trip", written_and_read, (["ä", "b"],), is_right=gives(["ä", "b"])),
    UseCase("files by cluster_ls and its kin", files_by_helpers, ("1,2\n",), is_right=is_what_helpers_say),
    UseCase("data file", sensors_of_file, is_right=gives(["north", "south", "north"])),
    UseCase("large argument", digest, (MEGABYTE * 16,), is_right=gives(digest(MEGABYTE * 16))),
    UseCase("large result", many_bytes, (16,), is_right=gives(MEGABYTE * 16)),
    UseCase("None", nothing, (None,), is_right=gives(None)),
    UseCase("keyword arguments", described, ("area",), {"unit": "km", "b": 2, "a": 1},
            is_right=gives("area [km] [('a', 1), ('b', 2)]")),
    UseCase("nested data", unchanged, (NESTED,), is_right=lambda seen: repr(seen.value) == repr(NESTED)),
    UseCase("default arguments", priced, (2,), is_right=gives("2.50 USD")),
    UseCase("raises built-in", divided, (1, 0), is_right=raises(ZeroDivisionError, "division by zero", within="divided")),
    UseCase("raises custom with cause", pay, ("ada",), is_right=is_a_payment_error_with_its_cause),
    UseCase("generator consumed", sum_of_evens, (10,), is_right=gives(38)),
    UseCase("lambda", lambda text: text.upper() + str(len(RATES)), ("a",), is_right=gives("A2")),
    UseCase("partial", functools.partial(power, exponent=3), (2,), is_right=gives(8)),
    UseCase("bound method", Account("ada", 100).after, (2,), is_right=gives(225.0)),
    UseCase("decorated", repeated, ("a",), is_right=gives("<a><a>")),
    UseCase("recursion", recursive, (6,), is_right=gives((720, True))),
    UseCase("newer syntax", newer_syntax, ([1, 2],), is_right=gives("count=2")),
    UseCase("newer syntax in a local module", modern_module, ([1, 2, 5],), is_right=gives("low=1, high=5")),
    UseCase("multiprocessing, fork", in_processes, ("fork", [1, 2, 3]), is_right=gives((ACCOUNTS, False))),
    UseCase("multiprocessing, spawn", in_processes, ("spawn", [1, 2, 3]), is_right=gives((ACCOUNTS, False))),
    UseCase("warning", warned, is_right=lambda seen: seen.value == 1.0 and "UserWarning: rates are of last year" in seen.stderr),
    UseCase("stdout", printed, is_right=lambda seen: seen.stdout == "größer 1\nsecond line\n"),
    UseCase("third-party import", semantic_version, ("1.20",), is_right=gives((1, 20))),
    UseCase("numpy", standardised, (MATRIX,), is_right=is_standardised),
    UseCase("pandas", mean_of_sensors, is_right=gives({"north": 3.0, "south": 2.5})),
    UseCase("pandas, frame as argument and result", with_ranks, (FRAME,), is_right=is_frame_with_ranks),
    UseCase("library that only an argument needs", sum_of, (MATRIX,), is_right=gives(66.0)),
]  # fmt: skip

if __name__ == "__main__":
    import client

    client.main(USE_CASES)
