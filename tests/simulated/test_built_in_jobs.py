"""With ``build_on="compute"`` environments are built in jobs, where the site forbids that on the login node."""

import environment_workload
import pytest
from pointed_at import pointed_at
from scheduler_calls import until

import clustrix
import simcluster
from clustrix import cluster
from clustrix.executors import executor_for

OLD = {"python": "3.6"}
NO_INDEX = "http://127.0.0.1:9/simple"


@pytest.fixture(scope="module", params=["slurm", "pbs"])
def site(request):
    with simcluster.start(request.param, nodes=1, pythons=["3.6", "3.12"]) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def configured(site, tmp_path, monkeypatch, wheels):
    """Calls run on ``site``, and what they need is built in jobs; each test has requirements that no other has."""
    with pointed_at(site, tmp_path, monkeypatch):
        clustrix.configure(cluster_type=site.spec.scheduler, build_on="compute", local_cache_dir=wheels)
        yield


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """What was fetched once need not be fetched again."""
    return str(tmp_path_factory.mktemp("cache"))


def six(version, **options):
    """A function that needs one version of a package, and says where it found it."""
    return cluster(**OLD, requirements=[f"six=={version}"], **options)(environment_workload.prefix)


def builds(site, since=()):
    """The jobs in which something was built, and how they ended."""
    return [job for job in site.jobs() if job.name.startswith("cx0") and job.id not in {each.id for each in since}]


def held(site):
    """What has a job wait for as long as nobody releases it."""
    return {"extra_directives": ["--hold" if site.spec.scheduler == "slurm" else "-h"]}


def test_an_environment_is_built_once_in_a_job_and_used(site, capfd):
    before = builds(site)
    asked = six("1.16.0")
    assert asked() == asked()
    until(lambda: [job.state for job in builds(site, before)] == ["COMPLETED"])
    assert "built the environment" in capfd.readouterr().err


def test_where_compute_nodes_reach_no_index_the_client_sends_the_wheels(site, capfd):
    before = builds(site)
    site.run(
        f"mkdir -p ~/.config/pip && printf '[global]\\nindex-url = {NO_INDEX}\\n' > ~/.config/pip/pip.conf", check=True
    )
    try:
        assert six("1.15.0")()[0] == "1.15.0"
    finally:
        site.run("rm -r ~/.config/pip", check=True)
    assert "the package index does not serve a compute node: the client sends the wheels" in capfd.readouterr().err
    assert len(builds(site, before)) == 2


def test_a_job_that_is_not_taken_is_an_error_in_the_schedulers_words_with_a_way_out(site):
    wrong = {"partition": "nowhere"} if site.spec.scheduler == "slurm" else {"queue": "nowhere"}
    with pytest.raises(
        clustrix.EnvironmentSetupError, match=r"(?s)was not taken: .*(partition|queue).*build_on='login'"
    ):
        six("1.14.0", **wrong)()


def test_a_job_that_runs_out_of_time_is_an_error_with_the_log_of_the_build(site):
    clustrix.configure(venv_setup_timeout=0.2)
    with pytest.raises(clustrix.EnvironmentSetupError, match=r"(?s)longer than venv_setup_timeout allows.*\$ .*python"):
        six("1.13.0")()


def test_a_job_that_is_cancelled_is_an_error_that_says_so(site):
    before = builds(site)
    future = six("1.12.0", **held(site)).submit()
    until(lambda: builds(site, before))
    (job,) = builds(site, before)
    site.run(f"{'scancel' if site.spec.scheduler == 'slurm' else 'qdel'} {job.id}", check=True)
    with pytest.raises(clustrix.EnvironmentSetupError, match=rf"job {job.id}\S* ended as CANCELLED"):
        future.result(90)


def test_a_client_that_leaves_takes_its_waiting_build_along(site):
    before = builds(site)
    future = six("1.12.0", **held(site)).submit()
    until(lambda: builds(site, before))
    executor_for(clustrix.get_config()).disconnect()
    with pytest.raises(clustrix.ClusterConnectionError):
        future.result(60)
    until(lambda: [job.state for job in builds(site, before)] == ["CANCELLED"])
