"""The Slurm of this machine as private processes: what docker and emulated clusters do, native ones do, too."""

import contextlib
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import native_program
import pytest
from click.testing import CliRunner

import simcluster
from simcluster.commands import cli
from simcluster.emulated.registry import list_records
from simcluster.native.installation import find_installation
from simcluster.ownership import start_time

try:
    INSTALLED = find_installation()
except simcluster.BackendUnavailableError as problem:
    if os.environ.get("CI"):
        raise
    pytest.skip(str(problem), allow_module_level=True)

pytestmark = [pytest.mark.real_world, pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")]

DEADLINE = 60.0
OWNER = """
import simcluster
cluster = simcluster.start("slurm", backend="native", nodes=1)
cluster.run("sbatch --wrap 'setsid sleep 4321 & sleep 4321'", check=True)
while "RUNNING" not in [job.state for job in cluster.jobs()]:
    pass
print(flush=True)
cluster.run("sleep 4321")
"""


def until(condition, what):
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.1)
    pytest.fail(f"not within {DEADLINE:.0f} s: {what}")


def submit(cluster, script, *options):
    return cluster.run(["sbatch", "--parsable", *options], input=f"#!/bin/bash\n{script}\n", check=True).stdout.strip()


def finished(cluster, job_id):
    """The job once it has ended."""

    def ended():
        return next(
            (j for j in cluster.jobs() if j.id == job_id and j.state not in {"PENDING", "RUNNING", "COMPLETING"}), None
        )

    return until(ended, f"job {job_id} ended")


def output_of(cluster, script, *options):
    job = finished(cluster, submit(cluster, script, "--output=%j.out", *options))
    assert job.state == "COMPLETED", cluster.run(f"cat {job.id}.out").stdout
    return cluster.run(f"cat {job.id}.out", check=True).stdout


def processes(record):
    """The processes that have the cluster's mark or its directory in their environment or their arguments."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            said = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
            if f"SIMCLUSTER_PROCESS={record.run}:".encode() in said or os.fsencode(record.directory) in said:
                found.append(int(process.name))
    return found


def ports_of(cluster):
    shown = cluster.run("scontrol show config; scontrol --oneliner show node", check=True).stdout.split()
    slurmd = [word.partition("=")[2] for word in shown if word.startswith("Port=")]
    slurmctld = [shown[n + 2] for n, word in enumerate(shown) if word == "SlurmctldPort"]
    return [int(port) for port in (*slurmd, *slurmctld, cluster.ssh.port)]


def is_listened_to(port):
    # Without host names of their own, daemons listen where this computer's name leads.
    for address in ("127.0.0.1", socket.gethostbyname(socket.gethostname())):
        with socket.socket() as client:
            if client.connect_ex((address, port)) == 0:
                return True
    return False


def is_gone(record):
    return not record.path.exists() and not record.directory.exists() and not processes(record)


@pytest.fixture(scope="module")
def native():
    with simcluster.start(
        "slurm",
        backend="native",
        accounting=False,
        cpus_per_node=3,
        memory_per_node="600MB",
        gpus_per_node=2,
        partitions=[{"name": "short", "nodes": ["node2"], "max_time": "10"}],
    ) as cluster:
        yield cluster


@pytest.fixture
def _alone(tmp_path, monkeypatch):
    """A registry of the test's own and no Docker engine, for others may have clusters meanwhile."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    yield
    gc.collect()  # the docker package leaves the socket that failed to the collector


def test_a_job_runs_on_a_node_and_is_remembered(native):
    job = finished(native, submit(native, "exit 3", "--job-name=three of them"))
    assert (job.name, job.state, job.exit_code) == ("three of them", "FAILED", "3:0")
    assert job.node in native.nodes
    assert job.submit <= job.start <= job.end


def test_array_tasks_are_jobs_of_their_own(native):
    array = submit(native, "exit $SLURM_ARRAY_TASK_ID", "--array=0-1")
    assert [finished(native, f"{array}_{task}").exit_code for task in (0, 1)] == ["0:0", "1:0"]


def test_it_is_the_installed_slurm(native):
    assert native.run("sinfo --version", check=True).stdout.split()[-1] == INSTALLED.full_version


def test_nodes_and_partitions_are_those_of_the_spec(native):
    listed = native.run("sinfo --noheader --Node --format='%P %N %c %m %l'", check=True).stdout.splitlines()
    assert [line.split() for line in sorted(listed)] == [
        ["debug*", "node1", "3", "600", "infinite"],
        ["debug*", "node2", "3", "600", "infinite"],
        ["short", "node2", "3", "600", "10:00"],
    ]


def test_the_tasks_of_a_step_run_on_all_of_its_nodes(native):
    named = native.run("srun --nodes=2 sh -c 'echo $SLURMD_NODENAME; hostname'", check=True).stdout.split()
    assert sorted(named) == ["node1", "node1", "node2", "node2"]


def test_a_job_has_a_home_and_nothing_of_the_callers(native):
    variables = dict(line.split("=", 1) for line in output_of(native, "env").splitlines() if "=" in line)
    assert (variables["HOME"], variables["PWD"]) == (native.home, native.home)
    assert not {"PYTHONPATH", "VIRTUAL_ENV", "PYTEST_CURRENT_TEST", "PYENV_ROOT"} & set(variables)


@pytest.mark.skipif(os.getuid() != 0, reason="slurmd looks up a login's environment as root only")
def test_a_job_that_is_given_no_environment_has_that_of_a_login(native):
    said = output_of(native, "echo $HOME; module load python; python --version", "--export=NONE").split()
    assert said[:2] == [native.home, "Python"]


def test_modules_and_the_oldest_python_are_there_in_jobs(native):
    oldest, *_, newest = *native.pythons, *native.pythons
    said = output_of(native, f"python3 --version; module load python/{newest}; python --version").split()
    assert said[1].startswith(f"{oldest}.")
    assert said[3].startswith(f"{newest}.")


def test_gpus_are_counted_and_each_job_is_told_which_are_its_own(native):
    assert output_of(native, "echo $CUDA_VISIBLE_DEVICES", "--gres=gpu:2").split() == ["0,1"]
    refused = native.run("sbatch --gres=gpu:3 --nodes=1 --wrap true")
    assert "Requested node configuration is not available" in refused.stderr


def test_a_job_that_takes_too_much_memory_is_killed(native):
    number = submit(native, "exec python3 -c 'import time; x = bytearray(200 << 20); time.sleep(60)'", "--mem=50")
    job = finished(native, number)
    assert (job.state, job.exit_code) == ("FAILED", "0:9")
    assert "exceeded memory limit" in native.run(f"cat slurm-{number}.out", check=True).stdout


def test_without_slurmdbd_there_is_no_accounting():
    with simcluster.start("slurm", backend="native", nodes=1, accounting=False) as cluster:
        done = cluster.run("sacct")
        assert (done.returncode, done.stderr) == (1, "Slurm accounting storage is disabled\n")


def test_accounting_is_there_where_it_is_installed():
    hidden = [] if INSTALLED.accounting is None else [INSTALLED.accounting.slurmdbd]
    with pytest.raises(simcluster.BackendUnavailableError, match="apt-get install slurmdbd mariadb-server"):
        simcluster.start("slurm", backend="native", accounting=True, hide=hidden)
    with simcluster.start("slurm", backend="native", nodes=1, hide=hidden) as cluster:
        assert cluster.spec.accounting is False


def test_clusters_side_by_side_know_nothing_of_each_other(native):
    with simcluster.start("slurm", backend="native", nodes=1, accounting=False) as other:
        assert not set(ports_of(native)) & set(ports_of(other))
        assert set(other.nodes) == {"node1"}
        other.run("touch ~/here", check=True)
        assert native.run("ls ~/here").returncode != 0
        assert "hello" in output_of(other, "echo hello")


def test_a_killed_node_fails_its_job_and_works_again_after_a_restart():
    with simcluster.start("slurm", backend="native", nodes=2, accounting=False) as cluster:
        number = submit(cluster, "sleep 4321", "--nodelist=node1", "--no-requeue")
        until(lambda: "RUNNING" in [job.state for job in cluster.jobs()], "the job runs")
        (record,) = [record for record in list_records() if record.name == cluster.name]
        before = len(processes(record))
        cluster.nodes["node1"].kill()
        assert len(processes(record)) < before
        assert finished(cluster, number).state == "NODE_FAIL"
        cluster.nodes["node1"].restart()
        until(lambda: "down" not in cluster.run("sinfo --noheader").stdout, "node1 is back")
        assert "again" in output_of(cluster, "echo again", "--nodelist=node1")
        history = cluster.history()
        ((down, up),) = next(node.down for node in history.nodes if node.name == "node1")
        assert history.started < down < up
        assert [run.state for run in history.jobs[0].runs] == ["NODE_FAIL"]


def test_a_job_is_requeued_on_a_node_that_was_restarted():
    with simcluster.start("slurm", backend="native", nodes=1, accounting=False) as cluster:
        number = submit(cluster, "echo $SLURM_RESTART_COUNT >> runs; sleep 4321")
        until(lambda: cluster.run("cat runs").stdout, "the job runs")
        cluster.nodes["node1"].restart()
        cluster.run(f"scontrol requeue {number}", check=True)
        until(lambda: "PENDING" in cluster.run(f"squeue -h -j {number} -o %T").stdout, "the job is pending")
        # It would wait for two minutes. Started in the second in which it was requeued, it fails: slurmd takes its
        # new credential for the revoked one.
        cluster.run(f"scontrol update job {number} starttime=now+2", check=True)
        until(lambda: cluster.run("cat runs").stdout.split() == ["1"], "the job runs again")


def test_the_log_says_on_which_machine_what_was_said(native):
    submitted = submit(native, "true", "--nodelist=node2")
    finished(native, submitted)
    said = CliRunner().invoke(cli, ["logs", native.name]).stdout
    assert f"login slurmctld: sched: Allocate JobId={submitted}" in said or f"JobId={submitted}" in said
    assert f"node2 slurmd-node2: Launching batch job {submitted}" in said


@pytest.mark.usefixtures("_alone")
def test_closing_ends_every_process_and_removes_every_file():
    with simcluster.start("slurm", backend="native", nodes=1) as cluster:
        (record,) = list_records()
        submit(cluster, "setsid sleep 4321 & sleep 4321")
        until(lambda: "RUNNING" in [job.state for job in cluster.jobs()], "the job runs")
        ports = ports_of(cluster)
        assert all(map(is_listened_to, ports))
    assert is_gone(record)
    assert not any(map(is_listened_to, ports))
    assert start_time(record.keeper.pid) is None


@pytest.mark.usefixtures("_alone")
def test_a_cluster_goes_with_its_killed_owner():
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, start_new_session=True) as owner:
        owner.stdout.readline()
        (record,) = list_records()
        assert len(processes(record)) >= 4
        os.killpg(owner.pid, signal.SIGKILL)
    until(lambda: is_gone(record), "nothing is left")
    until(lambda: start_time(record.keeper.pid) is None, "the keeper is gone")


@pytest.mark.usefixtures("_alone")
def test_a_killed_keeper_takes_the_daemons_along():
    cluster = simcluster.start("slurm", backend="native", nodes=1, accounting=False)
    (record,) = list_records()
    submit(cluster, "sleep 4321")
    ports = ports_of(cluster)
    os.kill(record.keeper.pid, signal.SIGKILL)
    until(lambda: not processes(record), "no process is left")
    assert not any(map(is_listened_to, ports))
    cluster.close()
    assert CliRunner().invoke(cli, ["ls"]).exit_code == 0
    assert is_gone(record)


@pytest.mark.usefixtures("_alone")
def test_a_cluster_that_is_kept_is_found_and_removed_by_its_name():
    program = [sys.executable, "-c", "from simcluster.cli import cli; cli()"]

    def said(*arguments):
        done = subprocess.run([*program, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "mine is up" in said("up", "slurm", "--backend", "native", "--nodes", "1", "--name", "mine")
    (record,) = list_records()
    assert "native" in said("ls")
    assert "node1" in said("run", "mine", "--", "srun", "printenv", "SLURMD_NODENAME")
    said("down", "mine")
    assert is_gone(record)


def test_what_is_not_installed_is_named_with_how_to_get_it():
    hide = [INSTALLED.slurmctld]
    with pytest.raises(simcluster.BackendUnavailableError, match=r"slurmctld is not there.*apt-get install slurm-wlm"):
        simcluster.start("slurm", backend="native", hide=hide)


def test_another_version_is_refused_with_the_one_that_is_there():
    other = next(version for version in ("22.05", "24.11") if version != INSTALLED.version)
    with pytest.raises(simcluster.SpecError, match=f"this machine has Slurm {INSTALLED.full_version}"):
        simcluster.start("slurm", backend="native", version=other)


@pytest.mark.skipif(os.getuid() != 0, reason="all the other tests have run as an ordinary user")
def test_root_needs_munge():
    with pytest.raises(simcluster.ClusterStartError, match="apt-get install munge"):
        simcluster.start("slurm", backend="native", hide=[INSTALLED.munged])


OPENED_HOME = """
set -e
mkdir "$PLACE/held"
mount -t tmpfs -o mode=755 simcluster "$PLACE/held"
for directory in $NEEDED; do
    mkdir -p "$PLACE/held$directory"
    mount --bind "$directory" "$PLACE/held$directory"
done
mount -t tmpfs -o mode=755 simcluster "$HOME"
for directory in $NEEDED; do
    mkdir -p "$directory"
    mount --bind "$PLACE/held$directory" "$directory"
done
exec setpriv --reuid="$NAME" --regid="$NAME" --init-groups env -i HOME="/home/$NAME" PATH=/usr/bin:/bin \\
    PYTHONPATH="$SEARCHED" PYTHONDONTWRITEBYTECODE=1 "$@"
"""


@pytest.fixture
def as_ordinary_user(tmp_path):
    """as_ordinary_user(arguments): the program as a new user, who sees of root's home only this Python and project."""
    name = f"sim{os.getpid()}"
    subprocess.run(["useradd", "--create-home", "--shell", "/bin/bash", name], check=True)
    home = Path.home().resolve()
    searched = [str(Path(simcluster.__file__).parents[1]), *(path for path in sys.path if Path(path).is_dir())]
    needed = {Path(path).resolve() for path in (sys.base_prefix, Path(__file__).parent, *searched)}
    python = Path(sys.base_exec_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}")

    def run(*arguments):
        # The mounts are in a namespace of their own, and go with the process.
        done = subprocess.run(
            ["unshare", "--mount", "bash", "-c", OPENED_HOME, "bash", python, native_program.__file__, *arguments],
            env={
                **os.environ,
                "HOME": str(home),
                "NAME": name,
                "PLACE": str(tmp_path),
                "NEEDED": " ".join(str(path) for path in needed if home in path.parents),
                "SEARCHED": ":".join(searched),
            },
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    yield name, run
    in_use = 8
    until(
        lambda: subprocess.run(["userdel", "--remove", name], capture_output=True, check=False).returncode != in_use,
        "the user's processes are gone",
    )


@pytest.mark.skipif(os.getuid() != 0, reason="all the other tests have run as an ordinary user")
@pytest.mark.parametrize("authentication", ["munge", "none"])
def test_an_ordinary_user_can_have_one(as_ordinary_user, authentication):
    name, run = as_ordinary_user
    met = run(*([INSTALLED.munged] if authentication == "none" else []))
    assert met["user"] == name
    assert met["authentication"] == f"auth/{authentication}"
    assert met["job"][:5] == [met["job"][0], met["home"], name, "0", "python runs"]
    assert met["job"][0] in {"node1", "node2"}
    assert met["tasks"] == ["node1", "node2"]
    assert met["jobs"] == [["COMPLETED", "0:0"]] * 2
    assert met["bare"] == ["home="]
    has_accounting = INSTALLED.accounting and authentication == "munge"
    assert met["accounted"] == (f"first|{name}|COMPLETED" if has_accounting else None)


def test_the_program_of_the_other_users_is_right(capsys):
    native_program.main([])
    assert json.loads(capsys.readouterr().out)["user"]
