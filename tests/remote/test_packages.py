import io
import json
import os
import stat
import zipfile

import pytest
from clustrix_remote import packages
from clustrix_remote.paths import open_state_dir


@pytest.fixture
def state(tmp_path):
    return open_state_dir(str(tmp_path / "state"))


def archive(package_id="p1", **members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as package:
        package.writestr("metadata.json", json.dumps({"package_id": package_id}))
        for name, content in members.items():
            package.writestr(name.replace("__", "/"), content)
    return buffer.getvalue()


def leftovers(state):
    return [name for name in os.listdir(os.path.join(state.root, "packages")) if name.startswith(".")]


def test_a_package_is_there_after_it_was_stored_and_storing_it_again_is_no_error(state):
    for _ in range(2):
        packages.store_package(state, "p1", archive(data__a="1"))
    assert packages.has_package(state, "p1")
    assert leftovers(state) == []


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", "..\\x", "C:/x", "C:x"])
def test_a_member_that_would_leave_the_package_is_refused(state, name):
    with pytest.raises(packages.PackageError, match="outside itself"):
        packages.store_package(state, "p1", archive(**{name: "x"}))
    assert not packages.has_package(state, "p1")
    assert leftovers(state) == []


def test_a_link_in_a_package_is_refused(state):
    buffer = io.BytesIO(archive())
    with zipfile.ZipFile(buffer, "a") as package:
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        package.writestr(link, "/etc/passwd")
    with pytest.raises(packages.PackageError, match="not a file"):
        packages.store_package(state, "p1", buffer.getvalue())


def test_a_package_of_another_id_is_refused(state):
    with pytest.raises(packages.PackageError, match="not p1"):
        packages.store_package(state, "p1", archive("p2"))
    assert leftovers(state) == []


def test_a_damaged_package_is_refused(state):
    with pytest.raises(packages.PackageError, match="damaged"):
        packages.store_package(state, "p1", archive()[:-30])


def test_a_data_file_that_was_edited_on_the_client_replaces_the_one_that_was_placed(state, tmp_path):
    for package_id, content in (("p1", "1,2"), ("p2", "3,4")):
        packages.store_package(state, package_id, archive(package_id, data__a="x" + content))
        packages.place_data_files(state, package_id, str(tmp_path))
        assert (tmp_path / "a").read_text() == "x" + content


def test_data_files_are_placed_once_and_a_different_one_is_an_error(state, tmp_path):
    packages.store_package(state, "p1", archive(data__in__a__csv="1,2"))
    work = tmp_path / "work"
    work.mkdir()
    packages.place_data_files(state, "p1", str(work))
    placed = work / "in" / "a" / "csv"
    assert placed.read_text() == "1,2"
    packages.place_data_files(state, "p1", str(work))
    placed.write_text("3,4")
    with pytest.raises(packages.PackageError, match="differs"):
        packages.place_data_files(state, "p1", str(work))
    assert placed.read_text() == "3,4"
