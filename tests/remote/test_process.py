"""Jobs that are processes of this computer: started, limited, cancelled and found again, with everything that they start."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from clustrix_remote import schedulers
from clustrix_remote.notes import Notes
from clustrix_remote.paths import open_state_dir, write_aside
from clustrix_remote.schedulers import LimitError, SchedulerError, process, processes

SMALL = {"cores": 1, "memory_mb": 2000, "time_seconds": 60}


@pytest.fixture(params=["proc", "ps"])
def seen(request, monkeypatch):
    """Processes are seen by /proc, and as where there is none, by the supervisor, too."""
    if request.param == "ps":
        exists = os.path.exists
        monkeypatch.setattr(os.path, "exists", lambda path: path != "/proc/self/stat" and exists(path))
        blind = "import os; e = os.path.exists; os.path.exists = lambda path: path != '/proc/self/stat' and e(path); "
        monkeypatch.setattr(process, "START", blind.replace("{", "{{") + process.START)


@pytest.fixture
def state(tmp_path, monkeypatch):
    state = open_state_dir(str(tmp_path / "state"))
    monkeypatch.setattr(schedulers, "_place", schedulers.Place(state, Notes()))
    yield state
    started = [name + "@" + os.uname().nodename for name in os.listdir(os.path.join(state.root, "jobs"))]
    process.cancel(started)
    for one in started:
        wait_for_end(one)


def start(state, text, name="cxaaaaaaaaaaaa", **resources):
    """Start a job whose script is ``text``; its id."""
    job = state.job(name)
    for directory in ("out", "log", "marks"):
        os.makedirs(job.file(directory))
    os.makedirs(state.done("client"), exist_ok=True)
    spec = {"job_id": name, "resources": dict(SMALL, **resources), "done_dir": state.done("client")}
    write_aside(job.spec, json.dumps(spec).encode())
    write_aside(job.script, ("#!/bin/bash\n" + text + "\n").encode())
    return process.submit(job.script)


def until(condition, seconds=60):
    deadline = time.time() + seconds
    while not condition():
        assert time.time() < deadline
        time.sleep(0.01)


def wait_for_end(scheduler_id):
    until(lambda: process.post_mortem(scheduler_id) is None or process.post_mortem(scheduler_id).is_ended)
    return process.post_mortem(scheduler_id)


def mark_of(state, name, mark):
    with open(state.job(name).file("marks", mark), encoding="utf-8") as stream:
        return json.load(stream)


def read(path):
    """The text of a file; empty as long as it is not there."""
    try:
        with open(str(path), encoding="utf-8") as stream:
            return stream.read()
    except FileNotFoundError:
        return ""


def number_in(path):
    """The number that a job writes to a file."""
    until(lambda: read(path).endswith("\n"))
    return int(read(path))


def is_gone(pid):
    return processes.birth_of(pid) is None


def test_a_job_runs_and_its_output_is_there_as_it_comes(state, seen):
    scheduler_id = start(state, "echo out; echo err >&2; read -r line < /dev/stdin; sleep 600")
    until(lambda: read(state.job("cxaaaaaaaaaaaa").stderr) == "err\n")
    assert read(state.job("cxaaaaaaaaaaaa").stdout) == "out\n"
    found = process.states([scheduler_id, "cxbbbbbbbbbbbb@nowhere"])
    assert list(found) == [scheduler_id]
    assert (found[scheduler_id].state, found[scheduler_id].node) == ("RUNNING", os.uname().nodename)
    assert process.find("cxaaaaaaaaaaaa") == scheduler_id
    assert process.find("cxbbbbbbbbbbbb") is None


@pytest.mark.parametrize(
    ("text", "state_name", "code", "number"),
    [
        ("exit 0", "COMPLETED", 0, None),
        ("exit 3", "FAILED", 3, None),
        ("exit 139", "FAILED", 139, 11),
        ("kill -9 $$", "FAILED", None, 9),
    ],
)
def test_how_a_job_ended(state, text, state_name, code, number):
    ended = wait_for_end(start(state, text))
    assert (ended.state, ended.exit_code, ended.signal) == (state_name, code, number)


def test_what_a_job_leaves_behind_ends_with_it_even_in_a_session_of_its_own(state, tmp_path):
    scheduler_id = start(
        state,
        "setsid bash -c 'echo $$ > {0}; exec sleep 600' & until [ -s {0} ]; do sleep 0.01; done".format(
            tmp_path / "pid"
        ),
    )
    assert wait_for_end(scheduler_id).state == "COMPLETED"
    assert is_gone(number_in(tmp_path / "pid"))


def test_a_job_over_its_time_is_ended_with_all_that_it_started(state, tmp_path):
    scheduler_id = start(state, "trap '' TERM; sleep 600 & echo $! > {}; wait".format(tmp_path / "pid"), time_seconds=1)
    assert wait_for_end(scheduler_id).state == "TIMEOUT"
    assert is_gone(number_in(tmp_path / "pid"))
    until(lambda: os.listdir(state.done("client")) == ["cxaaaaaaaaaaaa.exit"])


def test_cancelling_ends_the_whole_tree(state, seen, tmp_path):
    scheduler_id = start(state, "bash -c 'sleep 600 & echo $! > {}; wait'; true".format(tmp_path / "pid"))
    child = number_in(tmp_path / "pid")
    process.cancel([scheduler_id, "cxbbbbbbbbbbbb@nowhere"])
    assert wait_for_end(scheduler_id).state == "CANCELLED"
    assert is_gone(child)
    process.cancel([scheduler_id])


def test_a_wish_to_cancel_from_another_host_is_a_file(state):
    scheduler_id = start(state, "sleep 600")
    write_aside(state.job("cxaaaaaaaaaaaa").file("marks", "cancel"), b"")
    assert wait_for_end(scheduler_id).state == "CANCELLED"


def test_each_process_is_held_to_its_memory(state):
    scheduler_id = start(state, "ulimit -v; {} -c 'bytearray(400 << 20)'".format(sys.executable), memory_mb=200)
    assert wait_for_end(scheduler_id).exit_code == 1
    assert read(state.job("cxaaaaaaaaaaaa").stdout) == "%d\n" % (200 * 1024)
    assert "MemoryError" in read(state.job("cxaaaaaaaaaaaa").stderr)


def test_a_job_without_its_supervisor_is_ended_and_told_as_failed(state, seen, tmp_path):
    scheduler_id = start(state, "sleep 600 & echo $! > {}; wait".format(tmp_path / "pid"))
    child = number_in(tmp_path / "pid")
    os.kill(mark_of(state, "cxaaaaaaaaaaaa", "process")["pid"], signal.SIGKILL)
    ended = wait_for_end(scheduler_id)
    assert (ended.state, ended.reason) == ("FAILED", "its supervisor was killed")
    until(lambda: is_gone(child))


def test_a_job_outlives_whoever_started_it(state, tmp_path):
    program = "import sys, os; sys.path[:0] = {!r}; import test_process as t; from clustrix_remote.paths import StatePaths; t.start(StatePaths({!r}), 'sleep 600'); os.kill(os.getpid(), 9)"
    done = subprocess.run([sys.executable, "-c", program.format(sys.path, state.root)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert process.post_mortem(process.find("cxaaaaaaaaaaaa")).state == "RUNNING"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"boot": "another"}, "its host was started anew"),
        ({"host": "elsewhere", "until": 0}, "nothing was heard from its host for 60 s after its time"),
    ],
)
def test_a_host_that_was_lost_is_told_as_lost(state, changed, reason):
    scheduler_id = start(state, "exit 0")
    wait_for_end(scheduler_id)
    job = state.job("cxaaaaaaaaaaaa")
    os.unlink(job.file("marks", "ended"))
    write_aside(
        job.file("marks", "process"), json.dumps(dict(mark_of(state, "cxaaaaaaaaaaaa", "process"), **changed)).encode()
    )
    ended = process.post_mortem(scheduler_id)
    assert (ended.state, ended.reason) == ("NODE_FAIL", reason)


def test_a_number_that_means_another_process_by_now_is_left_alone(state):
    scheduler_id = start(state, "exit 0")
    wait_for_end(scheduler_id)
    job, stranger = state.job("cxaaaaaaaaaaaa"), subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        os.unlink(job.file("marks", "ended"))
        about = dict(mark_of(state, "cxaaaaaaaaaaaa", "process"), pid=stranger.pid, session=stranger.pid)
        write_aside(job.file("marks", "process"), json.dumps(about).encode())
        assert process.post_mortem(scheduler_id).state == "FAILED"
        process.cancel([scheduler_id])
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
        os.unlink(job.file("marks", "process"))


def test_what_can_not_be_started_is_an_error_in_words(state):
    job = state.job("cxaaaaaaaaaaaa")
    os.makedirs(job.root)
    with pytest.raises(SchedulerError, match=r"spec\.json"):
        process.submit(job.script)


def begin_map(state, text, elements):
    """Start an array of which each element runs ``text``; the array's id."""
    job = state.job("cxaaaaaaaaaaaa")
    if not os.path.exists(job.root):
        for directory in ("out", "log", "marks"):
            os.makedirs(job.file(directory))
        os.makedirs(state.done("client"))
        spec = {"job_id": "cxaaaaaaaaaaaa", "resources": SMALL, "done_dir": state.done("client")}
        write_aside(job.spec, json.dumps(spec).encode())
    write_aside(job.script, ("#!/bin/bash\n" + text + "\n").encode())
    return process.submit(job.script, elements)


@pytest.fixture
def cores(monkeypatch):
    """This host seems to have four."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(4)), raising=False)


def test_the_elements_of_a_map_are_processes_with_states_outputs_and_ends_of_their_own(state, cores):
    array = begin_map(state, "echo %s; case %s in *.1) kill -9 $$;; *.2) exit 3;; esac" % ((process.ELEMENT,) * 2), 3)
    names = process.element_names(array, 3)
    until(lambda: all(each.is_ended for each in process.states([array]).values()))
    assert {name: (each.state, each.exit_code, each.signal) for name, each in process.states([array]).items()} == {
        names[0]: ("COMPLETED", 0, None),
        names[1]: ("FAILED", None, 9),
        names[2]: ("FAILED", 3, None),
    }
    assert [read(state.job("cxaaaaaaaaaaaa").output("stdout", name)) for name in names] == [
        name + "\n" for name in names
    ]
    until(lambda: os.listdir(state.done("client")) == ["cxaaaaaaaaaaaa.%s.exit" % names[1]])
    assert process.post_mortem(names[2]).exit_code == 3


def test_one_call_ends_all_elements_of_an_array_and_no_other(state, cores):
    first, second = begin_map(state, "sleep 600", 2), begin_map(state, "sleep 600", 2)
    assert first != second
    assert process.find("cxaaaaaaaaaaaa") == first
    process.cancel([first])
    until(lambda: [each.state for each in process.states([first]).values()] == ["CANCELLED"] * 2)
    assert [each.state for each in process.states([second]).values()] == ["RUNNING"] * 2
    process.cancel([second])
    until(lambda: all(each.is_ended for each in process.states([second]).values()))


def test_an_array_has_at_most_as_many_elements_as_there_are_cores_for(state, cores):
    begun = begin_map(state, "exit 0", 1)
    with pytest.raises(LimitError) as caught:
        begin_map(state, "exit 0", 5)
    assert caught.value.most == 4
    until(lambda: all(each.is_ended for each in process.states([begun]).values()))


def test_a_later_attempt_is_a_run_of_its_own_with_the_resources_that_it_asks_for(state):
    first = start(state, "sleep 600", time_seconds=1, retries=1, retry_policy={"time": 100})
    assert wait_for_end(first).state == "TIMEOUT"
    again = state.job("cxaaaaaaaaaaaa").file("script-1.sh")
    write_aside(again, b"#!/bin/bash\nsleep 600\n")
    second = process.submit(again)
    assert (second, process.find("cxaaaaaaaaaaaa1")) == ("cxaaaaaaaaaaaa1@" + os.uname().nodename, second)
    about = mark_of(state, "cxaaaaaaaaaaaa", "process.cxaaaaaaaaaaaa1")
    assert about["until"] - time.time() > 50
    assert process.post_mortem(second).state == "RUNNING"
    process.cancel([second])
    assert wait_for_end(second).state == "CANCELLED"
    assert wait_for_end(first).state == "TIMEOUT"
