"""What is checked, and on which Pythons. ``nox -l`` lists it; ``nox`` runs the tests that need no Docker engine."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv"
nox.options.sessions = ["tests", "simulated", "remote"]
# In CI a Python that is missing is a failure, elsewhere a skip that names it.
nox.options.error_on_missing_interpreters = bool(os.environ.get("CI"))

CLIENT_PYTHONS = ["3.10", "3.11", "3.12", "3.13"]
# The far side runs on all of these; the client's tests exercise it on the newer ones too.
CLUSTER_PYTHONS = ["3.6", "3.7", "3.8", "3.9"]
RECORDED = "3.12"
# What takes minutes and depends little on the Python that runs it. In CI, which has little time, the newest client runs all
# and the oldest what is clustrix's; with CI_FULL set, and elsewhere, everything runs everywhere.
IS_SHORT = bool(os.environ.get("CI")) and not os.environ.get("CI_FULL")
# Connections, and other programs and Pythons that are compared with each other, whichever runs them: by the newest client.
OF_OTHERS = [
    "test_hostile_settings.py",
    "test_kerberos.py",
    "test_lock.py",
    "test_loop_soundness.py",
    "test_pandas_pairs.py",
    "test_release.py",
    "test_secrets.py",
    "test_ssh_*.py",
]
# What those between the ends leave out, too.
OF_THE_ENDS = ["test_downlevel*.py", "test_notebook.py"]
# On emulated clusters: what depends on the client's Python. The rest is about schedulers, faults and simcluster itself.
OF_CLIENTS = [
    "bytecode",
    "callables_on_a_cluster",
    "downlevel_jobs",
    "environment_inventory",
    "executor_lifetime",
    "explain",
    "files_on_a_cluster",
    "logs",
    "loops_on_a_cluster",
    "maps",
    "notebook_jobs",
    "site_settings",
    "two_stages",
]
WORKFLOWS = sorted(Path(".github/workflows").glob("*.yml"))
AT_BOTH_ENDS = (CLUSTER_PYTHONS[0], CLIENT_PYTHONS[-1])
LONG = [
    "test_agent.py",
    "test_builds.py",
    "test_claims.py",
    "test_element.py",
    "test_environments.py",
    "test_hostile_requests.py",
    "test_inventory.py",
    "test_parallel.py",
    "test_stages.py",
]
# A file's tests stay together, for they share a cluster.
# Much of their time is waiting for clusters. CI has little time, and tells what took it.
WORKERS = ["-n", str(max(3, os.cpu_count() or 1)), *(["--durations=30"] if os.environ.get("CI") else [])]
# Those files come first that take longest: tests/*/conftest.py says which.
PARALLEL = [*WORKERS, "--dist", "loadfile", "--no-loadscope-reorder"]

# uv, too, shall trust whom this machine trusts.
os.environ.setdefault("UV_SYSTEM_CERTS", "1")


def _add_pyenv_to_path() -> None:
    """pyenv's shims answer only for the versions that are switched on; the interpreters themselves always do."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [str(path) for path in sorted((root / "versions").glob("3.*/bin"))]
    os.environ["PATH"] = os.pathsep.join([*found, os.environ.get("PATH", "")])


_add_pyenv_to_path()


def _report(session: nox.Session) -> list[str]:
    """In CI a record is kept of what each test took."""
    return [f"--junitxml=build/{session.name}.xml"] if os.environ.get("CI") else []


def _install_project(session: nox.Session, *groups: str) -> None:
    options = [argument for group in groups for argument in ("--group", group)]
    session.install("-e", ".[simcluster]", *options)


@nox.session(python=CLIENT_PYTHONS)
def tests(session: nox.Session) -> None:
    """The client's tests that need no cluster, on every client Python; in CI the long ones by the oldest and the newest."""
    _install_project(session, "test")
    session.install("numpy")
    left_out = []
    if IS_SHORT and session.python != CLIENT_PYTHONS[-1]:
        left_out = OF_OTHERS + ([] if session.python == CLIENT_PYTHONS[0] else OF_THE_ENDS)
    chosen = ["tests/unit", *(f"--ignore-glob=*/{name}" for name in left_out)]
    session.run("pytest", *PARALLEL, *_report(session), *chosen, *session.posargs)


@nox.session(python=[CLIENT_PYTHONS[0], CLIENT_PYTHONS[-1]] if IS_SHORT else CLIENT_PYTHONS)
def simulated(session: nox.Session) -> None:
    """simcluster's tests, and clustrix's on emulated clusters; in CI all by the newest client, and what depends on it by the oldest."""
    _install_project(session, "test")
    session.install("numpy")
    is_all = not IS_SHORT or session.python == CLIENT_PYTHONS[-1]
    chosen = ["tests/simulated"] if is_all else [f"tests/simulated/test_{name}.py" for name in OF_CLIENTS]
    session.run("pytest", *PARALLEL, *_report(session), *chosen, *session.posargs)


@nox.session(python=CLUSTER_PYTHONS + CLIENT_PYTHONS)
def remote(session: nox.Session) -> None:
    """The far side's own tests, on every cluster Python, with nothing of the client installed; in CI the long ones by the ends."""
    session.install("-r", "tests/remote/requirements.txt")
    session.run("python", "-m", "compileall", "-q", "-f", "clustrix/remote")
    chosen = [f"--ignore-glob={name}" for name in LONG] if IS_SHORT and session.python not in AT_BOTH_ENDS else []
    with session.chdir("tests/remote"):
        # Its own uv is the one that the tests of environments build with.
        session.run("python", "-m", "pytest", "-n", "auto", *chosen, *session.posargs, env={"UV": nox.virtualenv.UV})


SITES = ["slurm-accounting", "slurm", "sge", "pbs", "ssh"]
SITES_PYTHONS = [CLUSTER_PYTHONS[0], CLIENT_PYTHONS[-1]] if IS_SHORT else CLUSTER_PYTHONS + CLIENT_PYTHONS
CELLS = [nox.param(site, python, id=f"{site}, {python}") for site in SITES for python in SITES_PYTHONS]


@nox.session(venv_backend="none")
@nox.parametrize(("scheduler", "python"), CELLS)
def realworld(session: nox.Session, scheduler: str, python: str) -> None:
    """Calls on a site in containers, under one of its Pythons; with all of these, everything else on real sites."""
    if not _realworld:
        # The first of the chosen ones runs them all, for they share clusters, workers and one table.
        queue = session._runner.manifest.list_all_sessions()  # noqa: SLF001 - nothing public tells what else was chosen
        waiting = [runner.friendly_name for runner, is_waiting in queue if is_waiting and runner.name == "realworld"]
        _run_realworld(session, [name[len("realworld(") : -1].split(", ") for name in (session.name, *waiting)])
    if not _realworld.get(f"{scheduler} {python}"):
        session.error(f"{scheduler} under Python {python}: the table above says what failed")


_realworld: dict[str, bool] = {}  # what became of each, once they have run


def _run_realworld(session: nox.Session, cells: list[list[str]]) -> None:
    if shutil.which("docker") is None and not Path("/var/run/docker.sock").exists():
        session.error("the real-world tests need a Docker engine: install one (Debian: docker.io) and start it")
    venv, uv = Path(".nox", "realworld").absolute(), nox.virtualenv.UV
    session.run(uv, "venv", "-q", "--clear", "--python", RECORDED, str(venv), external=True)
    project = ["-e", ".[simcluster]", "--group", "test", "numpy"]
    session.run(uv, "pip", "install", "-q", "--python", str(venv / "bin" / "python"), *project, external=True)
    sites, pythons = (",".join(dict.fromkeys(each)) for each in zip(*cells, strict=True))
    what = "tests/real_world" + ("" if len(cells) == len(CELLS) else "/test_ssh_job_execution_real.py")
    outcomes = (
        venv / "outcomes.json"
    )  # nox's own temporary directory would become the tests', too long a path for a socket
    outcomes.unlink(missing_ok=True)
    chosen = ["--sites", sites, "--cluster-pythons", pythons, "--outcomes", str(outcomes)]
    # tests/real_world/conftest.py says which tests stay together: those of a site, and else those of a file.
    options = [*WORKERS, "--dist", "loadgroup", "--no-loadscope-reorder", *chosen]
    _realworld["have run"] = True
    try:
        session.run(str(venv / "bin" / "pytest"), what, *options, *session.posargs, external=True)
    finally:
        if outcomes.exists():
            _realworld.update(json.loads(outcomes.read_text(encoding="utf-8")))


@nox.session(python=[CLIENT_PYTHONS[0], CLIENT_PYTHONS[-1]])
def realworld_clients(session: nox.Session) -> None:
    """Calls on a real Slurm in containers, from the oldest and the newest client."""
    _install_project(session, "test")
    session.install("numpy")
    session.run("pytest", "tests/real_world/test_calls.py", *session.posargs)


@nox.session(python=RECORDED)
def browser(session: nox.Session) -> None:
    """The timeline, and what a notebook shows, in a headless Chromium, which is skipped where there is none, and must be there in CI."""
    _install_project(session, "test", "browser")
    session.run("pytest", "tests/browser", *session.posargs)


@nox.session(python=RECORDED)
def peers(session: nox.Session) -> None:
    """Other people's programs, as released, on emulated clusters; on a real Slurm with SIMCLUSTER_BACKEND=docker."""
    _install_project(session, "test")
    session.run("pytest", "-n2", "tests/peers", *session.posargs)


@nox.session(python=RECORDED)
def docs(session: nox.Session) -> None:
    """The documentation, where a warning is an error; and what stands in its pages and notebooks, done on an emulated cluster."""
    _install_project(session, "docs")
    session.install("numpy")
    session.run("sphinx-build", "-q", "-W", "--keep-going", "-b", "html", "docs", "build/docs")
    session.run("pytest", "-n2", "tests/docs", *session.posargs)


@nox.session(python=RECORDED)
def matrix(session: nox.Session) -> None:
    """What works from which client Python to which of the cluster's; a part with -- --client 3.12 --cluster 3.6,3.12; -- --to docs records the whole."""
    _install_project(session, "matrix")
    session.run("python", "tests/matrix/run.py", *session.posargs)


@nox.session(python=RECORDED)
def conformance(session: nox.Session) -> None:
    """The same scenarios on every Slurm, recorded sessions of PBS and Grid Engine; -- --record keeps the answers of the one in containers, -- --table writes the pages."""
    _install_project(session, "test")
    if {"--record", "--table"} & set(session.posargs):
        session.run("python", "-m", "conformance.record", *session.posargs, env={"PYTHONPATH": "tests"})
    else:
        # They mostly wait: each test has clusters of its own.
        session.run("pytest", "-n", "3", "tests/conformance", *session.posargs)


@nox.session(python=RECORDED)
def lint(session: nox.Session) -> None:
    """ruff, the import rules, 3.6 as the floor of the far side, and the workflow for GitHub."""
    _install_project(session, "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports")
    session.run("vermin", "--target=3.6-", "--no-tips", "--violations", "clustrix/remote")
    session.run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *map(str, WORKFLOWS))
    session.run("zizmor", "--quiet", "--offline", *map(str, WORKFLOWS))


@nox.session(python=RECORDED)
def types(session: nox.Session) -> None:
    """mypy, strict: for Linux, macOS and, the client, Windows."""
    _install_project(session, "lint", "dev")
    session.run("mypy")
    # Nobody here has a Mac or Windows: what can be known of them is which names their Pythons have.
    session.run("mypy", "--platform=darwin")
    windows = ["--platform=win32", "--follow-imports=silent", *map(str, Path("clustrix").glob("*.py"))]
    session.run("mypy", *windows, "clustrix/connection")


@nox.session(python=RECORDED)
def bench(session: nox.Session) -> None:
    """The tables of benchmarks/, each row a ratio measured side by side in one run. Needs Docker."""
    _install_project(session, "bench", "test")
    session.install("numpy")
    session.run("python", "benchmarks/run.py", *session.posargs)


@nox.session(python=RECORDED)
def demo(session: nox.Session) -> None:
    """The main job on an emulated Slurm, as the README shows it; on a real one with: -- --backend docker."""
    _install_project(session)
    session.install("numpy")
    session.run("python", "examples/demo.py", *session.posargs)


if __name__ == "__main__":
    sys.exit("run it with: nox")
