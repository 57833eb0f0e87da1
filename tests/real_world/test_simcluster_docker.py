import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import docker
import pytest
from click.testing import CliRunner

import simcluster
from simcluster.commands import cli

pytestmark = pytest.mark.real_world

DEADLINE = 150.0


def until(condition, what):
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.1)
    pytest.fail(f"not within {DEADLINE:.0f} s: {what}")


def submit(cluster, script, *options):
    done = cluster.run(["sbatch", "--parsable", *options], input=script, check=True)
    return done.stdout.strip()


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


@pytest.fixture
def engine():
    client = docker.from_env()
    yield client
    client.close()


def left_of(engine, label):
    filters = {"label": label}
    return (
        engine.api.containers(all=True, filters=filters)
        + engine.api.networks(filters=filters)
        + (engine.api.volumes(filters=filters)["Volumes"] or [])
    )


def test_a_job_runs_on_a_node_and_is_remembered(slurm):
    job = finished(slurm, submit(slurm, "#!/bin/bash\nexit 3\n", "--job-name=three of them"))
    assert (job.name, job.state, job.exit_code) == ("three of them", "FAILED", "3:0")
    assert job.node in slurm.nodes
    assert job.submit <= job.start <= job.end


def test_array_tasks_are_jobs_of_their_own(slurm):
    array = submit(slurm, "#!/bin/bash\nexit $SLURM_ARRAY_TASK_ID\n", "--array=0-1")
    assert [finished(slurm, f"{array}_{task}").exit_code for task in (0, 1)] == ["0:0", "1:0"]


def test_two_clusters_side_by_side_know_nothing_of_each_other(slurm):
    with simcluster.start("slurm", backend="docker", nodes=1, pythons=["3.8"], accounting=False) as other:
        assert other.ssh.port != slurm.ssh.port
        assert "hello" in output_of(other, "#!/bin/bash\necho hello\n")
        other.run("touch ~/here", check=True)
        assert slurm.run("ls ~/here").returncode != 0
        assert set(other.nodes) == {"node1"}


@pytest.mark.parametrize(
    "command", ["module load python/3.12; python --version", "bash -lc 'module load python/3.12; python --version'"]
)
def test_modules_work_over_ssh(slurm, command):
    assert slurm.run(command, check=True).stdout.startswith("Python 3.12.")


@pytest.mark.parametrize("shebang", ["#!/bin/bash", "#!/bin/bash -l"])
@pytest.mark.parametrize("options", [[], ["--export=NONE"]])
def test_modules_work_in_batch_scripts(slurm, shebang, options):
    script = f"{shebang}\nmodule load python/3.12\npython --version\nmodule list 2>&1\n"
    output = output_of(slurm, script, *options)
    assert output.startswith("Python 3.12.")
    assert "python/3.12" in output


def test_only_the_requested_pythons_are_there(slurm):
    assert set(slurm.pythons) == {"3.6", "3.12"}
    listed = slurm.run("module --terse avail 2>&1", check=True).stdout.split()
    assert [name for name in listed if name.startswith("python/")] == ["python/3.6", "python/3.12"]
    assert slurm.run("python3.9 --version").returncode == 127
    assert slurm.run("/opt/python/3.9/bin/python3.9 --version").returncode != 0


def test_every_requested_python_runs_on_every_node(slurm):
    for version, path in slurm.pythons.items():
        for python in (f"python{version}", path):
            done = slurm.run(["srun", "--nodes=2", python, "--version"], check=True)
            assert [line.startswith(f"Python {version}.") for line in done.stdout.splitlines()] == [True, True]


def test_python3_is_the_oldest_requested(slurm):
    assert slurm.run("python3 --version").stdout.startswith("Python 3.6.")
    assert slurm.run("srun python3 --version").stdout.startswith("Python 3.6.")
    assert slurm.run("/usr/bin/env python").returncode == 127


@pytest.mark.parametrize("version", ["3.6", "3.12"])
def test_an_ordinary_user_installs_packages_in_a_job(slurm, version):
    script = f"#!/bin/bash\nset -e\nwhere=$(mktemp -d)\ntrap 'rm -rf $where' EXIT\npython{version} -m venv $where && . $where/bin/activate\npip install -q numpy 2>&1\npython -c 'import numpy; print(numpy.arange(4).sum())'\n"
    assert output_of(slurm, script, "--time=5").splitlines()[-1] == "6"


def test_the_other_user_reads_nothing_of_the_users(slurm):
    slurm.run("echo secret > ~/open; chmod 777 ~/open; echo secret > /scratch/$USER/open", check=True)
    for path in (f"{slurm.home}/open", f"{slurm.scratch}/open"):
        assert slurm.run(["cat", path]).stdout == "secret\n"
        done = subprocess.run([*slurm.other_user.command(), "cat", path], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "Permission denied" in done.stderr
    slurm.run("rm ~/open /scratch/$USER/open", check=True)


def test_home_and_scratch_are_shared_with_the_nodes(slurm):
    slurm.run(
        ["srun", "--nodes=2", "bash", "-c", f"touch {slurm.home}/from-$(hostname) {slurm.scratch}/from-$(hostname)"],
        check=True,
    )
    for place in (slurm.home, slurm.scratch):
        assert slurm.run(f"cd {place}; ls from-*", check=True).stdout.split() == ["from-node1", "from-node2"]


def test_without_accounting_sacct_says_so(slurm):
    done = slurm.run("sacct")
    assert (done.returncode, done.stderr) == (1, "Slurm accounting storage is disabled\n")


def test_with_accounting_sacct_knows_a_job(slurm_accounting):
    job = submit(slurm_accounting, "#!/bin/bash\nexit 3\n", "--job-name=known")
    command = f"sacct -X -n -P -j {job} -o JobName,State,ExitCode,Account"
    expected = "known|FAILED|3:0|lab\n"  # at first the name reads "allocation"
    until(lambda: slurm_accounting.run(command).stdout == expected, expected)


def test_a_job_that_takes_too_much_memory_is_killed(slurm):
    script = "#!/bin/bash\nexec python3 -c 'import time; x = bytearray(300_000_000); time.sleep(60)'\n"
    job_id = submit(slurm, script, "--mem=100", "--output=%j.out")
    assert finished(slurm, job_id).state in {"FAILED", "OUT_OF_MEMORY"}
    assert "exceeded memory limit" in slurm.run(f"cat {job_id}.out").stdout


def test_nothing_is_published_beyond_loopback(slurm, engine):
    containers = engine.containers.list(filters={"label": f"simcluster.name={slurm.name}"})
    bindings = [binding for c in containers for ports in c.ports.values() for binding in ports or ()]
    assert [binding["HostIp"] for binding in bindings] == ["127.0.0.1"]
    assert int(bindings[0]["HostPort"]) == slurm.ssh.port


def test_containers_are_unprivileged(slurm, engine):
    for container in engine.containers.list(filters={"label": f"simcluster.name={slurm.name}"}):
        settings = container.attrs["HostConfig"]
        assert not settings["Privileged"]
        assert settings["NetworkMode"] != "host"
        assert set(settings["CapAdd"] or ()) <= {"SYS_PTRACE", "CAP_SYS_PTRACE"}


def test_run_is_like_subprocess_run(slurm):
    done = slurm.run(["cat", "-"], input="x" * 3_000_000)
    assert (done.returncode, len(done.stdout)) == (0, 3_000_000)
    assert slurm.run(["printf", "%s", "a b'c"]).stdout == "a b'c"
    with pytest.raises(subprocess.CalledProcessError):
        slurm.run("exit 4", check=True)
    with pytest.raises(subprocess.TimeoutExpired):
        slurm.run("sleep 60", timeout=0.5)


def test_a_killed_node_is_seen_and_comes_back():
    with simcluster.start("slurm", backend="docker", nodes=2, pythons=["3.6"], accounting=False) as cluster:
        job = submit(cluster, "#!/bin/bash\nsleep 300\n", "--nodelist=node1", "--no-requeue")
        until(lambda: "RUNNING" in cluster.run(f"scontrol show job {job}").stdout, "running")
        cluster.nodes["node1"].kill()
        assert finished(cluster, job).state == "NODE_FAIL"
        cluster.nodes["node1"].restart()
        until(lambda: "idle" in cluster.run("sinfo -h -N -n node1 -o %T").stdout.split(), "node1 idle")
        assert "node1" in output_of(cluster, "#!/bin/bash\nhostname\n", "--nodelist=node1")


def test_the_history_tells_runs_nodes_and_the_controllers_log():
    with simcluster.start("slurm", backend="docker", nodes=2, accounting=False, pythons=["3.12"]) as cluster:
        quick = submit(cluster, "#!/bin/bash\nexit 3\n", "--job-name=quick", "--ntasks=3", "--nodelist=node1")
        lost = submit(cluster, "#!/bin/bash\nsleep 600\n", "--requeue", "--nodelist=node2")
        until(lambda: [bool(job.runs) for job in cluster.history().jobs] == [True, True], "both jobs ran")
        cluster.nodes["node2"].kill()
        until(lambda: cluster.history().nodes[1].down, "the controller noticed")
        cluster.nodes["node2"].restart()
        until(lambda: cluster.history().nodes[1].down[0][1], "the controller heard of the node again")
        history = cluster.history()
        first, second = history.jobs
        assert (first.id, first.name, first.user, first.state, first.exit_code) == (
            quick,
            "quick",
            "alice",
            "FAILED",
            "3:0",
        )
        assert (first.runs[0].nodes, first.runs[0].cpus) == (("node1",), (3,))
        assert (second.id, second.runs[0].nodes, second.runs[0].state) == (lost, ("node2",), "NODE_FAIL")
        assert abs(second.runs[0].end - history.nodes[1].down[0][0]) < 2
        assert history.started <= first.submitted <= history.taken
        said = CliRunner().invoke(cli, ["logs", cluster.name]).output
        assert "login slurmctld: error: Nodes node2 not responding, setting DOWN" in said


def test_partitions_gpus_and_proxies_are_as_asked(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "of.this, & that")
    partitions = [{"name": "short", "nodes": ["node1"], "max_time": "10"}]
    with simcluster.start(
        "slurm", backend="docker", nodes=2, pythons=["3.6"], accounting=False, partitions=partitions, gpus_per_node=2
    ) as cluster:
        listed = cluster.run("sinfo -h -o '%P %l %N %G'", check=True).stdout.splitlines()
        assert [line.split() for line in sorted(listed)] == [
            ["debug*", "infinite", "node[1-2]", "gpu:2"],
            ["short", "10:00", "node1", "gpu:2"],
        ]
        script = "#!/bin/bash\nhostname; echo $CUDA_VISIBLE_DEVICES\n"
        assert output_of(cluster, script, "--partition=short", "--gres=gpu:2").split() == ["node1", "0,1"]
        script = "#!/bin/bash -l\necho $NO_PROXY\n"
        assert output_of(cluster, script, "--export=NONE") == "of.this, & that\n"


def test_the_newer_slurm_runs_jobs_too():
    with simcluster.start("slurm", backend="docker", nodes=1, pythons=["3.6", "3.13"], version="24.11") as cluster:
        assert "24.11" in cluster.run("sinfo --version").stdout
        for version in cluster.pythons:
            output = output_of(
                cluster, f"#!/bin/bash\nmodule load python/{version}\npython -c 'import ssl; print(ssl)'\n"
            )
            assert "ssl" in output
        assert (
            output_of(cluster, "#!/bin/bash\necho $HOME $(type -t module)\n", "--export=NONE")
            == "/home/alice function\n"
        )


def test_closing_leaves_nothing(engine):
    with simcluster.start("slurm", backend="docker", nodes=1, pythons=["3.6"], accounting=False) as cluster:
        label = f"simcluster.name={cluster.name}"
        assert len(left_of(engine, label)) == 5  # login, node1, the network, home and scratch
        directory = cluster.ssh.key_file.parent
    assert left_of(engine, label) == []
    assert not directory.exists()
    cluster.close()


@pytest.mark.parametrize("watched", [True, False], ids=["watchdog", "next start"])
def test_nothing_outlives_a_killed_owner(engine, watched):
    program = (
        "import simcluster, sys, time\n"
        "cluster = simcluster.start('slurm', backend='docker', nodes=1, pythons=['3.6'], accounting=False)\n"
        "print(cluster.name, cluster.ssh.key_file.parent, flush=True)\n"
        "time.sleep(600)\n"
    )
    owner = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    name, directory = owner.stdout.readline().split()
    owner.stdout.close()
    label = f"simcluster.name={name}"
    assert len(left_of(engine, label)) == 5
    if not watched:
        for pid in watchdogs_of(owner.pid):
            os.kill(pid, signal.SIGKILL)
    owner.kill()
    owner.wait()
    if not watched:
        assert len(left_of(engine, label)) == 5
        CliRunner().invoke(cli, ["ls"])
    until(lambda: not left_of(engine, label), "everything is gone")
    until(lambda: not Path(directory).exists(), "the keys are gone")


def watchdogs_of(owner_pid):
    listed = subprocess.run(["ps", "-e", "-o", "pid=,args="], capture_output=True, text=True, check=True).stdout
    for line in listed.splitlines():
        pid, _, command = line.strip().partition(" ")
        if "simcluster.docker.watchdog" in command and str(owner_pid) in command.split():
            yield int(pid)


def test_a_kept_cluster_lives_until_it_is_taken_down(engine, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    spec = tmp_path / "spec.yaml"
    spec.write_text("scheduler: slurm\nnodes: 1\naccounting: false\n")
    program = "from simcluster.cli import cli; cli()"

    def simcluster_command(*arguments):
        return subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)

    name = f"kept-{os.getpid()}"
    up = simcluster_command("up", "--backend", "docker", "--spec", str(spec), "--pythons", "3.6", "--name", name)
    try:
        assert up.returncode == 0, up.stderr
        listed = json.loads(simcluster_command("ls", "--json").stdout)
        described = next(cluster for cluster in listed if cluster["name"] == name)
        assert described["machines"] == {"login": "running", "node1": "running"}
        assert simcluster_command("run", name, "--", "sinfo", "-h", "-o", "%N").stdout == "node1\n"
        assert simcluster_command("run", name, "exit 7").returncode == 7
        profile = (tmp_path / "simcluster" / "clusters" / name / "profile.yaml").read_text()
        assert f"cluster_port: {described['port']}\n" in profile
        again = simcluster_command("up", "slurm", "--backend", "docker", "--name", name)
        assert again.returncode == 2
        assert "already" in again.stderr
    finally:
        assert simcluster_command("down", name).returncode == 0
    assert left_of(engine, f"simcluster.name={name}") == []
    assert simcluster_command("run", name, "true").returncode == 1


def test_an_attached_cluster_is_the_same_for_its_user(slurm):
    with simcluster.attach(slurm.name) as attached:
        for name in ("name", "spec", "ssh", "other_user", "home", "scratch", "pythons"):
            assert getattr(attached, name) == getattr(slurm, name)
        assert [node.is_up for node in attached.nodes.values()] == [True, True]
        job_id = attached.run("sbatch --parsable --wrap true", check=True).stdout.strip()
    assert job_id in [job.id for job in slurm.jobs()]
    assert slurm.run("true").returncode == 0
