import os
import threading

import pytest
from clustrix_remote.claims import Heartbeat, Pulse, current_claim, make_claim, release

from environment_fixtures import wait_for


@pytest.fixture
def directory(tmp_path):
    return str(tmp_path)


def names(directory):
    return sorted(name for name in os.listdir(directory) if not name.startswith(".gone-"))


def test_one_of_many_gets_the_claim(directory):
    claims, start = [], threading.Barrier(8)

    def take():
        start.wait()
        claims.append(make_claim(directory))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([claim for claim in claims if claim]) == 1


def test_one_of_many_takes_a_dead_claim_over(directory):
    dead = make_claim(directory)
    token = dead.token()
    claims, start = [], threading.Barrier(8)

    def take():
        start.wait()
        claims.append(make_claim(directory, dead, token))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([claim for claim in claims if claim]) == 1
    assert names(directory) == ["claim-2"]


def test_a_claim_that_is_given_up_leaves_nothing(directory):
    release(make_claim(directory))
    assert os.listdir(directory) == []
    assert current_claim(directory) is None


def test_a_claim_that_another_has_now_is_not_taken_over_in_the_place_of_a_dead_one(directory):
    dead = make_claim(directory)
    token = dead.token()
    release(dead)
    again = make_claim(directory)
    assert again.path == dead.path  # who judged the first one dead goes by its holder, not by its name
    assert make_claim(directory, dead, token) is None
    assert names(directory) == ["claim-1"]


def test_a_dead_claim_that_never_got_a_holder_can_be_taken_over(directory):
    os.mkdir(os.path.join(directory, "claim-1"))
    assert make_claim(directory, current_claim(directory)).number == 2


def test_a_claim_whose_heart_beats_is_alive_and_one_whose_heart_stopped_is_dead(directory):
    claim = make_claim(directory)
    pulse = Pulse(claim, dead_after=2.5)
    with Heartbeat(claim, 60, lambda: None):
        beats = set()

        def has_beaten_four_times():
            assert not pulse.is_dead()
            with open(claim.heartbeat, "rb") as stream:
                beats.add(stream.read())
            return len(beats) >= 4

        wait_for(has_beaten_four_times)
    wait_for(pulse.is_dead)


def test_a_holder_learns_that_it_lost_its_claim(directory):
    claim, lost = make_claim(directory), threading.Event()
    with Heartbeat(claim, 60, lost.set):
        make_claim(directory, claim, claim.token())
        assert lost.wait(30)


def test_a_heart_beats_for_its_time_only(directory):
    claim = make_claim(directory)
    pulse = Pulse(claim, dead_after=2)
    with Heartbeat(claim, 0.5, lambda: None):
        wait_for(pulse.is_dead)
