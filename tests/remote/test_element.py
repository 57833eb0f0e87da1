"""An element of a map's array: runs every task once, however many of them run, and its log says what it was at when it ended."""

import json
import os
import shutil
import subprocess
import sys
import time

import clustrix_remote
import pytest
from clustrix_remote import pool, wire
from clustrix_remote.paths import JobPaths
from clustrix_remote.tasks import BEGAN, CLAIMED, LEFT, RESULT, entries, pack_arguments

FAR_SIDE = os.path.dirname(os.path.dirname(os.path.abspath(clustrix_remote.__file__)))
KEY = bytes(range(32))
ELEMENT = (
    "import sys; sys.path[0] = sys.argv[1]; from clustrix_remote.element import main; sys.exit(main(*sys.argv[2:]))"
)
MAIN = """
import os, sys, time

def noted(value, path):
    with open(path, "a") as stream:
        stream.write("%d\\n" % value)
    return value

def quick(value):
    return value * 2

def odd_fails(value):
    if value % 2:
        raise ValueError(value)
    return value

def dies_at(value, fatal):
    if value == fatal:
        os.kill(os.getpid(), 9)
    return value

def waiting(value, path):
    while not os.path.exists(path):
        time.sleep(0.01)
    return value

def waits_once(value, seconds):
    time.sleep(seconds)
    return value

def own_id():
    return os.environ["CLUSTRIX_JOB_ID"]

def counting(_, seen=[]):
    seen.append(1)
    return len(seen)
"""


class Map:
    """A map's job directory, and elements of it as processes of this Python."""

    def __init__(self, root, function, tasks, *, chunksize=None, seconds=600):
        self.job, self.done = JobPaths(str(root / "job")), str(root / "done")
        package = root / "package"
        for path in (self.job.root, self.done, str(package), self.job.pool):
            os.mkdir(path)
        for name in ("out", "marks", "log"):
            os.mkdir(self.job.file(name))
        (package / "main.py").write_text(MAIN)
        spec = {
            "job_id": "cxmap", "attempt": 0, "task": 0, "package": "p", "package_dir": str(package), "original_dir": str(package),
            "done_dir": self.done, "entry": {"kind": "main", "name": function}, "client_python": [3, 12],
            "stages_python": None, "stages_modules": [], "tasks": len(tasks), "chunksize": chunksize, "elements": 4,
            "resources": {"time_seconds": seconds},
        }  # fmt: skip
        with open(self.job.spec, "w") as stream:
            json.dump(spec, stream)
        with open(self.job.key, "wb") as stream:
            stream.write(KEY)
        values = [wire.dump_pieces(tuple(task)) for task in tasks]
        with open(self.job.arguments, "wb") as stream:
            stream.write(b"".join(pack_arguments(values, len(tasks[0]), {})))
        pool.offer(self.job.pool, "all", 0, len(tasks))

    def start(self, element):
        return subprocess.Popen([sys.executable, "-s", "-c", ELEMENT, FAR_SIDE, self.job.root, element])

    def run(self, *elements):
        """Exit statuses of elements that run at once."""
        return [process.wait(120) for process in [self.start(element) for element in elements]]

    def marks(self):
        """Those of its elements, beside the one that says that it began."""
        return [name for name in os.listdir(self.done) if name != "cxmap.began"]

    def log(self, element):
        with open(self.job.tasks(element), "rb") as stream:
            data = memoryview(stream.read())
        return [(each, each.result_in(data)) for each in entries(data)]

    def kinds(self, element):
        return [each.kind for each, _ in self.log(element)]

    def results(self, *elements):
        """What each task sealed, by its number."""
        found = {}
        for element in elements:
            for each, sealed in self.log(element):
                if each.kind == RESULT:
                    assert each.first not in found
                    expected = {"job_id": "cxmap", "attempt": 0, "task": each.first, "package": "p"}
                    head, body = wire.unseal(KEY, bytes(sealed), expected)
                    found[each.first] = (head["outcome"], wire.loads(bytes(body)))
        return found

    def values(self, *elements):
        return {task: value for task, (_, value) in self.results(*elements).items()}


def test_elements_at_once_run_every_task_once(tmp_path):
    ran = str(tmp_path / "ran")
    mapped = Map(tmp_path, "noted", [(n, ran) for n in range(60)], chunksize=2)
    assert mapped.run("1", "2", "3") == [0, 0, 0]
    assert mapped.values("1", "2", "3") == {n: n for n in range(60)}
    with open(ran) as stream:
        assert sorted(map(int, stream)) == list(range(60))


def test_a_failed_task_is_an_exception_in_its_place(tmp_path):
    mapped = Map(tmp_path, "odd_fails", [(n,) for n in range(6)])
    mapped.run("1")
    assert [outcome for _, (outcome, _) in sorted(mapped.results("1").items())] == ["value", "exception"] * 3


def test_ranges_grow_with_quick_tasks_from_one_and_leave_enough_for_others(tmp_path):
    mapped = Map(tmp_path, "quick", [(n,) for n in range(3000)])
    mapped.run("1")
    ranges = [each.second - each.first for each, _ in mapped.log("1") if each.kind == CLAIMED]
    assert ranges[0] == 1
    assert all(after <= 8 * before for before, after in zip(ranges, ranges[1:]))
    assert len(ranges) < 100


def test_ranges_have_the_length_that_is_asked_for(tmp_path):
    mapped = Map(tmp_path, "quick", [(n,) for n in range(10)], chunksize=4)
    mapped.run("1")
    assert [each[1:3] for each, _ in mapped.log("1") if each.kind == CLAIMED] == [(0, 4), (4, 8), (8, 10)]


def test_the_log_says_what_begins_before_it_does(tmp_path):
    mapped = Map(tmp_path, "quick", [(n,) for n in range(500)])
    mapped.run("1")
    begun = 0
    for each, _ in mapped.log("1"):
        if each.kind == BEGAN:
            begun = each.second
        elif each.kind == RESULT:
            assert each.first < begun
    assert mapped.kinds("1")[-1] == LEFT


def test_a_killed_element_has_logged_what_it_had_done_and_what_it_was_at(tmp_path):
    mapped = Map(tmp_path, "dies_at", [(n, 5) for n in range(10)], chunksize=10)
    assert mapped.run("1") == [-9]
    assert sorted(mapped.values("1")) == [0, 1, 2, 3, 4]
    assert LEFT not in mapped.kinds("1")
    assert max(each.second for each, _ in mapped.log("1") if each.kind == BEGAN) > 5
    assert pool.ranges(mapped.job.pool) == []


def test_an_element_leaves_before_its_time_is_over_and_says_what_it_has_not_begun(tmp_path):
    mapped = Map(tmp_path, "waits_once", [(n, 1.0) for n in range(10)], chunksize=10, seconds=4)
    assert mapped.run("1") == [0]
    assert mapped.kinds("1")[-1] == LEFT
    assert 1 <= len(mapped.results("1")) < 10


def test_the_name_of_its_mark_tells_how_much_of_the_log_there_is(tmp_path):
    path = str(tmp_path / "go")
    mapped = Map(tmp_path, "waiting", [(0, str(tmp_path)), (1, path)], chunksize=1)
    process = mapped.start("17_0")
    deadline = time.time() + 60
    while not mapped.marks():
        assert time.time() < deadline
        time.sleep(0.01)
    (name,) = mapped.marks()
    assert name.startswith("cxmap.17_0.")
    assert sorted(mapped.values("17_0")) == [0]
    open(path, "w").close()
    process.wait(60)
    size = os.path.getsize(mapped.job.tasks("17_0"))
    assert mapped.marks() == ["cxmap.17_0.%d.end" % size]
    assert os.path.exists(os.path.join(mapped.done, "cxmap.began"))


def test_an_element_whose_job_was_forgotten_meanwhile_ends_and_leaves_nothing(tmp_path):
    path = str(tmp_path / "go")
    mapped = Map(tmp_path, "waiting", [(0, str(tmp_path)), (1, path)], chunksize=1)
    process = mapped.start("1")
    deadline = time.time() + 60
    while not mapped.marks():
        assert time.time() < deadline
        time.sleep(0.01)
    shutil.rmtree(mapped.job.root)
    for name in os.listdir(mapped.done):
        os.unlink(os.path.join(mapped.done, name))
    open(path, "w").close()
    assert process.wait(60) == 0
    assert (os.listdir(mapped.done), os.path.exists(mapped.job.root)) == ([], False)


def test_an_element_that_is_started_again_runs_nothing(tmp_path):
    mapped = Map(tmp_path, "quick", [(n,) for n in range(4)])
    mapped.run("1")
    log = mapped.log("1")
    pool.offer(mapped.job.pool, "again", 0, 4)
    assert mapped.run("1") == [118]
    assert len(mapped.log("1")) == len(log)


def test_tasks_of_one_element_share_its_process_and_each_knows_its_id(tmp_path):
    mapped = Map(tmp_path, "counting", [(n,) for n in range(5)])
    mapped.run("1")
    assert mapped.values("1") == {n: n + 1 for n in range(5)}
    (tmp_path / "other").mkdir()
    mapped = Map(tmp_path / "other", "own_id", [(), ()])
    mapped.run("1")
    assert mapped.values("1") == {0: "cxmap.0", 1: "cxmap.1"}


@pytest.mark.parametrize("python", [sys.executable], ids=["a process of its own reads and writes"])
def test_the_serialization_environment_reads_and_writes_for_each_task(tmp_path, python):
    mapped = Map(tmp_path, "odd_fails", [(n,) for n in range(6)])
    with open(mapped.job.spec) as stream:
        spec = json.load(stream)
    spec["stages_python"] = python
    with open(mapped.job.spec, "w") as stream:
        json.dump(spec, stream)
    mapped.run("1")
    assert [outcome for _, (outcome, _) in sorted(mapped.results("1").items())] == ["value", "exception"] * 3
