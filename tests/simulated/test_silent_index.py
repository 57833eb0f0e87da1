"""An index that takes connections and never answers: jobs get their environment all the same, or an error says why not."""

import re
import socket

import environment_workload
import pytest
from pointed_at import pointed_at

import clustrix
import simcluster
from clustrix import cluster

PINNED = ["six==1.16.0", "attrs<=22.2.0"]


@pytest.fixture(scope="module")
def site():
    with simcluster.start("slurm", nodes=1, pythons=["3.6"]) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def configured(site, tmp_path, monkeypatch):
    site.run("rm -rf ~/.clustrix ~/.config", check=True)
    with pointed_at(site, tmp_path, monkeypatch):
        yield


@pytest.fixture
def black_hole():
    """The URL of an index that takes connections and says nothing, as behind a firewall that forgets what it let in."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        yield f"http://127.0.0.1:{silent.getsockname()[1]}/simple"


@pytest.mark.parametrize("package_manager", ["uv", "pip"])
def test_an_index_that_never_answers_the_login_node_is_given_up_for_the_clients_wheels(
    site, black_hole, package_manager, capfd
):
    site.run(
        f"mkdir -p ~/.config/pip && printf '[global]\\nindex-url = {black_hole}\\n' > ~/.config/pip/pip.conf",
        check=True,
    )
    clustrix.configure(package_manager=package_manager)
    asked = cluster(python="3.6", requirements=PINNED)(environment_workload.versions)
    assert asked() == ((3, 6), "22.2.0", "1.16.0")
    assert "the client sends the wheels" in capfd.readouterr().err


def test_an_index_that_never_answers_anybody_is_an_error_that_names_it(site, black_hole, monkeypatch):
    for name, value in (("UV_DEFAULT_INDEX", black_hole), ("UV_INDEX_URL", black_hole), ("UV_HTTP_TIMEOUT", "1")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    site.run(
        f"mkdir -p ~/.config/pip && printf '[global]\\nindex-url = {black_hole}\\n' > ~/.config/pip/pip.conf",
        check=True,
    )
    before = len(site.jobs())
    with pytest.raises(clustrix.EnvironmentSetupError, match=re.escape(black_hole)) as caught:
        cluster(python="3.6", requirements=["six<=1.16.0"])(environment_workload.prefix)()
    assert re.search(r"index that the login node is set up for can't be reached", str(caught.value))
    assert re.search(r"(?i)timed out|timeout", str(caught.value))
    assert len(site.jobs()) == before
