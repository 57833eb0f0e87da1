"""One cluster for all tests that do not break it; which sites the same calls are tried on, and how they are told."""

import pytest
import real_world_sites

import clustrix
import clustrix.config
import simcluster

# What takes longest begins first, so that no worker goes on long after the others (with ``--no-loadscope-reorder``).
LONGEST_FIRST = (
    "test_simcluster_native_trixie.py",
    "test_simcluster_docker.py",
    "test_simcluster_docker_sites.py",
    "test_faults_real_slurm.py",
    "test_ends_on_real_slurm.py",
    "test_simcluster_native.py",
    "test_ssh_job_execution_real.py",
)


def pytest_addoption(parser):
    real_world_sites.add_options(parser)


def pytest_generate_tests(metafunc):
    if "site" in metafunc.fixturenames and metafunc.module.__name__.endswith("test_ssh_job_execution_real"):
        metafunc.parametrize("site", real_world_sites.wanted_sites(metafunc.config), indirect=True, scope="module")
        if "python" in metafunc.fixturenames:
            metafunc.parametrize("python", real_world_sites.wanted_pythons(metafunc.config))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """A file's tests share clusters, and so stay together with ``--dist loadgroup``; those of a site likewise."""
    items.sort(
        key=lambda item: LONGEST_FIRST.index(item.path.name) if item.path.name in LONGEST_FIRST else len(LONGEST_FIRST)
    )
    for item in items:
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        site = parameters.get("site")
        item.add_marker(pytest.mark.xdist_group(f"site {site}" if site else str(item.path)))
        if site:
            name = real_world_sites.shown_name(site)
            what = item.originalname.removeprefix("test_").replace("_", " ")
            item.user_properties += [
                ("site", name),
                ("python", parameters.get("python", real_world_sites.ANY)),
                ("what", what),
            ]


def pytest_terminal_summary(terminalreporter):
    reports = [
        report
        for outcome in ("passed", "failed", "error", "skipped")
        for report in terminalreporter.getreports(outcome)
    ]
    cells = real_world_sites.outcomes(reports)
    if cells:
        terminalreporter.section("what works where")
        terminalreporter.write_line("\n".join(real_world_sites.table(cells)))
    if path := terminalreporter.config.getoption("--outcomes"):
        real_world_sites.write_outcomes(path, cells)


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
