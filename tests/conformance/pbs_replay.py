"""Recorded sessions of OpenPBS, typed again on an emulated cluster."""

from __future__ import annotations

import re
import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.pbs_differences import DIFFERENT, NOT_REPLAYED, UNRECORDED
from conformance.transcript import Rule, normalised, parse

import simcluster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.transcript import Entry

    from simcluster.cluster import Cluster

__all__ = ["RECORDED", "SESSIONS", "Played", "entries", "play"]

RECORDED = Path(__file__).parent / "transcripts" / "openpbs"
SESSIONS = (
    (
        "01_setup",
        "02_basic",
        "03_states",
        "04_errors",
        "05_arrays",
        "06_exits",
        "07_options",
        "08_depend",
        "09_admin",
        "13_json_quirks",
    ),
    ("15_cwd_kopt",),
)
"""Files that were recorded one after the other on the same cluster."""

_PATIENCE = 120.0
"""Seconds. A job whose output can't be delivered is in state E for 94."""
_LATE, _LATE_AFTER = "06_exits:29", "08_depend"
"""A command that was typed last, as its times tell, and written to the file of its kind."""
_STOPPED, _STARTED = "09_admin:37", "09_admin:43"
"""Where the recorder stopped the server, and started it again."""
_CHECKED = "13_json_quirks:1"
"""From where on there was a script that checks JSON; `ls` before it shows that there was none."""
_QUEUES = [
    {"name": "workq", "max_time": "2:00:00"},
    {"name": "long", "max_cpus": 2},
    {"name": "frozen", "state": "DOWN"},
    {"name": "closed", "state": "DRAIN"},
]
_LOOKING = re.compile(r"(qstat|pbsnodes|qselect|ls|tail|cat|for) |qstat$|J=\$\(qselect -s H|PBS_SERVER")


@dataclass(frozen=True)
class Played:
    """A recorded entry, where it is, and what the emulated cluster answered: both normalised."""

    place: str
    recorded: Entry
    answered: Entry

    @property
    def agrees(self) -> bool:
        return self.recorded == self.answered


def entries(name: str) -> Iterator[tuple[str, Entry]]:
    """The entries of a file with their places, such as `05_arrays:12`, in the order in which they were typed."""
    yield from ((place, entry) for place, entry in _as_written(name) if place != _LATE)
    if name == _LATE_AFTER:
        yield from ((place, entry) for place, entry in _as_written("06_exits") if place == _LATE)


def _as_written(name: str) -> Iterator[tuple[str, Entry]]:
    text = (RECORDED / f"{name}.txt").read_text(encoding="utf-8")
    return ((f"{name}:{number}", entry) for number, entry in enumerate(parse(text), start=1))


def play(session: tuple[str, ...]) -> list[Played]:
    """Type all commands of a session that can be, in their order."""
    played = []
    with simcluster.start("pbs", nodes=2, cpus_per_node=4, memory_per_node="4GB", partitions=_QUEUES) as cluster:
        player = _Player(cluster, session)
        for name in session:
            for place, entry in entries(name):
                player.prepare(place)
                if place not in NOT_REPLAYED:
                    played.append(player.type(place, entry))
    return played


class _Player:
    """Types as the recorder did: in a shell with the same few variables, waiting for jobs between commands."""

    def __init__(self, cluster: Cluster, session: tuple[str, ...]) -> None:
        self._cluster = cluster
        self._rules = _rules(cluster)
        self._next_id = 0
        self._commands = cluster.run("dirname $(command -v qsub)", check=True).stdout.strip()
        self._outage = cluster.faults.scheduler.down()
        if session[0] != "15_cwd_kopt":
            for script in sorted((RECORDED / "scripts").glob("*.sh")):
                self._write(script)

    def prepare(self, place: str) -> None:
        """Do what has to be done before an entry and is not recorded as a command of the user's."""
        if unseen := UNRECORDED.get(place):
            self._cluster.run(unseen)
        if place == _STOPPED:
            self._outage.start()
        elif place == _STARTED:
            self._outage.stop()
        elif place == _CHECKED:
            self._write(RECORDED / "scripts" / "later" / "jcheck.sh")

    def _write(self, script: Path) -> None:
        """Put a script into the home directory."""
        words = f"cat > {script.name} && chmod +x {script.name}"
        self._cluster.run(words, input=script.read_text(encoding="utf-8"), check=True)

    def type(self, place: str, entry: Entry) -> Played:
        """Run the command; one that only looks is run again until its answer is the recorded one, for a while."""
        self._use_up_ids(entry)
        recorded = normalised(entry, self._rules)
        may_wait = (
            _LOOKING.match(entry.command) and place not in DIFFERENT and not re.search("qdel|qsub", entry.command)
        )
        deadline = time.monotonic() + _PATIENCE
        while True:
            played = Played(place, recorded, self._run(entry))
            if played.agrees or not may_wait or time.monotonic() > deadline:
                return played
            time.sleep(0.2)

    def _run(self, entry: Entry) -> Entry:
        cluster, user = self._cluster, self._cluster.ssh.username
        variables = {
            "HOSTNAME": "pbs",
            "PWD": cluster.home,
            "LOGNAME": user,
            "HOME": cluster.home,
            "TUNE": "0",
            "USER": user,
            "DEBIAN_FRONTEND": "noninteractive",
            "PATH": f"{self._commands}:/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games",
        }
        given = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())
        command = re.sub(r"(?<=-u )user\b", user, entry.command.replace("/home/user", cluster.home))
        done = cluster.run(f"env -i {given} bash -c {shlex.quote(command)}", timeout=60)
        answer = type(entry)(entry.command, done.stdout, done.stderr, done.returncode, remarks=entry.remarks)
        return normalised(answer, self._rules)

    def _use_up_ids(self, entry: Entry) -> None:
        """The recorded server had used up numbers for what it refused: have the next job get the recorded one's."""
        if "qsub -z" in entry.command:  # which tells no id
            self._next_id += 1
        ids = [int(number) for number in re.findall(r"^(\d+)(?:\[\])?\.pbs$", entry.stdout, re.MULTILINE)]
        if "qsub" not in entry.command or not ids:
            return
        missing = ids[0] - self._next_id
        if missing > 0:
            burn = f"for i in $(seq {missing}); do qdel -x $(qsub -h -- /bin/true) || exit; done"
            self._cluster.run(burn, check=True)
        self._next_id = ids[-1] + 1


def _rules(cluster: Cluster) -> tuple[Rule, ...]:
    user, home = re.escape(cluster.ssh.username), re.escape(cluster.home)

    def rule(name: str, pattern: str, replacement: str, reason: str) -> Rule:
        return Rule(name, re.compile(pattern, re.MULTILINE), replacement, reason)

    return (
        rule("lines", r"\n\t+", "", "names have different lengths, so lines are broken elsewhere"),
        rule(
            "dates",
            r"([A-Z][a-z]{2} )?[A-Z][a-z]{2} [ \d]\d( at)? \d\d:\d\d(:\d\d \d{4})?|\b179\d{7}\b",
            "<date>",
            "clocks go on",
        ),
        rule("home", rf"{home}\b|/home/user\b", "<home>", "it has the user's name in it"),
        rule(
            "spool",
            r"/\S*(?:spool/node\d/job[\d.]+/tmp|/var/tmp/pbs\.\d+\.pbs)|/\S*spool/(?:pbs/(?:aux|mom_priv/jobs)|node\d/job[\d.]+)/",
            "<spool>",
            "the emulated node keeps its files elsewhere",
        ),
        rule("user", rf" *\b(?:user|{user})\b(?!_) *(?!=)", "<user>", "names have different lengths"),
        rule("host", r"\blogin\b", "pbs", "the emulated login host is not the server"),
        rule(
            "processes",
            r"(?<=session_id = )\d+|(?<=\"session_id\":\t)\d+|(?<=: line \d: ) *\d+|(?<= ) *\d+(?=   \d   \d )|(?<=COOKIE=)\w+",
            "<n>",
            "kernels count them up, cookies are drawn",
        ),
        rule(
            "measures",
            r"(?<=mem = )\d+kb|(?<=mem\":\t\")\d+kb|(?<=walltime = )00:00:\d\d|(?<=walltime\":\t\")00:00:\d\d|pcpus\D+\d+|(?<=>)(?:00:00:00|0)(?= R )|(?<=walltime )\d+(?= exceeded)|(?<= R )00:\d\d",
            "<measured>",
            "machines differ, and nothing emulated measures memory",
        ),
        rule("slots", r"(?<=node\d/)\d+", "<slot>", "where jobs end sooner, lower numbers are free again"),
        rule("path", r"/simcluster/bin:", "", "the emulated commands have a directory of their own"),
    )
