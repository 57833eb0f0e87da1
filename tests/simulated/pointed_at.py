"""``@cluster`` pointed at a simulated cluster, for the time of a test."""

import contextlib

import clustrix
import clustrix.config
from clustrix.executors import executor_for


def reached(site):
    """The fields of a configuration that say where ``site`` is, and who logs in."""
    return {
        "cluster_host": site.ssh.host,
        "cluster_port": site.ssh.port,
        "username": site.ssh.username,
        "key_file": str(site.ssh.key_file),
        "known_hosts_file": str(site.ssh.known_hosts_file),
    }


@contextlib.contextmanager
def pointed_at(site, tmp_path, monkeypatch, memory="100MB"):
    """Calls run on ``site``, with cache and journal of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    clustrix.configure(
        **reached(site),
        local_cache_dir=str(tmp_path / "cache"),
        default_cores=1,
        default_memory=memory,
        default_time="00:05:00",
    )
    yield
    executor_for(clustrix.get_config()).shutdown()
    clustrix.config.reset_config()
