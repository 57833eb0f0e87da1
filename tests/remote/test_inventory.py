import json
import os
import shlex
import stat
import time

import pytest
from clustrix_remote import inventory
from clustrix_remote.claims import Heartbeat, make_claim
from clustrix_remote.environments import EnvironmentBuildError, Recipe, ensure_environment, environment_key
from clustrix_remote.schedulers import SchedulerError

from environment_fixtures import ALPHA, BETA, settings
from made_wheels import lock_of

LOCK = Recipe(lock=lock_of(ALPHA, BETA))


@pytest.fixture
def key(state, interpreter):
    return environment_key(interpreter, LOCK)


@pytest.fixture
def python(index, state, interpreter):
    return ensure_environment(state, interpreter, LOCK, settings(), report=[].append)


@pytest.fixture(autouse=True)
def queue(tmp_path, monkeypatch):
    """What Slurm's squeue answers, a line `id|state|reason|nodes` for each job; None: slurmctld does not answer."""

    def answer(*lines, name=""):
        listing = "echo 'Unable to contact' >&2; exit 1"
        if lines != (None,):
            listing = "printf %s " + shlex.quote("".join(line + "\n" for line in lines))
        program = tmp_path / "slurm" / "squeue"
        program.parent.mkdir(exist_ok=True)
        program.write_text('#!/bin/sh\ncase "$*" in *--name=*) echo %s ;; *) %s ;; esac\n' % (name, listing))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    monkeypatch.setenv("PATH", str(tmp_path / "slurm"), prepend=os.pathsep)
    answer()
    return answer


def job_with(state, key, job_id="cxaaaa", scheduler_id="7"):
    os.makedirs(state.job(job_id).root)
    os.makedirs(state.done("me"), exist_ok=True)
    with open(state.job(job_id).spec, "w") as stream:
        json.dump({"client": "me", "scheduler": "slurm", "environments": [key]}, stream)
    if scheduler_id:
        with open(state.job(job_id).scheduler_id, "w") as stream:
            stream.write(scheduler_id)
    return job_id


def test_an_environment_is_listed_with_interpreter_packages_size_and_use(python, state, interpreter, key):
    (item,) = inventory.environments(state)
    assert item["key"] == key
    assert item["interpreter"] == interpreter.path
    assert item["python"] == interpreter.version_text
    assert item["packages"] == {"alpha": "1.0", "beta": "1.0"}
    assert item["is_ready"]
    assert not item["is_building"]
    on_disk = sum(
        os.path.getsize(os.path.join(parent, name))
        for parent, _, names in os.walk(os.path.realpath(os.path.dirname(os.path.dirname(python))))
        for name in names
        if not os.path.islink(os.path.join(parent, name))
    )
    assert on_disk / 2 < item["size"] < on_disk * 20


def test_one_that_is_being_built_and_one_that_failed_are_listed_as_that(settings_of_nobody, state, interpreter, key):
    with pytest.raises(EnvironmentBuildError):
        ensure_environment(state, interpreter, LOCK, settings(), report=[].append)
    (failed,) = inventory.environments(state)
    assert (failed["is_ready"], failed["is_building"]) == (False, False)
    assert "install ended with exit" in failed["failed"]
    with Heartbeat(make_claim(state.environment(key)), 60, lambda: None):
        (building,) = inventory.environments(state)
    assert (building["is_ready"], building["is_building"]) == (False, True)


def test_a_claim_without_heartbeat_is_no_build(state, key):
    os.mkdir(state.environment(key))
    claim = make_claim(state.environment(key))
    os.utime(claim.heartbeat, (time.time() - 100,) * 2)
    (item,) = inventory.environments(state)
    assert not item["is_building"]
    inventory.remove_environment(state, key)
    assert inventory.environments(state) == []


def test_use_is_noted_once_an_hour_at_most(state, key):
    os.mkdir(state.environment(key))
    note = os.path.join(state.environment(key), "used")
    inventory.note_use(state, key)
    for age, is_noted in ((3500, False), (3700, True)):
        before = time.time() - age
        os.utime(note, (before, before))
        inventory.note_use(state, key)
        assert (os.path.getmtime(note) > before + 1) is is_noted


def test_what_is_removed_leaves_nothing(python, state, key):
    inventory.remove_environment(state, key)
    assert os.listdir(os.path.join(state.root, "envs")) == []


def test_one_that_an_unfinished_job_needs_is_refused_and_stays_usable(python, state, key, queue):
    job_id = job_with(state, key)
    queue("7|RUNNING|None|node1")
    with pytest.raises(inventory.EnvironmentInUseError, match=job_id):
        inventory.remove_environment(state, key)
    assert os.path.exists(python)
    open(os.path.join(state.done("me"), job_id + ".done"), "w").close()
    inventory.remove_environment(state, key)
    assert not os.path.exists(python)


@pytest.mark.parametrize("lines", [(), ("7|NODE_FAIL|None|node1",)], ids=["forgotten", "dead"])
def test_a_job_that_ended_without_a_mark_is_no_hindrance(python, state, key, queue, lines):
    job_with(state, key)
    queue(*lines)
    inventory.remove_environment(state, key)
    assert not os.path.exists(python)


def test_where_the_scheduler_does_not_say_whether_a_job_still_runs_its_environment_stays(python, state, key, queue):
    job_with(state, key)
    queue(None)
    with pytest.raises(SchedulerError, match="Unable to contact"):
        inventory.remove_environment(state, key)
    assert os.path.exists(python)


def test_a_job_that_is_just_being_submitted_keeps_its_environment(python, state, key, queue):
    job_id = job_with(state, key, scheduler_id=None)
    with pytest.raises(inventory.EnvironmentInUseError, match=job_id):
        inventory.remove_environment(state, key)
    os.utime(state.job(job_id).spec, (time.time() - 3600,) * 2)
    # Its number was not noted, for the agent was killed just then; its name still finds it.
    queue("7|PENDING|Priority|", name="7")
    with pytest.raises(inventory.EnvironmentInUseError, match=job_id):
        inventory.remove_environment(state, key)
    queue()
    inventory.remove_environment(state, key)
    assert not os.path.exists(python)


def test_with_an_environment_what_was_decided_for_it_goes(python, state, key):
    for name, leads_to in (("aaaa", key), ("bbbb", "another")):
        with open(state.decision(name), "w") as stream:
            json.dump({"key": leads_to}, stream)
    os.mkdir(state.environment("another"))
    inventory.remove_environment(state, key)
    assert os.listdir(os.path.join(state.root, "decisions")) == ["bbbb.json"]


def test_jobs_of_other_environments_are_no_hindrance(python, state, key, queue):
    job_with(state, "another")
    queue("7|RUNNING|None|node1")
    inventory.remove_environment(state, key)
    assert not os.path.exists(python)


def test_one_that_is_being_built_is_refused(state, key):
    os.mkdir(state.environment(key))
    make_claim(state.environment(key))
    with pytest.raises(inventory.EnvironmentInUseError, match="is being built"):
        inventory.remove_environment(state, key)


def test_one_that_is_not_there_is_an_error(state):
    with pytest.raises(ValueError, match="no environment nosuch"):
        inventory.remove_environment(state, "nosuch")


def test_the_room_on_the_disk_and_the_users_quota(state, monkeypatch, tmp_path):
    # As quota-tools 4.06 prints it with -w -p; the asterisk marks what is over its soft limit.
    program = tmp_path / "quota"
    program.write_text(
        "#!/bin/sh\n[ \"$*\" = '-w -p' ] || exit 2\ncat <<'END'\n"
        "Disk quotas for user mira (uid 1000): \n"
        "     Filesystem  blocks   quota   limit   grace   files   quota   limit   grace\n"
        "nfs.cluster:/home  2097152* 1048576 4194304  1795842545      12       0       0       0\n"
        "END\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    room = inventory.room(state)
    assert 0 < room["free"] <= room["total"]
    assert room["quotas"] == [{"file_system": "nfs.cluster:/home", "used": 2 << 30, "limit": 4 << 30}]
