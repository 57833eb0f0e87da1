"""What a stranger on the same cluster gets at of a user's jobs, and where secrets are while one runs: nowhere but where they have to be."""

import base64
import json
import shutil
import subprocess
from pathlib import Path

import docker
import pytest
import workload

import clustrix
from clustrix import cluster

pytestmark = pytest.mark.real_world

TOKEN, PASSPHRASE = "token-9f2c7be1d04a", "passphrase-5d81e6a37c20"
# Run as root on each machine. What is looked for comes in base64, so that this program is not found itself.
SEARCH = r"""
import base64, json, os, stat, sys
wanted = {name: base64.b64decode(text) for name, text in json.loads(sys.argv[1]).items()}
found = []
def look(kind, path):
    try:
        with open(path, "rb") as stream:
            content = stream.read()
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
    except OSError:
        return
    found.extend([kind, name, path, oct(mode)] for name, secret in wanted.items() if secret in content)
for pid in filter(str.isdigit, os.listdir("/proc")):
    look("cmdline", "/proc/%s/cmdline" % pid)
    look("environ", "/proc/%s/environ" % pid)
for top in ("/home", "/tmp", "/var", "/run", "/etc", "/root", "/scratch", "/dev/shm"):
    for directory, _, names in os.walk(top):
        for name in names:
            path = os.path.join(directory, name)
            if os.path.isfile(path) and not os.path.islink(path):
                look("file", path)
words = {}
for kind, _, path, _ in found:
    if kind == "environ":
        try:
            with open(os.path.dirname(path) + "/cmdline", "rb") as stream:
                words[path] = stream.read().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            pass
print(json.dumps([found, words]))
"""
# Prints which of the paths on stdin this user can open, to read or to write.
OPENABLE = """
import os, sys
for path in sys.stdin.read().split("\\0"):
    for flag in (os.O_RDONLY, os.O_WRONLY):
        try:
            os.close(os.open(path, flag | os.O_NONBLOCK))
        except OSError:
            continue
        print(path)
"""


def search(slurm, wanted):
    """(kind, name of the secret, path, mode) of all that is found on the machines of the cluster, and the processes' command lines."""
    client = docker.from_env()
    found, words = [], {}
    try:
        for container in client.containers.list(filters={"label": f"simcluster.name={slurm.name}"}):
            encoded = json.dumps({name: base64.b64encode(secret).decode() for name, secret in wanted.items()})
            done = container.exec_run([slurm.pythons["3.12"], "-c", SEARCH, encoded], user="root", stderr=False)
            there, commands = json.loads(done.output)
            found += [(kind, name, path, mode) for kind, name, path, mode in there]
            words.update(commands)
    finally:
        client.close()
    return set(found), words


def as_other(slurm, *command, text=""):
    return subprocess.run(
        [*slurm.other_user.command(), *command], input=text, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture
def locked_key(slurm, tmp_path):
    """The user's key behind a passphrase."""
    key = Path(shutil.copy(slurm.ssh.key_file, tmp_path / "locked"))
    key.chmod(0o600)
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", PASSPHRASE, "-f", key], check=True, capture_output=True)
    clustrix.answer_prompts(lambda _: PASSPHRASE)
    yield str(key)
    clustrix.answer_prompts(None)


@pytest.fixture(params=["paramiko", "openssh"])
def running(request, configured, slurm, locked_key, tmp_path):
    """(the future of a job that runs, with a token, until ``go`` is there; its key; a function that lets it go)."""
    gate = f"{slurm.home}/go-{request.param}"
    options = {"environment_variables": {"TOKEN": TOKEN}, "connection": request.param, "key_file": locked_key}
    future = cluster(python="3.6", **options)(workload.waits_for).submit(gate)
    slurm.run(f"until [ -e {gate}.began ]; do sleep 0.1; done", check=True, timeout=120)
    (entry,) = (tmp_path / "state").rglob("cx*.json")
    key = json.loads(entry.read_text().splitlines()[0])["key"]
    yield future, key, lambda: slurm.run(f"touch {gate}", check=True)
    slurm.run(f"touch {gate}", check=True)
    future.result(120)
    slurm.run(f"rm -f {gate} {gate}.began", check=True)


def test_secrets_are_where_they_have_to_be_while_a_job_runs_and_nowhere_afterwards(running, slurm, tmp_path):
    future, key, go = running
    wanted = {
        "token": TOKEN.encode(),
        "key": bytes.fromhex(key),
        "key as text": key.encode(),
        "passphrase": PASSPHRASE.encode(),
    }
    found, words = search(slurm, wanted)
    job = f"{slurm.home}/.clustrix/jobs/{future.job_id}"
    assert {each for each in found if each[0] == "file"} == {
        ("file", "token", f"{job}/environment", "0o600"),
        ("file", "key", f"{job}/key", "0o600"),
    }
    assert {each[:2] for each in found if each[0] != "file"} == {("environ", "token")}
    # The job's own processes, whose environment no other user reads.
    assert all(future.job_id in line or "slurm_script" in line for line in words.values()), words
    for asked in ("scontrol show job {}", "scontrol write batch_script {} -", "squeue --all -o %all -j {}"):
        told = slurm.run(asked.format(future.scheduler_id), check=True).stdout
        assert not [name for name, secret in wanted.items() if secret.decode("latin-1") in told]
    here = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert [path.suffix for path, content in here.items() if key.encode() in content] == [".json"]
    assert not [path for path, content in here.items() if TOKEN.encode() in content or PASSPHRASE.encode() in content]
    check_processes_here(wanted)
    go()
    assert future.result(120) == TOKEN
    future.result(0)
    slurm.run(f"until [ ! -e {job} ]; do sleep 0.1; done", check=True, timeout=60)
    assert search(slurm, wanted)[0] == set()


def check_processes_here(wanted):
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except OSError:
            continue
        assert not [name for name, secret in wanted.items() if secret in line], line
    for pid in [Path("/proc/self"), *children()]:
        environment = (pid / "environ").read_bytes()
        assert not [name for name, secret in wanted.items() if secret in environment], pid


def children():
    tasks = Path("/proc/self/task").glob("*/children")
    return [Path("/proc", number) for task in tasks for number in task.read_text().split()]


@pytest.mark.parametrize("running", ["paramiko"], indirect=True)
def test_another_user_neither_opens_nor_replaces_anything_of_a_running_job(running, slurm):
    future, _, _ = running
    mine = slurm.run("find ~/.clustrix /tmp /dev/shm /var/spool -user $USER -print0 2> /dev/null").stdout
    state = f"{slurm.home}/.clustrix"
    assert f"{state}/jobs/{future.job_id}/key" in mine.split("\0")
    python = slurm.pythons["3.12"]
    assert as_other(slurm, f"{python} -c '{OPENABLE}'", text=mine).stdout == ""
    node = future.node or slurm.run(f"squeue -h -o %N -j {future.scheduler_id}", check=True).stdout.strip()
    there = slurm.run(
        [
            "srun",
            "-w",
            node,
            "--overlap",
            "--mem=50",
            "find",
            "/tmp",
            "/dev/shm",
            "-user",
            slurm.ssh.username,
            "-print0",
        ]
    ).stdout
    proc = slurm.run("for p in /proc/[0-9]*; do [ ! -O $p ] || printf '%s/environ\\0%s/mem\\0' $p $p; done").stdout
    assert as_other(slurm, f"{python} -c '{OPENABLE}'", text=proc).stdout == ""
    step = f"srun -w {node} --mem=50 {python} -c '{OPENABLE}'"
    assert as_other(slurm, step, text=there).stdout == ""
    for attempt in (
        f"mv {state} {state}-gone",
        f"ln -s /tmp {state}/jobs/planted",
        f"touch {state}/done/x",
        f"rm -r {state}",
        f"scancel {future.scheduler_id}",
    ):
        assert as_other(slurm, attempt).returncode != 0, attempt
    assert future.status() == "RUNNING"


@pytest.mark.parametrize(
    ("plant", "refusal"),
    [
        ("mkdir -m 777 /tmp/planted", "belongs to user"),
        ("mkdir -m 700 /tmp/planted", "belongs to user"),
        ("ln -s {home} /tmp/planted", "not a directory"),
        ("mkdir -m 777 /tmp/planted", "writable for everybody"),
        ("ln -s {home} /tmp/planted", "link of theirs"),
    ],
)
def test_what_another_user_made_in_advance_is_never_taken_for_the_state_directory(configured, slurm, plant, refusal):
    below = "/state" if refusal in {"writable for everybody", "link of theirs"} else ""
    assert as_other(slurm, plant.format(home=slurm.home)).returncode == 0
    try:
        with pytest.raises(clustrix.ConfigurationError, match=f"/tmp/planted.*{refusal}"):
            cluster(python="3.6", remote_state_dir=f"/tmp/planted{below}")(workload.doubled)(1)
    finally:
        assert as_other(slurm, "rm -r /tmp/planted").returncode == 0


def test_what_another_user_leaves_where_jobs_run_changes_nothing(configured, slurm):
    names = "/tmp/json.py /tmp/clustrix.py /tmp/main.py /tmp/sitecustomize.py /tmp/clustrix_remote.py"
    assert as_other(slurm, f"for f in {names}; do echo 'raise SystemExit(66)' > $f; chmod 644 $f; done").returncode == 0
    try:
        assert cluster(python="3.6", remote_work_dir="/tmp")(workload.doubled)(21) == 42
    finally:
        as_other(slurm, f"rm {names}")
