import subprocess
import sys
from dataclasses import replace

import pytest

from simcluster.docker.reaper import Resource, abandoned_runs
from simcluster.ownership import RUN, Owner, is_abandoned, start_time

HERE = Owner.this_process()
GONE = replace(HERE, started="long ago")


def test_labels_name_the_owner_and_back():
    assert Owner.from_labels(HERE.labels()) == HERE
    assert Owner.from_labels({RUN: "1"}) is None


def test_a_process_is_known_by_its_start_time():
    assert start_time(HERE.pid) == HERE.started
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        assert start_time(other.pid) not in {None, HERE.started}
    assert start_time(other.pid) is None


def test_a_process_that_ended_but_was_not_waited_for_is_gone():
    with subprocess.Popen([sys.executable, "-c", "print(1)"], stdout=subprocess.PIPE) as other:
        other.stdout.read()
        while start_time(other.pid) is not None:
            pass


@pytest.mark.parametrize(
    ("owner", "abandoned"),
    [
        pytest.param(HERE, False, id="alive"),
        pytest.param(GONE, True, id="its number is another process's now"),
        pytest.param(None, False, id="kept"),
        pytest.param(replace(HERE, boot="another"), True, id="the machine was booted since"),
        pytest.param(replace(GONE, host="elsewhere"), False, id="on another host of the same engine"),
        pytest.param(replace(GONE, host="elsewhere", boot="another"), False, id="on another host, booted whenever"),
        pytest.param(replace(GONE, namespace="another"), False, id="in another container"),
    ],
)
def test_only_what_is_certainly_dead_is_abandoned(owner, abandoned):
    assert is_abandoned(owner, HERE) is abandoned


def test_no_process_of_that_number():
    assert is_abandoned(HERE, HERE, start_time_of=lambda _pid: None)


def test_the_runs_of_dead_owners_are_found_once_each():
    def resource(kind, run, owner):
        return Resource(kind, f"{kind}-{run}", {RUN: run, **(owner.labels() if owner else {})}, remove=lambda: None)

    resources = [
        resource("container", "alive", HERE),
        resource("container", "dead", GONE),
        resource("volume", "dead", GONE),
        resource("network", "only a network is left", GONE),
        resource("container", "kept", None),
    ]
    assert abandoned_runs(resources, HERE) == {"dead", "only a network is left"}
