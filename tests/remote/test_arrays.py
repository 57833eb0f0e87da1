"""What the agent makes of a map's elements: their results, their deaths, and what becomes of the tasks that they leave."""

import contextlib
import json
import os

import pytest
from clustrix_remote import arrays, jobs, pool
from clustrix_remote.arrays import Array, News, Notice
from clustrix_remote.paths import open_state_dir, write_aside
from clustrix_remote.runs import resources_of, script_of
from clustrix_remote.schedulers import JobState, SchedulerError
from clustrix_remote.tasks import AGAIN, BEGAN, CLAIMED, LEFT, RESULT, Log, entries

JOB = "cxaaaaaaaaaaaa"
RUNNING, PENDING = JobState("RUNNING", "None", "node1"), JobState("PENDING", "Priority")
FAILED, NODE_FAIL = JobState("FAILED", "NonZeroExitCode", "node1", 3), JobState("NODE_FAIL", "NodeDown", "node1")
CANCELLED, COMPLETED = JobState("CANCELLED", "None", "node1", 0, 15), JobState("COMPLETED", "None", "node1", 0)

SBATCH = """#!/bin/sh
echo "$@" >> {0}/sbatch.calls
for word; do case $word in --array=*) last=${{word##*-}};; esac; done
if [ $last -ge $(cat {0}/most) ]; then echo 'sbatch: error: Batch job submission failed: Invalid job array specification' >&2; exit 1; fi
echo $((100 + $(wc -l < {0}/sbatch.calls)))
"""
NOBODY = "#!/bin/sh\necho 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1\n"
CANCEL = '#!/bin/sh\necho "$@" >> {0}/scancel.calls\n'


class Site:
    """A map of a job directory, Slurm's commands as small programs, and what the agent told."""

    def __init__(self, path, tasks, elements, retries, policy):
        self.path, self.state = path, open_state_dir(str(path / "state"))
        self.job = self.state.job(JOB)
        for directory in (
            self.job.root,
            self.job.file("out"),
            self.job.file("log"),
            self.job.pool,
            self.job.file("rounds"),
            self.job.file("marks"),
        ):
            os.mkdir(directory)
        resources = {"memory_mb": 100, "time_seconds": 60, "retries": retries, "retry_policy": policy or {}}
        self.spec = {"job_id": JOB, "scheduler": "slurm", "tasks": tasks, "elements": elements, "resources": resources}
        for attempt in range(retries + 1):
            asked = "#!/bin/bash\n#SBATCH --mem=%dM\n" % resources_of(self.spec, attempt)["memory_mb"]
            write_aside(script_of(self.job, attempt), asked.encode())
        pool.offer(self.job.pool, "all", 0, tasks)
        self.told, self.marks, self._logs = [], set(), contextlib.ExitStack()
        self.allow(1000)
        self.first = jobs.queue_array(self.job, "slurm", elements, self.told.append)
        self.array = self.new_array()

    def new_array(self):
        return Array(self.state, self.spec, self.first, self.told.append)

    def allow(self, elements):
        (self.path / "most").write_text(str(elements))

    def calls(self, command):
        path = self.path / (command + ".calls")
        return path.read_text().splitlines() if path.exists() else []

    def element(self, index, *begun, results=(), round_id=None, may_take=lambda _: True):
        """One that took tasks from the pool, and has results of some of them: its log."""
        name = "%s_%d" % (round_id or self.first, index)
        log = self._logs.enter_context(contextlib.closing(Log(self.job.tasks(name))))
        if begun:
            start, end, attempt = pool.claim(self.job.pool, lambda left: begun[1] - begun[0], may_take)
            assert (start, end) == begun[:2], attempt
            log.note(AGAIN, attempt)
            log.note(CLAIMED, start, end)
            log.note(BEGAN, start, begun[2] if len(begun) > 2 else start + 1)
        for task in results:
            log.result(task, lambda stream: stream.write(b"sealed"))
        self.mark(name, log.sync())
        return log

    def mark(self, name, size, end=""):
        self.marks = {mark for mark in self.marks if not mark.startswith("%s.%s." % (JOB, name))}
        self.marks.add("%s.%s.%d%s" % (JOB, name, size, end))

    def look(self):
        return self.array.look(self.marks)

    def judge(self, **states):
        """As the scheduler says: of the first round's elements, by their index; all others are unknown."""
        known = {"%s%s" % (self.first, index): state for index, state in states.items()}
        return self.array.judge(known)

    def results(self):
        return sorted(each.first for news in self.news() for each in entries(news.log) if each.kind == RESULT)

    def dead(self):
        return [dead for news in self.news() for dead in news.dead]

    def news(self):
        return [told for told in self.told if isinstance(told, News)]

    def notices(self):
        return [told.text for told in self.told if isinstance(told, Notice)]

    def offered(self, attempt=None):
        ranges = pool.ranges(self.job.pool)
        return [t for each in ranges if attempt in (None, each.attempt) for t in range(each.next, each.end)]

    def close(self):
        self._logs.close()


@pytest.fixture
def site(tmp_path, monkeypatch):
    """site(tasks, elements, retries, policy): a map whose array is queued. Nobody is waited for."""
    programs = tmp_path / "programs"
    programs.mkdir()
    texts = {"sbatch": SBATCH, "scontrol": NOBODY, "sacct": NOBODY, "scancel": CANCEL}
    for name, text in texts.items():
        (programs / name).write_text(text.format(tmp_path))
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    monkeypatch.setattr(arrays, "GRACE_DEAD", 0.0)
    made = []

    def make(tasks=10, elements=2, retries=0, policy=None):
        made.append(Site(tmp_path, tasks, elements, retries, policy))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_results_are_told_as_they_are_logged_and_once(site):
    mine = site()
    log = mine.element(0, 0, 3, results=[0])
    mine.look()
    mine.look()
    log.result(1, lambda stream: stream.write(b"sealed"))
    mine.mark(mine.first + "_0", log.sync())
    mine.look()
    assert mine.results() == [0, 1]


def test_a_mark_that_is_seen_before_the_log_waits_for_it(site):
    mine = site(tasks=1)
    log = mine.element(0, 0, 1)
    mine.mark(mine.first + "_0", 17 * 4 + 6, ".end")
    mine.look()
    assert mine.results() == []
    log.result(0, lambda stream: stream.write(b"sealed"))
    log.note(LEFT)
    log.sync()
    mine.look()
    assert mine.results() == [0]
    assert mine.array.is_over


def test_a_dead_element_fails_the_task_it_was_at_and_leaves_the_others_to_those_that_live(site):
    mine = site()
    mine.element(0, 0, 5, 3, results=[0])
    with open(mine.job.output("stderr", mine.first + "_0"), "w") as stream:
        stream.write("last words\n")
    mine.judge(_0=FAILED, _1=RUNNING)
    (dead,) = mine.dead()
    assert (dead.tasks, dead.state, dead.stderr) == ([1], FAILED, "last words\n")
    assert sorted(mine.offered()) == [2, 3, 4, 5, 6, 7, 8, 9]
    assert len(mine.calls("sbatch")) == 1


def test_after_a_lost_node_whatever_may_have_begun_has_failed(site):
    mine = site()
    mine.element(0, 0, 5, 3, results=[0])
    mine.judge(_0=NODE_FAIL, _1=RUNNING)
    assert [dead.tasks for dead in mine.dead()] == [[1, 2]]
    assert sorted(mine.offered()) == [3, 4, 5, 6, 7, 8, 9]


def test_results_that_no_mark_told_of_count_when_the_element_is_dead(site):
    mine = site()
    log = mine.element(0, 0, 5, 5, results=[0])
    log.result(1, lambda stream: stream.write(b"sealed"))
    mine.judge(_0=FAILED, _1=RUNNING)
    assert mine.results() == [0, 1]
    assert [dead.tasks for dead in mine.dead()] == [[2]]


def test_an_element_that_completed_may_be_seen_to_have_left_later(site):
    mine = site(tasks=1)
    log = mine.element(0, 0, 1)
    mine.judge(_0=COMPLETED, _1=PENDING)
    assert mine.dead() == []
    log.result(0, lambda stream: stream.write(b"sealed"))
    log.note(LEFT)
    mine.mark(mine.first + "_0", log.sync(), ".end")
    mine.look()
    assert (mine.results(), mine.dead()) == ([0], [])


def test_an_exit_mark_is_a_reason_to_ask_the_scheduler_once(site):
    mine = site()
    mine.marks.add("%s.%s_1.exit" % (JOB, mine.first))
    assert mine.look()
    assert not mine.look()


def test_when_no_element_lives_a_further_array_takes_what_is_left(site):
    mine = site(tasks=10, elements=4)
    mine.element(0, 0, 5, results=[0, 1])
    mine.judge(_0=FAILED, _1=FAILED, _2=FAILED, _3=FAILED)
    assert [dead.tasks for dead in mine.dead()] == [[2]]
    assert len(mine.calls("sbatch")) == 2
    assert "--array=0-3" in mine.calls("sbatch")[1]
    assert sorted(mine.offered()) == [3, 4, 5, 6, 7, 8, 9]


def test_a_round_that_ends_no_task_is_the_last_and_all_tasks_have_died(site):
    mine = site(tasks=10, elements=2)
    mine.judge(_0=FAILED, _1=FAILED)
    assert [dead.tasks for dead in mine.dead()] == [list(range(10))]
    assert mine.dead()[0].state == FAILED
    assert mine.array.is_over
    assert len(mine.calls("sbatch")) == 1


def test_an_array_that_somebody_cancelled_is_not_followed_by_another(site):
    mine = site(tasks=10, elements=1)
    mine.element(0, 0, 5, results=[0])
    mine.judge(_0=CANCELLED)
    assert sorted(task for dead in mine.dead() for task in dead.tasks) == list(range(1, 10))
    assert len(mine.calls("sbatch")) == 1


def test_tasks_that_an_element_took_and_died_before_it_said_so_are_run_by_another(site):
    mine = site(tasks=10, elements=1)
    pool.claim(mine.job.pool, lambda left: 4)
    mine.element(0, 4, 6, results=[4])
    mine.judge(_0=FAILED)
    assert [dead.tasks for dead in mine.dead()] == [[5]]
    assert sorted(mine.offered()) == [0, 1, 2, 3, 6, 7, 8, 9]


def test_an_element_that_left_early_costs_nothing_but_a_further_one(site):
    mine = site(tasks=10, elements=1)
    log = mine.element(0, 0, 5, results=[0, 1])
    log.note(LEFT)
    mine.mark(mine.first + "_0", log.sync(), ".end")
    mine.look()
    mine.judge()
    assert mine.dead() == []
    assert sorted(mine.offered()) == list(range(2, 10))
    assert len(mine.calls("sbatch")) == 2


def test_another_agent_finds_the_same_and_offers_nothing_again(site):
    mine = site(tasks=10, elements=2)
    mine.element(0, 0, 5, results=[0])
    mine.judge(_0=FAILED, _1=RUNNING)
    before, mine.told[:] = mine.offered(), []
    taken = pool.claim(mine.job.pool, lambda left: 2)
    assert taken == (2, 4, 0)
    mine.array = mine.new_array()
    mine.look()
    mine.judge(_0=FAILED, _1=RUNNING)
    assert mine.results() == [0]
    assert [dead.tasks for dead in mine.dead()] == [[1]]
    assert sorted(mine.offered()) == sorted(set(before) - {2, 3})


def test_an_agent_that_was_killed_before_it_noted_the_array_has_left_it_to_be_found_by_its_number(site):
    mine = site(tasks=2, elements=2)
    os.unlink(mine.job.file("rounds", mine.first))
    mine.element(0, 0, 2, results=[0, 1])
    mine.array = mine.new_array()
    mine.look()
    assert mine.results() == [0, 1]


def test_results_of_an_array_that_nobody_knows_any_more_count(site):
    mine = site(tasks=2, elements=2)
    mine.element(0, 0, 2, results=[0, 1])
    os.unlink(mine.job.file("rounds", mine.first))
    mine.first = "0"
    mine.array = mine.new_array()
    mine.look()
    assert mine.results() == [0, 1]


def test_elements_that_are_left_when_all_tasks_have_ended_are_cancelled_by_one_call(site):
    mine = site(tasks=2, elements=50)
    mine.element(0, 0, 2, results=[0, 1])
    mine.look()
    assert mine.array.is_over
    for thread in arrays.threading.enumerate():
        if thread.name == "cancel":
            thread.join(60)
    assert mine.calls("scancel") == [mine.first]


def test_an_array_is_halved_until_the_site_takes_it_and_that_is_said_once(site):
    mine = site(tasks=100, elements=1)
    mine.allow(30)
    said = []
    jobs.queue_array(mine.job, "slurm", 100, said.append)
    assert sorted(jobs.rounds_of(mine.job).values()) == [(1, 0), (25, 0)]
    assert len(said) == 1
    assert "no array of 100 elements" in said[0]


def test_a_site_that_takes_no_array_at_all_refuses_it(site):
    mine = site(tasks=100, elements=1)
    mine.allow(0)
    with pytest.raises(SchedulerError, match="Invalid job array"):
        jobs.queue_array(mine.job, "slurm", 100, mine.told.append)


def test_what_is_kept_of_a_map_is_enough_to_find_it_again(site):
    mine = site(tasks=10, elements=2)
    write_aside(mine.job.spec, json.dumps(dict(mine.spec, client="me")).encode())
    write_aside(mine.job.scheduler_id, mine.first.encode())
    assert jobs.find(mine.state, JOB) == ("me", "slurm", mine.first)
    assert jobs.read_spec(mine.state, JOB)["tasks"] == 10


OOM = JobState("OUT_OF_MEMORY", "OutOfMemory", "node1", 0, 125)
ANEW = JobState("FAILED", "", "node1", 118)


@pytest.mark.parametrize("died", [NODE_FAIL, JobState("PREEMPTED"), ANEW], ids=["node", "preempted", "begun anew"])
def test_what_died_of_its_surroundings_is_offered_again_as_often_as_asked_for(site, died):
    mine = site(tasks=4, elements=3, retries=1)
    mine.element(0, 0, 2)
    mine.judge(_0=died, _1=RUNNING, _2=RUNNING)
    assert (mine.dead(), mine.offered(attempt=1)) == ([], [0])
    assert mine.notices()[0].startswith("task 0 of map %s " % JOB)
    assert mine.notices()[0].endswith("; attempt 2 of 2 comes")
    mine.element(1, 0, 1)
    mine.judge(_1=died, _2=RUNNING)
    (dead,) = mine.dead()
    assert (dead.tasks, dead.again) == ([0], "it was begun 2 times, as often as retries= allows")
    assert sorted(mine.offered()) == [1, 2, 3]
    assert len(mine.calls("sbatch")) == 1


@pytest.mark.parametrize("died", [FAILED, CANCELLED, OOM, JobState("TIMEOUT")])
def test_what_ended_of_itself_is_not_offered_again(site, died):
    mine = site(tasks=4, elements=2, retries=3)
    mine.element(0, 0, 2)
    mine.judge(_0=died, _1=RUNNING)
    assert [dead.tasks for dead in mine.dead()] == [[0]]
    assert sorted(mine.offered()) == [1, 2, 3]


def test_what_had_too_little_is_for_a_further_array_that_asks_for_more_and_for_no_other(site):
    mine = site(tasks=6, elements=2, retries=2, policy={"memory": 2})
    mine.element(0, 0, 2)
    mine.judge(_0=OOM, _1=RUNNING)
    assert len(mine.calls("sbatch")) == 2
    assert "--mem=200M --array=0-0" in mine.calls("sbatch")[1]
    assert (mine.offered(attempt=1), sorted(mine.offered(attempt=0))) == ([0], [1, 2, 3, 4, 5])
    assert "had too little memory; attempt 2 of 3 comes with memory=200MB" in mine.notices()[0]
    second = max(jobs.rounds_of(mine.job))
    assert jobs.rounds_of(mine.job)[second] == (1, 1)
    mine.element(0, 0, 1, round_id=second, may_take=lambda each: each.attempt == 1)
    mine.array.judge({second + "_0": OOM, mine.first + "_1": RUNNING})
    assert "--mem=400M --array=0-0" in mine.calls("sbatch")[2]


def test_more_than_there_is_ends_what_needs_it_in_the_schedulers_words(site):
    mine = site(tasks=3, elements=2, retries=2, policy={"memory": 2})
    mine.element(0, 0, 1)
    mine.allow(0)
    mine.judge(_0=OOM, _1=RUNNING)
    (dead,) = mine.dead()
    assert dead.tasks == [0]
    assert "submitting it again with memory=200MB failed" in dead.again
    assert mine.offered() == [1, 2]


def test_what_a_lost_node_has_tried_again_is_told_in_one_line(site):
    mine = site(tasks=9, elements=4, retries=1)
    for index in range(3):
        mine.element(index, 3 * index, 3 * index + 3, 3 * index + 2)
    mine.judge(_0=NODE_FAIL, _1=NODE_FAIL, _2=NODE_FAIL, _3=RUNNING)
    words = "each of the tasks 0-1, 3-4, 6-7 of map %s lost its compute node; attempt 2 of 2 comes"
    assert mine.notices() == [words % JOB]


def test_elements_that_are_lost_before_they_came_to_a_task_are_followed_by_others_as_often_as_asked_for(site):
    mine = site(tasks=4, elements=2, retries=1)
    mine.judge(_0=NODE_FAIL, _1=NODE_FAIL)
    assert (mine.dead(), len(mine.calls("sbatch"))) == ([], 2)
    second = max(jobs.rounds_of(mine.job))
    mine.array.judge({second + "_0": NODE_FAIL, second + "_1": NODE_FAIL})
    assert [dead.tasks for dead in mine.dead()] == [[0, 1, 2, 3]]


def test_how_an_element_died_is_the_same_for_every_agent_also_when_the_scheduler_has_forgotten_it(site):
    mine = site(tasks=4, elements=2, retries=1)
    mine.element(0, 0, 1)
    mine.judge(_0=FAILED, _1=RUNNING)
    mine.told[:] = []
    mine.array = mine.new_array()
    mine.look()
    mine.judge(_1=RUNNING)  # and of the first, nobody knows any more
    assert [(dead.tasks, dead.state) for dead in mine.dead()] == [([0], FAILED)]
    assert mine.offered() == [1, 2, 3]


def test_another_agent_offers_and_tells_nothing_again_of_what_is_tried_again(site):
    mine = site(tasks=4, elements=2, retries=1)
    mine.element(0, 0, 1)
    mine.judge(_0=NODE_FAIL, _1=RUNNING)
    mine.element(1, 0, 1, results=[0])
    mine.told[:] = []
    mine.array = mine.new_array()
    mine.judge(_0=NODE_FAIL, _1=RUNNING)
    assert (mine.notices(), mine.dead(), mine.offered()) == ([], [], [1, 2, 3])


def test_why_no_element_ever_starts_is_told_once(site):
    mine, held = site(tasks=4, elements=2), PENDING._replace(held="it is held")
    mine.judge(_0=held, _1=PENDING)
    mine.judge(_0=held, _1=PENDING)
    assert mine.notices() == []
    for _ in range(3):
        mine.judge(_0=held, _1=held)
    assert mine.notices() == ["map %s will not start by itself: it is held" % JOB]
