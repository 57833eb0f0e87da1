"""Whatever settings say, a job script does what it should and nothing else: real bash runs it, in a directory with canaries.

All that it could run is a stub that notes its words; a value is refused when it is set or it arrives as it is.
"""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from clustrix.config import ClusterConfig
from clustrix.errors import ConfigurationError
from clustrix.remote import jobs, schedulers
from clustrix.remote.interpreters import Interpreter
from clustrix.remote.job_python import JobPython
from clustrix.remote.paths import open_state_dir
from clustrix.resources import JobOptions, resources_for

# Notes its name and words, NULs between them, and a line break behind.
NOTE = 'printf "%s\\0" "${0##*/}" "$@" >> "$SANDBOX/ran"; echo >> "$SANDBOX/ran"\n'
STUBS = {
    "sbatch": "echo 17",
    "qsub": "echo 17",
    "qstat": "echo 'pbs_version = 20'",
    "qconf": "echo smp",
    "module": ":",
    # As the kernel has them: shells hand on some variables otherwise.
    "python": '/bin/cat /proc/$$/environ > "$SANDBOX/variables"; pwd > "$SANDBOX/directory"; exit ${STATUS:-0}',
    **dict.fromkeys(("touch", "rm", "sh", "curl", "id", "canary"), ":"),
}
EXPECTED = {"slurm": "sbatch", "pbs": "qsub", "sge": "qsub"}
WORDS = [
    "$(touch canary)", "`touch canary`", ";touch canary;", "|canary", "&canary", "' touch canary '", '"; canary; "',
    "a\ncanary", "a\n#SBATCH --wrap=canary", "#PBS -v x", "--wrap=canary", "-hold_jid", "a b", "$HOME", "${IFS}canary",
    "~", "*", "!!", "\\", "a\\", "%j", "%", "a#b", "#", "<canary", ">canary", ">(canary)", "{a,b}", "\x1b[0m", "a\u2028b", "é",
    "a=b", "x=1:y=2", "fast&ib", "[a|b]*2", "a,b", "gcc/12.2", "user@host", "a\0b", "a\rb",
]  # fmt: skip
TEXT = st.sampled_from(WORDS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
ONE_WORD = TEXT | st.from_regex(r"[\w.,:@+/=*%-]{1,8}", fullmatch=True)
FIELDS = {
    "partition": ONE_WORD, "queue": ONE_WORD, "account": ONE_WORD, "qos": ONE_WORD, "mail": ONE_WORD,
    "constraint": ONE_WORD, "reservation": ONE_WORD,
    "extra_directives": st.lists(TEXT | st.sampled_from(["--comment='a b;canary'", "-l x=1", "--nice"]), max_size=2),
    "modules": st.lists(ONE_WORD, max_size=2),
    "environment_variables": st.dictionaries(
        st.sampled_from(["A", "IFS", "PS4", "UID", "RANDOM", "PWD", "a b", "A;canary", "BASH_ENV", "ENV", "_", "LC_ALL"]),
        TEXT, max_size=3,
    ),
    "memory": TEXT | st.just("1GB"), "time": TEXT | st.just("90"), "python": TEXT,
}  # fmt: skip
BENIGN = {
    "partition": "benign-1", "queue": "benign-2", "account": "benign-3", "qos": "benign-4", "mail": "benign-5",
    "constraint": "benign=6", "reservation": "benign-7",
}  # fmt: skip


class Sandbox:
    """A directory with canaries, programs that only note that they ran, and a state directory of any name."""

    def __init__(self, root):
        self.root = root
        self.programs = root / "programs"
        self.programs.mkdir()
        for name in ("mv", "mkdir"):
            (self.programs / name).symlink_to(shutil.which(name))
        for name, does in STUBS.items():
            self._program(name, "#!/bin/sh\n" + NOTE + does + "\n")
        (root / "profile").write_text('command_not_found_handle() { printf "%s\\0" "$@" >> "$SANDBOX/ran"; }\n')
        (root / "ran").touch()
        self.environment = {
            "PATH": str(self.programs),
            "SANDBOX": str(root),
            "BASH_ENV": str(root / "profile"),
            "HOME": str(root),
        }

    def _program(self, name, text):
        (self.programs / name).write_text(text)
        (self.programs / name).chmod(0o755)

    def prepare(self, config, options, *, job_id="cxa", state_dir=None, work_dir=None, program="/python"):
        """The job's directory, written as the agent writes it. Raises ValueError for what a script can't hold."""
        config = options.applied_to(config)
        work_dir = work_dir or str(self.root)
        spec = {
            "job_id": job_id, "client": "me", "package": "p1", "scheduler": config.cluster_type,
            "resources": resources_for(options, config), "modules": list(config.module_loads),
            "pre_execution_commands": list(config.pre_execution_commands),
            "environment_variables": dict(config.environment_variables),
        }  # fmt: skip
        python = JobPython(program, Interpreter(program, (3, 6), ""))
        state = open_state_dir(state_dir or str(self.root / "state"))
        jobs.prepare(state, jobs.JobRequest(spec, python, work_dir, "run_job.py"), b"k", b"", b"")
        return state.job(job_id), spec

    def submitted(self, scheduler_name, job):
        """The words that the scheduler's command gets."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PATH", str(self.programs))
            patch.setenv("SANDBOX", str(self.root))
            schedulers.scheduler(scheduler_name).submit(job.script)
        return next(words for words in self.ran() if words[0] == EXPECTED[scheduler_name])

    def run(self, job, **more):
        command = ["/bin/bash", "--norc", "--noprofile", job.script]
        return subprocess.run(
            command, env={**self.environment, **more}, cwd=self.root, capture_output=True, timeout=60, check=False
        )

    def ran(self):
        """What ran since this was last asked."""
        text = (self.root / "ran").read_bytes()
        (self.root / "ran").write_bytes(b"")
        return [list(map(os.fsdecode, line.split(b"\0"))) for line in text.split(b"\0\n") if line]

    def names(self):
        return sorted(path.name for path in self.root.iterdir())


@pytest.fixture
def sandbox(tmp_path):
    return Sandbox(tmp_path)


def accepted(name, value):
    """Whether the decorator takes it; else it says which value of which keyword it does not take."""
    try:
        JobOptions(**{name: value})
    except ConfigurationError as error:
        return name not in str(error)
    return True


def for_scheduler(name, fields):
    lacking = schedulers.scheduler(name).LACKS
    return {field: value for field, value in fields.items() if field not in lacking}


FEW = settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("scheduler_name", ["slurm", "pbs", "sge", "ssh"])
def test_a_script_of_any_settings_runs_its_runner_and_nothing_else(scheduler_name, tmp_path_factory):
    @FEW
    @given(st.fixed_dictionaries({}, optional=FIELDS))
    @example({"environment_variables": {"IFS": "0123456789", "A": "a\n'b'"}})
    @example(
        {
            "constraint": "a|b&c",
            "mail": "me+x@host",
            "modules": ["gcc/12"],
            "extra_directives": ["--comment='a b;canary'"],
        }
    )
    def run(fields):
        sandbox = Sandbox(tmp_path_factory.mktemp("sandbox"))
        fields = {name: value for name, value in for_scheduler(scheduler_name, fields).items() if accepted(name, value)}
        config = ClusterConfig(cluster_type=scheduler_name)
        program = str(sandbox.programs / "python")
        benign = {name: BENIGN.get(name, value) for name, value in fields.items()}
        try:
            made = {
                job_id: sandbox.prepare(config, JobOptions(**chosen), job_id=job_id, program=program)
                for job_id, chosen in (("cxa", fields), ("cxb", benign))
            }
        except ValueError:  # such as two settings that exclude each other, or not what PBS calls a constraint
            return
        before = sandbox.names()
        if scheduler_name in EXPECTED:
            check_words(sandbox, scheduler_name, made, fields)
        sandbox.ran()
        job, spec = made["cxa"]
        done = sandbox.run(job)
        modules = [["module", "load", name] for name in spec["modules"]]
        assert sandbox.ran() == [*modules, ["python", "-s", "run_job.py", job.root]], done.stderr
        check_arrived(sandbox, spec, before)

    run()


def check_words(sandbox, scheduler_name, made, fields):
    """As many words as with values that mean nothing to a shell, and these values in their place."""
    words, benign = (sandbox.submitted(scheduler_name, made[job_id][0]) for job_id in ("cxa", "cxb"))
    expected = [word.replace("cxb", "cxa") for word in benign]
    for name, value in BENIGN.items():
        if name in fields:
            expected = [word.replace(value, fields[name]) for word in expected]
    assert words == expected


def check_arrived(sandbox, spec, before):
    names = set(sandbox.names()) - {"variables", "directory"}
    assert names == set(before) - {"variables", "directory"}
    variables = (sandbox.root / "variables").read_bytes().split(b"\0")
    for name, value in spec["environment_variables"].items():
        assert f"{name}={value}".encode() in variables


COMPONENT = st.sampled_from([word for word in WORDS if "\0" not in word and "/" not in word]) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=12
)


@pytest.mark.parametrize("scheduler_name", ["slurm", "pbs", "sge", "ssh"])
def test_directories_and_interpreters_may_be_called_anything_that_is_not_refused(scheduler_name, tmp_path_factory):
    @FEW
    @given(COMPONENT, COMPONENT, COMPONENT)
    def run(state_name, work_name, python_name):
        sandbox = Sandbox(tmp_path_factory.mktemp("sandbox"))
        state_dir, work_dir, home = (
            str(sandbox.root / kind / name) for kind, name in (("s", state_name), ("w", work_name), ("p", python_name))
        )
        try:
            config = ClusterConfig(
                cluster_type=scheduler_name,
                remote_state_dir=state_dir,
                remote_work_dir=work_dir,
                python_executable=home,
            )
            for directory in (work_dir, home):
                Path(directory).mkdir(parents=True)
            program = shutil.copy(sandbox.programs / "python", home)
            job, _ = sandbox.prepare(config, JobOptions(), state_dir=state_dir, work_dir=work_dir, program=program)
        except ValueError:  # a ConfigurationError, too
            return
        before = sandbox.names()
        if scheduler_name in EXPECTED:
            words = sandbox.submitted(scheduler_name, job)
            assert words[-1] == job.script
            written = job.stdout.replace("%", "%%") if scheduler_name == "slurm" else job.stdout
            assert any(word in (written, "--output=" + written) for word in words)
        sandbox.ran()
        done = sandbox.run(job)
        assert sandbox.ran() == [["python", "-s", "run_job.py", job.root]], done.stderr
        assert (sandbox.root / "directory").read_text() == os.path.realpath(work_dir) + "\n"
        check_arrived(sandbox, {"environment_variables": {}}, before)

    run()


def test_what_is_not_the_job_script_s_head_is_no_directive(sandbox):
    writes_a_script = "cat > /dev/null <<'E'\n#SBATCH --partition=other\n#SBATCH --wrap=canary\nE"
    job, _ = sandbox.prepare(ClusterConfig(pre_execution_commands=[writes_a_script]), JobOptions())
    assert not {"--partition=other", "--wrap=canary"} & set(sandbox.submitted("slurm", job))


def test_a_death_is_marked_whatever_ifs_is(sandbox):
    options = JobOptions(environment_variables={"IFS": "0123456789"})
    job, _ = sandbox.prepare(ClusterConfig(), options, program=str(sandbox.programs / "python"))
    assert sandbox.run(job, STATUS="37").returncode == 37
    assert (sandbox.root / "state" / "done" / "me" / "cxa.exit").read_text() == "37\n"


def test_variables_are_in_one_file_and_every_file_is_the_user_s_alone(sandbox):
    sandbox.prepare(ClusterConfig(), JobOptions(environment_variables={"TOKEN": "s3cret"}))
    found = [path for path in (sandbox.root / "state").rglob("*") if path.is_file()]
    assert [path.name for path in found if "s3cret" in path.read_text(errors="replace")] == ["environment"]
    assert not [path for path in found if stat.S_IMODE(path.stat().st_mode) & 0o077]
