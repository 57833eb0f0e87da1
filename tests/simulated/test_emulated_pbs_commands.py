"""PBS's commands on the emulated scheduler, against what OpenPBS 23.06.06 printed and what its sources say."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest

from simcluster import ClusterSpec
from simcluster.emulated.core import Core
from simcluster.emulated.interface import Call, Machine
from simcluster.emulated.pbs import answer, site

START = 1795226880.0
HEAD = """\
Job id            Name             User              Time Use S Queue
----------------  ---------------- ----------------  -------- - -----
"""


class Clock:
    def __init__(self):
        self.now = START

    def time(self):
        return self.now


class Launcher:
    """Remembers what it was asked; scripts are in `files`."""

    def __init__(self):
        self.launched, self.signals, self.files = {}, [], {"job.sh": b"#!/bin/bash\ntrue\n"}

    def launch(self, job):
        self.launched[job.full_id] = job.request.dialect.launch(job, "/spool")

    def signal(self, job, number, everything):
        self.signals.append((job.full_id, number, everything))

    def read_script(self, path, cwd):
        try:
            return self.files[path]
        except KeyError:
            raise FileNotFoundError(path) from None


class Site:
    """Two nodes of four CPUs, as the recorded cluster."""

    def __init__(self, gpus=0):
        queues = [
            {"name": "workq", "max_time": "2:00:00"},
            {"name": "long", "max_cpus": 2},
            {"name": "frozen", "state": "DOWN"},
            {"name": "closed", "state": "DRAIN"},
        ]
        partitions, settings = site(ClusterSpec("pbs", partitions=queues), "user")
        self.clock, self.launcher = Clock(), Launcher()
        self.core = Core(
            [Machine(f"node{number}", 4, 4096, gpus) for number in (1, 2)],
            partitions,
            cluster_name="simcluster",
            clock=self.clock,
            launcher=self.launcher,
            accounting=True,
            settings=settings,
        )

    def __call__(self, *words, stdin=b"", user="user", environment=()):
        variables = {"HOME": "/home/user", "PATH": "/usr/bin", "LOGNAME": user, **dict(environment)}
        call = Call(words[0], words[1:], "/home/user", variables, stdin, user, "pbs")
        reply = asyncio.run(answer(self.core, call))
        return reply.stdout, reply.stderr, reply.code

    def submit(self, *options):
        out, err, code = self("qsub", *options, "job.sh")
        assert (err, code) == ("", 0)
        return out.strip()

    def attributes(self, job_id):
        out, _, _ = self("qstat", "-x", "-f", "-F", "json", job_id)
        return json.loads(out)["Jobs"][job_id]

    def asked(self, *options):
        """The Resource_List of a job with these options."""
        return self.attributes(self.submit("-h", *options))["Resource_List"]


@pytest.fixture
def pbs():
    return Site()


def test_ids_are_counted_from_0_and_taken_with_and_without_the_server(pbs):
    assert [pbs.submit(), pbs.submit("-J", "1-3"), pbs.submit()] == ["0.pbs", "1[].pbs", "2.pbs"]
    for name in ("0", "0.pbs", "1[]", "1[].pbs", "1[2]", "1[2].pbs"):
        assert pbs("qstat", name)[2] == 0
    assert pbs("qstat", "1") == ("", "qstat: Unknown Job Id 1.pbs\n", 153)
    assert pbs("qstat", "1[7]") == ("", "qstat: Unknown Job Id 1[7].pbs\n", 153)
    assert pbs("qstat", "0.other") == ("", "qstat: illegally formed job identifier: 0.other\n", 1)


def test_a_table_has_columns_of_fixed_width(pbs):
    pbs.submit("-N", "a_name_that_is_too_long")
    pbs.clock.now += 2
    row = "0.pbs             a_name_that_is_* user              00:00:00 R workq           \n"
    assert pbs("qstat") == (HEAD + row, "", 0)
    assert pbs("qstat", "-an1")[0].endswith(
        "0.pbs           user     workq    a_name_th*    --    1   1    --  02:00 R 00:00 node1/0\n"
    )


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ((), {"ncpus": 1, "nodect": 1, "place": "pack", "select": "1:ncpus=1", "walltime": "02:00:00"}),
        (("-l", "walltime=90,mem=1gb,ncpus=2"), {"mem": "1gb", "ncpus": 2, "place": "pack", "select": "1:mem=1gb:ncpus=2", "walltime": "00:01:30"}),
        (("-l", "select=2:ncpus=2:mpiprocs=2:mem=256mb", "-l", "place=scatter"), {"mem": "512mb", "mpiprocs": 4, "ncpus": 4, "nodect": 2, "place": "scatter"}),
        (("-l", "nodes=2:ppn=2"), {"mpiprocs": 4, "ncpus": 4, "nodes": "2:ppn=2", "place": "scatter", "select": "2:ncpus=2:mpiprocs=2"}),
        (("-l", "select=1:mem=10mb"), {"mem": "10mb", "ncpus": 1, "select": "1:mem=10mb:ncpus=1", "place": "free"}),
        (("-q", "long"), {"ncpus": 1, "nodect": 1, "place": "pack", "select": "1:ncpus=1"}),
    ],
)  # fmt: skip
def test_what_is_asked_for_is_listed_by_resource(pbs, options, wanted):
    listed = pbs.asked(*options)
    assert {name: listed[name] for name in wanted} == wanted
    assert ("walltime" in listed) == ("long" not in options)


@pytest.mark.parametrize(
    ("options", "error", "code"),
    [
        (("-q", "nosuch"), "Unknown queue", 170),
        (("-q", "closed"), "Queue is not enabled", 173),
        (("-l", "walltime=3:00:00"), "Job violates queue and/or server resource limits", 188),
        (("-q", "long", "-l", "select=3:ncpus=1"), "Job violates queue and/or server resource limits", 188),
        (("-l", "bogus=3"), "Unknown resource Resource_List.bogus", 187),
        (("-l", "select=1:bogus=3"), "Unknown resource: bogus", 187),
        (("-l", "mem=12qq"), "Illegal attribute or resource value Resource_List.mem", 166),
        (("-l", "nodes=1", "-l", "select=1"), "Cannot be used with select or place: nodes", 6),
        (("-l", "place=free"), 'Cannot have "place" without "select"', 7),
        (("-J", "0-20000"), "Array job exceeds server or queue size limit", 3),
        (("-W", "bogus=1"), "Error (15002) submitting job", 154),
    ],
)
def test_what_the_server_refuses_it_names_and_numbers(pbs, options, error, code):
    assert pbs("qsub", *options, "job.sh") == ("", f"qsub: {error}\n", code)
    assert pbs("qstat", "-x") == ("", "", 0)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("N", "a b"),
        ("J", "5"),
        ("J", "0-0"),
        ("j", "xx"),
        ("r", "z"),
        ("p", "5000"),
        ("a", "99999999"),
        ("k", "x"),
        ("W", "depend=bogus:0"),
    ],
)
def test_what_qsub_itself_refuses_ends_in_the_usage(pbs, option, value):
    out, err, code = pbs("qsub", f"-{option}", value, "job.sh")
    assert (out, code) == ("", 2)
    assert err.startswith(f"qsub: illegal -{option} value\nusage: qsub [-a date_time]")


@pytest.mark.parametrize(
    ("program", "options", "named"),
    [
        ("qsub", ("-I",), "-I"),
        ("qsub", ("-W", "stageout=a@b:c"), "-W stageout"),
        ("qsub", ("-W", "depend=on:2"), "-W depend=on"),
        ("qsub", ("-l", "vmem=1gb"), "-l vmem"),
        ("qsub", ("-l", "select=1:ncpus=1+1:ncpus=2"), "-l select with chunks that differ"),
        ("qstat", ("-T",), "-T"),
        ("pbsnodes", ("-c", "node1"), "-c"),
        ("qselect", ("-l", "ncpus=1"), "-l"),
    ],
)
def test_what_is_not_emulated_is_refused_and_named_in_the_log(pbs, caplog, program, options, named):
    with caplog.at_level(logging.WARNING):
        out, err, code = pbs(program, *options, *(["job.sh"] if program == "qsub" else []))
    assert out == ""
    assert err
    assert code
    assert caplog.messages == [f"{program} {named} is PBS's, but not emulated: refused"]


def test_directives_count_up_to_the_first_command_and_less_than_the_command_line(pbs):
    script = b"#!/bin/bash\n#PBS -N here\n#PBS -p 5 -A 'two words'\n\n# remark\ntrue\n#PBS -N late\n"
    pbs.launcher.files["job.sh"] = script
    found = pbs.attributes(pbs.submit("-p", "7"))
    assert (found["Job_Name"], found["Priority"], found["Account_Name"]) == ("here", 7, "two words")
    found = pbs.attributes(pbs.submit("-C", ""))
    assert found["Job_Name"] == "job.sh"
    out, _, _ = pbs("qsub", "job.sh", environment={"PBS_DPREFIX": "#XX"})
    assert pbs.attributes(out.strip())["Job_Name"] == "job.sh"


def test_a_bad_directive_is_shown_with_its_words(pbs):
    pbs.launcher.files["job.sh"] = b"#!/bin/bash\n#PBS -Z foo\n"
    text = "qsub: invalid option -- 'Z'\nqsub: directive error: -Z foo \n"
    assert pbs("qsub", "job.sh") == ("", text, 1)


def test_a_script_comes_from_a_file_or_from_stdin(pbs):
    assert pbs("qsub", "nofile.sh") == ("", "qsub: script file:: No such file or directory\n", 1)
    assert pbs("qsub", stdin=b"true\n")[0] == "0.pbs\n"
    assert pbs("qsub", "-", stdin=b"true\n")[0] == "1.pbs\n"
    assert pbs.attributes("1.pbs")["Job_Name"] == "STDIN"


def test_a_job_that_is_too_large_waits_for_ever_and_says_so(pbs):
    job_id = pbs.submit("-l", "select=1:ncpus=99")
    text = "Can Never Run: Insufficient amount of resource: ncpus (R: 99 A: 8 T: 8)"
    assert pbs.attributes(job_id)["comment"] == text
    behind = pbs.submit()
    assert pbs.attributes(behind)["job_state"] == "R"


def test_chunks_are_counted_on_their_nodes(pbs):
    job_id = pbs.submit("-l", "select=3:ncpus=2:mem=100mb")
    found = pbs.attributes(job_id)
    assert found["exec_host"] == "node1/0*4+node2/0*2"
    chunk = "ncpus=2:mem=102400kb"
    assert found["exec_vnode"] == f"(node1:{chunk})+(node1:{chunk})+(node2:{chunk})"
    assert pbs.launcher.launched[job_id].files[job_id] == b"node1\nnode1\nnode2\n"


def test_gpus_are_a_counted_resource():
    pbs = Site(gpus=2)
    first, second = pbs.submit("-l", "select=1:ncpus=1:ngpus=2"), pbs.submit("-l", "select=2:ncpus=1:ngpus=1")
    assert pbs.attributes(first)["exec_vnode"] == "(node1:ncpus=1:ngpus=2)"
    assert pbs.attributes(second)["exec_host"] == "node2/0*2"
    assert pbs.launcher.launched[second].environment["CUDA_VISIBLE_DEVICES"] == "0,1"


def test_a_higher_priority_goes_first(pbs):
    running = [pbs.submit("-l", "ncpus=4") for _ in range(2)]
    low, high = pbs.submit("-p", "-5"), pbs.submit("-p", "5")
    pbs.core.ended(pbs.core.find(int(running[0].split(".")[0]))[0], 0, None)
    assert pbs.attributes(high)["job_state"] == "R"
    assert pbs.attributes(low)["job_state"] == "R"
    assert list(pbs.launcher.launched)[2:] == [high, low]


def test_only_an_operator_reruns_suspends_and_marks_nodes(pbs):
    job_id = pbs.submit()
    denied = f"Unauthorized Request  {job_id}\n"
    assert pbs("qrerun", job_id) == ("", f"qrerun: {denied}", 159)
    assert pbs("qsig", "-s", "suspend", job_id) == ("", f"qsig: {denied}", 159)
    assert pbs("pbsnodes", "-o", "node1") == ("", "Error marking node node1 - Unauthorized Request \n", 1)
    assert pbs("qdel", job_id, user="other") == ("", f"qdel: {denied}", 159)


def test_an_operator_suspends_and_resumes(pbs):
    job_id = pbs.submit()
    assert pbs("qsig", "-s", "suspend", job_id, user="root") == ("", "", 0)
    found = pbs.attributes(job_id)
    assert (found["job_state"], found["substate"]) == ("S", 43)
    assert pbs("qsig", "-s", "suspend", job_id, user="root")[2] == 168
    assert pbs("qsig", "-s", "resume", job_id, user="root") == ("", "", 0)
    assert pbs.attributes(job_id)["job_state"] == "R"


def test_a_rerun_job_runs_again_and_is_counted(pbs):
    job_id = pbs.submit()
    assert pbs("qrerun", job_id, user="root") == ("", "", 0)
    (job,) = pbs.core.find(0)
    pbs.core.ended(job, None, 15)
    found = pbs.attributes(job_id)
    assert (found["job_state"], found["run_count"]) == ("R", 2)
    once = pbs.submit("-r", "n")
    assert pbs("qrerun", once, user="root") == ("", f"qrerun: job is not rerunnable {once}\n", 190)


def test_nodes_that_are_offline_take_no_jobs(pbs):
    assert pbs("pbsnodes", "-o", "-C", "broken", "node1", "node2", user="root") == ("", "", 0)
    listed = "node1                offline broken\nnode2                offline broken\n"
    assert pbs("pbsnodes", "-l") == (listed, "", 0)
    job_id = pbs.submit()
    assert pbs.attributes(job_id)["comment"] == "Not Running: Not enough free nodes available"
    pbs("pbsnodes", "-r", "node1", user="root")
    assert pbs.attributes(job_id)["job_state"] == "R"
    assert pbs("pbsnodes", "nosuch") == ("", "Node: nosuch,  Error: Unknown node \n", 1)


def test_an_alteration_shows_and_a_running_job_keeps_its_resources(pbs):
    job_id = pbs.submit("-h")
    assert pbs("qalter", "-N", "other", "-l", "walltime=60", "-p", "3", job_id) == ("", "", 0)
    found = pbs.attributes(job_id)
    assert (found["Job_Name"], found["Priority"], found["Resource_List"]["walltime"]) == ("other", 3, "00:01:00")
    assert found["Output_Path"] == "pbs:/home/user/job.sh.o0"
    running = pbs.submit()
    text = f"qalter: Cannot modify attribute while job running  {running}\n"
    assert pbs("qalter", "-j", "oe", running) == ("", text, 167)


def test_a_job_moves_between_queues_while_it_waits(pbs):
    job_id = pbs.submit("-q", "frozen")
    assert pbs("qmove", "closed", job_id) == ("", f"qmove: Queue is not enabled {job_id}\n", 173)
    assert pbs("qmove", "long", job_id) == ("", "", 0)
    found = pbs.attributes(job_id)
    assert (found["queue"], found["job_state"]) == ("long", "R")


def test_jobs_are_selected_by_what_they_are(pbs):
    held, array, other = pbs.submit("-h"), pbs.submit("-J", "0-1"), pbs.submit("-N", "named", "-q", "frozen")
    assert pbs("qselect")[0].split() == [held, array, other]
    assert pbs("qselect", "-s", "H")[0].split() == [held]
    assert pbs("qselect", "-J")[0].split() == [array]
    assert pbs("qselect", "-N", "named", "-q", "frozen")[0].split() == [other]
    pbs("qdel", other)
    assert pbs("qselect", "-N", "named")[0] == ""
    assert pbs("qselect", "-x", "-N", "named")[0].split() == [other]


def test_history_can_be_deleted(pbs):
    job_id = pbs.submit("-h")
    assert pbs("qdel", job_id) == ("", "", 0)
    assert pbs("qdel", job_id) == ("", f"qdel: Job has finished {job_id}\n", 35)
    text = f"qstat: {job_id} Job has finished, use -x or -H to obtain historical job information\n"
    assert pbs("qstat", job_id) == ("", text, 35)
    assert pbs("qdel", "-x", job_id) == ("", "", 0)
    assert pbs("qstat", "-x", job_id) == ("", f"qstat: Unknown Job Id {job_id}\n", 153)


def test_what_is_wrong_with_one_id_keeps_no_other_from_being_dealt_with(pbs):
    job_id = pbs.submit("-h")
    errors = "qdel: Unknown Job Id 77.pbs\nqdel: illegally formed job identifier: bogus\n"
    assert pbs("qdel", "77", "bogus", job_id) == ("", errors, 1)
    assert pbs.attributes(job_id)["job_state"] == "F"


def test_variables_lose_their_types_in_json_as_they_do_in_the_real_one(pbs):
    found = pbs.attributes(pbs.submit("-h", "-v", "A=1,B=007,N=1.50,X=true,Y=null,Q='x,y',E="))["Variable_List"]
    own = {name: value for name, value in found.items() if not name.startswith("PBS_O")}
    assert own == {"A": 1, "B": 7, "N": 1.5, "X": True, "Y": None, "Q": "x,y", "E": ""}
    assert pbs("qsub", "-v", "NOT_SET", "job.sh") == ("", "qsub: cannot send environment with the job\n", 1)


def test_each_command_tells_its_version_and_its_usage(pbs):
    for program in (
        "qsub",
        "qstat",
        "qdel",
        "qhold",
        "qrls",
        "qrerun",
        "qsig",
        "qselect",
        "qalter",
        "qmove",
        "pbsnodes",
    ):
        assert pbs(program, "--version") == ("pbs_version = 23.06.06\n", "", 0)
        _, err, code = pbs(program, "-Z")
        assert err.startswith(f"{program}: invalid option -- 'Z'\nusage:")
        assert code == (1 if program == "pbsnodes" else 2)
