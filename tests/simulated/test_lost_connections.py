"""Connections that are lost at any moment: each job is run once and its result arrives once, and the client goes on by itself."""

import collections
import queue
import random
import re

import counting_workload
import pytest
from cut_line import CutLine
from pointed_at import pointed_at

import clustrix
import simcluster
from clustrix.connection.channel import Channel
from clustrix.connection.choice import connection_for

SEED = 20


@pytest.fixture(scope="module")
def site():
    with simcluster.start("slurm", nodes=2, pythons=["3.12"], seed=SEED) as started:
        yield started


@pytest.fixture
def executor(site, tmp_path, monkeypatch):
    """executor(**changes): one with the site's configuration, changed."""
    with pointed_at(site, tmp_path, monkeypatch, memory="300MB"):
        made = []

        def make(**changes):
            config = clustrix.get_config()
            for name, value in changes.items():
                setattr(config, name, value)
            made.append(clustrix.ClusterExecutor(config))
            return made[-1]

        yield make
        site.faults.undo_all()
        for one in made:
            one.shutdown(cancel_futures=True)


@pytest.fixture
def runs(site, tmp_path):
    """The file on the cluster where each run leaves a line."""
    path = f"{site.home}/runs-{tmp_path.name}"
    yield path
    site.run(f"rm -f {path}")


def how_often(site, path):
    return collections.Counter(map(int, site.run(f"cat {path}", check=True).stdout.split()))


@pytest.mark.parametrize("way", ["paramiko", "openssh"])
def test_a_line_that_is_cut_ten_times_loses_no_job_and_repeats_none(site, executor, runs, tmp_path, way):
    chance = random.Random(f"{SEED} {way}")
    with CutLine(site.ssh.port) as line:
        known = tmp_path / "known"
        known.write_text(re.sub(r"\]:\d+ ", f"]:{line.port} ", site.ssh.known_hosts_file.read_text()))
        client = executor(cluster_port=line.port, known_hosts_file=str(known), connection=way)
        assert client.submit(counting_workload.leaves_a_line, runs, 0).result(120) == 0
        # From the first bytes of a handshake to the middle of a result.
        line.limits = [chance.randrange(1, 60_000) for _ in range(10)]
        line.cut_all()
        done = collections.Counter()
        futures = []
        for number in range(1, 11):
            future = client.submit(counting_workload.leaves_a_line, runs, number)
            future.add_done_callback(lambda done_one: done.update([done_one.result()]))
            futures.append(future)
        assert [future.result(250) for future in futures] == list(range(1, 11))
        numbers = 11
        while line.limits:
            assert client.submit(counting_workload.leaves_a_line, runs, numbers).result(120) == numbers
            line.cut_all()
            numbers += 1
        assert line.cuts > 2
    assert done == collections.Counter(range(1, 11))
    assert how_often(site, runs) == collections.Counter(range(numbers))


@pytest.mark.parametrize("signal", ["KILL", "TERM"])
def test_a_login_node_that_kills_the_agent_again_and_again_only_costs_connections(site, executor, runs, signal):
    client = executor()
    sign = f"{runs}-go"
    future = client.submit(counting_workload.leaves_a_line_when_told, runs, 0, sign)
    for number in range(1, 6):
        assert client.submit(counting_workload.leaves_a_line, runs, number).result(120) == number
        site.run(f"kill -{signal} {client._session.connect().facts['pid']}", check=True)
    site.run(f"touch {sign}", check=True)
    assert future.result(120) == 0
    assert how_often(site, runs) == collections.Counter(range(6))


def test_an_agent_that_is_killed_while_the_scheduler_takes_the_job_leaves_one_job_whose_result_arrives(
    site, executor, runs
):
    client = executor()
    assert client.submit(counting_workload.leaves_a_line, runs, 0).result(120) == 0
    with site.faults.scheduler.slow(2):
        future = client.submit(counting_workload.leaves_a_line, runs, 1)
        job = f"~/.clustrix/jobs/{future.job_id}"
        site.run(f"until test -e {job}/script.sh; do sleep 0.01; done", check=True, timeout=60)
        site.run(f"kill -KILL {client._session.connect().facts['pid']}", check=True)
    assert future.result(120) == 1
    assert how_often(site, runs) == collections.Counter([0, 1])


def test_a_start_up_file_that_prints_in_the_middle_of_the_conversation_does_no_harm(site, executor, runs):
    noisy = "(sleep 1; echo said by something that was left in the background) & "
    profile = "~/.bashrc"
    site.run(f"test -e {profile} && cp {profile} {profile}.old; echo {noisy!r} >> {profile}", check=True)
    try:
        client = executor()
        for number in range(3):
            assert client.submit(counting_workload.leaves_a_line, runs, number).result(120) == number
    finally:
        site.run(f"rm {profile}; test ! -e {profile}.old || mv {profile}.old {profile}", check=True)
    assert how_often(site, runs) == collections.Counter(range(3))


@pytest.mark.parametrize("way", ["paramiko", "openssh"])
def test_a_line_on_which_nothing_gets_through_any_more_is_noticed(site, executor, way):
    config = executor(connection=way)._config
    lost = queue.SimpleQueue()
    connection = connection_for(config)
    channel = Channel(
        connection,
        config.cluster_host,
        config.remote_state_dir,
        timeout=60,
        silence=2,
        on_event=print,
        on_lost=lost.put,
    )
    with site.faults.ssh.hang():
        assert "nothing was heard of it for 2 s" in str(lost.get(timeout=60))
        assert not channel.is_open
        channel.close()
        connection.close()


def test_a_line_on_which_something_gets_through_is_kept(site, executor):
    config = executor()._config
    connection = connection_for(config)
    lost = []
    channel = Channel(
        connection,
        config.cluster_host,
        config.remote_state_dir,
        timeout=60,
        silence=5,
        on_event=print,
        on_lost=lost.append,
    )
    # What is sent takes longer than the silence that is put up with.
    with site.faults.ssh.bandwidth("4MB/s"), pytest.raises(clustrix.SubmissionError, match="no operation"):
        channel.request("dance", {}, (bytes(40 << 20),))
    assert (channel.is_open, lost) == (True, [])
    channel.close()
    connection.close()


def test_a_host_that_is_away_is_asked_again_until_it_is_back(site, executor, runs):
    client = executor()
    sign = f"{runs}-go"
    future = client.submit(counting_workload.leaves_a_line_when_told, runs, 0, sign)
    site.run(
        f"until squeue -h -n {future.job_id} -t R | grep -q .; do sleep 0.1; done; touch {sign}", check=True, timeout=60
    )
    with site.faults.ssh.refuse():
        site.faults.ssh.drop_all().start()
        channel = client._session._channel
        channel._is_over.wait(60)
        with pytest.raises(clustrix.ClusterConnectionError, match="refused"):
            client._session._connect_again(1)
    assert future.result(120) == 0
