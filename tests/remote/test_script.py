import os
import shlex
import subprocess

import pytest
from clustrix_remote.paths import JobPaths
from clustrix_remote.script import (
    ScriptParts,
    activation_file,
    directive,
    environment_file,
    job_script,
    with_modules,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ANY_TEXT = st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), max_size=60)
LINE = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=60)


def bash(script, *arguments, **options):
    command = ["/bin/bash", "--norc", "--noprofile", str(script), *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False, **options)


@given(st.dictionaries(st.from_regex(r"\AX_[A-Z0-9_]{0,8}\Z"), ANY_TEXT, max_size=5))
# The first example takes long: the characters of all alphabets are listed then.
@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
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


def run_script(tmp_path, command, modules=(), commands=(), activation=""):
    job = JobPaths(str(tmp_path / "jo'b $HOME"))
    done = tmp_path / "do ne"
    for directory in (job.root, job.file("marks"), str(done)):
        os.mkdir(directory)
    with open(job.environment, "w") as stream:
        stream.write(environment_file({"GREETING": "it's $HOME"}))
    if activation:
        with open(job.activation, "w") as stream:
            stream.write(activation)
    parts = ScriptParts(
        ["#SBATCH --no-requeue"],
        modules[:-1],
        commands,
        str(tmp_path),
        str(done),
        command,
        modules[-1:],
        bool(activation),
    )
    with open(job.script, "w") as stream:
        stream.write(job_script(job, "cxjob", parts))
    with open(str(tmp_path / "module.sh"), "w") as stream:
        stream.write("module() { [ $2 != bad ] || return 7; echo module $2; }\n")
    answer = bash(job.script, env={"PATH": os.environ["PATH"], "BASH_ENV": str(tmp_path / "module.sh")})
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


def step_of(tmp_path):
    with open(JobPaths(str(tmp_path / "jo'b $HOME")).step) as stream:
        return stream.read()


def test_modules_come_before_commands_then_the_python_s_own_modules_activation_and_runner(tmp_path):
    answer, _ = run_script(
        tmp_path,
        ["sh", "-c", "echo runner"],
        modules=["gcc", "cuda/12", "own"],
        commands=["echo first\necho line", "echo $GREETING"],
        activation="echo activated\n",
    )
    said = ["module gcc", "module cuda/12", "first", "line", "it's $HOME", "module own", "activated", "runner"]
    assert answer.stdout.decode().splitlines() == said
    assert step_of(tmp_path) == ""


@pytest.mark.parametrize("command", ["false", "exit 3", "exit 0", "cd /nosuch", "finish() { :; }; false", "kill -9 $$"])
def test_whatever_ends_the_job_in_a_command_of_the_user_is_told_with_its_name(tmp_path, command):
    answer, _ = run_script(tmp_path, ["sh", "-c", "echo runner"], commands=["true", command, "echo later"])
    assert answer.stdout == b""
    assert step_of(tmp_path) == command


def test_a_module_that_does_not_load_ends_the_job_and_is_told_by_name(tmp_path):
    answer, marks = run_script(tmp_path, ["sh", "-c", "echo runner"], modules=["gcc", "bad", "own"])
    assert (answer.stdout, answer.returncode, marks) == (b"module gcc\n", 7, {"cxjob.exit": "7\n"})
    assert step_of(tmp_path) == "module load bad"


def test_a_job_that_comes_as_far_as_the_runner_is_at_no_step(tmp_path):
    answer, _ = run_script(tmp_path, ["sh", "-c", "exit 4"], commands=["true"])
    assert (answer.returncode, step_of(tmp_path)) == (4, "")


def test_an_activated_virtual_environment_is_first_on_the_path(tmp_path):
    prefix = str(tmp_path / "it's $mine")
    (tmp_path / "activation").write_text(
        activation_file(prefix, None, {}) + 'printf "%s\\n" "$VIRTUAL_ENV" "${PATH%%:*}"\n'
    )
    said = bash(tmp_path / "activation", env={"PATH": os.environ["PATH"]}).stdout.decode()
    assert said == "%s\n%s/bin\n" % (prefix, prefix)


def test_an_activated_conda_environment_has_its_variables_and_runs_its_packages_scripts(tmp_path):
    scripts = tmp_path / "a b" / "etc" / "conda" / "activate.d"
    scripts.mkdir(parents=True)
    (scripts / "gdal.sh").write_text('export GDAL_DATA="$CONDA_PREFIX/share|$TOKEN"\nfalse\n')
    text = (
        activation_file(str(tmp_path / "a b"), "it's", {"TOKEN": "$x"})
        + 'printf "%s" "$CONDA_DEFAULT_ENV $GDAL_DATA"\n'
    )
    (tmp_path / "activation").write_text(text)
    said = bash(tmp_path / "activation", env={"PATH": os.environ["PATH"]}).stdout.decode()
    assert said == "it's %s/a b/share|$x" % tmp_path


def test_a_command_runs_with_its_words_as_they_are_where_modules_are_loaded(tmp_path, monkeypatch):
    (tmp_path / ".bash_profile").write_text('module() { echo noise; LOADED="$LOADED $2"; export LOADED; }\n')
    monkeypatch.setenv("HOME", str(tmp_path))
    command = ["sh", "-c", 'printf "%s" "$LOADED|$1"', "x", "a 'b' $c"]
    assert with_modules([], command) == command
    said = subprocess.run(with_modules(["gcc", "a;b"], command), stdout=subprocess.PIPE, check=True).stdout
    assert said.decode() == " gcc a;b|a 'b' $c"
