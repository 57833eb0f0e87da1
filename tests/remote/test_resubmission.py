"""What becomes of a submission that comes twice, for its answer was lost the first time."""

import os
import stat
import threading

import pytest
from clustrix_remote import jobs, resubmission
from clustrix_remote.paths import open_state_dir

JOB = "cxaaaaaaaaaaaa"


@pytest.fixture
def state(tmp_path):
    return open_state_dir(str(tmp_path / "state"))


@pytest.fixture
def squeue(tmp_path, monkeypatch):
    """squeue(text): from now on a squeue on the PATH prints that; None: it fails as without a controller."""
    program = tmp_path / "bin" / "squeue"
    program.parent.mkdir()
    monkeypatch.setenv("PATH", str(program.parent) + os.pathsep + os.environ["PATH"])

    def answer(text):
        said = "echo 'Unable to contact slurm controller' >&2; exit 1" if text is None else "printf '%s'" % text
        program.write_text("#!/bin/sh\n%s\n" % said)
        program.chmod(0o755)

    answer("")
    return answer


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(resubmission, "PATIENCE", 0.2)
    monkeypatch.setattr(resubmission, "SCHEDULERS_PATIENCE", 0.2)


def prepared(state, submitter=b"another agent"):
    root = state.job(JOB).root
    os.makedirs(root)
    with open(os.path.join(root, "submitter"), "wb") as stream:
        stream.write(submitter)
    return root


def test_a_job_that_nobody_prepared_is_new(state, squeue):
    assert resubmission.settle(state, JOB, "slurm") is None


def test_a_number_that_was_noted_is_the_answer_and_the_scheduler_is_not_asked(state, squeue):
    squeue(None)
    root = prepared(state)
    with open(os.path.join(root, "scheduler_id"), "w") as stream:
        stream.write("17")
    assert resubmission.settle(state, JOB, "slurm") == "17"


def test_a_number_that_was_not_noted_is_found_by_the_jobs_name(state, squeue):
    prepared(state)
    squeue("18\n")
    assert resubmission.settle(state, JOB, "slurm") == "18"


def test_a_submission_that_is_under_way_is_waited_for(state, squeue):
    root = prepared(state)

    def note():
        with open(os.path.join(root, "scheduler_id"), "w") as stream:
            stream.write("19")

    timer = threading.Timer(0.3, note)
    timer.start()
    assert resubmission.settle(state, JOB, "slurm") == "19"
    timer.join()


def test_a_job_that_has_run_is_never_run_again_though_the_scheduler_forgot_it(state, squeue, impatient):
    prepared(state)
    os.makedirs(state.done("client"))
    open(os.path.join(state.done("client"), JOB + ".done"), "w").close()
    assert resubmission.settle(state, JOB, "slurm") == resubmission.NO_NUMBER


def test_what_a_killed_agent_left_is_taken_over(state, squeue, impatient):
    root = prepared(state)
    assert resubmission.settle(state, JOB, "slurm") is None
    assert not os.path.exists(root)
    assert os.listdir(os.path.dirname(root)) == []


def test_while_the_scheduler_does_not_answer_nothing_is_decided(state, squeue, impatient):
    root = prepared(state)
    squeue(None)
    with pytest.raises(resubmission.UndecidedError, match="Unable to contact"):
        resubmission.settle(state, JOB, "slurm")
    assert os.path.exists(root)


def test_an_agent_removes_no_job_that_another_one_took_over(state):
    root = prepared(state)
    jobs.discard(state, JOB)
    assert os.path.exists(root)
    assert stat.S_ISDIR(os.stat(root).st_mode)
