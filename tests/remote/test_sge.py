"""Grid Engine's answers are those of a real 8.1.9."""

import pytest
from clustrix_remote import schedulers
from clustrix_remote.notes import Notes
from clustrix_remote.paths import JobPaths, StatePaths
from clustrix_remote.schedulers import JobState, SchedulerError, SchedulerUnreachableError, sge

SMALL = {"cores": 1, "memory_mb": 500, "time_seconds": 90}

QUEUE = """\
<?xml version='1.0'?>
<job_info  xmlns:xsd="http://arc.liv.ac.uk/repos/darcs/sge/source/dist/util/resources/schemas/qstat/qstat.xsd">
  <queue_info>
    <Queue-List>
      <name>all.q@sgehost</name>
      <qtype>BIP</qtype>
      <job_list state="running">
        <JB_job_number>3</JB_job_number>
        <JB_name>cxaaaaaaaaaaaa</JB_name>
        <state>r</state>
        <slots>1</slots>
      </job_list>
    </Queue-List>
    <Queue-List>
      <name>all.q@other</name>
      <state>au</state>
      <job_list state="running">
        <JB_job_number>4</JB_job_number>
        <JB_name>lost</JB_name>
        <state>r</state>
      </job_list>
    </Queue-List>
  </queue_info>
  <job_info>
    <job_list state="pending">
      <JB_job_number>7</JB_job_number>
      <JB_name>sleeper</JB_name>
      <state>hqw</state>
    </job_list>
    <job_list state="pending">
      <JB_job_number>8</JB_job_number>
      <JB_name>broken</JB_name>
      <state>Eqw</state>
    </job_list>
  </job_info>
</job_info>
"""
RECORD = """\
==============================================================
qname        all.q
hostname     {host}
jobname      over
jobnumber    6
taskid       undefined
slots        {slots}
failed       {failed}
exit_status  {status}
ru_wallclock {seconds}s
maxvmem      {memory}
category     -l h_rt=3,h_vmem=100M
"""
HELD = "it is held (hqw): 'qrls' on the cluster lets it go, unless an administrator holds it"
LIMIT = "37  : qmaster enforced h_rt, h_cpu, or h_vmem limit"
AFTER = "100 : assumedly after job"


@pytest.fixture(autouse=True)
def site(tmp_path, monkeypatch):
    monkeypatch.setattr(schedulers, "_place", schedulers.Place(StatePaths(str(tmp_path)), Notes()))
    monkeypatch.setattr(sge, "_known_environments", [])
    monkeypatch.setattr(sge, "_known_surroundings", {})
    monkeypatch.setattr(sge, "_known_holds", {})


def record(failed="0    ", status="0                   ", *, seconds=1, memory="4.383MB", host="sgehost", slots=1):
    return RECORD.format(failed=failed, status=status, seconds=seconds, memory=memory, host=host, slots=slots)


def test_a_job_is_asked_for_by_slot_with_one_word_an_option(answers, tmp_path):
    calls = answers("qsub", "Welcome\n3\n")
    wanted = dict(
        SMALL,
        queue="all.q",
        account="acct",
        mail="a@b.c",
        reservation="12",
        constraint="arch=lx-amd64",
        extra_directives=["-p -5"],
    )
    script = tmp_path / "script.sh"
    script.write_text("#!/bin/bash\n" + "\n".join(sge.directives("cxa", JobPaths("/a b"), "/w", wanted)) + "\n")
    assert sge.submit(str(script)) == "3"
    assert calls.read_text() == (
        "-terse -N cxa -S /bin/bash -o /a b/log/stdout -e /a b/log/stderr -r n -M a@b.c -m ae -A acct -q all.q -ar 12 "
        "-l h_rt=90 -l h_vmem=500M -l arch=lx-amd64 -p -5 {}\n".format(script)
    )


def test_several_cores_are_slots_of_an_environment_that_keeps_them_on_one_host(answers, tmp_path):
    answers("qconf")
    (tmp_path / "qconf").write_text(
        '#!/bin/sh\ncase "$*" in -spl) printf "make\\nmpi\\nshm\\n";; "-sp shm") echo \'allocation_rule    $pe_slots\';; '
        "*) echo 'allocation_rule    $round_robin';; esac\n"
    )
    lines = sge.directives("cxa", JobPaths("/j"), "/w", dict(SMALL, cores=4))
    assert "#$ -pe shm 4" in lines
    assert "#$ -l h_vmem=125M" in lines


def test_a_site_that_has_no_such_environment_is_told_before_anything_is_queued(answers):
    answers("qconf", "make\n")
    with pytest.raises(ValueError, match=r"cores=4.*make.*-pe NAME 4"):
        sge.directives("cxa", JobPaths("/j"), "/w", dict(SMALL, cores=4))


def test_who_names_an_environment_gets_that_one(answers):
    lines = sge.directives("cxa", JobPaths("/j"), "/w", dict(SMALL, cores=4, extra_directives=["-pe mine 4"]))
    assert [line for line in lines if "-pe" in line] == ["#$ -pe mine 4"]


def test_a_path_that_grid_engine_would_rewrite_is_refused():
    with pytest.raises(ValueError, match="remote_state_dir"):
        sge.directives("cxa", JobPaths("/home/$USER"), "/w", SMALL)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (
            'Unable to run job: Job was rejected because job requests unknown queue "nosuch.q"\nExiting.\n',
            SchedulerError,
        ),
        ('Unable to run job: unknown resource "select"\nExiting.\n', SchedulerError),
        (
            "error: commlib error: got select error (Connection refused)\nUnable to run job: unable to send message\n",
            SchedulerUnreachableError,
        ),
    ],
)
def test_a_refusal_is_told_apart_from_silence(answers, tmp_path, words, kind):
    answers("qsub", stderr=words, code=1)
    script = tmp_path / "script.sh"
    script.write_text("")
    with pytest.raises(SchedulerError) as caught:
        sge.submit(str(script))
    assert type(caught.value) is kind


def test_an_array_is_known_by_its_elements(answers):
    row = "<job_list><JB_job_number>5</JB_job_number><state>{}</state><tasks>{}</tasks></job_list>"
    running = "<Queue-List><name>all.q@a</name>{}</Queue-List>".format(row.format("r", "2"))
    answers("qstat", "<job_info>{}{}</job_info>".format(running, row.format("qw", "3,5-9:2")))
    calls = answers("qacct", record())
    assert sge.states(["5"]) == {
        "5.2": JobState("RUNNING", "", "a"),
        **{"5.{}".format(task): JobState("PENDING") for task in (3, 5, 7, 9)},
    }
    assert sge.post_mortem("5.1").state == "COMPLETED"
    assert calls.read_text() == "-j 5 -t 1\n"
    assert sge.element_names("5", 2) == ["5.1", "5.2"]


def test_all_jobs_are_asked_for_by_one_call(answers):
    calls = answers("qstat", QUEUE)
    assert sge.states(["3", "4", "7", "8", "9"]) == {
        "3": JobState("RUNNING", "", "sgehost"),
        "4": JobState("NODE_FAIL", "its host does not answer (au)", "other"),
        "7": JobState("PENDING", "hqw", held=HELD),
        "8": JobState("FAILED", "Eqw"),
    }
    sge.states(["7"])
    assert calls.read_text() == "-f -xml\n-j 7\n-f -xml\n"  # why it is held is asked once


@pytest.mark.parametrize(
    ("text", "state", "code", "signal"),
    [
        (record(), "COMPLETED", 0, None),
        (record(status="3                   "), "FAILED", 3, None),
        (record(status="137                  (Killed)"), "FAILED", 137, 9),
        (record(LIMIT, "137                  (Killed)", seconds=4), "TIMEOUT", None, None),
        (record(AFTER, "137                  (Killed)", seconds=4), "TIMEOUT", None, None),
        (record(LIMIT, "137                  (Killed)", memory="104.001MB"), "OUT_OF_MEMORY", None, None),
        (record(LIMIT, "137                  (Killed)", memory="104.001MB", slots=2), "TIMEOUT", None, None),
        (record(AFTER, "137                  (Killed)"), "CANCELLED", None, None),
        (record(AFTER, "137                  (Killed)", host="other"), "NODE_FAIL", None, None),
        (record("26  : opening input/output file", "0"), "FAILED", 0, None),
    ],
)
def test_how_a_job_ended(answers, text, state, code, signal):
    answers("qstat", QUEUE)
    answers("qacct", text)
    found = sge.post_mortem("6")
    assert (found.state, found.exit_code, found.signal) == (state, code, signal)


def test_a_job_that_has_left_the_queue_and_not_reached_the_accounting_is_unknown(answers):
    answers("qstat", QUEUE)
    answers("qacct", stderr="error: job id 6 not found\n", code=1)
    assert sge.post_mortem("6") is None


@pytest.mark.parametrize("number", ["4", "8"])
def test_what_would_stay_in_the_queue_for_ever_is_taken_from_it(answers, number):
    answers("qstat", QUEUE)
    calls = answers("qdel", "user has deleted job {}\n".format(number))
    assert sge.post_mortem(number).is_ended
    assert calls.read_text() == number + "\n"


def test_cancelling_a_job_that_is_gone_is_no_error(answers):
    answers("qdel", 'denied: job "9999" does not exist\n', code=1)
    sge.cancel(["9999"])


def test_cancelling_what_is_somebody_elses_is_an_error(answers):
    answers("qdel", "other - you do not have the necessary privileges to delete the job 5\n", code=1)
    with pytest.raises(SchedulerError, match="privileges"):
        sge.cancel(["5"])


def test_a_job_is_found_by_its_name_in_the_queue_and_in_the_accounting(answers):
    answers("qstat", QUEUE)
    assert sge.find("cxaaaaaaaaaaaa") == "3"
    calls = answers("qacct", record())
    assert sge.find("over") == "6"
    assert calls.read_text() == "-j over\n"
    answers("qacct", stderr="error: job name gone not found\n", code=1)
    assert sge.find("gone") is None


def test_where_only_login_shells_know_the_server_they_are_asked(answers, tmp_path, monkeypatch):
    answers("qdel")
    (tmp_path / "qdel").write_text(
        '#!/bin/sh\n[ -n "$SGE_ROOT" ] || { echo "Please set the environment variable SGE_ROOT." >&2; exit 1; }\n'
    )
    monkeypatch.delenv("SGE_ROOT", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".bash_profile").write_text("export SGE_ROOT=/opt/sge SGE_CELL=here\n")
    sge.cancel(["3"])
    assert sge._known_surroundings == {"SGE_ROOT": "/opt/sge", "SGE_CELL": "here"}


def test_the_turn_of_a_job_is_its_place_in_qstats_order_without_the_held(answers):
    listing = """\
job-ID  prior   name       user         state submit/start at     queue                          slots ja-task-ID
-----------------------------------------------------------------------------------------------------------------
     12 0.60500 sleep      other        qw    11/28/2026 16:26:38                                    2
      4 0.50000 sleep      me           qw    11/28/2026 16:26:38                                    2
      3 0.00000 sleep      me           hqw   11/28/2026 16:26:38                                    1 1-4:1
"""
    calls = answers("qstat", listing)
    assert sge.turns(["3", "4"]) == {"4": schedulers.Turn(2, 2)}
    assert calls.read_text() == "-u * -s p\n"
