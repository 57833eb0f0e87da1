"""Clusters in containers with other schedulers than Slurm, and with none."""

import os
import subprocess
import time

import docker
import pytest

import simcluster

pytestmark = pytest.mark.real_world

DEADLINE = 150.0
SUBMIT = {"sge": "qsub -terse -cwd -N {name}", "pbs": "qsub -N {name}"}
OUTPUT = {"sge": "cat {name}.o{id}", "pbs": "cat {name}.o{id}"}
IS_DOWN = {
    "sge": "qstat -f -q short@node2 | grep -E '^short@.* [a-z]*u[a-z]* *$'",
    "pbs": "pbsnodes node2 | grep 'state = .*down'",
}
DELETED_OR_KILLED = {"FAILED", "CANCELLED"}


def until(condition, what):
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.1)
    pytest.fail(f"not within {DEADLINE:.0f} s: {what}")


def submit(cluster, script, name="job", options=""):
    command = f"{SUBMIT[cluster.spec.scheduler]} {options}".format(name=name)
    return cluster.run(command, input=f"#!/bin/bash\n{script}\n", check=True).stdout.strip()


def job(cluster, job_id):
    return next((each for each in cluster.jobs() if each.id == job_id), None)


def finished(cluster, job_id):
    def ended():
        found = job(cluster, job_id)
        return found if found and found.end else None

    return until(ended, f"job {job_id} ended")


def running(cluster, job_id):
    return until(lambda: (found := job(cluster, job_id)) and found.state == "RUNNING" and found, f"job {job_id} runs")


@pytest.fixture(scope="module", params=["sge", "pbs"])
def cluster(request):
    partitions = [{"name": "short", "nodes": ["node2"], "max_time": "10"}]
    with simcluster.start(
        request.param, backend="docker", nodes=2, cpus_per_node=3, pythons=["3.6", "3.12"], partitions=partitions
    ) as started:
        yield started


@pytest.fixture(scope="module")
def host():
    with simcluster.start("ssh", backend="docker", pythons=["3.6", "3.12"]) as started:
        yield started


def test_a_job_runs_on_a_node_and_is_remembered(cluster):
    cluster.run("mkdir -p 'a place'", check=True)
    one = submit(cluster, "hostname; python3 --version; module load python/3.12; python --version; exit 3", "three")
    done = finished(cluster, one)
    assert (done.name, done.state, done.exit_code.split(":")[0]) == ("three", "FAILED", "3")
    assert done.node in cluster.nodes
    assert done.submit <= done.start <= done.end
    number = one.partition(".")[0]
    said = until(lambda: cluster.run(OUTPUT[cluster.spec.scheduler].format(name="three", id=number)).stdout, "output")
    assert said.split()[0] == done.node
    assert [word.startswith(("3.6.", "3.12.")) for word in said.split()[2::2]] == [True, True]


def test_jobs_share_the_home_of_the_login_host_and_nothing_of_the_other_users(cluster):
    directory = cluster.run("mktemp -d ~/XXXX; echo", check=True).stdout.strip()
    one = submit(cluster, f"hostname > {directory}/from; sleep 2000")
    until(lambda: cluster.run(f"cat {directory}/from").stdout.strip() in cluster.nodes, "the file is there")
    seen = subprocess.run([*cluster.other_user.command(), "cat", f"{directory}/from"], capture_output=True, check=False)
    assert b"Permission denied" in seen.stderr
    refused = subprocess.run([*cluster.other_user.command(), f"qdel {one}"], capture_output=True, check=False)
    assert refused.returncode
    assert running(cluster, one).directory == cluster.home
    cluster.run(f"qdel {one}", check=True)
    assert finished(cluster, one).state in DELETED_OR_KILLED


def test_a_cluster_is_named_for_what_it_is(cluster):
    assert cluster.name.startswith(
        {"sge": "sge-", "pbs": "pbs-" if os.environ.get("SIMCLUSTER_PBS_BASE") else "emulated-pbs-"}[
            cluster.spec.scheduler
        ]
    )


def test_queues_are_those_of_the_spec(cluster):
    one = finished(cluster, submit(cluster, "true", options="-q short"))
    assert (one.node, one.state) == ("node2", "COMPLETED")


def test_a_job_over_its_time_is_ended(cluster):
    limit = {"sge": "-l h_rt=2", "pbs": "-l walltime=2"}[cluster.spec.scheduler]
    over = finished(cluster, submit(cluster, "sleep 3000", options=limit))
    assert over.state == "TIMEOUT"


def test_a_scheduler_that_is_down_says_so_and_goes_on_with_its_jobs(cluster):
    one = submit(cluster, "sleep 3000")
    running(cluster, one)
    with cluster.faults.scheduler.down():
        assert cluster.run("qstat").returncode
    until(lambda: cluster.run("qstat").returncode == 0, "it answers")
    assert running(cluster, one).id == one
    cluster.run(f"qdel {one}", check=True)


def test_submissions_can_be_refused(cluster):
    with cluster.faults.scheduler.reject_submits("not today"):
        refused = cluster.run("qsub", input="#!/bin/bash\ntrue\n")
    assert "not today" in refused.stderr
    assert refused.returncode == 1
    assert finished(cluster, submit(cluster, "true")).state == "COMPLETED"


def test_what_cannot_be_broken_is_refused_by_name(cluster):
    with pytest.raises(simcluster.FaultUnavailableError, match=r"job\.oom can't be had on this cluster"):
        cluster.faults.job.oom("1")


def test_a_node_works_again_after_it_was_killed_and_restarted(cluster):
    is_down = IS_DOWN[cluster.spec.scheduler]
    cluster.nodes["node2"].kill()
    assert not cluster.nodes["node2"].is_up
    until(lambda: cluster.run(is_down).returncode == 0, "the scheduler misses it")
    cluster.nodes["node2"].restart()
    until(lambda: cluster.run(is_down).returncode, "the scheduler has it again")
    done = finished(cluster, submit(cluster, "hostname", options="-q short"))
    assert (done.node, done.state) == ("node2", "COMPLETED")


def test_the_history_has_jobs_with_their_runs(cluster):
    one = finished(cluster, submit(cluster, "true", "told"))
    history = cluster.history()
    (told,) = (each for each in history.jobs if each.id == one.id)
    assert (told.name, told.user, told.runs[-1].nodes) == ("told", "alice", (one.node,))
    assert history.started <= told.submitted <= told.ended <= history.taken + 1


def test_containers_are_unprivileged(cluster):
    client = docker.from_env()
    for container in client.containers.list(filters={"label": f"simcluster.name={cluster.name}"}):
        settings = container.attrs["HostConfig"]
        assert not settings["Privileged"]
        assert not settings["CapAdd"]
    client.close()


def test_a_host_without_a_scheduler_is_a_login_host_with_its_pythons(host):
    assert dict(host.nodes) == {}
    said = host.run("python3 --version; module load python/3.12; python --version", check=True).stdout.splitlines()
    assert [line.rpartition(".")[0] for line in said] == ["Python 3.6", "Python 3.12"]
    assert host.run("sbatch --version; qsub --version").returncode == 127
    assert host.jobs() == []
    assert host.history().jobs == ()


def test_a_host_without_a_scheduler_has_the_faults_of_its_line(host):
    with host.faults.ssh.refuse():
        assert subprocess.run([*host.ssh.command(), "true"], capture_output=True, check=False).returncode == 255
    assert subprocess.run([*host.ssh.command(), "true"], capture_output=True, check=False).returncode == 0
    with pytest.raises(simcluster.FaultUnavailableError, match="no scheduler"):
        host.faults.scheduler.down()


def test_what_grid_engine_has_not_in_containers_is_refused_before_anything_starts():
    with pytest.raises(simcluster.SpecError, match="gpus_per_node"):
        simcluster.start("sge", backend="docker", gpus_per_node=1)
