"""The shared directories of an emulated cluster when their disk is full or limited, or shows files late."""

import contextlib
import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import simcluster
from simcluster.emulated.machine.processes import MARKER
from simcluster.emulated.registry import list_records

FULL, OVER_QUOTA = os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT)


@pytest.fixture(scope="module")
def cluster():
    with simcluster.start("slurm", backend="emulated", nodes=2, cpus_per_node=4) as cluster:
        if "disk.full" not in cluster.faults.available():
            reason = cluster.faults.refusals()["disk.full"]
            assert "file trees" in reason or "/dev/fuse" in reason
            pytest.skip(reason)
        yield cluster


@pytest.fixture(autouse=True)
def _mended(cluster):
    yield
    cluster.faults.undo_all()
    cluster.run("scancel --me; rm -rf ~/* $SCRATCH/*", check=True)
    assert " fuse " not in cluster.run("cat /proc/mounts").stdout


def until(condition, what):
    deadline = time.monotonic() + 60
    while not (value := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return value


def output(cluster, command):
    return cluster.run(command, check=True, timeout=60).stdout


def on_node(cluster, command, node="node2"):
    """Run it as a job and say what it printed; that goes over a directory of the node's own."""
    done = cluster.run(["srun", "-w", node, "bash", "-c", command], timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_full_disk_takes_no_byte_more(cluster):
    output(cluster, "echo before > file")
    with cluster.faults.disk.full():
        for command in ("echo after >> file", "echo new > $SCRATCH/new", "mkdir directory", "cp /etc/hosts ~/hosts"):
            done = cluster.run(command)
            assert done.returncode != 0
            assert FULL in done.stderr
        assert output(cluster, "cat file; df --output=avail . | tail -1; echo 1 > /tmp/file").split() == ["before", "0"]
    assert output(cluster, "echo after >> file; cat file") == "before\nafter\n"


def test_a_full_disk_stays_full_when_something_is_removed(cluster):
    output(cluster, "head -c 100000 /dev/zero > file")
    with cluster.faults.disk.full():
        assert FULL in cluster.run("rm file; echo new > new").stderr


def test_a_disk_is_full_on_nodes_whenever_they_were_started(cluster):
    on_node(cluster, "true", "node1")
    with cluster.faults.disk.full():
        for node in ("node1", "node2"):  # of which the second may start now
            assert FULL in on_node(cluster, f"echo text 2>&1 > {node} || true; cp /etc/hosts $HOME 2>&1 || true", node)
        job = output(cluster, "sbatch --parsable --wait -w node2 --wrap 'echo text || exit 0'").strip()
        assert output(cluster, f"cat slurm-{job}.out") == ""
    assert on_node(cluster, "echo text > node1; cat node1") == "text\n"


def test_what_all_machines_write_counts_for_a_quota(cluster):
    output(cluster, "head -c 50000 /dev/zero > old")
    with cluster.faults.disk.quota("10KB"):
        on_node(cluster, "head -c 6000 /dev/zero > node2.1")
        done = cluster.run("head -c 6000 /dev/zero > $SCRATCH/login")
        assert OVER_QUOTA in done.stderr
        assert output(cluster, "cat $SCRATCH/login | wc -c") == "4000\n"
        # What is removed makes room again, but not for more than the quota.
        output(cluster, "rm old $SCRATCH/login node2.1; head -c 10000 /dev/zero > login")
        assert OVER_QUOTA in cluster.run("echo more >> login").stderr
    assert output(cluster, "head -c 50000 /dev/zero >> login; cat login | wc -c") == "60000\n"


def test_a_job_that_outlasts_a_full_disk_loses_nothing(cluster):
    with cluster.faults.disk.full():
        script = (
            "cd ~; until echo text 2> /dev/null > late; do sleep 0.1; done; mkdir directory; cd directory; pwd > file"
        )
        output(cluster, f"sbatch -w node1 -o out --wrap '{script}; echo said'")
        until(lambda: cluster.run("ls ~/late").returncode == 0, "the job tries")
    until(lambda: cluster.run("cat ~/out").stdout == "said\n", "the job's output is there")
    assert output(cluster, "cat late; cat directory/file") == f"text\n{cluster.home}/directory\n"


def test_sftp_meets_a_full_disk_too(cluster, tmp_path):
    (tmp_path / "file").write_bytes(b"text")
    with cluster.faults.disk.full():
        done = sftp(cluster, f"put {tmp_path}/file there")
        assert done.returncode != 0
    assert sftp(cluster, f"put {tmp_path}/file there").returncode == 0
    assert output(cluster, "cat there") == "text"


def sftp(cluster, command):
    _, *options, address = cluster.ssh.command()
    options[options.index("-p")] = "-P"
    program = ["sftp", "-b", "-", *options, address]
    return subprocess.run(program, input=command, capture_output=True, text=True, check=False)


def test_a_read_only_disk_that_is_full_is_read_only(cluster):
    full, read_only = cluster.faults.disk.full(), cluster.faults.disk.read_only()
    for first, second in ((full, read_only), (read_only, full)):
        first.start()
        with second:
            assert "Read-only" in cluster.run("touch file").stderr
        first.stop()
        assert cluster.run("touch file").returncode == 0
    read_only.start()
    with full:
        read_only.stop()
        assert FULL in cluster.run("echo text > file").stderr


OLD_FILES = "mkdir d; cd d; for file in changed removed replaced moved; do echo old > $file; done"
CHANGES = (
    "cd ~/d; echo new > created; echo new > changed; rm removed; echo new > aside; mv aside replaced; mv moved to;"
    " mkdir sub; echo new > sub/file"
)
LOOK = "cd ~/d; ls; cat changed created moved removed replaced sub/file to 2> /dev/null; true"
BEFORE = "changed\nmoved\nremoved\nreplaced\nold\nold\nold\nold\n"
AFTER = "changed\ncreated\nreplaced\nsub\nto\nnew\nnew\nnew\nnew\nold\n"


def test_what_a_node_writes_the_others_do_not_see_yet(cluster):
    output(cluster, OLD_FILES)
    with cluster.faults.disk.stale(600):
        assert output(cluster, LOOK) == BEFORE
        assert on_node(cluster, f"{CHANGES}; {LOOK}") == AFTER
        assert output(cluster, LOOK) == BEFORE
        assert on_node(cluster, LOOK, "node1") == BEFORE
        assert on_node(cluster, LOOK) == AFTER
    assert output(cluster, LOOK) == AFTER


def test_what_a_node_writes_the_others_see_in_the_end(cluster):
    output(cluster, OLD_FILES)
    delay = 2.0
    with cluster.faults.disk.stale(delay):
        begin = time.monotonic()
        on_node(cluster, CHANGES)
        until(lambda: output(cluster, LOOK) == AFTER, "the login host sees it")
        assert time.monotonic() - begin >= delay
        assert on_node(cluster, LOOK, "node1") == AFTER


def test_nobody_sees_a_file_too_early_or_by_halves(cluster):
    delay = 1.0
    watch = (
        "cd ~; echo > watching; until [ -s final ]; do sleep 0.01; done; date +%s.%N; cat final | wc -c;"
        " ls | grep -c final"
    )
    write = "head -c 3000000 /dev/zero > aside; date +%s.%N > written; mv aside final"
    with cluster.faults.disk.stale(delay):
        output(cluster, f"sbatch -w node1 -o seen --wrap '{watch}'")
        until(lambda: cluster.run("cat watching").returncode == 0, "the job watches")
        output(cluster, f"sbatch -w node2 -o /dev/null --wrap '{write}'")
        seen, size, listed = until(
            lambda: (lines := cluster.run("cat seen").stdout.split())[2:] and lines, "it is seen"
        )
        written = output(cluster, "cat written")
        assert float(seen) - float(written) >= delay
        assert (size, listed) == ("3000000", "1")


def test_who_makes_what_is_there_unseen_learns_of_it(cluster):
    with cluster.faults.disk.stale(600):
        on_node(cluster, "mkdir directory; echo node2 > file; echo node2 > directory/file; echo > lock")
        assert output(cluster, "ls") == ""
        script = "import os; os.makedirs('directory', exist_ok=True); open('lock', 'x')"
        done = cluster.run(["python3.12", "-c", script])
        assert "FileExistsError" in done.stderr
        assert "'lock'" in done.stderr
        assert (
            output(cluster, "echo login >> file; cat file; ls; ls directory") == "node2\nlogin\ndirectory\nfile\nlock\n"
        )
        assert on_node(cluster, "ls", "node1") == ""
    assert output(cluster, "cat directory/file") == "node2\n"


def test_a_node_that_is_switched_on_meanwhile_sees_late_too(cluster):
    with cluster.faults.disk.stale(600):
        cluster.nodes["node1"].restart()
        output(cluster, "echo login > file")
        assert on_node(cluster, "ls; echo node1 > $SCRATCH/file", "node1") == ""
        assert cluster.run("cat $SCRATCH/file").returncode == 1
        cluster.nodes["node1"].kill()  # what it had written was written
        cluster.nodes["node1"].restart()
        assert on_node(cluster, "cat $SCRATCH/file", "node1") == "node1\n"
    assert output(cluster, "cat file $SCRATCH/file") == "login\nnode1\n"


def test_undoing_shows_what_was_hidden_and_loses_nothing(cluster):
    with cluster.faults.disk.stale(600):
        for node in ("node1", "node2"):
            on_node(cluster, f"echo {node} > {node}; echo {node} >> both", node)
        assert output(cluster, "ls; echo login >> both; cat both").split()[-1] == "login"
        assert on_node(cluster, "ls", "node1") == "both\nnode1\n"
        assert on_node(cluster, "ls; cat node2") == "both\nnode2\nnode2\n"
    assert output(cluster, "ls; cat both") == "both\nnode1\nnode2\nnode1\nnode2\nlogin\n"


def test_a_file_that_is_written_all_the_time_is_seen_to_grow(cluster):
    output(cluster, "echo > ticks")
    with cluster.faults.disk.stale(0.5):
        output(cluster, "sbatch -w node2 -o /dev/null --wrap 'while date >> ticks; do sleep 0.02; done'")
        first = until(lambda: len(lines := output(cluster, "cat ticks")) > 1 and lines, "the file is written")
        until(lambda: len(output(cluster, "cat ticks")) > len(first), "it grows")
        output(cluster, "scancel --me")


def test_programs_find_a_stale_disk_to_be_a_disk(cluster):
    script = """
import os, pathlib, shutil, sqlite3, tempfile, mmap
for base in (pathlib.Path.home(), pathlib.Path(os.environ["SCRATCH"])):
    top = base / "programs"
    top.mkdir()
    (top / "a").write_bytes(b"x" * 1_000_003)
    os.link(top / "a", top / "b"), os.symlink("a", top / "c"), os.mkfifo(top / "d")
    assert (top / "b").stat().st_nlink == 2 and (top / "c").read_bytes() == (top / "a").read_bytes()
    (top / "a").chmod(0o640), os.utime(top / "a", (1, 2))
    assert oct((top / "a").stat().st_mode)[-3:] == "640" and (top / "a").stat().st_mtime == 2
    with open(top / "a", "r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        memory[:3] = b"abc"
    assert (top / "b").read_bytes()[:4] == b"abcx"
    with open(top / "e", "w+") as file:
        os.unlink(top / "e")
        file.write("gone"), file.seek(0)
        assert file.read() == "gone" and os.fstat(file.fileno()).st_size == 4
    with open(top / "a", "r+b") as file:
        file.truncate(10)
    assert (top / "a").stat().st_size == 10
    shutil.copytree("/etc/ssl", top / "tree", symlinks=True, ignore=lambda *_: ["private"])
    os.rename(top / "tree", top / "moved")
    assert len(list((top / "moved").rglob("*"))) == len([p for p in pathlib.Path("/etc/ssl").rglob("*") if "private" not in p.parts])
    many = top / "many"
    many.mkdir()
    for number in range(500):
        (many / f"file{number:0100}").touch()
    assert len(os.listdir(many)) == 500
    with sqlite3.connect(top / "base") as base:
        base.execute("create table t (x)"), base.executemany("insert into t values (?)", [(n,) for n in range(100)])
        assert base.execute("select count(*) from t").fetchone() == (100,)
    shutil.rmtree(top)
print("done")
"""
    with cluster.faults.disk.stale(600):
        assert cluster.run("python3.12 -", input=script, check=True, timeout=60).stdout == "done\n"
        on_node(cluster, "python3.12 -m venv --without-pip env && env/bin/python -c pass")
    assert output(cluster, "env/bin/python -c 'print(1)'") == "1\n"


OWNER = """
import sys, simcluster
cluster = simcluster.start("slurm", nodes=1)
for fault in (cluster.faults.disk.full(), cluster.faults.disk.quota("10MB"), cluster.faults.disk.stale(5)):
    fault.start()
cluster.run("sbatch --wrap 'cd ~; while :; do echo >> file; ls; done'", check=True)
print("broken", flush=True)
sys.stdin.read()
"""


def test_nothing_is_left_when_the_owner_is_killed(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    owner = subprocess.Popen([sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert owner.stdout.readline() == "broken\n"
    (record,) = list_records()
    directory = str(record.directory)
    assert any(directory in line for line in command_lines())
    owner.kill()
    owner.communicate()
    until(lambda: not record.path.exists() and not record.directory.exists(), "directory and record are gone")
    until(lambda: not any(directory in line for line in command_lines()), "the processes are gone")
    assert not any(f"{MARKER}={record.run}:" in line for line in environments())
    assert not any(directory in mounts for mounts in all_mounts())


def read(pattern):
    for file in Path("/proc").glob(pattern):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            yield file.read_bytes().decode(errors="replace")


def command_lines():
    return list(read("[0-9]*/cmdline"))


def environments():
    return list(read("[0-9]*/environ"))


def all_mounts():
    return list(read("[0-9]*/mounts"))
