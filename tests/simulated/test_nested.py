"""Decorated functions that are called inside a job: they run there, or are jobs of their own where that was asked for."""

import nested_workload
import pytest
from installed_clustrix import install_clustrix
from pointed_at import pointed_at

import clustrix
import simcluster
from clustrix.connection.local import LocalConnection


@pytest.fixture(scope="module", autouse=True)
def site(tmp_path_factory):
    with (
        simcluster.start("slurm", nodes=2, pythons=["3.6", "3.12"]) as started,
        pytest.MonkeyPatch.context() as patch,
        pointed_at(started, tmp_path_factory.mktemp("client"), patch),
    ):
        yield started


@pytest.fixture(scope="module")
def with_clustrix(site):
    """A virtual environment on the cluster, with clustrix and what it takes to submit from there."""
    return install_clustrix(site)


def test_a_function_called_in_a_job_runs_in_it():
    outer, inner, local = nested_workload.outer_plain.options(python="3.6")("inner")
    assert inner[1:] == local[1:] == outer[1:]


def test_it_is_a_job_of_its_own_where_that_is_asked_for_and_nothing_of_the_outer_one_leaks(with_clustrix):
    outer, called, submitted = nested_workload.outer_submitting.options(environment=with_clustrix)("inner")
    assert len({job[1] for job in (outer, called, submitted)}) == 3
    assert len({job[2] for job in (outer, called, submitted)}) == 3
    assert outer[3] == "7"
    assert called[3] is submitted[3] is None
    assert "1" == outer[4] < called[4] == submitted[4]


def test_functions_that_submit_each_other_for_ever_are_an_error_that_says_so(monkeypatch):
    monkeypatch.setenv("CLUSTRIX_JOB_DEPTH", "5")
    with pytest.raises(clustrix.SubmissionError, match=r"elsewhere is called in a job that is 5 jobs deep.*nested="):
        nested_workload.elsewhere("inner")


def test_a_python_that_can_t_submit_says_so_and_the_way_out():
    with pytest.raises(
        RuntimeError,
        match=r"elsewhere can't be submitted out of this job: clustrix needs Python 3\.10, and this is Python 3\.6",
    ):
        nested_workload.outer_submitting.options(python="3.6")("inner")


def test_a_python_without_clustrix_says_so_and_the_way_out():
    with pytest.raises(
        RuntimeError, match=r'no clustrix is installed for its Python 3\.12 .*leave out nested="submit"'
    ):
        nested_workload.outer_submitting.options(python="3.12")("inner")


def test_a_script_that_a_job_starts_runs_its_functions_there(monkeypatch):
    monkeypatch.setenv("CLUSTRIX_JOB_ID", "cxouter")
    monkeypatch.setenv("CLUSTRIX_JOB_DEPTH", "1")
    assert nested_workload.where.options(nested="local")("here")[1] == "cxouter"


@pytest.mark.parametrize(
    ("outer", "kept", "gone"),
    [
        (
            {"SLURM_JOB_ID": "1"},
            ["SLURM_CONF", "SBATCH_ACCOUNT", "HOME"],
            ["SLURM_JOB_ID", "SLURM_NTASKS", "SRUN_CPUS"],
        ),
        ({"PBS_JOBID": "1"}, ["PBS_CONF_FILE", "HOME"], ["PBS_JOBID", "PBS_O_WORKDIR", "PBS_NODEFILE"]),
        ({"JOB_ID": "1", "SGE_TASK_ID": "undefined"}, ["SGE_ROOT", "HOME"], ["JOB_ID", "QUEUE", "SGE_TASK_ID"]),
        ({}, ["SLURM_TIME", "QUEUE", "PBS_X"], []),
    ],
    ids=["slurm", "pbs", "sge", "no job"],
)
def test_an_agent_started_in_a_job_sees_nothing_of_that_job_but_what_says_where_the_scheduler_is(
    monkeypatch, outer, kept, gone
):
    for name in [*kept, *gone]:
        monkeypatch.setenv(name, "x")
    for name, value in outer.items():
        monkeypatch.setenv(name, value)
    connection = LocalConnection()
    pipe = connection.start("env")
    seen = {line.partition("=")[0] for line in pipe.read(1 << 20).decode().splitlines()}
    connection.close()
    assert set(kept) <= seen
    assert not seen & set(gone)


def test_wrong_words_are_refused_when_they_are_set():
    with pytest.raises(clustrix.ConfigurationError, match="nested='maybe'"):
        clustrix.cluster(nested="maybe")
