"""Handing a job to a scheduler that answers late, not at all, or twice; and handing it in again after it died."""

import json
import os
import shlex
import sys
import threading

import pytest
from clustrix_remote import attempts
from clustrix_remote.jobs import find
from clustrix_remote.runs import claim_run, count_runs, is_overtaken, resources_of, script_of
from clustrix_remote.schedulers import JobState, SchedulerError, SchedulerUnreachableError, slurm

JOB = "cxabcdefghijkl"
# Small programs that keep a queue of names in a directory. What they do wrong is said by files beside it.
SBATCH = """#!{python} -S
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
name = [word[len("--job-name="):] for word in sys.argv if word.startswith("--job-name=")][0]
with open(os.path.join(here, "asked"), "a") as stream:
    stream.write(" ".join(sys.argv[1:-1]) + "\\n")
def is_said(what):
    return os.path.exists(os.path.join(here, what))
if is_said("unreachable"):
    left = int(open(os.path.join(here, "unreachable")).read()) - 1
    if left:
        open(os.path.join(here, "unreachable"), "w").write(str(left))
    else:
        os.unlink(os.path.join(here, "unreachable"))
    sys.exit("sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)")
if is_said("refusing"):
    sys.exit("sbatch: error: Batch job submission failed: Requested node configuration is not available")
if not is_said("forgetful"):
    number = 17 + len(os.listdir(os.path.join(here, "queue")))
    open(os.path.join(here, "queue", name), "w").write(str(number))
if is_said("mute") or is_said("forgetful"):
    sys.exit("sbatch: error: Batch job submission failed: Socket timed out on send/recv operation")
print(number)
"""
SQUEUE = """#!{python} -S
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
if os.path.exists(os.path.join(here, "deaf")):
    sys.exit("slurm_load_jobs error: Socket timed out on send/recv operation")
name = [word[len("--name="):] for word in sys.argv if word.startswith("--name=")][0]
if os.path.exists(os.path.join(here, "queue", name)):
    print(open(os.path.join(here, "queue", name)).read())
"""
SCANCEL = """#!/bin/sh
echo "$@" >> "$(dirname "$0")/cancelled"
"""


class Site:
    def __init__(self, root):
        self.root = root
        (root / "queue").mkdir(parents=True)
        for name, text in (("sbatch", SBATCH), ("squeue", SQUEUE), ("scancel", SCANCEL)):
            (root / name).write_text(text.replace("{python}", sys.executable))
            (root / name).chmod(0o755)

    def say(self, what, text=""):
        (self.root / what).write_text(text)

    def asked(self):
        """The words of each submission."""
        path = self.root / "asked"
        return [shlex.split(line) for line in path.read_text().splitlines()] if path.exists() else []

    def queue(self):
        return {name: (self.root / "queue" / name).read_text() for name in os.listdir(str(self.root / "queue"))}


@pytest.fixture
def site(tmp_path, monkeypatch):
    site = Site(tmp_path / "programs")
    monkeypatch.setenv("PATH", str(site.root), prepend=os.pathsep)
    monkeypatch.setattr(attempts, "LOOK_UP_PAUSES", (0.0, 0.01, 0.02))
    monkeypatch.setattr(attempts, "PAUSE", 0.01)
    return site


@pytest.fixture
def job(state):
    return state.job(JOB)


def prepared(state, job, retries=0, policy=None):
    """The spec of a job whose scripts are written."""
    for directory in (job.root, job.file("marks"), job.file("out"), job.file("log"), state.done("me")):
        os.makedirs(directory)
    resources = {"cores": 1, "memory_mb": 100, "time_seconds": 60, "retries": retries, "retry_policy": policy or {}}
    spec = {
        "job_id": JOB,
        "client": "me",
        "scheduler": "slurm",
        "resources": resources,
        "done_dir": state.done("me"),
        "entry": {"name": "f"},
        "package": "p",
    }
    with open(job.spec, "w") as stream:
        json.dump(spec, stream)
    with open(job.key, "wb") as stream:
        stream.write(b"k" * 32)
    for attempt in range(retries + 1):
        asked = resources_of(spec, attempt)
        with open(script_of(job, attempt), "w") as stream:
            stream.write("#SBATCH --job-name=%s\n" % attempts.job_name(JOB, attempt))
            stream.write("#SBATCH --mem=%dM\n#SBATCH --comment=%d\n" % (asked["memory_mb"], asked["time_seconds"]))
    return spec


def submitted(job, spec, **more):
    return attempts.submit(job, JOB, spec, lambda: slurm.submit(job.script), **more)


def test_a_submission_whose_answer_was_lost_is_found_by_its_name_and_not_repeated(state, job, site):
    spec = prepared(state, job, retries=3)
    site.say("mute")
    assert submitted(job, spec, tries=4) == "17"
    assert len(site.asked()) == 1
    assert attempts.known_scheduler_id(job) == "17"


def test_a_submission_without_an_answer_that_was_not_queued_is_an_error_that_says_so(state, job, site):
    spec = prepared(state, job, retries=3)
    site.say("forgetful")
    with pytest.raises(SchedulerError, match="knows no job %s, so nothing was queued" % JOB):
        submitted(job, spec, tries=4)
    assert len(site.asked()) == 1


def test_where_the_scheduler_does_not_even_say_that_it_is_not_known_and_found_later(state, job, site):
    spec = prepared(state, job)
    site.say("mute")
    site.say("deaf")
    with pytest.raises(attempts.UndecidedError, match="Neither did it answer"):
        submitted(job, spec)
    (site.root / "deaf").unlink()
    assert find(state, JOB) == ("me", "slurm", "17")


def test_a_scheduler_that_cannot_be_reached_is_tried_as_often_as_asked_for(state, job, site):
    spec = prepared(state, job, retries=2)
    site.say("unreachable", "2")
    said = []
    assert submitted(job, spec, tries=3, report=said.append) == "17"
    assert [line.rpartition("; ")[2] for line in said] == [
        "trying again in 0 s, 2 tries are left",
        "trying again in 0 s, 1 tries are left",
    ]


def test_without_retries_it_is_tried_once(state, job, site):
    spec = prepared(state, job)
    site.say("unreachable", "1")
    with pytest.raises(SchedulerUnreachableError, match="Unable to contact"):
        submitted(job, spec)
    assert len(site.asked()) == 1


def test_a_number_that_cannot_be_noted_cancels_the_job(state, job, site):
    spec = prepared(state, job)
    os.mkdir(job.scheduler_id)  # so that nothing can be renamed to it
    with pytest.raises(OSError, match="irectory"):
        submitted(job, spec)
    assert (site.root / "cancelled").read_text() == "17\n"


NODE_FAIL, LOST = JobState("NODE_FAIL", node="node1"), None


@pytest.mark.parametrize("died", [NODE_FAIL, JobState("PREEMPTED"), LOST], ids=["node", "preempted", "lost"])
def test_what_died_of_its_surroundings_is_begun_again_as_often_as_asked_for(state, job, site, died):
    spec = prepared(state, job, retries=2)
    number = submitted(job, spec)
    for attempt in (1, 2):
        again = attempts.again(job, JOB, spec, number, died)
        assert again.scheduler_id == site.queue()[JOB + str(attempt)]
        assert "attempt %d of 3 is queued as %s" % (attempt + 1, again.scheduler_id) in again.words
        number = again.scheduler_id
    assert find(state, JOB) == ("me", "slurm", number)
    end = attempts.again(job, JOB, spec, number, died)
    assert (end.scheduler_id, end.is_waiting) == (None, False)
    assert "as often as retries= allows" in end.words


@pytest.mark.parametrize("state_word", ["FAILED", "CANCELLED", "COMPLETED", "TIMEOUT", "OUT_OF_MEMORY"])
def test_what_ended_of_itself_is_not_begun_again(state, job, site, state_word):
    spec = prepared(state, job, retries=2)
    number = submitted(job, spec)
    assert attempts.again(job, JOB, spec, number, JobState(state_word)) == attempts.Again()
    assert len(site.asked()) == 1


def test_without_retries_nothing_is_begun_again(state, job, site):
    spec = prepared(state, job)
    number = submitted(job, spec)
    assert attempts.again(job, JOB, spec, number, NODE_FAIL) == attempts.Again()


def test_what_had_too_little_asks_for_as_much_more_as_the_policy_says(state, job, site):
    spec = prepared(state, job, retries=2, policy={"memory": 2, "time": 1.5})
    number = submitted(job, spec)
    first = attempts.again(job, JOB, spec, number, JobState("OUT_OF_MEMORY"))
    attempts.again(job, JOB, spec, first.scheduler_id, JobState("TIMEOUT"))
    assert [words[2:] for words in site.asked()] == [
        ["--mem=100M", "--comment=60"],
        ["--mem=200M", "--comment=90"],
        ["--mem=400M", "--comment=135"],
    ]
    assert "had too little memory; attempt 2 of 3" in first.words
    assert "with memory=200MB and time=90 s" in first.words


def test_a_policy_for_memory_does_not_begin_again_what_was_too_slow(state, job, site):
    spec = prepared(state, job, retries=2, policy={"memory": 2})
    number = submitted(job, spec)
    assert attempts.again(job, JOB, spec, number, JobState("TIMEOUT")) == attempts.Again()


def test_asking_for_more_than_there_is_ends_in_the_schedulers_words(state, job, site):
    spec = prepared(state, job, retries=2, policy={"memory": 2})
    number = submitted(job, spec)
    site.say("refusing")
    end = attempts.again(job, JOB, spec, number, JobState("OUT_OF_MEMORY"))
    assert (end.scheduler_id, end.is_waiting) == (None, False)
    assert "with memory=200MB failed: sbatch: error" in end.words


def test_of_several_agents_that_see_a_job_die_one_begins_it_again(state, job, site):
    spec = prepared(state, job, retries=1)
    number = submitted(job, spec)
    found = []
    agents = [
        threading.Thread(target=lambda: found.append(attempts.again(job, JOB, spec, number, NODE_FAIL)))
        for _ in range(8)
    ]
    for agent in agents:
        agent.start()
    for agent in agents:
        agent.join()
    assert len(site.asked()) == 2
    assert {each.scheduler_id for each in found} <= {"18", None}
    assert all(each.scheduler_id or each.is_waiting for each in found)
    assert attempts.again(job, JOB, spec, number, NODE_FAIL).scheduler_id == "18"


def test_a_scheduler_that_is_away_as_the_job_has_to_begin_again_is_waited_for(state, job, site):
    spec = prepared(state, job, retries=1)
    number = submitted(job, spec)
    site.say("unreachable", "1")
    assert attempts.again(job, JOB, spec, number, NODE_FAIL).is_waiting
    assert attempts.again(job, JOB, spec, number, NODE_FAIL).scheduler_id == "18"


def test_an_agent_that_died_as_it_began_a_job_again_is_waited_for_and_then_replaced(state, job, site):
    spec = prepared(state, job, retries=2)
    number = submitted(job, spec)
    claim = job.file("marks", "attempt-1")
    os.mkdir(claim)
    assert attempts.again(job, JOB, spec, number, NODE_FAIL).is_waiting
    os.utime(claim, (0, 0))
    assert attempts.again(job, JOB, spec, number, NODE_FAIL).scheduler_id == site.queue()[JOB + "2"]


def test_what_the_scheduler_began_again_itself_counts(state, job, site):
    spec = prepared(state, job, retries=1)
    number = submitted(job, spec)
    assert [claim_run(job, spec), claim_run(job, spec)] == [0, 1]
    assert "as often as retries= allows" in attempts.again(job, JOB, spec, number, NODE_FAIL).words


def test_the_mark_of_a_dead_attempt_is_gone_and_its_log_is_kept(state, job, site):
    spec = prepared(state, job, retries=1)
    number = submitted(job, spec)
    mark = os.path.join(state.done("me"), JOB + ".exit")
    for path in (mark, job.stdout):
        with open(path, "w") as stream:
            stream.write("of the first")
    attempts.again(job, JOB, spec, number, NODE_FAIL)
    assert not os.path.exists(mark)
    assert os.listdir(job.file("log")) == ["stdout-0"]


def test_a_job_begins_as_often_as_it_may_and_an_overtaken_run_knows(state, job):
    spec = prepared(state, job, retries=1)
    assert count_runs(job) == 0
    assert claim_run(job, spec) == 0
    assert not is_overtaken(job, 0)
    assert claim_run(job, spec) == 1
    assert claim_run(job, spec) is None
    assert (is_overtaken(job, 0), is_overtaken(job, 1), count_runs(job)) == (True, False, 2)
