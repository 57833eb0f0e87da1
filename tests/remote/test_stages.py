"""A job in two stages: the same answers as in one process, by processes of two Pythons, with nothing of the user's in one of them."""

import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from glob import glob

import clustrix_remote
import pytest
from clustrix_remote import wire
from clustrix_remote.frames import MAX_BODY
from clustrix_remote.stages import LARGEST_OPENED, SerializationProcess, StageError, ThisProcess

FAR_SIDE = os.path.dirname(os.path.dirname(os.path.abspath(clustrix_remote.__file__)))
WIRE_CASES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "wire_cases.py")
KEY = bytes(range(32))
RUNNER = "import sys; sys.path[0] = sys.argv[1]; from clustrix_remote.runner import main; sys.exit(main(sys.argv[2]))"

MAIN = """
import gc, os, signal, sys, time

class MineError(Exception):
    def __init__(self, code, *, hint):
        super().__init__("text of %s" % code)
        self.code, self.hint = code, hint

def same(value):
    return value

def doubled(data):
    return data * 2

async def awaited(data):
    import asyncio
    await asyncio.sleep(0)
    return data * 2

def printing(text):
    print(text)
    os.system("echo from a shell")

def failing(code):
    try:
        {}["first"]
    except KeyError as error:
        raise MineError(code, hint=[1]) from error

def leaving():
    sys.exit(3)

def a_lock():
    import threading
    return {"locks": [threading.Lock()]}

def waiting_for_all_children():
    try:
        return os.wait()
    except ChildProcessError:
        return "there are none"

def warned():
    seen = []
    for number in (signal.SIGUSR1, signal.SIGTERM):
        signal.signal(number, lambda number, frame: seen.append(int(number)))
        os.killpg(os.getpgrp(), number)
    return seen

def stage():
    found, = [found for found in gc.get_objects() if type(found).__name__ == "SerializationProcess"]
    return found.who.pid

def losing_its_stage():
    os.kill(stage(), signal.SIGKILL)

def telling_its_stage_and_waiting():
    print(stage(), flush=True)
    sys.stdin.read()
"""


def other_python():
    """A Python as far from this one as those of a client and an old cluster are."""
    version = "3.6" if sys.version_info >= (3, 8) else "3.12"
    root = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    candidates = [
        shutil.which("python" + version),
        *glob(os.path.join(root, "versions", version + ".*", "bin", "python")),
    ]
    for path in filter(None, candidates):
        asked = subprocess.run([path, "-V"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        if asked.stdout.decode().startswith("Python " + version + "."):
            return path
    assert "CI" not in os.environ, "there is no Python %s on this machine" % version
    pytest.skip("there is no Python %s on this machine" % version)


@pytest.fixture(scope="module")
def other():
    return other_python()


class Jobs:
    """Runs functions of one main file as jobs under this Python, each in a directory of its own."""

    def __init__(self, root, main):
        self.root = str(root)
        self.package = os.path.join(self.root, "package")
        os.makedirs(self.package)
        with open(os.path.join(self.package, "main.py"), "w", encoding="utf-8") as stream:
            stream.write(main)
        self._numbers = itertools.count()

    def prepare(self, function, args, stages, client=sys.version_info[:2], data=None):
        """The directory of a new job, and the command that runs it."""
        job = os.path.join(self.root, str(next(self._numbers)))
        for name in ("out", "marks", "done"):
            os.makedirs(os.path.join(job, name))
        spec = {
            "job_id": "cx1",
            "resources": {},
            "task": 0,
            "package": "p",
            "package_dir": self.package,
            "original_dir": self.package,
            "done_dir": os.path.join(job, "done"),
            "entry": {"kind": "main", "name": function},
            "client_python": client,
            "stages_python": stages,
            "stages_modules": [],
        }
        arguments = wire.dumps((args, {})) if data is None else data
        for name, content in (("spec.json", json.dumps(spec).encode()), ("key", KEY), ("args", arguments)):
            with open(os.path.join(job, name), "wb") as stream:
                stream.write(content)
        return job, [sys.executable, "-s", "-c", RUNNER, FAR_SIDE, job]

    def run(self, function, *args, stages=None, **more):
        """(head, body, process) of the job: its sealed result, and what it printed."""
        job, command = self.prepare(function, args, stages, **more)
        process = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, check=False
        )
        assert os.path.exists(os.path.join(job, "done", "cx1.done")), process.stderr.decode()
        with open(os.path.join(job, "out", "result"), "rb") as stream:
            head, body = wire.unseal(KEY, stream.read(), {"job_id": "cx1"})
        return head, bytes(body), process


@pytest.fixture
def jobs(tmp_path):
    return Jobs(tmp_path / "jobs", MAIN)


def test_a_coroutine_is_run_to_its_end(jobs):
    head, body, _ = jobs.run("awaited", [1])
    assert head["outcome"] == "value"
    assert wire.loads(body) == [1, 1]


@pytest.mark.parametrize("whose", ["this", "the other"])
def test_every_case_of_the_wire_comes_back_the_same_by_one_stage_and_by_two(whose, other, tmp_path):
    """For a client of the other Python, which is that of the first stage, too; numpy's for one of this Python, which has it."""
    client = sys.executable if whose == "this" else other
    version = json.loads(
        subprocess.check_output([client, "-c", "import sys; print(list(sys.version_info[:2]))"]).decode()
    )
    with open(WIRE_CASES, encoding="utf-8") as stream:
        jobs = Jobs(
            tmp_path / "jobs", stream.read().partition("def main():")[0] + "def same(value):\n    return value\n"
        )
    calls = tmp_path / "calls"
    calls.mkdir()
    subprocess.check_call([client, WIRE_CASES, FAR_SIDE, "call", str(calls)])
    chosen = [case for case in calls.glob("*.4") if case.name.startswith("numpy") or whose != "this"]
    if not chosen:
        assert "CI" not in os.environ, "this Python has no numpy"
        pytest.skip("this Python has no numpy")
    verdicts = []
    for stages in (None, other):
        results = tmp_path / ("by one" if stages is None else "by two")
        results.mkdir()

        def pass_on(case, stages=stages, results=results):
            head, body, _ = jobs.run("same", stages=stages, client=version, data=case.read_bytes())
            assert head["outcome"] == "value", body
            (results / case.name).write_bytes(body)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(pass_on, chosen))
        subprocess.check_call([client, WIRE_CASES, FAR_SIDE, "read", str(results), str(results / "verdicts")])
        verdicts.append(json.loads((results / "verdicts").read_text()))
    assert len(verdicts[0]) > 5
    assert verdicts[0] == verdicts[1]
    # An exception that travels on without being raised again has lost its traceback, either way.
    assert {case for case, verdict in verdicts[1].items() if verdict != "ok"} <= {"chain.4"}


def facts(python):
    """The executable and version that a Python reports of itself."""
    program = "import platform, sys; print(sys.executable); print(platform.python_version())"
    return subprocess.check_output([python, "-c", program]).decode().splitlines()


def test_the_head_says_which_interpreter_and_process_did_what(jobs, other):
    decode, run, encode = jobs.run("same", 1, stages=other)[0]["where"]
    assert [stage[0] for stage in (decode, run, encode)] == ["decode", "run", "encode"]
    assert decode[1:] == encode[1:]
    assert decode[1:3] == facts(other)
    assert run[1:3] == facts(sys.executable)
    assert decode[3] != run[3]
    short = jobs.run("same", 1)[0]["where"]
    assert [stage[0] for stage in short] == ["decode", "run", "encode"]
    assert len({tuple(stage[1:]) for stage in short}) == 1


ANSWERS = {
    "a value": ("doubled", "ab"),
    "an exception of the user's": ("failing", 13),
    "an exit": ("leaving",),
    "what can't be sent": ("a_lock",),
    "the wrong number of arguments": ("same",),
    "a large value": ("doubled", b"x" * (LARGEST_OPENED // 2 + 1)),
    "no process that the function did not start": ("waiting_for_all_children",),
    "signals to all of the job": ("warned",),
}


def told(exc):
    """All that can be seen of an exception."""
    record = wire.describe_exception(exc)
    return [dict(entry, attributes=sorted(entry["attributes"].items())) for entry in record["exceptions"]]


@pytest.mark.parametrize("call", ANSWERS.values(), ids=ANSWERS)
def test_two_stages_give_the_answer_of_one(call, jobs, other):
    (one, one_body, _), (two, two_body, _) = jobs.run(*call), jobs.run(*call, stages=other)
    assert one["outcome"] == two["outcome"]
    if one["outcome"] == "exception":
        assert told(wire.loads(one_body)) == told(wire.loads(two_body))
    else:
        assert without_addresses(one_body) == without_addresses(two_body)


def without_addresses(body):
    """A lock's text has its address in it."""
    return re.sub(b"0x[0-9a-f]+", b"0x", bytes(body))


def test_what_cannot_be_read_there_is_said_in_the_same_words(jobs, other):
    arguments = b"\x80\x04cnot_there\nThing\n."
    one, two = (jobs.run("same", stages=stages, data=arguments) for stages in (None, other))
    assert (one[0]["outcome"], one[1]) == (two[0]["outcome"], two[1])
    assert one[0]["outcome"] == "unreadable"


def test_a_traceback_shows_the_lines_of_the_main_file(jobs, other):
    error = wire.loads(jobs.run("failing", 13, stages=other)[1])
    assert "raise MineError(code, hint=[1]) from error" in str(error.__cause__.__cause__)


def test_what_the_function_prints_is_all_that_is_printed(jobs, other):
    process = jobs.run("printing", "text", stages=other)[2]
    assert sorted(process.stdout.splitlines()) == [b"from a shell", b"text"]
    assert process.stderr == b""


def test_a_stage_that_dies_while_the_function_runs_is_an_error_in_words(jobs, other):
    head, body, process = jobs.run("losing_its_stage", stages=other)
    assert head["outcome"] == "failed"
    assert "process ({}) ended too early (value)".format(other) in body.decode()
    assert process.returncode == 1


def test_a_stage_that_cannot_start_is_an_error_with_what_it_said_in_the_log(jobs, tmp_path):
    program = tmp_path / "python"
    head, body, _ = jobs.run("same", 1, stages=str(program))
    assert (head["outcome"], head["where"]) == ("failed", [])
    assert "can't be started: [Errno 2]" in body.decode()
    program.write_text("#!/bin/sh\necho no licence >&2; exit 3\n")
    program.chmod(0o700)
    head, body, process = jobs.run("same", 1, stages=str(program))
    assert "{}, ended with exit status 3".format(program) in body.decode()
    assert process.stderr == b"no licence\n"


def test_a_package_that_is_gone_is_said_by_the_stage(other):
    process = SerializationProcess(other, [])
    try:
        with pytest.raises(StageError, match=r"failed \(function\): (?s:.*)No such file"):
            process.function("/nowhere", {"kind": "main", "name": "f"})
    finally:
        process.close()


def test_a_function_in_a_module_of_its_own_needs_no_text(other, tmp_path):
    entry = {"kind": "module", "module": "m", "name": "f"}
    process = SerializationProcess(other, [])
    try:
        assert process.function(str(tmp_path), entry) == ThisProcess().function(str(tmp_path), entry) == (None, b"")
    finally:
        process.close()


def test_the_stage_ends_when_the_runner_is_killed(jobs, other):
    _, command = jobs.prepare("telling_its_stage_and_waiting", (), other)
    runner = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    os.kill(int(runner.stdout.readline()), 0)
    runner.kill()
    # The stage has the other end of the runner's stderr: it is gone when that ends.
    _, said = runner.communicate(timeout=30)
    assert said == b""
    assert runner.returncode == -signal.SIGKILL


def test_a_stage_whose_python_needs_a_module_gets_it_whatever_the_login_shell_prints(
    other, tmp_path, monkeypatch, capfd
):
    program = tmp_path / "python"
    program.write_text('#!/bin/sh\n[ "$LOADED" = python/3 ] && exec "%s" "$@"\n' % other)
    program.chmod(0o700)
    (tmp_path / ".bash_profile").write_text("echo welcome\nmodule() { export LOADED=$2; }\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(StageError, match="exit status 1"):
        SerializationProcess(str(program), [])
    process = SerializationProcess(str(program), ["python/3"])
    try:
        assert wire.loads(process.value([wire.dumps([1])], (3, 6))[0]) == [1]
    finally:
        process.close()
    assert capfd.readouterr() == ("", "welcome\n")


def test_a_main_file_of_many_frames_arrives_whole(other, tmp_path):
    text = os.urandom(3 * MAX_BODY + 1)
    (tmp_path / "main.py").write_bytes(text)
    process = SerializationProcess(other, [])
    try:
        source = process.function(str(tmp_path), {"kind": "main", "name": "f"})
    finally:
        process.close()
    assert source == (str(tmp_path / "main.py"), text)


def test_what_is_written_anew_is_for_the_reader_and_what_is_not_opened_is_the_same_object(other):
    process = SerializationProcess(other, [])
    try:
        for data in (wire.dumps(NotOpened()), wire.dumps(bytes(LARGEST_OPENED))):
            assert process.value([data], (3, 12))[0] is data
        data = wire.dumps([1])
        assert process.value([data], (3, 6)) == [data]
        assert process.value([data], (3, 12))[0][1] == (4 if process.who.version.startswith("3.6.") else 5)
    finally:
        process.close()


class NotOpened:
    pass
