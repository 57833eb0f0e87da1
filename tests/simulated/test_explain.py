"""``f.explain(...)`` and ``executor.job_script(f, ...)``: what a call would do, with nothing sent."""

import re
import subprocess
import sys
import textwrap
import threading
from decimal import Decimal
from pathlib import Path

import pytest
import workload
from pointed_at import pointed_at

import clustrix
import clustrix.config
import simcluster
from clustrix import ClusterExecutor, cluster, errors
from clustrix.executors import executor_for


def helper(x):
    return x * 2


def analyse(path, factor=1):
    return helper(len(path)) * factor


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A configuration for a cluster that can't be reached, with all that is kept in the test's own directory."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    clustrix.configure(
        cluster_host="cluster.invalid", username="ada", local_cache_dir=str(tmp_path / "cache"), default_memory="2GB"
    )
    yield
    clustrix.config.reset_config()


def section(report, title):
    return "\n".join(next(item.lines for item in report.sections if item.title == title))


@pytest.mark.usefixtures("elsewhere")
def test_it_says_where_and_with_which_resources_and_leaves_no_trace(tmp_path):
    report = cluster(cores=3, partition="short", time="00:10:00", modules=["gcc/12"])(analyse).explain("a")
    assert "ada@cluster.invalid, port 22" in section(report, "Where")
    assert "scheduler: slurm" in section(report, "Where")
    assert "cores: 3, memory: 2048 MiB per node, time: 600 s" in section(report, "Resources")
    assert "partition: short" in section(report, "Resources")
    assert "gcc/12" in section(report, "Resources")
    assert not (tmp_path / "state").exists()


@pytest.mark.usefixtures("elsewhere")
def test_it_lists_what_would_be_sent_with_sizes(tmp_path):
    (tmp_path / "table.csv").write_text("1,2\n")

    def nested(x):
        return Path("table.csv").read_text(), x, limit

    limit = Decimal("1.5")
    report = cluster(nested).explain([1, 2])
    assert report.strategy == "source"
    assert re.search(r"package [0-9a-f]{16}, .*clustrix_package_[0-9a-f]{16}\.zip", section(report, "Sent"))
    assert "definitions in it: nested" in section(report, "Sent")
    assert re.search(r"captured values, .*: limit \(Decimal\)", section(report, "Sent"))
    assert "data files in it: table.csv" in section(report, "Sent")
    assert "data/table.csv, 4 B" in section(report, "Files of the package")
    assert "args[0]: builtins.list" in section(report, "Arguments")


@pytest.mark.usefixtures("elsewhere")
def test_it_names_the_requirements_and_the_python_that_would_be_looked_for():
    def with_numpy():
        import numpy as np

        return np.zeros(1)

    report = cluster(python="3.9")(with_numpy).explain()
    assert "Python: 3.9, which was asked for" in section(report, "Python and environment")
    assert re.search(r"of its imports: numpy<=\d", section(report, "Python and environment"))
    report = cluster(requirements=["numpy==1.26.4"])(with_numpy).explain()
    assert "asked for with requirements=: numpy==1.26.4" in section(report, "Python and environment")
    assert f"nearest to this one, {sys.version_info[0]}." in section(report, "Python and environment")


@pytest.mark.usefixtures("elsewhere")
def test_a_function_without_source_is_bytecode_and_the_report_says_for_which_python():
    scope = {"__name__": "__main__"}
    exec(textwrap.dedent("def f(x): return x"), scope)
    report = cluster(scope["f"]).explain(1)
    assert report.strategy == "bytecode"
    assert f"only a Python {sys.version_info[0]}.{sys.version_info[1]} can run it" in section(report, "Strategy")


@pytest.mark.usefixtures("elsewhere")
def test_what_a_call_would_refuse_is_told_and_not_raised():
    report = cluster(analyse).explain(threading.Lock())
    assert report.strategy == "refused"
    assert isinstance(report.error, errors.SerializationError)
    assert "args[0]" in section(report, "Strategy")
    assert report.job_script == ""


@pytest.mark.usefixtures("elsewhere")
def test_secrets_and_the_values_of_variables_are_not_shown():
    clustrix.configure(password="hunter2")
    report = cluster(environment_variables={"TOKEN": "s3cret"})(analyse).explain("a")
    assert "TOKEN" in str(report)
    assert "s3cret" not in str(report)
    assert "hunter2" not in str(report)


def test_without_a_cluster_it_says_that_the_call_runs_here(tmp_path):
    report = cluster(local_cache_dir=str(tmp_path))(analyse).explain("a")
    assert section(report, "Where").startswith("here, in this process")


@pytest.mark.usefixtures("elsewhere")
def test_text_and_notebook_show_every_section_and_one_can_be_added():
    report = cluster(analyse).explain("<b>")
    report.add("Loops", ["line 3: <for>"])
    report.add("Nothing", [])
    text, page = str(report), report._repr_html_()
    for title in ("Where", "Strategy", "Sent", "Files of the package", "Resources", "Loops", "Job script"):
        assert title in text
        assert title in page
    assert "Nothing" not in text
    assert "line 3: &lt;for&gt;" in page


@pytest.mark.usefixtures("elsewhere")
def test_the_executors_job_script_is_the_reports():
    function = cluster(cores=2)(analyse)
    script = ClusterExecutor(clustrix.get_config()).job_script(function, "a")
    assert script == function.explain("a").job_script
    assert "#SBATCH --cpus-per-task=2" in script
    assert "# Only the cluster knows: /HOME" in script


@pytest.mark.usefixtures("elsewhere")
def test_the_executors_job_script_raises_what_submit_would():
    with pytest.raises(errors.SerializationError, match=r"args\[0\]"):
        ClusterExecutor(clustrix.get_config()).job_script(analyse, threading.Lock())


@pytest.mark.parametrize("options", [{}, {"modules": [], "pre_execution_commands": ["true", "echo 'a b'"], "cores": 1}])
def test_the_script_is_the_one_that_is_submitted(options, tmp_path, monkeypatch):
    with (
        simcluster.start("slurm", nodes=1, pythons=[f"3.{sys.version_info[1]}"]) as site,
        pointed_at(site, tmp_path, monkeypatch),
    ):
        clustrix.configure(cleanup_on_success=False)
        function = cluster(**options)(workload.doubled)
        future = function.submit(2)
        future.result(120)
        submitted = site.run(f"cat ~/.clustrix/jobs/{future.job_id}/script.sh").stdout
        home, said = site.run("echo ~").stdout.strip(), function.explain(2).job_script
        executor_for(clustrix.get_config()).shutdown()
    known = submitted.replace(home, "/HOME").replace(future.job_id, "JOB_ID")
    for place, word in (("envs", "ENVIRONMENT"), ("agents", "AGENT"), ("done", "CLIENT_ID")):
        known = re.sub(f"/{place}/[0-9a-f]+/", f"/{place}/{word}/", known)
    assert [line for line in said.splitlines() if "Only the cluster knows" not in line] == known.splitlines()


def test_the_report_needs_no_package_of_ssh():
    """A report is made where nothing is connected to: paramiko stays unimported."""
    program = "import sys, clustrix.explain; assert 'paramiko' not in sys.modules"

    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])
