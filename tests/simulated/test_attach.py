"""Jobs are found again: by their id or the scheduler's number, from the next process and from another machine."""

import time

import clients
import pytest
from cluster_ends import until
from counted_workload import counted, gate
from pointed_at import pointed_at

import clustrix
import simcluster
from clustrix import cluster
from clustrix.journal import Entry, Journal


@pytest.fixture(scope="module")
def site():
    with simcluster.start("slurm", nodes=1, pythons=["3.6"]) as started:
        yield started


@pytest.fixture(autouse=True)
def configured(site, tmp_path, monkeypatch):
    """``@cluster`` runs on ``site``, with cache and journal of the test's own."""
    with pointed_at(site, tmp_path, monkeypatch):
        yield
        site.run("rm -rf go runs; scancel --me; rm -rf ~/.clustrix/jobs/* ~/.clustrix/done/*/*", check=True)


@pytest.fixture
def other_machine(tmp_path):
    """other_machine(script): what it prints when it runs on a machine of the same user that has nothing of this one."""
    return lambda script: clients.said(script, XDG_STATE_HOME=str(tmp_path / "other"))


SUBMIT = "print(cluster(python='3.6')(counted_workload.gate).submit('~/go', 41).job_id)"
FETCH = "print(clustrix.attach(sys.argv[1] if len(sys.argv) > 1 else {name!r}).result(90))"


def test_the_next_process_fetches_by_id(site):
    job_id = clients.said(SUBMIT)
    site.run("touch go", check=True)
    assert clients.said(FETCH.format(name=job_id)) == "41"


def test_the_next_process_fetches_by_the_schedulers_number(site):
    job_id = clients.said(SUBMIT)
    number = site.run(f"squeue -h -n {job_id} -o %i", check=True).stdout.strip()
    site.run("touch go", check=True)
    assert clients.said(FETCH.format(name=number)) == "41"
    assert Journal().entries() == []


def test_what_was_fetched_is_known_neither_here_nor_there(site):
    job_id = clients.said(SUBMIT)
    site.run("touch go", check=True)
    future = clustrix.attach(job_id)
    assert future.result(90) == 41
    until(lambda: site.run(f"[ -e .clustrix/jobs/{job_id} ]").returncode)
    with pytest.raises(clustrix.ClustrixError, match=rf"knows no job {job_id}, and neither does 127.*fetched already"):
        clustrix.attach(job_id)


def test_the_journals_jobs_are_listed_without_asking_anybody(site):
    assert clustrix.ClusterExecutor(clustrix.get_config()).jobs() == []
    future = cluster(python="3.6")(gate).submit("~/go", 1)
    until(lambda: future.scheduler_id)
    with clustrix.ClusterExecutor(clustrix.get_config()) as executor:
        until(lambda: executor.jobs()[0].scheduler_id)
        (record,) = executor.jobs()
    assert (record.job_id, record.scheduler_id, record.function) == (future.job_id, future.scheduler_id, "gate")
    assert (record.host, record.state) == (site.ssh.host, None)
    assert abs(record.created - time.time()) < 300
    site.run("touch go", check=True)
    assert future.result(90) == 1


def test_a_job_of_another_host_is_not_listed_as_one_of_this(site):
    future = cluster(python="3.6")(gate).submit("~/go", 1)
    elsewhere = clustrix.ClusterConfig(**{**clustrix.get_config().public_dict(), "cluster_host": "elsewhere"})
    with clustrix.ClusterExecutor(elsewhere) as executor:
        assert executor.jobs() == []
    future.cancel()


def test_another_machine_sees_what_the_account_has_and_how_it_is(site, other_machine):
    done = cluster(python="3.6", cleanup_on_success=False)(counted).submit("~/runs", 1)
    assert done.result(90) == 1
    waiting = cluster(python="3.6")(gate).submit("~/go", 2)
    until(lambda: site.run(f"squeue -h -t R -n {waiting.job_id} | grep -q .").returncode == 0)
    told = other_machine(
        "e = clustrix.ClusterExecutor()\n"
        "print([(r.job_id, r.scheduler_id, r.function, r.state) for r in e.discover()], e.jobs())"
    )
    assert (
        told
        == str(
            [
                (done.job_id, done.scheduler_id, "counted", "COMPLETED"),
                (waiting.job_id, waiting.scheduler_id, "gate", "RUNNING"),
            ]
        )
        + " []"
    )
    waiting.cancel()


@pytest.mark.parametrize("by_number", [False, True], ids=["by id", "by number"])
def test_another_machine_fetches_and_leaves_nothing(site, other_machine, by_number):
    job_id = clients.said(SUBMIT)
    number = site.run(f"squeue -h -n {job_id} -o %i", check=True).stdout.strip()
    site.run("touch go", check=True)
    assert other_machine(FETCH.format(name=number if by_number else job_id)) == "41"
    assert site.run(f"find ~/.clustrix -name '*{job_id}*'").stdout == ""
    error = clustrix.attach(job_id).exception(90)
    assert isinstance(error, clustrix.ResultLostError)
    assert f"which was submitted there as {number}: its result was fetched from another machine" in str(error)
    assert Journal().entries() == []


def test_what_has_expired_on_the_cluster_is_not_listed_here_for_ever(site):
    config = clustrix.get_config().public_dict()
    for job_id, days in (("cxoldoldoldold", 15), ("cxyoungyoungyo", 13)):
        Journal().write(Entry(job_id, "00" * 32, "p", "f", config, time.time() - days * 86400, scheduler_id="1"))
    with clustrix.ClusterExecutor(clustrix.get_config()) as executor:
        assert executor.discover() == []
        assert [record.job_id for record in executor.jobs()] == ["cxyoungyoungyo"]


def test_what_nobody_knows_is_an_error_that_names_where_was_looked(site):
    with pytest.raises(clustrix.ClustrixError, match=r"the journal in .* knows no job 999999, and neither does 127"):
        clustrix.attach(999999)


@pytest.mark.parametrize("name", ["../jobs", "..", "/etc", "cx\0", "", "ä"])
def test_a_name_that_is_none_is_known_nowhere(site, name):
    with pytest.raises(clustrix.ClustrixError, match="knows no job"):
        clustrix.attach(name)


def test_a_changed_result_is_refused_also_where_the_journal_has_no_key(site, other_machine):
    future = cluster(python="3.6", cleanup_on_success=False)(counted).submit("~/runs", 1)
    future.result(90)
    result = f"~/.clustrix/jobs/{future.job_id}/out/result"
    site.run(f"printf x | dd of={result} bs=1 seek=$(($(stat -c %s {result})-1)) conv=notrunc", check=True)
    told = other_machine(f"print(type(clustrix.attach({future.job_id!r}).exception(90)).__name__)")
    assert told == "ResultLostError"
