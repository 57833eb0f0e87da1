"""Where the emulated PBS is known to answer otherwise than the recorded one, and which commands are not typed again."""

__all__ = ["DIFFERENT", "NOT_REPLAYED", "OTHER_RECORDS", "UNRECORDED"]

_ROOT = "root typed it, and nobody on the emulated cluster is root; tests/simulated/test_emulated_pbs_commands.py has operators"
_OTHER_USER = "a second user typed it, and the emulated cluster has one"
_QMGR = "qmgr configures servers; an emulated one is configured by its spec"
_FILES = "it looks into the files of a real server or node"
_AFTER_QMGR = "it shows what a qmgr command before it did, which is not replayed"

_FIRST_SECOND = "it shows the first second of jobs, which passes between two looks"
_SUBJOBS = "elements end sooner, and the real server forgets how most of them ended while their array has not"
_NO_ID = "no job is held, so it shows the first job of all, and the recorded server had others"

OTHER_RECORDS = {
    "10_latency_default": "measurements, not commands: the emulated cluster has other latencies",
    "10_latency_tuned": "measurements, not commands: the emulated cluster has other latencies",
    "11_nodefail_tuned": "a log of a loop while a node was lost; tests/simulated/test_emulated_pbs_jobs.py loses nodes",
    "12_nodefail_default": "the same with the default of 310 s, which the emulated server notices in 5",
    "14_restart": "notes on restarting a server's container, which the emulated backend has none of",
}
"""Files that are no transcripts."""

NOT_REPLAYED = {
    "01_setup:1": _FILES,
    "01_setup:2": _FILES,
    "01_setup:3": _QMGR,
    "01_setup:4": _QMGR,
    "01_setup:19": _FILES,
    "03_states:13": _ROOT,
    "04_errors:38": _ROOT,
    "04_errors:44": _FILES,
    "09_admin:3": _OTHER_USER,
    "09_admin:4": _OTHER_USER,
    "09_admin:5": _OTHER_USER,
    "09_admin:6": _OTHER_USER,
    "09_admin:7": _OTHER_USER,
    "09_admin:8": _OTHER_USER,
    "09_admin:9": _QMGR,
    "09_admin:10": "qterm ends servers; the emulated one ends with its cluster",
    "09_admin:12": _QMGR,
    "09_admin:14": _AFTER_QMGR,
    "09_admin:15": _QMGR,
    "09_admin:16": _OTHER_USER,
    "09_admin:17": _ROOT,
    "09_admin:18": _ROOT,
    "09_admin:19": _ROOT,
    "09_admin:21": _ROOT,
    "09_admin:22": _ROOT,
    "09_admin:24": _QMGR,
    "09_admin:26": _AFTER_QMGR,
    "09_admin:27": _AFTER_QMGR,
    "09_admin:28": _AFTER_QMGR,
    "09_admin:29": _AFTER_QMGR,
    "09_admin:30": _AFTER_QMGR,
    "09_admin:31": _AFTER_QMGR,
    "09_admin:32": "tracejob reads a real server's logs",
    "09_admin:33": "tracejob reads a real server's logs",
    "09_admin:34": _FILES,
    "09_admin:35": _QMGR,
    "09_admin:37": "the fault scheduler.down stands for it",
    "09_admin:43": "the fault scheduler.down stands for it",
    "09_admin:47": _ROOT,
    "15_cwd_kopt:5": _QMGR,
}
"""By file and number of the entry in it."""

UNRECORDED = {
    "04_errors:42": "qdel 15 20",
    "08_depend:1": "qdel 50 51 52",
    "08_depend:5": "qdel 34",
    "13_json_quirks:1": "qselect | xargs -r qdel",
}
"""What must have been typed before an entry without being recorded, for what is recorded afterwards to be so."""

DIFFERENT: dict[str, str] = {
    "01_setup:5": "asked by root, who is told the node's port and version too",
    "01_setup:6": "asked by root, who is told the node's port and version too",
    "02_basic:8": "the environment has the emulated cluster's own variables too, and the PATH of this machine's profile",
    "02_basic:33": "the job has ended when qdel has returned; the real one takes a second",
    "03_states:14": "the rerun before it is not replayed",
    "03_states:16": "the rerun before it is not replayed, and the job has ended when qdel has returned",
    "03_states:24": "a job that is moved to a queue that is started starts; the real one waits for the scheduler's next cycle",
    "03_states:26": "the job had started, see 03_states:24",
    "05_arrays:10": "which element's the array's Exit_status is while it runs is not understood",
    "05_arrays:12": "job 4 had started, see 03_states:24",
    "05_arrays:15": "the last elements run where others have ended first, which is chance",
    "05_arrays:25": _SUBJOBS,
    "05_arrays:27": _SUBJOBS,
    "05_arrays:28": "the array has ended when qdel has returned",
    "06_exits:12": "job over ends when its three seconds are over; the real node looks every ten",
    "06_exits:16": "job 19 is still exiting: its output can't be delivered for 94 s, and the recorder took longer",
    "06_exits:26": "pbsdsh is not emulated, and the script's end is its",
    "06_exits:28": "there is no pbsdsh, python3 is the oldest one, the login shell tells of an end by TERM, and mem.sh sleeps longer",
    "07_options:11": "it shows how long it took",
    "07_options:20": "sizes of files with the environment in them, and of directories, differ",
    "07_options:21": "the environment has the emulated cluster's own variables too, and another order",
    "08_depend:3": _FIRST_SECOND,
    "08_depend:4": _FIRST_SECOND,
    "09_admin:44": "the recorded server still had a job of somebody else's",
    "13_json_quirks:20": _NO_ID,
    "13_json_quirks:32": _NO_ID,
    "13_json_quirks:41": "/bin/sh, by which the emulated commands start, drops functions that bash has exported",
}
"""By file and number of the entry in it."""
