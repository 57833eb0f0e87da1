"""PBS's answers are those of real ones: OpenPBS 23.06.06, Torque as its guide shows it, and the wrapper around Slurm 22.05.8."""

import re

import pytest
from clustrix_remote import schedulers
from clustrix_remote.notes import Notes
from clustrix_remote.paths import JobPaths, StatePaths
from clustrix_remote.schedulers import (
    JobState,
    SchedulerError,
    SchedulerUnavailableError,
    SchedulerUnreachableError,
    pbs,
)

SMALL = {"cores": 2, "memory_mb": 500, "time_seconds": 3661}
OPENPBS, TORQUE = "pbs_version = 23.06.06\n", "Version: 6.1.2\nCommit: 661e092552de43a785c15d39a3634a541d86898e\n"

# qstat -x -f of a server that remembers; what is of no use here is left out.
FINISHED = """\
Job Id: {id}
    Job_Name = cxaaaaaaaaaaaa
    job_state = {state}
    exec_host = node1/0*2+node2/0*2
    substate = {substate}
    Variable_List = PBS_O_HOME=/home/user,PBS_O_LOGNAME=user,
	PBS_O_PATH=/usr/local/bin:/usr/bin,PBS_O_HOST=pbs
    comment = Job run at Sat Nov 21 at 01:31 on (node1:ncpus=1) and terminate
	d by user@pbs
{exit}    Submit_arguments = trap.sh

"""
QUEUES = """\
Queue: workq
    enabled = True
    started = True

Queue: long
    enabled = True
    started = True

Queue: closed
    enabled = False
    started = True

"""
WRAPPER = """\
Job Id:	5
	Job_Name = failer
	job_state = C
	exec_host = pbshost/1
	Resource_List.walltime = 01:00:00

"""


@pytest.fixture
def site(answers, tmp_path, monkeypatch):
    """site(version): the login node of a PBS whose qstat says that; gives ``answers``."""

    def settle(version):
        monkeypatch.setattr(schedulers, "_place", schedulers.Place(StatePaths(str(tmp_path)), Notes()))
        monkeypatch.setattr(pbs, "_sites_without_history", [])
        answers("qstat", version)
        pbs._dialect()
        return answers

    return settle


def finished(status=None, state="F", substate=93, number="27.pbs"):
    text = "" if status is None else "    Exit_status = {}\n".format(status)
    return FINISHED.format(id=number, state=state, substate=substate, exit=text)


def script_of(tmp_path, resources):
    path = tmp_path / "script.sh"
    lines = pbs.directives("cxa", JobPaths("/home/a b"), "/w", resources)
    path.write_text("#!/bin/bash\n" + "\n".join(lines) + "\n:\n")
    return str(path)


def test_openpbs_is_asked_for_one_chunk_and_a_walltime(site, tmp_path):
    calls = site(OPENPBS)("qsub", "0.pbs\n")
    wanted = dict(
        SMALL,
        gpus=1,
        queue="long",
        account="acct",
        constraint="cputype=icelake",
        mail="a@b.c",
        extra_directives=["-p 10"],
    )
    path = script_of(tmp_path, wanted)
    assert pbs.submit(path) == "0.pbs"
    assert calls.read_text() == (
        "-N cxa -S /bin/bash -o /home/a b/log/stdout -e /home/a b/log/stderr -k oed -r n -M a@b.c -m ae -A acct -q long "
        "-l select=1:ncpus=2:mem=500mb:ngpus=1:cputype=icelake -l walltime=01:01:01 -p 10 " + path + "\n"
    )


def test_several_nodes_are_several_chunks_each_on_a_host_of_its_own(site):
    site(OPENPBS)
    lines = pbs.directives("cxa", JobPaths("/j"), "/w", dict(SMALL, nodes=3))
    assert "#PBS -l select=3:ncpus=2:mem=500mb" in lines
    assert "#PBS -l place=scatter" in lines


def test_torque_is_asked_for_nodes_and_the_whole_jobs_memory(site):
    site(TORQUE)
    lines = pbs.directives(
        "cxa", JobPaths("/j"), "/w", dict(SMALL, nodes=2, gpus=1, constraint="fast", qos="high", reservation="r.1")
    )
    asked = [line for line in lines if line.startswith("#PBS -l")]
    assert asked == [
        "#PBS -l nodes=2:ppn=2:gpus=1:fast",
        "#PBS -l mem=1000mb",
        "#PBS -l qos=high",
        "#PBS -l advres=r.1",
        "#PBS -l walltime=01:01:01",
    ]
    assert not any("oed" in line for line in lines)


@pytest.mark.parametrize("version", [OPENPBS, "pbs_version = PBSPro_13.1.2.162303\n"])
def test_openpbs_says_so_itself(site, version):
    site(version)
    assert pbs._dialect() == pbs.OPENPBS


@pytest.mark.parametrize("version", [TORQUE, "version: 2.5.12\n"])
def test_torque_says_so_itself(site, version):
    site(version)
    assert pbs._dialect() == pbs.TORQUE


def test_a_wrapper_that_has_no_version_takes_torques_words(answers, monkeypatch):
    monkeypatch.setattr(schedulers, "_place", schedulers.Place(notes=Notes()))
    answers("qstat", stderr="Unknown option: version\nUsage:\n    qstat [-f] [job_id...]\n", code=2)
    assert pbs._dialect() == pbs.TORQUE


def test_which_dialect_it_is_is_asked_once(site, answers):
    calls = site(OPENPBS)("qstat")
    for _ in range(3):
        pbs.directives("cxa", JobPaths("/j"), "/w", SMALL)
    assert calls.read_text().count("--version") == 1


def test_what_is_no_pbs_at_all_is_told_before_anything_is_queued(answers, monkeypatch, tmp_path):
    monkeypatch.setattr(schedulers, "_place", schedulers.Place(StatePaths(str(tmp_path)), Notes()))
    answers("qstat", "SGE 8.1.9\n")
    with pytest.raises(SchedulerUnavailableError, match=r"SGE 8\.1\.9"):
        pbs.directives("cxa", JobPaths("/j"), "/w", SMALL)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"qos": "high"}, "qos='high'.*queue="),
        ({"constraint": "fast"}, "constraint='fast'.*cputype"),
        ({"reservation": "R1", "queue": "long"}, "reservation='R1'.*queue"),
    ],
)
def test_what_openpbs_has_not_is_refused_with_a_way_out(site, more, words):
    site(OPENPBS)
    with pytest.raises(ValueError, match=words):
        pbs.directives("cxa", JobPaths("/j"), "/w", dict(SMALL, **more))


def test_a_path_that_pbs_would_take_for_a_host_is_refused(site):
    site(OPENPBS)
    with pytest.raises(ValueError, match="remote_state_dir"):
        pbs.directives("cxa", JobPaths("/home/a:b"), "/w", SMALL)


def test_a_reservation_of_openpbs_is_its_queue(site):
    site(OPENPBS)
    assert "#PBS -q R12" in pbs.directives("cxa", JobPaths("/j"), "/w", dict(SMALL, reservation="R12"))


def test_what_the_site_says_before_the_id_is_not_the_id(site, tmp_path):
    site(OPENPBS)("qsub", "Welcome to the machine\n17.pbs-server.site.org\n")
    assert pbs.submit(script_of(tmp_path, SMALL)) == "17.pbs-server.site.org"


@pytest.mark.parametrize(
    ("words", "code", "kind"),
    [
        ("qsub: Unknown queue\n", 170, SchedulerError),
        ("qsub: Job violates queue and/or server resource limits\n", 188, SchedulerError),
        ("Connection refused\nqsub: cannot connect to server pbs (errno=15010)\n", 162, SchedulerUnreachableError),
        (
            "Communication failure.\nqsub: cannot get the answer of server pbs (errno=15031)\n",
            175,
            SchedulerUnavailableError,
        ),
        ("Unknown Host.\nqsub: cannot connect to server nosuchhost (errno=15008)\n", 160, SchedulerUnreachableError),
    ],
)
def test_a_refusal_is_told_apart_from_silence(site, tmp_path, words, code, kind):
    site(OPENPBS)("qsub", stderr=words, code=code)
    with pytest.raises(SchedulerError, match="qsub: ") as caught:
        pbs.submit(script_of(tmp_path, SMALL))
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("words", "queue", "told"),
    [
        (
            "qsub: Unknown queue\n",
            "nosuch",
            "qsub: Unknown queue: queue='nosuch' is none of this site's: name one of workq, long with queue= or default_queue",
        ),
        (
            "qsub: Queue is not enabled\n",
            "closed",
            "queue='closed' takes no jobs now: name one of workq, long with",
        ),
        (
            "qsub: Job violates queue and/or server resource limits\n",
            None,
            "it asks for select=1:ncpus=2:mem=500mb walltime=01:01:01, which is more than the default queue allows: `qstat -Q -f`",
        ),
        (
            "qsub: Unknown resource: ngpus\n",
            None,
            "ngpus: this site's PBS does not have it: leave it out of constraint=, gpus=",
        ),
    ],
)
def test_a_refusal_names_what_was_asked_for_and_a_way_out(site, tmp_path, words, queue, told):
    answers = site(OPENPBS)
    answers("qsub", stderr=words, code=170)
    answers("qstat", QUEUES)
    with pytest.raises(SchedulerError, match=re.escape(told)):
        pbs.submit(script_of(tmp_path, dict(SMALL, queue=queue)))


@pytest.mark.parametrize(
    ("record", "state", "code", "signal"),
    [
        (finished(0, substate=92), "COMPLETED", 0, None),
        (finished(3), "FAILED", 3, None),
        (finished(137), "FAILED", 137, 9),
        (finished(139), "FAILED", 139, 11),
        (finished(127), "FAILED", 127, None),
        (finished(265), "FAILED", 265, 9),
        (finished(271, substate=91), "CANCELLED", 271, None),
        (finished(265, substate=91), "CANCELLED", 265, None),
        (finished(-29), "TIMEOUT", -29, None),
        (finished(-27), "OUT_OF_MEMORY", -27, None),
        (finished(-20), "NODE_FAIL", -20, None),
        (finished(-1), "FAILED", -1, None),
        (finished(substate=91), "CANCELLED", None, None),
        (finished(substate=92), "FAILED", None, None),
        (finished(state="R", substate=42), "RUNNING", None, None),
        (finished(3, state="E", substate=51), "RUNNING", None, None),
        (finished(state="H", substate=20), "PENDING", None, None),
    ],
)
def test_how_a_job_of_openpbs_ended(site, record, state, code, signal):
    site(OPENPBS)("qstat", record)
    found = pbs.post_mortem("27.pbs")
    assert (found.state, found.exit_code, found.signal) == (state, code, signal)
    assert found.node == ("" if not record else "node1")
    assert found.reason.endswith("terminated by user@pbs")


@pytest.mark.parametrize(
    ("remark", "reason"),
    [
        ("Job run at Sat Nov 28 at 20:38 on (node1:ncpus=1:mem=204800kb)", ""),
        ("Job run at Sat Nov 28 at 20:38 on (node1:ncpus=1:mem=204800kb) and failed", ""),
        (
            "Job run at Sat Nov 28 at 20:38 on (node1:ncpus=1)+(node2:ncpus=1) and exceeded resource walltime",
            "exceeded resource walltime",
        ),
        ("Not Running: Queue not started. and terminated", "Not Running: Queue not started. and terminated"),
    ],
)
def test_when_and_where_a_job_ran_is_no_reason_for_its_end(site, remark, reason):
    site(OPENPBS)("qstat", "Job Id: 27.pbs\n    job_state = F\n    Exit_status = 1\n    comment = %s\n" % remark)
    assert pbs.post_mortem("27.pbs").reason == reason


@pytest.mark.parametrize(
    ("status", "state"),
    [(0, "COMPLETED"), (1, "FAILED"), (271, "CANCELLED"), (-11, "TIMEOUT"), (-10, "OUT_OF_MEMORY"), (-4, "NODE_FAIL")],
)
def test_how_a_job_of_torque_ended(site, status, state):
    record = finished(status, state="C").replace("Exit_status", "exit_status").replace("    substate = 93\n", "")
    site(TORQUE)("qstat", record)
    assert pbs.post_mortem("27.host").state == state


def test_a_wrapper_that_tells_no_exit_status_leaves_it_to_the_jobs_own_marks(site):
    site(TORQUE)("qstat", WRAPPER)
    assert pbs.post_mortem("5") == JobState("COMPLETED", "", "pbshost")


def test_all_jobs_are_asked_for_by_one_call_and_unknown_ones_are_unknown(site):
    text = finished(state="R") + finished(0, substate=92, number="28.pbs")
    calls = site(OPENPBS)("qstat", text, stderr="qstat: Unknown Job Id 99.pbs\n", code=153)
    before = len(calls.read_text().splitlines())
    found = pbs.states(["27.pbs-server.site.org", "28.pbs", "99.pbs"])
    assert {name: state.state for name, state in found.items()} == {
        "27.pbs-server.site.org": "RUNNING",
        "28.pbs": "COMPLETED",
    }
    assert calls.read_text().splitlines()[before:] == ["-x -f 27.pbs-server.site.org 28.pbs 99.pbs"]


def test_a_server_without_history_is_asked_without_it_from_then_on(site):
    calls = site(OPENPBS)("qstat", stderr="qstat: PBS is not configured to maintain job history 69.pbs\n")
    assert pbs.states(["69.pbs"]) == {}
    site_calls = calls.read_text().splitlines()[-2:]
    assert site_calls == ["-x -f 69.pbs", "-f 69.pbs"]
    pbs.states(["69.pbs"])
    assert calls.read_text().splitlines()[-1] == "-f 69.pbs"
    assert len([line for line in calls.read_text().splitlines() if line.startswith("-x")]) == 1


def test_a_server_that_is_down_is_no_answer_about_any_job(site):
    site(OPENPBS)("qstat", stderr="Connection refused\nqstat: cannot connect to server pbs (errno=15010)\n", code=255)
    with pytest.raises(SchedulerUnavailableError):
        pbs.states(["1.pbs"])


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("qdel: Unknown Job Id 69.pbs\n", 153),
        ("qdel: Job has finished 3.pbs\n", 35),
        ("qdel: Request invalid for state of job MSG=invalid state for job - COMPLETE 3.host\n", 170),
        ("", 1),
    ],
)
def test_cancelling_a_job_that_is_gone_is_no_error(site, words, code):
    site(OPENPBS)("qdel", stderr=words, code=code)
    pbs.cancel(["69.pbs"])


def test_cancelling_what_is_somebody_elses_is_an_error(site):
    site(OPENPBS)("qdel", stderr="qdel: Unknown Job Id 69.pbs\nqdel: Unauthorized Request  65.pbs\n", code=159)
    with pytest.raises(SchedulerError, match="Unauthorized"):
        pbs.cancel(["69.pbs", "65.pbs"])


def test_an_array_is_known_by_its_elements(site, tmp_path):
    text = finished(state="B", number="15[].pbs") + finished(0, state="X", substate=92, number="15[0].pbs")
    calls = site(OPENPBS)("qstat", text + finished(state="R", number="15[1].pbs"))
    assert {name: state.state for name, state in pbs.states(["15[].pbs"]).items()} == {
        "15.0": "COMPLETED",
        "15.1": "RUNNING",
    }
    assert calls.read_text().splitlines()[-1] == "-x -f -t 15[].pbs"
    assert pbs.post_mortem("15.1").state == "RUNNING"
    assert pbs.element_names("15[].pbs", 2) == ["15.0", "15.1"]
    assert pbs.element_names("15.pbs", 1) == ["15.pbs"]


@pytest.mark.parametrize(("version", "option"), [(OPENPBS, "-J"), (TORQUE, "-t")])
def test_an_array_is_asked_for_in_the_dialects_words(site, tmp_path, version, option):
    calls = site(version)("qsub", "15[].pbs\n")
    path = script_of(tmp_path, SMALL)
    assert pbs.submit(path, 4) == "15[].pbs"
    assert calls.read_text().endswith(" {} 0-3 {}\n".format(option, path))


def test_a_smaller_array_may_be_taken_where_a_large_one_is_not(site, tmp_path):
    site(OPENPBS)("qsub", stderr="qsub: Array job exceeds server or queue size limit\n", code=3)
    with pytest.raises(schedulers.LimitError):
        pbs.submit(script_of(tmp_path, SMALL), 20000)


def test_an_element_of_openpbs_that_is_run_again_does_nothing(site):
    site(OPENPBS)
    lines = pbs.directives("cxa", JobPaths("/j"), "/w", SMALL, is_array=True)
    assert "#PBS -r y" in lines  # it takes no array otherwise
    assert [line for line in lines if line.startswith("mkdir /j/marks/ran.") and line.endswith("|| exit 118")]


def test_a_job_is_found_by_its_name(site):
    calls = site(OPENPBS)("qselect", "41.pbs\n")
    assert pbs.find("cxaaaaaaaaaaaa") == "41.pbs"
    assert calls.read_text() == "-x -N cxaaaaaaaaaaaa\n"
    site(OPENPBS)("qselect")
    assert pbs.find("cxbbbbbbbbbbbb") is None


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("job_state = H\n    Hold_Types = u", "held by its user: 'qrls'"),
        ("job_state = H\n    Hold_Types = o", "an administrator or the system holds it"),
        ("job_state = H\n    Hold_Types = s\n    depend = afterok:15.pbs", ""),
        ("job_state = Q\n    comment = Can Never Run: Insufficient amount of resource: ncpus", "ask for less"),
        ("job_state = Q\n    comment = Not Running: Queue not started.", "Queue not started: name another queue"),
        (
            "job_state = Q\n    comment = Can Never Run: Insufficient amount of resource: host (nowhere != \n\tnode1,node2)",
            "host (nowhere != node1,node2): ask for less or for other nodes (constraint=)",
        ),
        ("job_state = Q\n    comment = Not Running: Insufficient amount of resource: ncpus", ""),
    ],
)
def test_why_a_job_never_starts_is_told_in_words_and_why_one_only_waits_is_not(site, answers, lines, words):
    site(OPENPBS)
    answers("qstat", "Job Id: 17.pbs\n    %s\n" % lines)
    held = pbs.states(["17.pbs"])["17.pbs"].held
    assert words in held
    assert bool(words) == bool(held)


@pytest.mark.parametrize("version", [OPENPBS, TORQUE])
def test_the_turn_of_a_job_is_its_place_in_its_queue_with_a_start_where_one_is_estimated(site, version):
    answers = site(version)
    record = "Job Id: {}.pbs\n    job_state = {}\n    queue = workq\n{}\n"
    estimate = "    estimated.start_time = Tue Jan  1 00:00:00 2999\n"
    answers("qstat", record.format(8, "Q", estimate) + record.format(9, "Q", "") + record.format(3, "R", ""))
    calls = answers("qselect", "7.pbs\n8.pbs\n9.pbs\n")
    turns = pbs.turns(["8.pbs", "9.pbs", "3.pbs"])
    assert {each: turn[:2] for each, turn in turns.items()} == {"8.pbs": (2, 3), "9.pbs": (3, 3)}
    assert turns["8.pbs"].starts_in > 1e9
    assert turns["9.pbs"].starts_in is None
    assert set(calls.read_text().splitlines()) == {"-s Q -q workq"}
