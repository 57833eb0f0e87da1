import contextlib
import io
import os
import zipfile

import pytest
from clustrix_remote import packages
from clustrix_remote.archives import MemberError, check_member
from clustrix_remote.paths import open_state_dir
from clustrix_remote.wheels import WheelError, unpack_wheel
from hypothesis import example, given, settings
from hypothesis import strategies as st

PARTS = st.lists(st.sampled_from(["a", "..", ".", "x.data", "purelib", "scripts", "\\", "C:", "~"]), max_size=4)


def archive_of(*names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), "x")
    return buffer.getvalue()


def all_below(directory):
    return {os.path.join(parent, name) for parent, _, names in os.walk(str(directory)) for name in names}


@given(PARTS, st.booleans())
@example(["x.data", "purelib"], True)
@settings(deadline=None, max_examples=100)
def test_whatever_a_wheel_calls_its_members_they_stay_in_its_environment(tmp_path_factory, parts, has_path):
    root = tmp_path_factory.mktemp("wheel")
    name = "/".join([*parts, str(root / "evil")] if has_path else parts)
    (root / "x-1-py3-none-any.whl").write_bytes(archive_of(name))
    before, inside = all_below(root), root / "in" / "side"
    with contextlib.suppress(WheelError, OSError):
        unpack_wheel(str(root / "x-1-py3-none-any.whl"), str(inside / "lib"), str(inside / "bin"))
    assert all(path.startswith(str(inside)) for path in all_below(root) - before)


@pytest.mark.parametrize("name", ["x.data/purelib//tmp/evil", "x.data/scripts//tmp/evil", "a//b", "a\\\\b"])
def test_an_empty_part_in_a_members_name_is_refused(name):
    with pytest.raises(MemberError, match="outside itself"):
        check_member(zipfile.ZipInfo(name))


def test_a_member_without_a_name_is_refused():
    with pytest.raises(MemberError, match="without a name"):
        check_member(zipfile.ZipInfo("\0a"))


@given(st.data())
@settings(deadline=None, max_examples=150)
def test_a_damaged_package_is_refused_in_words_and_leaves_nothing(tmp_path_factory, data):
    state = open_state_dir(str(tmp_path_factory.mktemp("state") / "s"))
    content = bytearray(archive_of("metadata.json", "main.py", "modules/a.py"))
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=6)):
        content[position] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    with pytest.raises((packages.PackageError, OSError)):
        packages.store_package(state, "p1", bytes(content[:cut] if cut % 2 else content))
    assert os.listdir(os.path.join(state.root, "packages")) == []
