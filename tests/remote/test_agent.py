"""The agent as the client has it: a process, requests and answers over its stdin and stdout."""

import contextlib
import hashlib
import importlib.util
import io
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import zipfile

import clustrix_remote
import pytest
from clustrix_remote.stream import Stream

from environment_fixtures import ALPHA, BETA, NO_INDEX
from made_wheels import Sender, lock_of, make_wheel, sha256

MAIN = """
import sys
sys.path.insert(0, sys.argv[1])
from clustrix_remote import agent, paths
agent.main(sys.stdin.buffer, open(1, "wb", buffering=0, closefd=False), paths.open_state_dir(sys.argv[2]), sys.argv[1])
"""
# Takes every job and lets it wait: what is tested comes before the queue.
SBATCH = "#!/bin/sh\necho 17\n"


class AgentProcess:
    def __init__(self, state):
        root = os.path.dirname(os.path.dirname(clustrix_remote.__file__))
        self.process = subprocess.Popen(
            [sys.executable, "-c", MAIN, root, state.root], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._stream = Stream(self.process.stdout.read, self._write)
        self._answers = {}
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _write(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def _read(self):
        while True:
            message = self._stream.receive()
            if message is None:
                return
            self._answers[message[0]["id"]].put(message[0])

    def begin(self, number, operation, body=b"", **head):
        self._answers[number] = queue.Queue()
        self._stream.send(dict(head, id=number, op=operation), body)

    def end_of(self, number, pieces=None, until=None):
        """The last answer to a request, or its first progress with ``until`` in it; what the agent asks for is sent from ``pieces``."""
        progress = []
        while True:
            answer = self._answers[number].get(timeout=60)
            if "need" in answer:
                self.send_piece(number, answer["need"], pieces(answer["need"]))
            elif "progress" in answer:
                progress.append(answer["progress"])
            if not {"need", "progress"} & set(answer) or (until and until in answer.get("progress", "")):
                return dict(answer, progress=progress)

    def send_piece(self, number, name, body):
        self._stream.send({"id": number, "piece": name}, body)

    def close(self, with_signal=None):
        if with_signal:
            self.process.send_signal(with_signal)
        self._stream.close()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait(40)
        self._reader.join()
        self.process.stdout.close()


@pytest.fixture
def agent(state, settings_of_nobody, monkeypatch, tmp_path):
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "sbatch").write_text(SBATCH)
    (programs / "sbatch").chmod(0o755)
    (programs / "squeue").write_text("#!/bin/sh\necho '17|PENDING|Priority|'\n")
    (programs / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    started = []

    def start():
        started.append(AgentProcess(state))
        return started[-1]

    yield start
    for each in started:
        each.close()


def package():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"package_id": "p1"}))
        archive.writestr("main.py", "x = 1\n")
    return buffer.getvalue()


@pytest.fixture
def spec(interpreter, tmp_path):
    return {
        "job_id": "cxaaaaaaaaaaaa",
        "client": "me",
        "package": "p1",
        "entry": {"kind": "main", "name": "x"},
        "rewriter": "r1",
        "scheduler": "slurm",
        "python": None,
        "python_executable": interpreter.path,
        "client_python": [3, 12],
        "provision_python": False,
        "environment": None,
        "imports": [],
        "use_two_venv": "auto",
        "refusals": [],
        "requirements": [],
        "constraints": [],
        "package_manager": "auto",
        "setup_timeout": 60,
        "build_on": "login",
        "work_dir": str(tmp_path),
        "resources": {"cores": 1, "memory_mb": 100, "time_seconds": 60},
        "modules": [],
        "pre_execution_commands": [],
        "environment_variables": {},
    }


def submitted(agent, number, spec):
    agent.begin(number, "submit", spec=spec, arguments=0, key=hashlib.sha256(b"").hexdigest())


def pieces_of(sender, **lock):
    def piece(name):
        if name == "lock":
            return json.dumps({"candidate": 0, **lock}).encode()
        return package() if name == "package" else sender(name)

    return piece


def test_a_job_brings_its_lock_and_the_client_sends_wheels_where_there_is_no_index(agent, spec):
    sender = Sender(ALPHA, BETA)
    spec.update(requirements=["alpha", "beta"])
    mine = agent()
    submitted(mine, 1, spec)
    answer = mine.end_of(1, pieces_of(sender, lock=lock_of(ALPHA, BETA), has_wheels=True))
    assert answer["ok"]["scheduler_id"] == "17"
    assert sender.asked[0] == "wheels"
    mine.begin(2, "environments")
    listed = mine.end_of(2)["ok"]
    assert [item["packages"] for item in listed["environments"]] == [{"alpha": "1.0", "beta": "1.0"}]
    assert listed["room"]["free"] > 0


@pytest.mark.usefixtures("index")
def test_tools_come_before_the_jobs_own_environment(agent, spec):
    pickler = make_wheel("cloudpickle", "3.1.1")
    sent = {"lock": lock_of(ALPHA), "tools": [[pickler[0], sha256(pickler[1])]]}
    spec.update(requirements=["alpha"])
    mine = agent()
    submitted(mine, 1, spec)
    assert "ok" in mine.end_of(1, pieces_of(Sender(pickler), **sent))
    mine.begin(2, "environments")
    listed = mine.end_of(2)["ok"]["environments"]
    assert sorted(str(item["packages"]) for item in listed) == ["{'alpha': '1.0'}", "{'cloudpickle': '3.1.1'}"]


def test_a_warm_submission_needs_nothing_and_says_nothing(agent, spec):
    mine = agent()
    submitted(mine, 1, spec)
    assert mine.end_of(1, pieces_of(Sender()))["progress"]
    submitted(mine, 2, dict(spec, job_id="cxbbbbbbbbbbbb"))
    again = mine.end_of(2)
    assert again["ok"]["scheduler_id"] == "17"
    assert again["progress"] == []


def test_of_many_first_calls_at_once_one_brings_the_package(agent, spec):
    mine, asked, ended = agent(), [], []

    def piece(name):
        asked.append(name)
        return package()

    numbers = range(1, 9)
    for number in numbers:
        submitted(mine, number, dict(spec, job_id="cxaaaaaaaaaaa%d" % number))
    threads = [
        threading.Thread(target=lambda number=number: ended.append(mine.end_of(number, piece))) for number in numbers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ["ok" in answer for answer in ended] == [True] * 8
    assert asked == ["package"]


def test_an_environment_that_a_queued_job_needs_is_not_removed_until_the_job_is_forgotten(agent, spec):
    mine = agent()
    submitted(mine, 1, spec)
    mine.end_of(1, pieces_of(Sender()))
    mine.begin(2, "environments")
    key = mine.end_of(2)["ok"]["environments"][0]["key"]
    mine.begin(3, "remove_environment", key=key)
    error = mine.end_of(3)["error"]
    assert error["type"] == "EnvironmentSetupError"
    assert spec["job_id"] in error["message"]
    mine.begin(4, "acknowledge", client="me", jobs=[spec["job_id"]])
    mine.end_of(4)
    mine.begin(5, "remove_environment", key=key)
    assert mine.end_of(5)["ok"] == {}
    mine.begin(6, "environments")
    assert mine.end_of(6)["ok"]["environments"] == []


@pytest.mark.parametrize("end", [None, signal.SIGKILL], ids=["the connection is lost", "the agent is killed"])
def test_the_build_goes_on_and_the_next_submission_finds_it(agent, spec, index, end):
    spec.update(requirements=["alpha", "beta"])
    pieces = pieces_of(Sender(), lock=lock_of(ALPHA, BETA))
    index.gate.clear()
    first = agent()
    submitted(first, 1, spec)
    first.send_piece(1, "package", pieces("package"))
    first.send_piece(1, "lock", pieces("lock"))
    assert index.is_asked_for_a_file.wait(30)
    first.close(end)
    second = agent()
    submitted(second, 1, spec)
    assert second.end_of(1, pieces, until="waiting for the environment")["progress"]
    index.gate.set()
    answer = second.end_of(1)
    assert answer["ok"]["scheduler_id"] == "17"
    assert len([path for path in index.requests if path.startswith("/files/")]) == 2


def test_a_failed_build_is_told_to_the_client_and_leaves_no_job(agent, spec, state):
    spec.update(requirements=["alpha"])
    mine = agent()
    submitted(mine, 1, spec)
    error = mine.end_of(1, pieces_of(Sender(), lock=lock_of(ALPHA)))["error"]
    assert error["type"] == "EnvironmentSetupError"
    assert NO_INDEX.partition("/simple")[0] in error["message"]
    assert os.listdir(os.path.join(state.root, "jobs")) == []


def test_bytecode_that_the_jobs_python_does_not_have_is_refused_and_leaves_no_job(agent, spec, state):
    spec["entry"] = {"kind": "bytecode", "name": "f", "magic": "00000d0a"}
    mine = agent()
    submitted(mine, 1, spec)
    error = mine.end_of(1, pieces_of(Sender()))["error"]
    assert error["type"] == "PackagingError"
    assert "f has no source on the client" in error["message"]
    assert os.listdir(os.path.join(state.root, "jobs")) == []


def test_bytecode_goes_to_the_python_that_has_it(agent, spec):
    magic = importlib.util.MAGIC_NUMBER.hex()
    spec.update(entry={"kind": "bytecode", "name": "f", "magic": magic}, client_python=list(sys.version_info[:3]))
    spec["python_executable"] = None
    mine = agent()
    submitted(mine, 1, spec)
    assert mine.end_of(1, pieces_of(Sender()))["ok"]["python"] == list(sys.version_info[:2])
