"""What the tests of environments share: a state directory, an index on the loopback, and no settings but these."""

import os
import shutil
import time

import pytest
from clustrix_remote import environments, interpreters
from clustrix_remote.paths import open_state_dir

from made_wheels import Index, base_python, make_wheel

UV = shutil.which(os.environ.get("UV", "uv"))
ALPHA = make_wheel("alpha", requires=["beta<2"])
BETA = make_wheel("beta")
NO_INDEX = "http://127.0.0.1:9/simple"  # the discard service, which nobody runs: refused at once


@pytest.fixture
def state(tmp_path):
    return open_state_dir(str(tmp_path / "state"))


@pytest.fixture
def interpreter():
    return interpreters.inspect_interpreter(base_python())


@pytest.fixture
def settings_of_nobody(monkeypatch, tmp_path):
    """No index but what a test names; no settings of this machine's or user's."""
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("HOME", str(tmp_path))
    if UV:
        monkeypatch.setenv("PATH", os.path.dirname(UV), prepend=os.pathsep)
    monkeypatch.setenv("PIP_INDEX_URL", NO_INDEX)
    # An installer that waits for a file shall end because it was ended.
    monkeypatch.setenv("UV_HTTP_TIMEOUT", "600")


@pytest.fixture
def index(settings_of_nobody, monkeypatch):
    served = Index(ALPHA, BETA)
    monkeypatch.setenv("PIP_INDEX_URL", served.url)
    yield served
    served.close()


def settings(package_manager="auto", **fields):
    return environments.BuildSettings(**dict({"seconds": 60, "package_manager": package_manager}, **fields))


def contents(state, interpreter, recipe):
    """What is in the environment's directory, as a user sees it: without what is just being removed."""
    directory = state.environment(environments.environment_key(interpreter, recipe))
    return sorted(name for name in os.listdir(directory) if not name.startswith(".gone-"))


def wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited %d s for nothing" % seconds
        time.sleep(0.02)


def is_running(pid):
    """Neither gone nor a zombie that nobody has waited for yet."""
    try:
        with open("/proc/%d/stat" % pid) as stream:
            return stream.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def processes_under(directory):
    """Command lines of all processes that name this directory."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as stream:
                command = os.fsdecode(stream.read().replace(b"\0", b" "))
        except OSError:
            continue
        if directory in command and int(pid) != os.getpid():
            found.append(command)
    return found
