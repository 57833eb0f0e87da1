"""Slurm's answers are those of real clusters (22.05.8): each fake command prints what the real one printed."""

import pytest
from clustrix_remote.paths import JobPaths
from clustrix_remote.schedulers import JobState, LimitError, SchedulerError, SchedulerUnavailableError, slurm


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "script.sh"
    path.write_text("#!/bin/bash\n#SBATCH --mem=5M\n#SBATCH --output='/a b/%%j'\n#SBATCH --no-requeue\n:\n")
    return str(path)


def test_submitting_gives_the_job_id(answers, script):
    answers("sbatch", "17\n")
    assert slurm.submit(script) == "17"


def test_the_directives_go_on_the_command_line_too_where_the_users_variables_do_not_override_them(answers, script):
    calls = answers("sbatch", "17\n")
    slurm.submit(script)
    assert calls.read_text() == "--parsable --mem=5M --output=/a b/%%j --no-requeue {}\n".format(script)


def test_a_federated_answer_gives_the_job_id_alone(answers, script):
    answers("sbatch", "17;east\n")
    assert slurm.submit(script) == "17"


def test_a_refusal_is_an_error_in_slurms_own_words(answers, script):
    answers("sbatch", stderr="sbatch: error: Batch job submission failed: Invalid partition name specified\n", code=1)
    with pytest.raises(SchedulerError, match="Invalid partition name"):
        slurm.submit(script)


def test_a_controller_that_does_not_answer_is_told_apart_from_a_refusal(answers):
    answers("squeue", stderr="slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n", code=1)
    with pytest.raises(SchedulerUnavailableError):
        slurm.states(["1"])


def test_all_jobs_are_asked_for_by_one_call(answers):
    calls = answers("squeue", "7|RUNNING|None|node1\n8|PENDING|Resources|\n9|NODE_FAIL|NodeDown|node2\n")
    assert slurm.states(["7", "8", "9", "10"]) == {
        "7": JobState("RUNNING", "None", "node1"),
        "8": JobState("PENDING", "Resources", ""),
        "9": JobState("NODE_FAIL", "NodeDown", "node2"),
    }
    assert len(calls.read_text().splitlines()) == 1


def test_one_job_that_slurm_forgot_is_no_error(answers):
    answers("squeue", stderr="slurm_load_jobs error: Invalid job id specified\n", code=1)
    assert slurm.states(["999"]) == {}


def test_a_job_that_ended_is_told_with_exit_code_and_signal(answers):
    line = "JobId=394 JobName=sig JobState=FAILED Reason=JobLaunchFailure ExitCode=0:15 NodeList=node1 BatchHost=node1 Comment=c c\n"
    answers("scontrol", line)
    assert slurm.post_mortem("394") == JobState("FAILED", "JobLaunchFailure", "node1", 0, 15)


def test_an_exit_code_above_128_is_a_signal(answers):
    answers("scontrol", "JobId=1 JobState=FAILED Reason=NonZeroExitCode ExitCode=137:0 BatchHost=n1\n")
    assert slurm.post_mortem("1").signal == 9


def test_a_job_that_slurmctld_forgot_is_looked_up_in_the_accounting(answers):
    answers("scontrol", stderr="slurm_load_jobs error: Invalid job id specified\n", code=1)
    answers("sacct", "CANCELLED by 1000|None|node1|0:15\n")
    assert slurm.post_mortem("1") == JobState("CANCELLED", "None", "node1", 0, 15)


def test_a_job_that_nobody_knows_is_none(answers):
    answers("scontrol", stderr="slurm_load_jobs error: Invalid job id specified\n", code=1)
    answers("sacct", stderr="Slurm accounting storage is disabled\n", code=1)
    assert slurm.post_mortem("1") is None


@pytest.mark.parametrize(
    ("seconds", "text"), [(1, "0-00:01:00"), (60, "0-00:01:00"), (61, "0-00:02:00"), (90000, "1-01:00:00")]
)
def test_a_time_limit_is_rounded_up_to_minutes(seconds, text):
    lines = slurm.directives("cx", JobPaths("/j"), "/w", {"cores": 2, "memory_mb": 500, "time_seconds": seconds})
    assert "#SBATCH --time=" + text in lines


def test_a_percent_sign_in_a_path_is_not_a_pattern():
    lines = slurm.directives("cx", JobPaths("/j%u"), "/w", {"cores": 2, "memory_mb": 500, "time_seconds": 60})
    assert "#SBATCH --output=/j%%u/log/stdout" in lines


def test_no_job_is_requeued_unasked():
    lines = slurm.directives("cx", JobPaths("/j"), "/w", {"cores": 2, "memory_mb": 500, "time_seconds": 60})
    assert "#SBATCH --no-requeue" in lines


def test_an_array_has_as_many_elements_as_are_wanted(answers, script):
    calls = answers("sbatch", "17\n")
    assert slurm.submit(script, 5) == "17"
    assert "--array=0-4 " + script in calls.read_text()
    assert slurm.element_names("17", 2) == ["17_0", "17_1"]


@pytest.mark.parametrize(
    "words",
    [
        "Batch job submission failed: Invalid job array specification",
        "AssocMaxSubmitJobLimit",
        "QOSMaxSubmitJobPerUserLimit\nsbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
    ],
)
def test_an_array_that_the_site_takes_fewer_elements_of_is_told_apart_from_other_refusals(answers, script, words):
    answers("sbatch", stderr="sbatch: error: %s\n" % words, code=1)
    with pytest.raises(LimitError, match="sbatch"):
        slurm.submit(script, 5)


def test_the_elements_of_an_array_have_states_of_their_own(answers):
    calls = answers("squeue", "17_0|COMPLETED|None|node1\n17_1|RUNNING|None|node2\n17_2|PENDING|Resources|\n")
    assert [state.state for _, state in sorted(slurm.states(["17"]).items())] == ["COMPLETED", "RUNNING", "PENDING"]
    assert "--array" in calls.read_text()


def test_each_element_writes_to_files_of_its_own():
    resources = {"cores": 2, "memory_mb": 500, "time_seconds": 60}
    lines = slurm.directives("cx", JobPaths("/j"), "/w", resources, is_array=True)
    assert "#SBATCH --output=/j/log/stdout.%A_%a" in lines
    assert JobPaths("/j").output("stdout", "17_1") == "/j/log/stdout.17_1"


def test_the_turn_of_a_job_is_among_those_of_its_partition_by_priority_then_age_without_the_held(answers):
    rows = "9|debug|500|N/A\n8|debug|900|2000-01-01T00:00:00\n7|debug|500|2999-01-01T00:00:00\n6|long|999|N/A\n5|debug|0|N/A\n"
    calls = answers("squeue", rows)
    turns = slurm.turns(["7", "8", "9", "5"])
    assert [(each, turns[each].position, turns[each].waiting) for each in sorted(turns)] == [
        ("7", 2, 3), ("8", 1, 3), ("9", 3, 3),
    ]  # fmt: skip
    assert (turns["8"].starts_in, turns["9"].starts_in) == (0.0, None)
    assert turns["7"].starts_in > 1e9
    assert len(calls.read_text().splitlines()) == 1
