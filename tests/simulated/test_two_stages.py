"""``use_two_venv``: True, False and "auto" give the same answers on a cluster whose jobs run under Python 3.6."""

import pickle
import re
import sys
import traceback

import pytest
import workload
import workload_matching
import workload_modern
from pointed_at import pointed_at

import clustrix
import simcluster
from clustrix import cluster
from clustrix.future import StageReport

SETTINGS = [True, False, "auto"]


@pytest.fixture(scope="module")
def site():
    with simcluster.start("slurm", nodes=1, pythons=["3.6", "3.12"]) as started:
        yield started


@pytest.fixture(autouse=True)
def configured(site, tmp_path, monkeypatch):
    """``@cluster`` runs on ``site``, with cache and journal of the test's own."""
    with pointed_at(site, tmp_path, monkeypatch, memory="300MB"):
        yield


def submitted(function, *args, setting, python="3.6", **options):
    return cluster(python=python, use_two_venv=setting, **options)(function).submit(*args)


def by_every_setting(function, *args, **options):
    """The three futures, each of which has ended."""
    futures = [submitted(function, *args, setting=setting, **options) for setting in SETTINGS]
    for future in futures:
        future.exception(120)
    return futures


CALLS = {
    "plain data": (workload.doubled, [1, "ä", None]),
    "a local module and constants": (workload.areas, "square", "strip"),
    "no exception": (workload.unlucky, 12),
    "variables": (workload.environment, "CLUSTRIX_JOB_ID_THAT_IS_NOT_THERE"),
    "many megabytes": (workload.doubled, bytes(range(256)) * (20 << 12)),
    "an argument of megabytes": (workload.size, bytes(3 << 20)),
    "nothing": (workload.sleeps, 0),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_values_are_the_same(call):
    two, one, auto = (future.result() for future in by_every_setting(*call))
    assert two == one == auto
    assert two == call[0](*call[1:])


FAILURES = {
    "an exception of the user's": (workload.unlucky, 13),
    "one with a cause": (workload.fails_twice,),
    "an exit": (workload.exits, 3),
    "a result that can't be sent": (workload.returns_a_lock,),
}


@pytest.mark.parametrize("call", FAILURES.values(), ids=FAILURES)
def test_failures_are_the_same(call):
    seen = []
    for future in by_every_setting(*call):
        error = future.exception()
        shown = _without_names("".join(traceback.format_exception(error)), future.job_id)
        seen.append((type(error), _without_names(str(error), future.job_id), shown, _attributes(error, future.job_id)))
    assert seen[0] == seen[1] == seen[2]


def _without_names(text, job_id):
    """Each job has its own id, and each lock its own address."""
    return re.sub("0x[0-9a-f]+", "0x", text.replace(job_id, "JOB"))


def _attributes(error, job_id):
    return {name: value for name, value in vars(error).items() if value != job_id}


def test_what_a_job_wrote_and_how_it_died_is_the_same():
    for future in by_every_setting(workload.sleeps, 0):
        assert (future.stdout(), future.stderr()) == ("sleeping\n", "")
    for future in by_every_setting(workload.leaves, 3):
        assert isinstance(future.exception(), clustrix.JobFailedError)
        assert future.exception().exit_code == 3


def test_a_signal_that_ends_the_job_ends_it_the_same_way():
    deaths = [future.exception() for future in by_every_setting(workload.killed_by, 9)]
    assert len({(type(death), death.state, death.exit_code, death.signal) for death in deaths}) == 1
    assert all("about to die" in str(death) for death in deaths)


def test_the_report_says_which_interpreter_and_process_did_each_stage(site):
    two, one, auto = by_every_setting(workload.where)
    assert [[stage.stage for stage in future.stage_report] for future in (two, one, auto)] == [
        ["decode", "run", "encode"]
    ] * 3
    decode, run, encode = two.stage_report
    assert decode[1:] == encode[1:]
    assert run.version.startswith("3.6.")
    assert "/.clustrix/envs/" in decode.executable
    # The nearest to the client's, which this machine's own may be, is never a newer one.
    version = tuple(map(int, decode.version.split(".")[:2]))
    assert version <= sys.version_info[:2]
    assert version >= (3, 12) or sys.version_info < (3, 12)
    assert run.pid == two.result()["pid"]
    assert decode.pid != run.pid
    for future in (one, auto):
        (only,) = {stage[1:] for stage in future.stage_report}
        assert only[2] == future.result()["pid"]
    assert pickle.loads(pickle.dumps(two.stage_report)) == two.stage_report
    assert isinstance(run, StageReport)


@pytest.mark.parametrize("setting", SETTINGS)
def test_newer_syntax_runs_under_either_python_and_what_has_no_equal_is_refused_for_the_old_one(setting):
    for python in ("3.12", "3.6"):
        future = submitted(workload_modern.first_long, ["short", "longer"], setting=setting, python=python)
        assert future.result() == "longer"
    with pytest.raises(clustrix.UnsupportedSyntaxError, match=r"3\.6.* rejects"):
        submitted(workload_matching.matching, ["short"], setting=setting).result()


def test_each_python_of_the_cluster_runs_in_two_stages():
    for python in ("3.6", "3.12"):
        future = submitted(workload.where, setting=True, python=python)
        assert future.result(120)["python"] == tuple(map(int, python.split(".")))
        assert future.stage_report[1].version.startswith(python + ".")


def test_many_jobs_at_once_each_have_a_stage_of_their_own(site):
    futures = [submitted(workload.doubled, number, setting=True) for number in range(6)]
    assert [future.result(120) for future in futures] == [2 * number for number in range(6)]
    assert len({future.stage_report[0].pid for future in futures}) == 6
    assert site.run("pgrep -f clustrix_remote.stage_process").stdout == ""
