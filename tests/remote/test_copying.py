"""Copies between two places, whichever these are: here both are directories of this machine."""

import errno
import hashlib
import json
import os

import pytest
from clustrix_remote import copying
from clustrix_remote.copying import BLOCK, Entry
from clustrix_remote.files import LocalPlace
from clustrix_remote.transfer import copy


class Place:
    """A directory that counts, and may end the connection before the n-th block."""

    def __init__(self, directory, blocks=10**9):
        self._place = LocalPlace(str(directory))
        self.asked = []
        self.blocks = blocks

    def perform(self, operation, arguments, body=b""):
        self.asked.append(operation)
        if operation == "store_block":
            self.blocks -= 1
            if self.blocks < 0:
                raise ConnectionError("the connection was lost")
        return self._place.perform(operation, arguments, body)


@pytest.fixture
def source(tmp_path):
    (tmp_path / "source").mkdir()
    return tmp_path / "source"


@pytest.fixture
def target(tmp_path):
    (tmp_path / "target").mkdir()
    return tmp_path / "target"


def facts(top):
    """All that a copy keeps."""
    found = {}
    root = os.fsencode(str(top))
    for directory, names, file_names in os.walk(root):
        for name in names + file_names:
            path = os.path.join(directory, name)
            info = os.lstat(path)
            content = os.readlink(path) if os.path.islink(path) else None
            if os.path.isfile(path) and content is None:
                with open(path, "rb") as stream:
                    content = (hashlib.sha256(stream.read()).digest(), info.st_mtime_ns, info.st_mode)
            found[os.path.relpath(path, root)] = content
    return found


def fill(source):
    root = os.fsencode(str(source))
    for number in range(600):
        directory = os.path.join(root, b"d%d" % (number % 7), b"deep \n\xf6")
        os.makedirs(directory, exist_ok=True)
        with open(os.path.join(directory, b"'%d'" % number), "wb") as stream:
            stream.write(b"x" * number)
    with open(os.path.join(root, b"large"), "wb") as stream:
        stream.write(os.urandom(BLOCK) + bytes(2 * BLOCK) + os.urandom(BLOCK + 5))
    with open(os.path.join(root, b"exactly"), "wb") as stream:
        stream.write(os.urandom(BLOCK))
    os.mkdir(os.path.join(root, b"empty"))
    os.chmod(os.path.join(root, b"exactly"), 0o400)
    os.symlink("large", os.path.join(root, b"link"))
    os.symlink("../..", os.path.join(root, b"d0", b"up"))
    os.symlink("nowhere", os.path.join(root, b"broken"))


def test_a_tree_comes_whole_and_what_is_there_is_not_copied_again(source, target):
    fill(source)
    told = []
    copied = copy(LocalPlace(str(source)), ".", LocalPlace(str(target)), "t", progress=lambda *seen: told.append(seen))
    assert facts(target / "t") == facts(source)
    assert copied.sent == copied.total == told[-1][0] == told[-1][1]
    assert sorted(told) == told
    again = Place(target)
    assert copy(Place(source), ".", again, "t") == (copied.total, 0, [])
    assert again.asked == ["prepare", "link"]


def test_a_changed_file_is_copied_again_and_nothing_is_removed(source, target):
    (source / "a").write_text("new")
    (target / "a").write_text("old")
    (target / "b").write_text("stays")
    assert copy(LocalPlace(str(source)), ".", LocalPlace(str(target)), ".").sent == 3
    assert [(target / name).read_text() for name in ("a", "b")] == ["new", "stays"]


def test_a_copy_that_was_cut_off_goes_on_where_it_was(source, target):
    (source / "large").write_bytes(os.urandom(6 * BLOCK))
    with pytest.raises(ConnectionError):
        copy(Place(source), ".", Place(target, blocks=3), ".")
    assert not (target / "large").exists()
    rest = Place(target)
    assert copy(Place(source), ".", rest, ".").sent == 3 * BLOCK
    assert rest.asked.count("store_block") == 3
    assert facts(target) == facts(source)


def test_blocks_of_an_older_state_of_the_file_are_not_taken(source, target):
    (source / "large").write_bytes(os.urandom(2 * BLOCK))
    with pytest.raises(ConnectionError):
        copy(Place(source), ".", Place(target, blocks=1), ".")
    (source / "large").write_bytes(os.urandom(3 * BLOCK))
    assert copy(Place(source), ".", Place(target), ".").sent == 3 * BLOCK
    assert (target / "large").read_bytes() == (source / "large").read_bytes()


def test_a_file_that_changes_while_it_is_copied_is_an_error(source, target):
    class Changing(Place):
        def perform(self, operation, arguments, body=b""):
            if operation == "fetch_block" and arguments["offset"]:
                with open(str(source / "large"), "ab") as stream:
                    stream.write(b"more")
            return Place.perform(self, operation, arguments, body)

    (source / "large").write_bytes(bytes(3 * BLOCK))
    with pytest.raises(OSError, match="changed while it was copied"):
        copy(Changing(source), "large", LocalPlace(str(target)), "large")
    assert not (target / "large").exists()


def test_a_content_that_does_not_fit_its_digest_is_not_kept(source, target):
    class Damaging(Place):
        def perform(self, operation, arguments, body=b""):
            found, content = Place.perform(self, operation, arguments, body)
            return found, (b"X" + bytes(content)[1:] if operation.startswith("fetch") else content)

    for size in (10, BLOCK + 10):
        (source / "f").write_bytes(bytes(size))
        with pytest.raises(OSError, match="differs from its source") as caught:
            copy(Damaging(source), "f", LocalPlace(str(target)), "f")
        assert caught.value.errno == errno.EIO
        assert not (target / "f").exists()


def test_a_file_goes_into_a_directory_and_a_tree_onto_it(source, target):
    (source / "f").write_text("1")
    (source / "d").mkdir()
    (source / "d" / "g").write_text("2")
    (target / "there").mkdir()
    here, there = LocalPlace(str(source)), LocalPlace(str(target))
    copy(here, "f", there, "there")
    copy(here, "f", there, "there/")
    copy(here, "f", there, "other")
    copy(here, "d", there, "there")
    assert sorted(os.listdir(str(target / "there"))) == ["f", "g"]
    assert (target / "other").read_text() == "1"


@pytest.mark.parametrize("name", ["file", "tree"])
def test_where_no_directory_is_a_copy_says_so_before_anything_is_sent(source, target, name):
    (source / "tree").mkdir()
    (source / "file").write_bytes(b"1")
    there = Place(target)
    with pytest.raises(FileNotFoundError, match="No such directory; make it first") as caught:
        copy(LocalPlace(str(source)), name, there, "none/such", on_error="raise")
    assert caught.value.filename == str(target / "none")
    assert there.asked[-1] == "prepare"


def test_zeros_take_no_room(source, target):
    with open(str(source / "sparse"), "wb") as stream:
        stream.truncate(4 * BLOCK)
    copy(LocalPlace(str(source)), "sparse", LocalPlace(str(target)), "sparse")
    info = os.stat(str(target / "sparse"))
    assert info.st_size == 4 * BLOCK
    assert info.st_blocks * 512 < BLOCK


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/x", "a//b", ".", "a/./b", "x\0y"])
@pytest.mark.parametrize("kind", ["file", "directory"])
def test_a_name_that_leads_elsewhere_is_refused(target, name, kind):
    listed = json.dumps([Entry("", "directory", mode=0o700), Entry(name, kind)]).encode()
    with pytest.raises(ValueError, match="is not the name of a file to copy"):
        copying.prepare(str(target), "t", listed)
    with pytest.raises(ValueError, match="is not the name"):
        copying.store(str(target), ".", [Entry(name, "file")], [(0, hashlib.sha256().hexdigest())], b"")
    with pytest.raises(ValueError, match="is not the name"):
        copying.link(str(target), ".", [Entry(name, "link", target="x")])


def test_nothing_is_copied_through_a_link(target, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (target / "d").symlink_to(tmp_path / "elsewhere")
    entry = Entry("d/f", "file", 0, 0, 0o600)
    with pytest.raises(NotADirectoryError, match="through which nothing is copied"):
        copying.store(str(target), ".", [entry], [(0, hashlib.sha256().hexdigest())], b"")
    with pytest.raises(NotADirectoryError):
        copying.prepare(str(target), ".", json.dumps([entry]).encode())
    assert os.listdir(str(tmp_path / "elsewhere")) == []


def test_what_cant_be_read_is_left_out_on_purpose_only(source, target):
    (source / "a").write_text("1")
    os.mkfifo(str(source / "pipe"))

    class Vanishing(Place):
        def perform(self, operation, arguments, body=b""):
            if operation == "fetch" and (source / "b").exists():
                (source / "b").unlink()
            return Place.perform(self, operation, arguments, body)

    (source / "b").write_text("2")
    with pytest.raises(FileNotFoundError, match="/b'"):
        copy(Vanishing(source), ".", LocalPlace(str(target)), ".")
    (source / "b").write_text("2")
    copied = copy(Vanishing(source), ".", LocalPlace(str(target)), ".", on_error="skip")
    assert copied.skipped == [str(source / "pipe"), "b"]
    assert os.listdir(str(target)) == ["a"]
