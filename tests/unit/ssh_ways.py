"""Fixtures for tests of connections: both ways of SSH, and channels that are closed again."""

import copy

import pytest

from clustrix.connection.channel import Channel
from clustrix.connection.choice import connection_for


@pytest.fixture(params=["paramiko", "openssh"])
def way(request):
    return request.param


@pytest.fixture(scope="session")
def state_dir(tmp_path_factory):
    """Where the agent is unpacked once for all tests."""
    return str(tmp_path_factory.mktemp("agents") / "state")


@pytest.fixture
def reach(way, state_dir):
    """reach(config): a channel to an agent that was started there."""
    opened = []

    def start(config, **more):
        config = copy.copy(config)
        config.connection, config.remote_state_dir = way, state_dir
        connection = connection_for(config)
        opened.append(connection)
        on = {"on_event": lambda *_: None, "on_lost": lambda _: None, "timeout": 30}
        channel = Channel(connection, config.cluster_host, config.remote_state_dir, **{**on, **more})
        opened.append(channel)
        return channel

    yield start
    for one in reversed(opened):
        one.close()
