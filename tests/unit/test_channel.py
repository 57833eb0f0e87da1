"""The channel and a real agent, started as a child process by the launcher that SSH would carry."""

import os
import shutil
import stat
import threading
from pathlib import Path

import pytest

from clustrix import errors
from clustrix.connection.channel import Channel, agent_archive
from clustrix.connection.local import LocalConnection


class Cluster:
    """Opens channels whose agent has its home under a directory of the test's own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.channels: list[Channel] = []
        self.lost: list[errors.ClusterConnectionError] = []
        self.is_lost = threading.Event()

    def open(self, shell: str = "/bin/sh", state_dir: str = "~/.clustrix") -> Channel:
        channel = Channel(
            LocalConnection(shell),
            "here",
            state_dir,
            timeout=30,
            on_event=lambda head, body: None,
            on_lost=self._on_lost,
        )
        self.channels.append(channel)
        return channel

    def _on_lost(self, error: errors.ClusterConnectionError) -> None:
        self.lost.append(error)
        self.is_lost.set()


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    cluster = Cluster(tmp_path)
    yield cluster
    for channel in cluster.channels:
        channel.close()


def state(**fields):
    return {"client": "c1", "scheduler": "slurm", **fields}


@pytest.mark.parametrize("shell", ["sh", "bash", "dash", "tcsh", "fish"])
def test_the_agent_starts_under_each_login_shell(cluster, shell):
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"{shell} is not installed")
    channel = cluster.open(path)
    assert channel.facts["root"] == str(cluster.home / ".clustrix")
    assert channel.request("status", state(job="cx1")) == {"state": "UNKNOWN"}


def test_what_a_login_shell_prints_first_does_no_harm(cluster, tmp_path):
    noisy = tmp_path / "noisy"
    noisy.write_text('#!/bin/sh\necho "Welcome! {\\"ready\\": 1}"\nprintf "no line end"\nexec /bin/sh "$@"\n')
    noisy.chmod(0o755)
    assert cluster.open(str(noisy)).request("status", state(job="cx1")) == {"state": "UNKNOWN"}


def test_the_agent_is_unpacked_once_per_content(cluster):
    cluster.open()
    root = cluster.home / ".clustrix" / "agents" / agent_archive()[0]
    made = root.stat().st_ino
    cluster.open()
    assert root.stat().st_ino == made
    assert [path.name for path in root.parent.iterdir() if path.is_dir()] == [root.name]


def test_the_state_directory_is_private(cluster):
    cluster.open()
    assert stat.S_IMODE((cluster.home / ".clustrix").stat().st_mode) == 0o700


def test_a_state_directory_that_others_can_enter_is_an_error_that_says_what_to_do(cluster):
    (cluster.home / "open").mkdir(mode=0o755)
    with pytest.raises(errors.ConfigurationError, match="chmod 700"):
        cluster.open(state_dir="~/open")


def test_a_host_without_python_is_an_error_that_names_it(cluster, monkeypatch, tmp_path):
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(errors.ClusterConnectionError, match=r"here has no Python 3\.6"):
        cluster.open()


def test_a_host_that_runs_no_commands_is_an_error_with_its_words(cluster, tmp_path):
    nologin = tmp_path / "nologin"
    nologin.write_text("#!/bin/sh\necho This account is not available.\nexit 1\n")
    nologin.chmod(0o755)
    with pytest.raises(errors.ClusterConnectionError, match=r"did not start.*not available"):
        cluster.open(str(nologin))


def test_an_error_of_the_agent_is_raised_as_its_own_class(cluster):
    with pytest.raises(errors.SubmissionError, match="no operation 'dance'"):
        cluster.open().request("dance", state())


def test_requests_from_many_threads_get_their_own_answers(cluster):
    channel = cluster.open()
    answers = {}

    def ask(number):
        answers[number] = channel.request("watch", state(jobs=[f"cx{number}"]))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert answers == {number: {"missing": [f"cx{number}"]} for number in range(20)}


def test_an_agent_that_dies_is_told_and_ends_every_request(cluster, tmp_path):
    # The shell script keeps the agent's process id, so that the test can kill it as an administrator would.
    wrapper = tmp_path / "wrapper"
    wrapper.write_text(f'#!/bin/sh\necho $$ > {tmp_path}/pid\nexec /bin/sh "$@"\n')
    wrapper.chmod(0o755)
    channel = cluster.open(str(wrapper))
    os.kill(int((tmp_path / "pid").read_text()), 9)
    assert cluster.is_lost.wait(30)
    with pytest.raises(errors.ClusterConnectionError, match="the connection to here was lost"):
        channel.request("status", state(job="cx1"))


def test_closing_the_channel_ends_the_agent_and_is_no_loss(cluster, tmp_path):
    channel = cluster.open()
    channel.close()
    assert not cluster.is_lost.wait(0.2)
    with pytest.raises(errors.ClusterConnectionError):
        channel.request("status", state(job="cx1"))


def test_the_agents_code_is_equal_bytes_every_time():
    digest, content = agent_archive()
    agent_archive.cache_clear()
    assert agent_archive() == (digest, content)
