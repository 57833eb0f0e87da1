"""One cluster for all tests that do not break it."""

import pytest

import clustrix
import clustrix.config
import simcluster


@pytest.fixture(scope="session")
def slurm():
    """A site without accounting: two nodes, Python 3.6 (the system's) and 3.12."""
    with _started(accounting=False) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def slurm_accounting():
    """The same with slurmdbd."""
    with _started(accounting=True) as cluster:
        yield cluster


def _started(**options):
    # Without a Docker engine these tests fail, with simcluster's own words: whoever runs them wants to know.
    return simcluster.start("slurm", backend="docker", nodes=2, pythons=["3.6", "3.12"], **options)


@pytest.fixture(scope="session")
def slurm_to_break():
    """A site of its own for the tests that kill its nodes."""
    with _started(accounting=False) as cluster:
        yield cluster


@pytest.fixture
def configure_for(tmp_path, monkeypatch):
    """configure_for(cluster): from now on ``@cluster`` runs there, with caches and journal of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def configure(cluster):
        ssh = cluster.ssh
        clustrix.configure(
            cluster_host=ssh.host,
            cluster_port=ssh.port,
            username=ssh.username,
            key_file=str(ssh.key_file),
            known_hosts_file=str(ssh.known_hosts_file),
            local_cache_dir=str(tmp_path / "cache"),
            default_cores=1,
            default_memory="300MB",
            default_time="00:05:00",
        )

    yield configure
    clustrix.config.reset_config()


@pytest.fixture
def configured(slurm, configure_for):
    """``@cluster`` runs on ``slurm``."""
    configure_for(slurm)
