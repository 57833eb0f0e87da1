import os
import shlex
import subprocess

import pytest
from clustrix_remote.paths import JobPaths
from clustrix_remote.script import ScriptParts, directive, environment_file, job_script
from hypothesis import given, settings
from hypothesis import strategies as st

ANY_TEXT = st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), max_size=60)
LINE = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=60)


def bash(script, *arguments, **options):
    command = ["/bin/bash", "--norc", "--noprofile", str(script), *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False, **options)


@given(st.dictionaries(st.from_regex(r"\AX_[A-Z0-9_]{0,8}\Z"), ANY_TEXT, max_size=5))
@settings(deadline=None, max_examples=30)
def test_every_environment_variable_survives_the_shell_as_it_is(tmp_path_factory, variables):
    path = tmp_path_factory.mktemp("environment") / "environment"
    path.write_bytes(environment_file(variables).encode("utf-8") + b"exec env -0\n")
    seen = bash(path, env={"PATH": os.environ["PATH"]}).stdout.split(b"\0")
    for name, value in variables.items():
        assert ("%s=%s" % (name, value)).encode("utf-8") in seen


@given(LINE)
def test_a_directive_is_one_line_that_reads_back_as_its_value(value):
    line = directive("#SBATCH", "--output", value)
    assert "\n" not in line
    assert shlex.split(line[len("#SBATCH ") :]) == ["--output=" + value]


@pytest.mark.parametrize("value", ["a\nscancel -u me", "a\rb", "a\0b", "\x7f"])
def test_a_directive_with_a_control_character_is_refused(value):
    with pytest.raises(ValueError, match="control character"):
        directive("#SBATCH", "--account", value)


@pytest.mark.parametrize("name", ["A B", "1A", "A;rm -rf /", "", "A=B", "Ä"])
def test_a_name_that_is_no_variable_is_refused(name):
    with pytest.raises(ValueError, match="not a variable"):
        environment_file({name: "x"})


def run_script(tmp_path, command):
    job = JobPaths(str(tmp_path / "jo'b $HOME"))
    done = tmp_path / "do ne"
    for directory in (job.root, job.file("marks"), str(done)):
        os.mkdir(directory)
    with open(job.environment, "w") as stream:
        stream.write(environment_file({"GREETING": "it's $HOME"}))
    parts = ScriptParts(["#SBATCH --no-requeue"], [], [], str(tmp_path), str(done), command)
    with open(job.script, "w") as stream:
        stream.write(job_script(job, "cxjob", parts))
    answer = bash(job.script, env={"PATH": os.environ["PATH"]})
    return answer, {name: (done / name).read_text() for name in os.listdir(str(done))}


def test_the_script_runs_the_command_with_its_words_and_variables_as_they_are(tmp_path):
    answer, marks = run_script(tmp_path, ["sh", "-c", 'printf %s "$GREETING|$PWD|$1"', "x", "a 'b' $c"])
    assert answer.stdout.decode() == "it's $HOME|%s|a 'b' $c" % tmp_path
    assert (answer.returncode, marks) == (0, {})


def test_the_script_marks_a_runner_that_died(tmp_path):
    answer, marks = run_script(tmp_path, ["sh", "-c", "kill -9 $$"])
    assert (answer.returncode, marks) == (137, {"cxjob.exit": "137\n"})


def test_a_script_whose_job_was_cleaned_up_meanwhile_leaves_no_mark(tmp_path):
    job = tmp_path / "jo'b $HOME"
    answer, marks = run_script(tmp_path, ["sh", "-c", 'rm -r "$1"; exit 3', "x", str(job)])
    assert (answer.returncode, marks) == (3, {})
