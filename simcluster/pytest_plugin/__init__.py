"""The pytest plugin: clusters as fixtures. Whatever of it takes time is imported when a test wants a cluster."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from simcluster.pytest_plugin.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from simcluster.cluster import Cluster
    from simcluster.pytest_plugin.view import SimCluster
    from simcluster.spec import ClusterSpec

__all__ = ["pbs_cluster", "sge_cluster", "sim_cluster", "simcluster_factory", "slurm_cluster", "ssh_host"]

_MARKER = (
    "simcluster(scheduler, *, exclusive=False, **settings): the cluster that sim_cluster and its kin give to the test;"
    " settings are those of simcluster.start. An exclusive test has the cluster alone, to break it."
)
_RUN = pytest.StashKey[Run]()
_REPORTER = pytest.StashKey[Any]()


@pytest.fixture(scope="session")
def simcluster_factory(request: pytest.FixtureRequest) -> Callable[[ClusterSpec | str], Cluster]:
    """`factory(spec)` gives a cluster: one for each spec and test run, shared by all xdist workers.

    It is as it is for everybody: whoever breaks it breaks it for all. A scheduler's name stands for a whole spec.
    """
    from simcluster.spec import ClusterSpec  # noqa: PLC0415

    config = request.config

    def factory(spec: ClusterSpec | str) -> Cluster:
        with _skipping(config):
            return config.stash[_RUN].share(ClusterSpec(spec) if isinstance(spec, str) else spec)

    return factory


@pytest.fixture
def sim_cluster(request: pytest.FixtureRequest) -> Iterator[SimCluster]:
    """The cluster that the test's marker or the command line names, with a work directory of the test's own.

    Afterwards the test's jobs are cancelled and its faults undone.
    """
    yield from _visit(request, fallback=getattr(request, "param", None))


@pytest.fixture
def slurm_cluster(request: pytest.FixtureRequest) -> Iterator[SimCluster]:
    """As `sim_cluster`, with Slurm."""
    yield from _visit(request, scheduler="slurm")


@pytest.fixture
def pbs_cluster(request: pytest.FixtureRequest) -> Iterator[SimCluster]:
    """As `sim_cluster`, with PBS."""
    yield from _visit(request, scheduler="pbs")


@pytest.fixture
def sge_cluster(request: pytest.FixtureRequest) -> Iterator[SimCluster]:
    """As `sim_cluster`, with Grid Engine."""
    yield from _visit(request, scheduler="sge")


@pytest.fixture
def ssh_host(request: pytest.FixtureRequest) -> Iterator[SimCluster]:
    """As `sim_cluster`, a host without a scheduler."""
    yield from _visit(request, scheduler="ssh")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("simcluster", "disposable clusters")
    add = group.addoption
    add("--simcluster-backend", metavar="NAME", help="emulated, native or docker, for tests whose marker names none")
    add(
        "--simcluster-scheduler",
        metavar="NAME",
        action="append",
        default=[],
        help="slurm, pbs, sge or ssh, for tests whose marker names none; given again, they run once with each",
    )
    add("--simcluster-pythons", metavar="3.X,3.Y", help="Pythons to have, for tests whose marker names none")
    add("--simcluster-keep", action="store_true", help="leave the clusters up, and print how to log in")
    add("--simcluster-report", metavar="FILE.html", help="write a page of tests, jobs, nodes and faults over time")
    add(
        "--simcluster-strict", action="store_true", help="fail tests whose backend is missing, instead of skipping them"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", _MARKER)
    config.stash[_RUN] = Run(config)
    if config.option.simcluster_report:
        from simcluster.pytest_plugin.report import Reporter  # noqa: PLC0415

        config.stash[_REPORTER] = Reporter()
        config.pluginmanager.register(config.stash[_REPORTER], "simcluster-report")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell one of xdist's workers where to ask for clusters."""
    node.workerinput["simcluster"] = node.config.stash[_RUN].ticket()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    schedulers = metafunc.config.option.simcluster_scheduler
    if schedulers and "sim_cluster" in metafunc.fixturenames:
        marks = metafunc.definition.iter_markers("simcluster")
        if not any(mark.args or "scheduler" in mark.kwargs for mark in marks):
            metafunc.parametrize("sim_cluster", dict.fromkeys(schedulers), indirect=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    reporter = config.stash.get(_REPORTER, None)
    if hasattr(config, "workerinput"):
        config.stash[_RUN].close()  # when a worker has said that its session is over, it is ended at any moment
    elif reporter:
        reporter.write(Path(config.option.simcluster_report), config.stash[_RUN].histories())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    lines = list(config.stash[_RUN].kept())
    if config.stash.get(_REPORTER, None):
        lines.append(f"report: {Path(config.option.simcluster_report).resolve().as_uri()}")
    if lines:
        terminalreporter.section("simcluster")
        for line in lines:
            terminalreporter.write_line(line)


def pytest_unconfigure(config: pytest.Config) -> None:
    run = config.stash.get(_RUN, None)
    if run:
        run.close()


def _visit(
    request: pytest.FixtureRequest, *, scheduler: str | None = None, fallback: str | None = None
) -> Iterator[SimCluster]:
    from simcluster.pytest_plugin.view import SimCluster  # noqa: PLC0415
    from simcluster.pytest_plugin.wishes import wish_of  # noqa: PLC0415

    run = request.config.stash[_RUN]
    wish = wish_of(request.node, scheduler=scheduler, fallback=fallback)
    with _skipping(request.config):
        visitor = run.visit(wish, request.node.nodeid)
    try:
        yield SimCluster(run.attached(visitor.visit.cluster), visitor)
    finally:
        visitor.end()


@contextmanager
def _skipping(config: pytest.Config) -> Iterator[None]:
    """Skip the test if the backend is missing, or with `--simcluster-strict` fail it."""
    from simcluster.errors import BackendUnavailableError  # noqa: PLC0415

    try:
        yield
    except BackendUnavailableError as error:
        if config.option.simcluster_strict:
            raise pytest.fail.Exception(str(error), pytrace=False) from None
        pytest.skip(str(error))
