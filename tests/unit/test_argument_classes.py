"""Classes that a function does not mention, and its arguments are instances of: they come along, or are required."""

import importlib
import subprocess
import sys
import zipfile

import pytest
from packaging.version import Version

from clustrix.config import ClusterConfig
from clustrix.resources import JobOptions
from clustrix.submission import encode_call, prepare


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    """prepared(argument, **options): the call ``size(argument)`` of a local module, before and after its values are known."""
    (tmp_path / "sizes.py").write_text("def size(value):\n    return 1\n")
    (tmp_path / "boxes.py").write_text("import lids\nclass Box:\n    pass\n")
    (tmp_path / "lids.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("sizes", "boxes", "lids"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    size = importlib.import_module("sizes").size
    config = ClusterConfig(cluster_host="nowhere.invalid", local_cache_dir=str(tmp_path / "cache"))

    def prepare_both(argument, **options):
        call = prepare(size, JobOptions(**options), config)
        return call, encode_call(call, (argument,), {}, {})[0]

    return prepare_both


def test_a_module_that_only_an_argument_needs_comes_along_with_what_it_imports(prepared, tmp_path):
    prepared(1)  # puts the modules in place
    box = importlib.import_module("boxes").Box()
    before, after = prepared({"deep": [box]})
    assert before.package.metadata["execution_info"]["modules"] == ["sizes"]
    assert after.package.metadata["execution_info"]["modules"] == ["boxes", "lids", "sizes"]
    with zipfile.ZipFile(after.package.package_path) as archive:
        assert "modules/boxes.py" in archive.namelist()


def test_a_library_that_only_an_argument_needs_is_required_at_the_version_here(prepared):
    before, after = prepared(Version("1.0"))
    assert before.requirements == ()
    assert [item.partition("<=")[0] for item in after.requirements] == ["packaging"]
    assert after.package.package_id == before.package.package_id


def test_requirements_of_the_users_own_are_not_added_to(prepared):
    assert prepared(Version("1.0"), requirements=["six"])[1].requirements == ("six",)


def test_what_needs_nothing_more_leaves_the_call_as_it_is(prepared):
    before, after = prepared([1, {"a": {2.5}}])
    assert after is before


def test_a_class_of_a_script_comes_into_the_main_file_with_what_it_reaches(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from clustrix.config import ClusterConfig\n"
        "from clustrix.resources import JobOptions\n"
        "from clustrix.submission import encode_call, prepare\n"
        "SIDES = 4\n"
        "class Base:\n    sides = SIDES\n"
        "class Shape(Base):\n    pass\n"
        "def area(shapes):\n    return 1\n"
        f"config = ClusterConfig(cluster_host='nowhere.invalid', local_cache_dir={str(tmp_path)!r})\n"
        "call = prepare(area, JobOptions(), config)\n"
        "call, _ = encode_call(call, ([Shape()],), {}, {})\n"
        "print(call.package.metadata['execution_info']['definition_order'])\n"
    )
    answer = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert answer.stdout == "['Base', 'Shape', 'area']\n"
