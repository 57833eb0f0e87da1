"""Results wait 14 days for who fetches them; unfinished jobs are never touched."""

import json
import os
import time

import pytest
from clustrix_remote import expiry
from clustrix_remote.paths import write_aside

DAY = 86400
OLD, YOUNG = 15 * DAY, 13 * DAY
SQUEUE = """#!/bin/sh
for word in "$@"; do case $word in --name=*) exit 0;; esac; done
cat "$(dirname "$0")/answer"
"""


@pytest.fixture
def answer(tmp_path, monkeypatch):
    """answer(text): what squeue says from now on; None: nothing, as its server is down."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "squeue").write_text(SQUEUE)
    (programs / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)

    def set_answer(text):
        if text is None:
            (programs / "squeue").write_text("#!/bin/sh\necho 'Unable to contact slurm controller' >&2; exit 1\n")
        else:
            (programs / "answer").write_text(text)

    set_answer("")
    return set_answer


def a_job(state, job_id, age, *, number="17", result=False, spec=True):
    """The directory of a job, all of whose files are ``age`` seconds old."""
    job = state.job(job_id)
    for directory in (job.root, job.file("out"), job.file("log"), job.file("marks"), state.done("me")):
        os.makedirs(directory, exist_ok=True)
    files = {job.stdout: "text", os.path.join(state.done("me"), job_id + ".exit"): "1"}
    if spec:
        files[job.spec] = json.dumps({"job_id": job_id, "client": "me", "scheduler": "slurm", "resources": {}})
    if number:
        files[job.scheduler_id] = number
    if result:
        files[job.result] = "sealed"
    for path, text in files.items():
        with open(path, "w") as stream:
            stream.write(text)
    age_all(job, age)
    return job


def age_all(job, age):
    then = time.time() - age
    for directory, _, names in os.walk(job.root):
        for name in [".", *names]:
            os.utime(os.path.join(directory, name), (then, then))


def left(state):
    return sorted(os.listdir(os.path.join(state.root, "jobs")))


def test_a_result_that_nobody_fetched_goes_with_its_marks_after_its_time(state, answer):
    a_job(state, "cxold", OLD, result=True)
    a_job(state, "cxyoung", YOUNG, result=True)
    assert expiry.prune(state) == ["cxold"]
    assert left(state) == ["cxyoung"]
    assert os.listdir(state.done("me")) == ["cxyoung.exit"]


def test_the_time_begins_with_the_result_whenever_the_job_was_submitted(state, answer):
    job = a_job(state, "cxlong", 400 * DAY, result=True)
    os.utime(job.result, None)
    assert expiry.prune(state) == []


@pytest.mark.parametrize("word", ["PENDING", "RUNNING", "SUSPENDED", "REQUEUE_HOLD", "COMPLETING"])
def test_an_unfinished_job_is_never_touched_however_old(state, answer, word):
    a_job(state, "cxold", 400 * DAY)
    answer("17|%s|Priority|\n" % word)
    assert expiry.prune(state) == []
    assert left(state) == ["cxold"]


@pytest.mark.parametrize("text", ["17|TIMEOUT|TimeLimit|node1\n", "99|RUNNING||node1\n", ""])
def test_a_job_that_died_long_ago_goes(state, answer, text):
    a_job(state, "cxold", OLD)
    a_job(state, "cxyoung", YOUNG)
    answer(text)
    assert expiry.prune(state) == ["cxold"]


def test_while_the_scheduler_does_not_answer_nothing_without_a_result_goes(state, answer):
    a_job(state, "cxdied", OLD)
    a_job(state, "cxunnoted", OLD, number=None)
    a_job(state, "cxdone", OLD, result=True)
    answer(None)
    assert expiry.prune(state) == ["cxdone"]


def test_what_was_prepared_and_never_submitted_goes_too(state, answer):
    a_job(state, "cxnumberless", OLD, number=None)
    a_job(state, "cxbegun", OLD, number=None, spec=False)
    a_job(state, "cxnow", 0, number=None, spec=False)
    assert sorted(expiry.prune(state)) == ["cxbegun", "cxnumberless"]


def test_a_file_that_changed_lately_is_a_sign_of_life(state, answer):
    job = a_job(state, "cxold", OLD)
    os.utime(job.stdout, None)
    assert expiry.prune(state) == []


def test_it_is_done_once_a_day(state, answer):
    expiry.prune_daily(state)
    a_job(state, "cxold", OLD, result=True)
    expiry.prune_daily(state)
    assert left(state) == ["cxold"]
    stamp = os.path.join(state.root, "pruned")
    os.utime(stamp, (time.time() - 2 * DAY,) * 2)
    expiry.prune_daily(state)
    assert left(state) == []
    assert [name for name in os.listdir(state.root) if name.startswith(".")] == []


def test_a_map_lives_as_long_as_an_element_does(state, answer):
    job = a_job(state, "cxmap", OLD)
    os.mkdir(job.file("rounds"))
    write_aside(job.file("rounds", "17"), b"2")
    age_all(job, OLD)
    answer("17_0|COMPLETED||node1\n17_1|PENDING|Priority|\n")
    assert expiry.prune(state) == []
    answer("17_0|COMPLETED||node1\n")
    assert expiry.prune(state) == ["cxmap"]
