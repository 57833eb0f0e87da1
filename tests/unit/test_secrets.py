"""Where secrets are on a client's machine, and on a host without a scheduler: all processes and files are searched while they are in use."""
# ruff: noqa: F401, F811 - the fixture of ssh_ways

import json
import stat
import sys
import tempfile
import time
from pathlib import Path

import pytest
import site_workload
from asking_server import AskingServer
from ssh_ways import way

import clustrix
from clustrix import ClusterConfig, ClusterExecutor, cluster

PASSWORD, CODE, TOKEN = "password-30c4f1a98e62", "code-8817264530", "token-b91e06d75f3a"
OFTEN = {"PASSWORD": PASSWORD.encode(), "CODE": CODE.encode(), "TOKEN": TOKEN.encode()}

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/environ").exists(), reason="what processes have is seen in /proc only"
)


def in_processes(kind, wanted):
    """(secret, process's command line) of each in whose ``cmdline`` or ``environ`` it is."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            content, line = (process / kind).read_bytes(), (process / "cmdline").read_bytes()
        except OSError:
            continue
        found |= {
            (name, line.replace(b"\0", b" ").decode(errors="replace"))
            for name, secret in wanted.items()
            if secret in content
        }
    return found


def in_files(top, wanted):
    found = {path: path.read_bytes() for path in top.rglob("*") if path.is_file() and not path.is_symlink()}
    return {(name, path) for path, content in found.items() for name, secret in wanted.items() if secret in content}


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A directory for each that the client or the job may write to."""
    for name, variable in (
        ("temporary", "TMPDIR"),
        ("state", "XDG_STATE_HOME"),
        ("cache", "XDG_CACHE_HOME"),
        ("work", ""),
    ):
        (tmp_path / name).mkdir(mode=0o700)
        if variable:
            monkeypatch.setenv(variable, str(tmp_path / name))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_a_password_a_code_a_token_and_a_key_are_where_they_have_to_be_and_nowhere_else(places, way):
    seen = []

    def answer(question):
        seen.append((question, in_processes("cmdline", OFTEN), in_processes("environ", OFTEN), in_files(places, OFTEN)))
        return CODE if "code" in question else None

    clustrix.answer_prompts(answer)
    gate, begun = places / "go", places / "work" / "begun"
    with AskingServer(answers=[PASSWORD, CODE]) as server:
        config = ClusterConfig(
            cluster_type="ssh", cluster_host="127.0.0.1", cluster_port=server.port, username="alice", password=PASSWORD,
            known_hosts_file=server.write_known_hosts(places / "known_hosts"), connection=way,
            remote_state_dir=str(places / "far"), remote_work_dir=str(places / "work"), local_cache_dir=str(places / "cache"),
            environment_variables={"TOKEN": TOKEN},
            python_executable=sys._base_executable,
        )  # fmt: skip
        try:
            with ClusterExecutor(config) as executor:
                future = executor.submit(cluster(cores=1)(site_workload.waits_for), str(begun), str(gate))
                wait_until(begun.exists)
                (entry,) = (places / "state").rglob("cx*.json")
                key = json.loads(entry.read_text().splitlines()[0])["key"]
                wanted = {**OFTEN, "KEY": bytes.fromhex(key), "KEY TEXT": key.encode()}
                job = places / "far" / "jobs" / future.job_id
                assert in_files(places, wanted) == {
                    ("TOKEN", job / "environment"),
                    ("KEY", job / "key"),
                    ("KEY TEXT", entry),
                }
                assert all(
                    stat.S_IMODE(path.stat().st_mode) == 0o600 for path in (job / "environment", job / "key", entry)
                )
                assert in_processes("cmdline", wanted) == set()
                owners = in_processes("environ", wanted)
                assert {name for name, _ in owners} == {"TOKEN"}
                assert all(str(job) in line for _, line in owners)
                gate.touch()
                assert future.result(60) == TOKEN
        finally:
            gate.touch()
            clustrix.answer_prompts(None)
    assert [question for question, *_ in seen if "code" in question]
    assert [found for _, *found in seen if any(found)] == []
    wait_until(lambda: in_files(places, wanted) == set())


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
