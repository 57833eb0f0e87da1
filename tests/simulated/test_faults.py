"""Faults as such: their names and arguments, what is written down of them, schedules by chance, the command line."""

import itertools
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

import simcluster
from simcluster.commands import cli
from simcluster.emulated.registry import list_records
from simcluster.errors import FaultUnavailableError, SpecError
from simcluster.faults import WHERE, Faults
from simcluster.faults.chaos import plan
from simcluster.faults.ledger import Ledger
from simcluster.history import FaultSpan

TABLE = Path(__file__).parents[2] / "docs" / "faults.md"


class Recorder:
    """A backend that only remembers what it was told."""

    def __init__(self, refusals=None):
        self.said, self._refusals = [], refusals or {}

    def refusals(self):
        return self._refusals

    def start(self, name, arguments):
        self.said.append((name, dict(arguments)))
        return None if name == "ssh.drop_all" else len(self.said)

    def stop(self, name, token):
        self.said.append((name, token))


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def faults(recorder, tmp_path):
    return Faults(recorder, tmp_path, ["node1", "node2"], None)


def test_every_fault_that_is_named_has_a_method(faults):
    for name in WHERE:
        target, what = name.split(".")
        assert callable(getattr(getattr(faults, target), what))


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        (["node.kill", "node1"], {"node": "node1"}),
        (["node.clock_skew", "node1", "-3600"], {"node": "node1", "seconds": -3600.0}),
        (["node.clock_skew", "seconds=-3600", "name=node1"], {"node": "node1", "seconds": -3600.0}),
        (["ssh.drop"], {"after_bytes": 0}),
        (["ssh.drop", "1000"], {"after_bytes": 1000}),
        (["ssh.bandwidth", "1.5MB/s"], {"bytes_per_second": 1_500_000}),
        (["disk.quota", "10MiB"], {"bytes": 10 << 20}),
        (["ssh.banner_noise", "a=b"], {"text": "a=b"}),
        (["scheduler.down"], {"timeout": None}),
        (["scheduler.down", "timeout=0.5"], {"timeout": 0.5}),
        (["scheduler.flaky", "0.3", "7"], {"share": 0.3, "seed": 7}),
        (["job.oom", "17_3"], {"job": "17_3"}),
    ],
)
def test_words_become_arguments(faults, words, arguments):
    assert faults.named(words[0], words[1:]).arguments == arguments


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["node.explode"], "there is no fault 'node.explode'; there are ssh.refuse"),
        (["node.kill"], "also needs name"),
        (["node.kill", "node1", "node2"], "'node2' is one argument too many; it takes name"),
        (["ssh.latency", "slow"], "seconds='slow' is not a number"),
        (["ssh.latency", "-1"], "seconds=-1.0: expected no less than 0"),
        (["ssh.bandwidth", "fast"], "rate='fast' is not a size"),
        (["scheduler.flaky", "3"], "expected a number from 0 to 1"),
    ],
)
def test_what_makes_no_sense_is_said(faults, words, message):
    with pytest.raises(SpecError, match=re.escape(message)):
        faults.named(words[0], words[1:])


def test_what_cannot_be_had_is_refused_with_the_reason_and_where_it_can_be(tmp_path):
    faults = Faults(Recorder({"disk.stale": "there is no /dev/fuse"}), tmp_path, [], None)
    assert "disk.stale" not in faults.available()
    with pytest.raises(
        FaultUnavailableError, match=r'stale can\'t be had .*: there is no /dev/fuse .*backend="emulated"'
    ):
        faults.disk.stale(5)


def test_a_fault_is_written_down_from_its_start_to_its_stop(faults, recorder, tmp_path):
    with faults.node.clock_skew("node1", -60):
        (entry,) = Ledger(tmp_path).entries()
        assert (entry.name, entry.detail, entry.end) == ("node.clock_skew", "node1, -60.0", None)
    (span,) = faults.history()
    assert span == FaultSpan("node.clock_skew", "node1, -60.0", entry.start, span.end)
    assert span.end is not None
    assert recorder.said == [("node.clock_skew", {"node": "node1", "seconds": -60.0}), ("node.clock_skew", 1)]


def test_all_are_undone_in_reverse_also_those_of_others(faults, recorder, tmp_path):
    faults.ssh.refuse().start()
    Faults(recorder, tmp_path, [], None).ssh.hang().start()
    faults.ssh.drop_all().start()
    faults.undo_all()
    assert recorder.said[-2:] == [("ssh.hang", 2), ("ssh.refuse", 1)]
    faults.undo_all()
    assert len(recorder.said) == 5


def test_a_fault_of_a_cluster_that_is_gone_is_over(recorder, tmp_path):
    directory = tmp_path / "cluster"
    directory.mkdir()
    fault = Faults(recorder, directory, [], None).ssh.refuse().start()
    for file in directory.iterdir():
        file.unlink()
    directory.rmdir()
    fault.stop()
    assert recorder.said == [("ssh.refuse", {})]


def schedule(seed=7, rate=0.5, **changes):
    options = {"kinds": tuple(WHERE), "nodes": ("node1", "node2"), "seconds": 200.0, "longest": 5.0}
    return plan(seed, rate, **{**options, **changes})


def test_the_same_seed_makes_the_same_schedule():
    assert schedule() == schedule(kinds=reversed(tuple(WHERE)), nodes=("node2", "node1"))
    assert schedule() != schedule(seed=8)
    assert schedule() != schedule(rate=0.6)
    # As every version of Python makes it.
    assert [(one.at, one.name, one.arguments) for one in schedule(kinds=["node.kill", "ssh.drop"])[:2]] == [
        (0.783, "node.kill", {"node": "node2"}),
        (5.742, "node.kill", {"node": "node1"}),
    ]


def test_a_schedule_keeps_to_its_limits():
    planned = schedule()
    assert 50 < len(planned) <= 150
    assert all(0 <= one.at < 200 and 0 < one.seconds <= 5 for one in planned)
    assert not {one.name for one in planned} & {"job.oom", "scheduler.forget", "disk.full", "ssh.wrong_host_key"}
    for target in ("node1", "node2"):
        spans = [(one.at, one.at + one.seconds) for one in planned if one.arguments.get("node") == target]
        assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))


def test_chaos_breaks_what_it_says_and_mends_it(faults, recorder):
    with faults.chaos(seed=7, rate=40, seconds=0.5, longest=0.2) as chaos:
        chaos.wait()
    began = [said for said in recorder.said if isinstance(said[1], dict)]
    assert [name for name, _ in began] == [one.name for one in chaos.schedule]
    assert not faults.active()


def test_chaos_that_is_stopped_mends_all(faults, recorder):
    chaos = faults.chaos(seed=7, rate=1000, seconds=600, longest=600, kinds=["ssh.hang", "node.kill"]).start()
    deadline = time.monotonic() + 60
    while len(faults.active()) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    chaos.stop()
    assert not faults.active()
    assert faults.history()[0].name == chaos.schedule[0].name


def test_chaos_on_a_cluster():
    with simcluster.start("slurm", nodes=2) as cluster:
        kinds = ["node.kill", "node.pause", "ssh.latency", "ssh.drop_all", "scheduler.down", "scheduler.flaky"]
        with cluster.faults.chaos(seed=7, rate=8, seconds=2, longest=0.5, kinds=kinds) as chaos:
            chaos.wait()
        assert sorted(span.name for span in cluster.faults.history()) == sorted(one.name for one in chaos.schedule)
        assert cluster.faults.chaos(seed=7, rate=8, seconds=2, longest=0.5, kinds=kinds).schedule == chaos.schedule
        done = cluster.run("sbatch --wait --wrap true", timeout=120)
        assert (done.returncode, done.stderr) == (0, "")


OWNER = """
import sys, simcluster
cluster = simcluster.start("slurm", nodes=1)
for fault in (cluster.faults.ssh.hang(), cluster.faults.node.pause("node1"), cluster.faults.scheduler.down()):
    fault.start()
print("broken", flush=True)
sys.stdin.read()
"""


def test_nothing_is_left_of_a_broken_cluster_whose_owner_was_killed(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    owner = subprocess.Popen([sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert owner.stdout.readline() == "broken\n"
    (record,) = list_records()
    owner.kill()
    owner.communicate()
    deadline = time.monotonic() + 60
    while record.path.exists() or record.directory.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_command_breaks_lists_and_mends(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")

    def command(*words):
        return CliRunner().invoke(cli, ["fault", "broken", *words], catch_exceptions=False)

    with simcluster.start("slurm", nodes=1, name="broken") as cluster:
        assert command("node.clock_skew", "node1", "-3600").exit_code in {0, 1}  # where libfaketime is
        assert command("scheduler.down", "timeout=0").exit_code == 0
        assert cluster.run("squeue").returncode == 1
        assert re.search(r"^on since \S+ +scheduler.down 0.0$", command("--list").output, re.MULTILINE)
        assert command("--undo", "scheduler.down").exit_code == 0
        assert cluster.run("squeue").returncode == 0
        assert command("ssh.latency", "0.01", "--for", "10ms").exit_code == 0
        assert command("ssh.banner_noise", "noise").exit_code == 0
        assert command("--undo").exit_code == 0
        assert not cluster.faults.active()
        for words, message in [
            (["--undo", "ssh.hang"], "ssh.hang is not on"),
            (["node.kill", "node7"], "there is no node 'node7'"),
            (["disk.stale", "seconds=-5"], "seconds=-5.0: expected no less than 0"),
            ([], "which fault?"),
        ]:
            done = command(*words)
            assert done.exit_code != 0
            assert message in done.output


def test_the_documentation_says_what_is_available_where():
    row = re.compile(r"^\| `(\w+\.\w+)` \| (.*) \|$", re.MULTILINE)
    marks = {
        name: tuple(mark == "yes" for mark in cells.split(" | ")) for name, cells in row.findall(TABLE.read_text())
    }
    assert marks == {name: tuple(b in where for b in ("emulated", "native", "docker")) for name, where in WHERE.items()}


def test_an_emulated_cluster_has_what_the_table_says():
    with simcluster.start("slurm", nodes=1) as cluster:
        wanted = {name for name, where in WHERE.items() if "emulated" in where}
        # What takes a program, or a module of the kernel, that is not everywhere.
        optional = {"node.clock_skew", "disk.full", "disk.quota", "disk.stale"}
        assert set(cluster.faults.available()) | optional == wanted
