"""One build at a time, whoever asks and whoever dies: real processes, really killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading

import clustrix_remote
import pytest
from clustrix_remote import environments
from clustrix_remote.builder import tail
from clustrix_remote.builds import ClientGoneError
from clustrix_remote.claims import current_claim
from clustrix_remote.environments import Recipe, ensure_environment

from environment_fixtures import ALPHA, BETA, UV, contents, is_running, processes_under, settings, wait_for
from made_wheels import lock_of, make_wheel

LOCK = Recipe(lock=lock_of(ALPHA, BETA))
DEAD_AFTER = 3  # seconds; with a heartbeat each second
HERE = os.path.dirname(os.path.abspath(__file__))


class Client:
    """A process that asks for the environment once it is told to, and what it said."""

    def __init__(self, *, before=(), **wanted):
        wanted["far_side"] = os.path.dirname(os.path.dirname(clustrix_remote.__file__))
        command = [*before, sys.executable, os.path.join(HERE, "environment_client.py"), json.dumps(wanted)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, universal_newlines=True, start_new_session=True
        )
        assert self.next_line() == {"ready": True}

    def next_line(self):
        return json.loads(self.process.stdout.readline())

    def ask(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def rest(self):
        lines = [json.loads(line) for line in self.process.stdout]
        assert self.process.wait(30) == 0
        return lines

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture
def client(state, interpreter):
    begun = []

    def begin(**wanted):
        wanted.setdefault("state", state.root)
        wanted.setdefault("lock", LOCK.lock)
        wanted.setdefault("package_manager", "auto")
        begun.append(Client(python=interpreter.path, **wanted))
        return begun[-1]

    yield begin
    for each in begun:
        each.close()


@pytest.fixture
def ensure(state, interpreter):
    def ensured(recipe=LOCK, **options):
        options.setdefault("report", [].append)
        return ensure_environment(state, interpreter, recipe, settings(), dead_after=DEAD_AFTER, **options)

    return ensured


@pytest.fixture
def claim_of_the_build(state, interpreter):
    """The claim of the build of LOCK that is under way."""

    def claim():
        directory = state.environment(environments.environment_key(interpreter, LOCK))
        wait_for(lambda: os.path.isdir(directory) and current_claim(directory))
        return current_claim(directory)

    return claim


def in_background(function, *arguments, **options):
    results = []

    def run():
        try:
            results.append(function(*arguments, **options))
        except Exception as error:  # noqa: BLE001 - the test looks at it
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, results


def files_asked_for(index):
    return sorted(path for path in index.requests if path.startswith("/files/"))


def test_ten_processes_at_once_build_one_environment_and_wait_with_progress(client, index):
    index.gate.clear()
    clients = [client() for _ in range(10)]
    for each in clients:
        each.ask()
    first = [each.next_line()["report"] for each in clients]
    assert len([line for line in first if line.startswith("building the environment")]) == 1
    assert len([line for line in first if line.startswith("waiting for the environment")]) == 9
    index.gate.set()
    ends = [each.rest()[-1] for each in clients]
    assert len({end.get("python") for end in ends}) == 1
    assert len([name for name in ends[0]["tree"] if name.startswith("built-")]) == 1
    assert len(files_asked_for(index)) == 2


def test_all_who_wait_for_a_build_that_fails_get_its_error_and_nobody_builds_again(client, index):
    index.wheels.clear()
    clients = [client() for _ in range(4)]
    index.gate.clear()
    for each in clients:
        each.ask()
    ends = [each.rest() for each in clients]
    assert all("can't be reached, or hasn't got" in end[-1]["error"] for end in ends)


def test_a_build_outlives_the_agent_that_began_it_and_the_next_one_finds_it(client, index, ensure):
    index.gate.clear()
    agent = client()
    agent.ask()
    assert index.is_asked_for_a_file.wait(30)
    os.killpg(agent.process.pid, signal.SIGKILL)
    agent.process.wait()
    said = []
    thread, results = in_background(ensure, report=said.append)
    wait_for(lambda: said)
    assert said[0].startswith("waiting for the environment")
    index.gate.set()
    thread.join(60)
    assert os.path.exists(results[0])
    assert len(files_asked_for(index)) == 2


def test_who_goes_leaves_the_build_to_go_on(index, ensure):
    index.gate.clear()
    gone = threading.Event()
    thread, results = in_background(ensure, gone=gone)
    assert index.is_asked_for_a_file.wait(30)
    gone.set()
    thread.join(30)
    assert isinstance(results[0], ClientGoneError)
    index.gate.set()
    assert os.path.exists(ensure())
    assert len(files_asked_for(index)) == 2


def test_a_killed_builder_is_noticed_and_replaced_and_leaves_neither_files_nor_processes(
    index, ensure, claim_of_the_build, state, interpreter
):
    index.gate.clear()
    thread, results = in_background(ensure)
    assert index.is_asked_for_a_file.wait(30)
    claim = claim_of_the_build()
    os.kill(claim.holder()["pid"], signal.SIGKILL)
    wait_for(lambda: not processes_under(os.path.dirname(claim.path)))
    index.gate.set()
    thread.join(60)
    assert os.path.exists(results[0])
    left = contents(state, interpreter, LOCK)
    assert [name.split("-")[0] for name in left] == ["build.log", "built", "current"]


def test_what_a_killed_builder_left_is_no_environment_and_the_next_call_builds_one(
    index, ensure, claim_of_the_build, client
):
    index.gate.clear()
    agent = client()
    agent.ask()
    assert index.is_asked_for_a_file.wait(30)
    claim = claim_of_the_build()
    os.killpg(agent.process.pid, signal.SIGKILL)
    os.kill(claim.holder()["pid"], signal.SIGKILL)
    directory = os.path.dirname(claim.path)
    assert any(name.startswith("built-") for name in os.listdir(directory))
    index.gate.set()
    assert os.path.exists(ensure())
    left = sorted(name for name in os.listdir(directory) if not name.startswith(".gone-"))
    assert [name.split("-")[0] for name in left] == ["build.log", "built", "current"]


def test_a_builder_that_was_only_asleep_ends_when_another_has_taken_over(index, ensure, claim_of_the_build):
    index.gate.clear()
    thread, results = in_background(ensure)
    assert index.is_asked_for_a_file.wait(30)
    sleeper = claim_of_the_build().holder()["pid"]
    os.kill(sleeper, signal.SIGSTOP)
    try:
        wait_for(lambda: claim_of_the_build().number == 2)
    finally:
        os.kill(sleeper, signal.SIGCONT)
    wait_for(lambda: not is_running(sleeper))
    index.gate.set()
    thread.join(60)
    assert os.path.exists(results[0])
    directory = os.path.dirname(os.path.dirname(os.path.dirname(results[0])))
    assert len([name for name in os.listdir(directory) if name.startswith("built-")]) == 1


def test_builders_that_keep_being_killed_are_an_error_with_the_log(index, ensure, claim_of_the_build):
    index.gate.clear()
    thread, results = in_background(ensure)
    directory = os.path.dirname(claim_of_the_build().path)
    killed = set()

    def all_are_killed():
        claim = current_claim(directory)
        builder = claim.holder().get("pid") if claim else None
        # Not before it has said something, which is what is looked for below.
        if builder not in (None, os.getpid(), *killed) and "venv" in tail(claim.file("log"), 1000):
            killed.add(builder)
            os.kill(builder, signal.SIGKILL)
        return not thread.is_alive()

    wait_for(all_are_killed, 60)
    assert "3 builders were killed" in str(results[0])
    assert "venv" in str(results[0]).partition("it ends:")[2]


def can_mount():
    command = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"]
    return shutil.which("unshare") is not None and subprocess.run(command, check=False).returncode == 0


@pytest.mark.parametrize("manager", ["pip", pytest.param("uv", marks=pytest.mark.skipif(UV is None, reason="no uv"))])
def test_a_full_disk_is_said_in_words_and_leaves_nothing_in_the_way(client, index, tmp_path, manager):
    if not can_mount():
        assert "CI" not in os.environ, "no mount namespace of one's own can be had here"
        pytest.skip("needs a mount namespace of one's own")
    large = make_wheel("alpha", alpha_data=bytes(24 << 20))
    index.offer(large)
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = 'mount -t tmpfs -o size=64m,mode=700 none "$0" && exec "$@"'
    full = client(
        before=["unshare", "-rm", "sh", "-c", mounted, str(disk)],
        state=str(disk),
        ballast=48 << 20,
        lock=lock_of(large, BETA),
        package_manager=manager,
    )
    full.ask()
    first, second = [line for line in full.rest() if "report" not in line]
    assert "is full, or your quota is used up" in first["error"]
    assert first["tree"] == ["build.log", "failed.json"]
    assert os.path.basename(second["python"]) == "python"
