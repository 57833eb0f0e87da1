"""Every recorded command of Grid Engine 8.1.9, typed again on an emulated cluster."""

import difflib
import re
import time
from pathlib import Path

import pytest
from conformance.transcript import Rule, normalised, parse

import simcluster

RECORDED = Path(__file__).parent / "transcripts" / "sge"
DEADLINE = 30.0

SCRIPTS = {
    "env.sh": "#!/bin/bash\n#$ -N envjob\n#$ -cwd\n#$ -j y\n#$ -pe smp 2\nenv | sort; cat $PE_HOSTFILE\n",
    "pbs.sh": "#!/bin/bash\n#PBS -N x\n#$ -cwd\ntrue\n",
    "sleep.sh": "#!/bin/bash\n#$ -N sleeper\n#$ -cwd\nsleep 600\n",
    "true.sh": "#!/bin/bash\n#$ -N t\n#$ -cwd\ntrue\n",
    "fail.sh": "#!/bin/bash\n#$ -N failer\n#$ -cwd\nexit 3\n",
    "arr.sh": "#!/bin/bash\n#$ -N arr\n#$ -cwd\n#$ -t 1-4\nexit $((SGE_TASK_ID % 2))\n",
    "over.sh": "#!/bin/bash\n#$ -N over\n#$ -cwd\n#$ -l h_rt=3\nsleep 60\n",
    "bad.sh": "#!/bin/bash\n#$ -Z\n",
}
"""What 01_sge.txt submits, as far as its answers tell."""

NOT_REPLAYED = {
    "01_sge:1": "the usage text: the emulated one lists what is emulated",
    "01_sge:42": "it measures, and prints, durations",
}

DIFFERENT = {
    "01_sge:2": "the load is the slots that are taken, not what else the computer does",
    "01_sge:3": "the emulated node has the CPUs and the memory of its cluster's specification",
    "01_sge:6": "the variables of a cluster's login, and its own directories, instead of Debian's",
    "01_sge:7": "a job's record comes late in the recording",
    "01_sge:10": "the recorder's own leftovers are listed",
    "01_sge:12": "user, directories and memory are others",
    "01_sge:20": "a job's record comes late in the recording",
    "01_sge:28": "the recorded scheduler looks once a second, so what was released a moment ago still waits",
    "01_sge:38": "the recorded scheduler looks once a second, so what has just been submitted still waits",
    "01_sge:39": "a job's record comes late in the recording",
    "02_commands:17": "the parallel environments have no procedures of their own here, whose output would be in two.po4",
    "02_commands:19": "tasks end in any order",
    "02_commands:79": "the load is the slots that are taken, not what else the computer does",
    "02_commands:89": "a job's record comes late in the recording",
    "02_commands:92": "tasks end in any order",
    "02_commands:105": "a job's record comes late in the recording",
}
"""Known differences, with their reasons; one that has gone must be taken out, unless it is a matter of chance."""

CHANCE = {"02_commands:19", "02_commands:92"}

LOOKING = re.compile(r"(qstat|qacct|qhost|cat|ls)\b")


def rules(cluster):
    user, home = re.escape(cluster.ssh.username), re.escape(cluster.home)

    def rule(name, pattern, replacement, reason):
        return Rule(name, re.compile(pattern, re.MULTILINE), replacement, reason)

    return (
        rule(
            "dates",
            r"\d\d/\d\d/\d{4} \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d|[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}",
            "<date>",
            "clocks go on",
        ),
        rule("home", rf"{home}\b|/home/user\b", "<home>", "it has the user's name in it"),
        rule("user", rf"\b(?:user|{user})\b(?=[ \n<]|@)(?! +state)", "<user>", "names differ"),
        rule("host", r"\b(?:sgehost|node1|login)\b", "<host>", "in the recording one host is all of them"),
        rule("priority", r"\b0\.\d{5}\b", "<prio>", "Grid Engine weighs waiting times and slots against each other"),
        rule("spool", r"^/\S*job\S*/", "<spool>", "the emulated node keeps its files elsewhere"),
        rule(
            "used", r"(?<=[=:])\d+(?:\.\d+)?[KMG]?B? s\b|^(ru_|cpu|mem|io|iow|maxvmem).*\n", "", "nothing is measured"
        ),
        rule("columns", r" +", " ", "names have different lengths"),
    )


@pytest.mark.parametrize("name", ["02_commands", "01_sge"])
def test_recorded_commands_are_answered_as_they_were(name):
    entries = list(parse((RECORDED / f"{name}.txt").read_text(encoding="utf-8")))
    wrong, mended = [], []
    with simcluster.start("sge", nodes=1, cpus_per_node=4, pythons=["3.12"]) as cluster:
        cluster.run("mkdir s", check=True)
        if name == "01_sge":
            for script, text in SCRIPTS.items():
                cluster.run(f"cat > s/{script}", input=text, check=True)
        for number, entry in enumerate(entries, start=1):
            place = f"{name}:{number}"
            if place in NOT_REPLAYED:
                continue
            recorded = normalised(entry, rules(cluster))
            answered = answer(cluster, entry, recorded, patiently=place not in DIFFERENT)
            if recorded != answered and place not in DIFFERENT:
                wrong.append(described(place, recorded, answered))
            elif recorded == answered and place in DIFFERENT and place not in CHANCE:
                mended.append(place)
    assert not wrong, "\n\n".join(wrong)
    assert not mended, f"no longer different: {mended}"


def answer(cluster, entry, recorded, *, patiently):
    """Type the command; one that only looks is typed again until its answer is the recorded one, for a while."""
    deadline = time.monotonic() + DEADLINE
    while True:
        done = cluster.run(f"cd s; {entry.command}", timeout=120)
        answered = normalised(type(entry)(entry.command, done.stdout, done.stderr, done.returncode), rules(cluster))
        can_wait = patiently and LOOKING.match(entry.command) and not re.search("qsub|qdel|rm ", entry.command)
        if answered == recorded or not can_wait or time.monotonic() > deadline:
            return answered
        time.sleep(0.1)


def described(place, recorded, answered):
    lines = [f"--- {place} $ {recorded.command}"]
    for one, other in ((recorded.stdout, answered.stdout), (recorded.stderr, answered.stderr)):
        lines += difflib.unified_diff(one.splitlines(), other.splitlines(), "recorded", "answered", "", "", 0, "")
    if recorded.code != answered.code:
        lines.append(f"exit {answered.code} instead of {recorded.code}")
    return "\n".join(lines)
