"""Whatever comes over the stream, the agent answers or goes on: it never leaves its directory, runs nothing, and lives.

What it does, an audit hook in its process tells where Python has one; what it left, the files around its directory.
"""

import contextlib
import copy
import io
import json
import os
import queue
import struct
import subprocess
import sys
import threading
import time
import zipfile

import clustrix_remote
import pytest
from clustrix_remote.frames import FrameError, encode_frame, read_frame
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from environment_fixtures import NO_INDEX, UV
from made_wheels import base_python

SECONDS = 60
MAIN = """
import os, sys
sys.path.insert(0, sys.argv[1])
from clustrix_remote import agent, paths
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
log = os.open(sys.argv[3], os.O_WRONLY | os.O_APPEND)
def note(event, arguments):
    if event == "open" and (arguments[2] or 0) & WRITES:
        paths_of_it = arguments[:1]
    elif event in ("os.rename", "os.link", "os.symlink"):
        paths_of_it = arguments[:2] if event != "os.symlink" else arguments[1:2]
    elif event in ("os.mkdir", "os.chmod", "os.utime", "os.truncate", "os.remove", "os.rmdir", "shutil.rmtree"):
        paths_of_it = arguments[:1]
    elif event in ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "pickle.find_class"):
        os.write(log, ascii("ran %s %s" % (event, arguments[0])).encode() + b"\\n")
        return
    else:
        return
    for path in paths_of_it:
        path = os.fsdecode(path) if isinstance(path, (bytes, str)) else ""
        if path.startswith("/"):  # what is relative is below a directory that was noted
            os.write(log, ascii("wrote " + path).encode() + b"\\n")
state = paths.open_state_dir(sys.argv[2])
if hasattr(sys, "addaudithook"):
    sys.addaudithook(note)
agent.main(sys.stdin.buffer, open(1, "wb", buffering=0, closefd=False), state, sys.argv[1])
"""
STUB = '#!/bin/sh\necho "$0" >> %s\n%s\n'
ANSWERS = {
    "sbatch": "echo 17",
    "squeue": "echo '17|PENDING|Priority|'",
    "scontrol": "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1",
    "sacct": ":",
    "scancel": ":",
    "qsub": "echo 18.pbs",
    "qstat": "echo 'pbs_version = 20'",
    "qselect": ":",
    "qdel": ":",
}


class Sandbox:
    """An agent, and what is around it. Its directory lies deep enough that no name here leads out of the sandbox."""

    def __init__(self, root):
        self.root = root
        self.state = os.path.join(root, "a", "b", "c", "state")
        self.log, self.stubs_log = os.path.join(root, "log"), os.path.join(root, "stubs")
        self.programs = os.path.join(root, "programs")
        for directory in (os.path.dirname(self.state), self.programs, os.path.join(root, "home"), self.work_dir):
            os.makedirs(directory)
        for path in (self.log, self.stubs_log, os.path.join(root, "a", "canary"), os.path.join(root, "home", "canary")):
            with open(path, "w"):
                pass
        for name, answer in ANSWERS.items():
            path = os.path.join(self.programs, name)
            with open(path, "w") as stream:
                stream.write(STUB % (self.stubs_log, answer))
            os.chmod(path, 0o755)
        far_side = os.path.dirname(os.path.dirname(clustrix_remote.__file__))
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
        environment.update(
            HOME=os.path.join(root, "home"),
            PATH=os.pathsep.join([self.programs, *([os.path.dirname(UV)] if UV else []), os.environ["PATH"]]),
            PIP_INDEX_URL=NO_INDEX,
            UV_OFFLINE="1",
            TMPDIR=os.path.join(self.state, "jobs"),
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", MAIN, far_side, self.state, self.log],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.work_dir,
            env=environment,
        )
        self._answers = {}
        self._guard = threading.Lock()
        self._last = 0
        self._threads = [threading.Thread(target=self._read), threading.Thread(target=self._drain)]
        for thread in self._threads:
            thread.start()

    @property
    def work_dir(self):
        return os.path.join(self.root, "home", "work")

    def _read(self):
        with contextlib.suppress(FrameError):
            for head, body in iter(lambda: read_frame(self.process.stdout.read), None):
                if len(body) and head.get("id") is not None:
                    self.write(encode_frame({"id": head["id"], "credit": len(body)}))
                with self._guard:
                    waiting = self._answers.get(head.get("id"))
                if waiting is not None and not head.get("more"):
                    waiting.put(head)

    def _drain(self):
        while self.process.stderr.read(1 << 16):
            pass

    def write(self, buffers):
        with self._guard:
            for buffer in buffers:
                self.process.stdin.write(buffer)
            self.process.stdin.flush()

    def ask(self, head, body=b"", pieces=()):
        """The last answer to a request. What the agent asks for is sent from ``pieces`` in turn."""
        self._last += 1
        number, answers, pieces = self._last, queue.Queue(), list(pieces)
        with self._guard:
            self._answers[number] = answers
        self.write(encode_frame(dict(head, id=number), body))
        deadline = time.monotonic() + SECONDS
        while True:
            answer = answers.get(timeout=max(0.1, deadline - time.monotonic()))
            if "need" in answer:
                piece = pieces.pop(0) if pieces else b""
                self.write(encode_frame({"id": number, "piece": answer["need"]}, piece))
            elif "ok" in answer or "error" in answer:
                with self._guard:
                    del self._answers[number]
                return answer

    def check(self):
        """It still answers, and neither touched nor ran anything but what it may."""
        assert "ok" in self.ask({"op": "ping"})
        assert self.process.poll() is None
        with open(self.log, "rb") as stream:
            noted = [line.decode().strip("'") for line in set(stream.read().splitlines())]
        assert [line for line in noted if line.startswith("wrote") and not self._may_write(line[6:])] == []
        assert [line for line in noted if line.startswith("ran") and not self._may_run(line)] == []
        around = set()
        for directory, directories, files in os.walk(self.root):
            directories[:] = [name for name in directories if os.path.join(directory, name) != self.state]
            around |= {os.path.relpath(os.path.join(directory, name), self.root) for name in files + directories}
        assert {name for name in around if os.path.basename(name).startswith("canary")} == {"a/canary", "home/canary"}
        assert {name for name in around if name.split("/")[0] == "a"} == {"a", "a/b", "a/b/c", "a/canary"}

    def _may_write(self, path):
        return (path + "/").startswith((self.state + "/", self.work_dir + "/")) or path == "/dev/null"

    def _may_run(self, line):
        event, program = line.split(" ", 2)[1:]
        # Pythons are asked what they are, the login shell for its PATH.
        names = ("python", "pypy", "uv", "sh", "bash", "quota")
        return event in ("subprocess.Popen", "os.posix_spawn", "os.exec") and (
            program.startswith((self.programs + "/", self.state + "/"))
            or os.path.basename(program).startswith(names)
            or program == "None"
        )

    def close(self):
        self.process.stdin.close()
        self.process.wait(SECONDS)
        for thread in self._threads:
            thread.join()
        self.process.stdout.close()
        self.process.stderr.close()


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    made = Sandbox(str(tmp_path_factory.mktemp("sandbox")))
    yield made
    made.close()


FEW = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
# Names that lead out of where they should stay, but not out of the sandbox; words that a shell would obey.
HOSTILE = st.sampled_from(
    [
        "..", ".", "../canary", "../../canary", "a/../../canary", "-rf", "--help", "", "a\0b", "a\nb", "~", "*", "x" * 300,
        "$(touch canary2)", "`touch canary2`", "; touch canary2 #", "' ; touch canary2 '", "| touch canary2", "\udc80", "é",
        "%s%n", "{0.__class__}", "__import__('os')", "cos\nsystem\n(S'touch canary2'\ntR.",
    ]
)  # fmt: skip
TEXT = HOSTILE | st.text(st.characters(blacklist_characters="/~"), max_size=20)
NUMBER = st.integers(-3, 3) | st.sampled_from([2**31, 2**63, -(2**63), 10**30]) | st.floats()
ANYTHING = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


def package(members=()):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"package_id": "p1"}))
        archive.writestr("main.py", "x = 1\n")
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def requests(work_dir):
    """One good request of each operation that takes anything."""
    spec = {
        "job_id": "cxaaaaaaaaaaaa", "client": "me", "package": "p1", "entry": {"kind": "main", "name": "x"},
        "rewriter": "r1", "scheduler": "slurm", "python": None, "python_executable": base_python(),
        "client_python": [3, 12], "provision_python": False, "environment": None, "imports": [], "use_two_venv": "auto",
        "refusals": [], "requirements": [], "constraints": [], "package_manager": "auto", "setup_timeout": 60, "build_on": "login",
        "work_dir": work_dir, "modules": [], "pre_execution_commands": [], "environment_variables": {},
        "resources": {"cores": 1, "memory_mb": 100, "time_seconds": 60, "retries": 1, "retry_policy": {}},
    }  # fmt: skip
    return [
        {"op": "submit", "spec": spec, "arguments": 0, "key": "00" * 32},
        {"op": "submit", "spec": dict(spec, tasks=3, elements=2), "arguments": 0, "key": "00" * 32},
        {"op": "build", "spec": spec},
        {"op": "watch", "jobs": ["cxb"]},
        {"op": "cancel", "jobs": ["cxb"], "scheduler": "slurm"},
        {"op": "status", "job": "cxb", "scheduler": "slurm"},
        {"op": "output", "job": "cxb", "stream": "stdout", "limit": 10},
        {"op": "follow", "job": "cxb", "offsets": {}, "is_over": True},
        {"op": "acknowledge", "client": "me", "jobs": ["cxb"]},
        {"op": "job", "job": "cxb"},
        {"op": "environment", "key": "k1"},
        {"op": "remove_environment", "key": "k1"},
    ]


def places(value, before=()):
    """The ways to every value inside."""
    inside = list(value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ())
    ways = [(*before, key) for key, _ in inside]
    return ways + [way for key, each in inside for way in places(each, (*before, key))]


@st.composite
def spoilt_requests(draw, work_dir):
    """A good request with some of its values replaced or left out."""
    head = copy.deepcopy(draw(st.sampled_from(requests(work_dir))))
    for way in draw(st.lists(st.sampled_from(places(head)), min_size=1, max_size=3)):
        inside = head
        with contextlib.suppress(KeyError, IndexError, TypeError):  # an outer one was spoilt before
            for key in way[:-1]:
                inside = inside[key]
            if draw(st.integers(0, 3)):
                inside[way[-1]] = draw(ANYTHING)
            else:
                del inside[way[-1]]
    return head


def test_what_is_spoilt_below_is_good(sandbox):
    submit, submit_map, build = requests(sandbox.work_dir)[:3]
    submit_map["spec"]["job_id"] = "cxbbbbbbbbbbbb"
    for head in (submit, submit_map, build):
        assert "ok" in sandbox.ask(head, b"", [package()])
    with open(sandbox.stubs_log) as stream:
        assert "sbatch" in stream.read()
    sandbox.check()


def test_a_request_with_anything_in_it_is_answered_and_does_nothing_else(sandbox):
    archives = st.sampled_from([package(), package()[:-9], package([("../x", "")]), b"PK", b""])
    pieces = st.lists(archives | st.binary(max_size=30), max_size=4)

    @FEW
    @given(spoilt_requests(sandbox.work_dir), st.binary(max_size=20), pieces)
    def ask(head, body, pieces):
        sandbox.ask(head, body, pieces)
        sandbox.check()

    ask()


def frames():
    """Frames as no client of ours sends them: whole, but with any head, any body, and text between them."""
    heads = st.one_of(
        st.binary(max_size=40),
        ANYTHING.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")),
        st.fixed_dictionaries(
            {"id": ANYTHING, "op": ANYTHING, "more": ANYTHING, "size": ANYTHING, "credit": ANYTHING, "piece": ANYTHING}
        ).map(lambda value: json.dumps(value).encode()),
        st.sampled_from(
            [b"[" * 100000, b"1" * 100000, b'{"id":' * 3000, b'{"id":1e999}', b'{"id":"x","more":1,"size":-1}']
        ),
        st.dictionaries(st.sampled_from(["id", "more", "size", "credit", "op", "piece"]), NUMBER | st.booleans()).map(
            lambda value: json.dumps(value).encode()
        ),
    )
    noise = st.sampled_from([b"", b"You have mail\n", b"\xff\xfe", b"{}"])
    return st.lists(st.tuples(noise, heads, st.binary(max_size=20)), min_size=1, max_size=5)


def test_a_frame_with_any_head_is_answered_or_passed_over(sandbox):
    @FEW
    @given(frames())
    def send(sent):
        for noise, head, body in sent:
            sandbox.write([noise, struct.pack("!II", len(head), len(body)), head, body])
        sandbox.check()

    send()


def test_the_end_of_the_stream_in_any_frame_ends_the_agent_in_order(tmp_path):
    made = Sandbox(str(tmp_path))
    made.write([struct.pack("!II", 100, 1 << 30)])
    made.close()
    assert made.process.returncode == 0


NAMES = HOSTILE | st.sampled_from(["f", "d", "d/f", "l/f", "//f", "d//f", "./f"])
KINDS = st.sampled_from(["file", "directory", "link", "other", ""])
ENTRIES = st.lists(
    st.tuples(NAMES, KINDS, NUMBER, NUMBER, NUMBER, st.sampled_from(["..", "../../canary", "f"])).map(list) | ANYTHING,
    max_size=3,
)
FACTS = st.lists(
    st.tuples(st.integers(-1, 3), st.just("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"))
)
COPYING = st.one_of(
    st.tuples(st.just("prepare"), st.just({}), ENTRIES.map(lambda found: json.dumps(found).encode())),
    st.tuples(st.just("store"), st.fixed_dictionaries({"entries": ENTRIES, "facts": FACTS}), st.binary(max_size=3)),
    st.tuples(st.just("link"), st.fixed_dictionaries({"entries": ENTRIES}), st.just(b"")),
    st.tuples(
        st.just("finish"), st.fixed_dictionaries({"entry": ENTRIES.map(lambda found: (found or [0])[0])}), st.just(b"")
    ),
)


def test_a_copy_with_any_names_in_it_stays_below_its_directory(sandbox):
    top = os.path.join(sandbox.work_dir, "copy")
    os.mkdir(top)
    with open(os.path.join(sandbox.work_dir, "beside"), "w"):
        pass

    @FEW
    @given(COPYING)
    def copy_there(asked):
        operation, arguments, body = asked
        sandbox.ask({"op": "files", "call": operation, "base": top, "arguments": dict(arguments, path=".")}, body)
        assert sorted(os.listdir(sandbox.work_dir)) == ["beside", "copy"]
        sandbox.check()

    copy_there()
