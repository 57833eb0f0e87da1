import os
import stat

import pytest
from clustrix_remote.paths import StateDirError, check_name, open_state_dir, write_aside


def test_the_state_directory_is_made_private(tmp_path):
    state = open_state_dir(str(tmp_path / "a" / "state"))
    assert stat.S_IMODE(os.stat(state.root).st_mode) == 0o700
    assert sorted(os.listdir(state.root)) == [
        "agents",
        "decisions",
        "done",
        "envs",
        "jobs",
        "overlays",
        "packages",
        "placed",
        "wheels",
    ]


@pytest.mark.parametrize("mode", [0o750, 0o701, 0o777])
def test_a_state_directory_that_others_can_enter_is_refused(tmp_path, mode):
    path = tmp_path / "state"
    path.mkdir()
    path.chmod(mode)
    with pytest.raises(StateDirError, match="chmod 700"):
        open_state_dir(str(path))


def test_a_state_directory_that_is_a_link_is_refused(tmp_path):
    real = tmp_path / "real"
    real.mkdir(mode=0o700)
    (tmp_path / "state").symlink_to(real)
    with pytest.raises(StateDirError, match="not a directory"):
        open_state_dir(str(tmp_path / "state"))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a directory of another user")
def test_a_state_directory_of_another_user_is_refused(tmp_path):
    path = tmp_path / "state"
    path.mkdir(mode=0o700)
    os.chown(str(path), 12345, -1)
    with pytest.raises(StateDirError, match="belongs to user 12345"):
        open_state_dir(str(path))


@pytest.mark.parametrize("below", ["state", "mine/state", "link/state"])
def test_a_state_directory_that_everybody_could_move_away_is_refused(tmp_path, below):
    public = tmp_path / "public"
    (public / "mine").mkdir(parents=True)
    (tmp_path / "link").symlink_to(public / "mine")
    path = (tmp_path if below.startswith("link") else public) / below
    public.chmod(0o777)
    with pytest.raises(StateDirError, match=r"public is writable for everybody.*remote_state_dir"):
        open_state_dir(str(path))
    assert not path.exists()
    public.chmod(0o1777)  # as /tmp is: who owns what is in it may move it alone
    assert open_state_dir(str(path)).root == str(path)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a link of another user")
def test_a_state_directory_below_a_link_of_another_user_is_refused(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    os.chown(str(tmp_path / "link"), 12345, -1, follow_symlinks=False)
    with pytest.raises(StateDirError, match="link is a link of theirs"):
        open_state_dir(str(tmp_path / "link" / "state"))


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "a\0b", "-rf", ".hidden", "x" * 200, "a b", None])
def test_a_name_that_could_leave_its_directory_is_refused(name):
    with pytest.raises(ValueError, match="not a valid name"):
        check_name(name)


def test_a_file_written_aside_is_private_and_leaves_nothing_beside_it(tmp_path):
    write_aside(str(tmp_path / "file"), b"a", memoryview(b"b"))
    assert (tmp_path / "file").read_bytes() == b"ab"
    assert stat.S_IMODE(os.stat(str(tmp_path / "file")).st_mode) == 0o600
    assert os.listdir(str(tmp_path)) == ["file"]
