"""Functions without source: they travel as bytecode, and only to a Python that has the client's."""

import importlib.util
import sys
import textwrap
import zipfile

import pytest
from pointed_at import pointed_at

import clustrix
import simcluster
from clustrix import cluster, errors
from clustrix.config import ClusterConfig
from clustrix.dependency_analysis import UnseenFileWarning
from clustrix.file_packaging import package_function_for_execution
from clustrix.resources import JobOptions
from clustrix.submission import encode_call, prepare

OWN = f"{sys.version_info.major}.{sys.version_info.minor}"
TEXT = """
    import math
    from collections import OrderedDict
    LIMIT = 3
    def helper(x): return math.sqrt(x) + LIMIT
    class Point:
        def __init__(self, x): self.x = x
    def f(x):
        import json
        return [helper(Point(x).x), len(OrderedDict(a=1)), json.loads("2")]
    def fails(x): raise KeyError(x)
    def which(): return __import__("sys").version_info[:2]
"""


def made(text=TEXT, name="f", **scope):
    """A function of a text that nobody keeps."""
    names = {"__name__": "__main__", **scope}
    exec(textwrap.dedent(text), names)
    return names[name]


def packed(function, tmp_path):
    return package_function_for_execution(function, ClusterConfig(local_cache_dir=str(tmp_path)))


def test_a_file_that_it_may_read_is_a_warning_which_names_the_way_to_send_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "table.csv").write_text("1")
    reading = made("def f(x):\n    with open('table.csv') as stream: return stream.read()\n")
    with pytest.warns(UnseenFileWarning, match=r"reads 'table.csv'.*include=\['table.csv'\]"):
        assert "data/table.csv" not in zipfile.ZipFile(packed(reading, tmp_path).package_path).namelist()
    info = package_function_for_execution(reading, ClusterConfig(local_cache_dir=str(tmp_path)), include=["table.csv"])
    assert "data/table.csv" in zipfile.ZipFile(info.package_path).namelist()


def test_the_package_holds_the_function_and_the_clients_own_cloudpickle(tmp_path):
    info = packed(made(), tmp_path)
    assert info.metadata["entry"] == {"kind": "bytecode", "name": "f", "magic": importlib.util.MAGIC_NUMBER.hex()}
    with zipfile.ZipFile(info.package_path) as archive:
        names = archive.namelist()
    assert {"function.pickle", "tools/cloudpickle/__init__.py", "tools/cloudpickle/cloudpickle.py"} <= set(names)
    assert "main.py" not in names


def test_equal_bytes_are_one_package_and_a_changed_global_is_another(tmp_path):
    function = made()
    first = packed(function, tmp_path)
    assert packed(function, tmp_path).package_id == first.package_id
    function.__globals__["LIMIT"] = 4
    assert packed(function, tmp_path).package_id != first.package_id


def test_what_the_code_and_its_globals_import_is_required(tmp_path):
    function = made("import yaml\ndef f():\n import numpy.linalg\n from click import echo\n return yaml.dump(1)")
    info = packed(function, tmp_path)
    assert info.metadata["external_dependencies"] == ["click", "numpy", "yaml"]
    assert [item.partition("<")[0] for item in info.requirements] == ["click", "numpy", "pyyaml"]


def test_cloudpickle_itself_is_not_required(tmp_path):
    assert packed(made(), tmp_path).requirements == []


def test_a_local_module_that_it_uses_comes_along(tmp_path, monkeypatch):
    (tmp_path / "of_my_own_7.py").write_text("def twice(x): return 2 * x\n")
    monkeypatch.syspath_prepend(tmp_path)
    info = packed(made("import of_my_own_7\ndef f(x): return of_my_own_7.twice(x)"), tmp_path)
    assert info.dependencies.local_modules == {"of_my_own_7"}
    assert info.metadata["has_dependencies"]


def test_the_module_of_an_arguments_class_comes_along(tmp_path, monkeypatch):
    (tmp_path / "of_my_own_8.py").write_text("class Point: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    point = importlib.import_module("of_my_own_8").Point()
    call = prepare(made(), JobOptions(), ClusterConfig(local_cache_dir=str(tmp_path)))
    whole, _ = encode_call(call, (point,), {}, {})
    assert whole.package.dependencies.local_modules == {"of_my_own_8"}


def test_a_class_of_the_script_is_refused_as_an_argument(tmp_path, monkeypatch):
    call = prepare(made(), JobOptions(), ClusterConfig(local_cache_dir=str(tmp_path)))
    point = type("Point", (), {"__module__": "__main__"})
    monkeypatch.setattr(sys.modules["__main__"], "Point", point, raising=False)
    with pytest.raises(errors.SerializationError, match="hold a Point of __main__"):
        encode_call(call, (point(),), {}, {})


def test_a_function_alone_has_no_dependencies_and_one_with_a_helper_has(tmp_path):
    assert not packed(made("def f(x): return x"), tmp_path).metadata["has_dependencies"]
    assert packed(made(), tmp_path).metadata["has_dependencies"]


def test_a_function_with_source_that_needs_one_without_travels_as_bytecode_too(tmp_path):
    def outer(x):
        return without(x)

    without = made("def without(x): return x + 1", "without")
    assert packed(outer, tmp_path).metadata["entry"]["kind"] == "bytecode"


def test_what_it_captures_and_cloudpickle_refuses_is_an_error_that_names_it(tmp_path):
    with pytest.raises(errors.PackagingError, match=r"'f' has no source here.*lock"):
        packed(made("def f(): return lock", lock=__import__("threading").Lock()), tmp_path)


def test_an_edited_file_is_an_error_and_never_bytecode(tmp_path, monkeypatch):
    path = tmp_path / "edited_since_7.py"
    path.write_text("def f(): return 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    function = importlib.import_module("edited_since_7").f
    path.write_text("def f(): return 2 + 2\n")
    with pytest.raises(errors.PackagingError, match="edited after it was loaded"):
        packed(function, tmp_path)


@pytest.fixture(scope="module")
def site():
    with simcluster.start("slurm", nodes=1, pythons=["3.6", OWN]) as started:
        yield started


@pytest.fixture
def configured(site, tmp_path, monkeypatch):
    with pointed_at(site, tmp_path, monkeypatch, memory="300MB"):
        yield


@pytest.mark.parametrize("setting", [True, False, "auto"])
def test_it_runs_where_the_bytecode_is_the_clients(configured, setting):
    assert cluster(use_two_venv=setting)(made()).submit(16).result(120) == [7.0, 1, 2]


def test_of_the_clusters_pythons_the_one_with_that_bytecode_is_taken(configured):
    assert cluster(made(name="which"))() == sys.version_info[:2]


def test_its_exception_comes_back_as_itself(configured):
    with pytest.raises(KeyError, match="k"):
        cluster(made(name="fails"))("k")


def test_a_decorated_helper_runs_plainly_in_the_job(configured):
    helper = cluster(made("def helper(x): return x + 1", "helper"))
    assert cluster(made("def f(x): return helper(x)", helper=helper))(1) == 2


def test_another_version_that_was_asked_for_is_refused_here(configured):
    with pytest.raises(errors.PackagingError, match=r"leave out python='3.6'"):
        cluster(python="3.6")(made()).submit(1)


def test_a_python_with_other_bytecode_is_refused_before_queueing_and_those_there_are_named(configured, site):
    with pytest.raises(errors.PackagingError, match=r"no source on the client.*There are: 3\.6\.\d+ \(.*Put the func"):
        cluster(python_executable="python3.6")(made()).submit(1).result(120)
    assert "f" not in site.run("squeue --noheader --states=all --format=%j").stdout.split()


def test_clustrixs_own_names_are_those_of_the_job(configured):
    text = "from clustrix import get_config, cluster\ndef f(): return get_config().default_cores\n"
    assert clustrix.get_config().default_cores == 1
    assert cluster(made(text))() == 1
