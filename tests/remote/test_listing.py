"""Searching directories: as pathlib and glob do it, with what these don't say."""

import contextlib
import errno
import glob as python_glob
import os
import pathlib
import shutil
import sys
import tempfile

import pytest
from clustrix_remote import files, listing
from clustrix_remote.disk_usage import disk_usage
from clustrix_remote.file_names import join_names, resolve, split_names, text_of, to_bytes
from hypothesis import given, settings
from hypothesis import strategies as st

NAMES = st.sampled_from(
    ["a", "b.csv", ".h.csv", "A.csv", "ab.csv", "[x].csv", "sp ace", "\u00f6.csv", "x\ny", "~", "\udcf6.csv"]
)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
PATTERN_PARTS = st.sampled_from(
    ["*", "**", "*.csv", "a*", "?.csv", "??.csv", "[ab]*", "a", "b.csv", ".h*", "[!a]*", "[[]x].csv"]
)
PATTERNS = st.lists(PATTERN_PARTS, min_size=1, max_size=3).map("/".join)


def test_a_name_that_is_no_utf8_keeps_its_bytes():
    name = bytes(range(1, 256)).replace(b"/", b"")
    assert to_bytes(text_of(name)) == name
    assert split_names(join_names([text_of(name), "a"])) == [text_of(name), "a"]


@given(st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), min_size=1))
def test_paths_are_joined_as_pathlib_joins_them(path):
    if not path.startswith("~"):
        assert pathlib.PurePosixPath(text_of(resolve("/base", path))) == pathlib.PurePosixPath("/base", path)


@contextlib.contextmanager
def made(paths):
    top = tempfile.mkdtemp()
    try:
        for path in paths:
            whole = os.path.join(to_bytes(top), to_bytes(path))
            with contextlib.suppress(FileExistsError, NotADirectoryError, IsADirectoryError):
                os.makedirs(os.path.dirname(whole), exist_ok=True)
                with open(whole, "xb"):
                    pass
        yield top
    finally:
        shutil.rmtree(top)


@settings(deadline=None, max_examples=40)
@given(st.lists(PATHS, max_size=8), NAMES.map(python_glob.escape) | PATTERN_PARTS)
def test_find_finds_what_rglob_finds(paths, pattern):
    if pattern == "**":
        return  # rglob has directories alone for it
    with made(paths) as top:
        found = listing.find(pattern, to_bytes(top), "raise").names
        expected = [str(item.relative_to(top)) for item in pathlib.Path(top).rglob(pattern) if item.is_file()]
        assert [text_of(name) for name in found] == sorted(expected)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="glob has include_hidden since 3.11")
@settings(deadline=None, max_examples=60)
@given(st.lists(PATHS, max_size=8), PATTERNS)
def test_glob_finds_what_glob_finds(paths, pattern):
    with made(paths) as top:
        found = listing.glob(pattern, to_bytes(top), "raise").names
        expected = {
            name.rstrip("/") for name in python_glob.glob(pattern, root_dir=top, recursive=True, include_hidden=True)
        }
        assert [text_of(name) for name in found] == sorted(expected - {""})


def test_glob_enters_links_by_their_pattern_and_never_by_two_stars(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_text("")
    (tmp_path / "link").symlink_to("d")
    (tmp_path / "d" / "up").symlink_to("..")
    top = to_bytes(str(tmp_path))
    assert listing.glob("*/f", top, "raise").names == [b"d/f", b"link/f"]
    assert listing.glob("**/f", top, "raise").names == [b"d/f"]
    assert listing.glob("link/up/d/f", top, "raise").names == [b"link/up/d/f"]
    assert listing.find("d/f", top, "raise").names == [b"d/f"]
    assert listing.find("*", top, "raise").names == [b"d/f"]


@pytest.fixture
def as_nobody():
    """root may read everything: these tests are somebody's who may not."""
    if os.geteuid() != 0:
        yield tempfile.mkdtemp()
        return
    directory = tempfile.mkdtemp()
    os.chown(directory, 65534, 65534)
    os.seteuid(65534)
    yield directory
    os.seteuid(0)
    shutil.rmtree(directory)


def test_a_directory_that_cant_be_read_is_named_or_skipped(as_nobody):
    closed, files_ = os.path.join(as_nobody, "closed"), []
    for directory in ("a", "closed", "z"):
        os.mkdir(os.path.join(as_nobody, directory))
        files_.append(os.path.join(as_nobody, directory, "f"))
        with open(files_[-1], "wb") as stream:
            stream.write(b"x")
    os.chmod(closed, 0)
    try:
        top = to_bytes(as_nobody)
        for search in (lambda how: listing.find("*", top, how), lambda how: listing.glob("**/f", top, how)):
            with pytest.raises(PermissionError) as caught:
                search("raise")
            assert caught.value.filename == to_bytes(closed)
            assert search("skip") == ([b"a/f", b"z/f"], [closed])
        with pytest.raises(PermissionError):
            disk_usage(top, "raise")
        assert disk_usage(top, "skip") == (2, 2, [closed])
        # A name in it needs no reading, but entering.
        os.chmod(closed, 0o100)
        assert listing.glob("closed/f", top, "raise").names == [b"closed/f"]
        with pytest.raises(PermissionError, match="closed"):
            listing.names_in(to_bytes(closed))
        answer = files.answer_for_wire("ls", as_nobody, {"path": "closed"}, b"")[0]["raised"]
        assert (answer["errno"], answer["path"]) == (errno.EACCES, closed)
        with pytest.raises(PermissionError, match=r"on login\.example\.org: '.*closed'"):
            files.raise_from_wire({"raised": answer}, "login.example.org")
    finally:
        os.chmod(closed, 0o700)


def test_what_vanishes_while_it_is_searched_was_not_there(tmp_path):
    """One side makes and removes directories as fast as it can, the other searches: nothing is raised."""
    top = to_bytes(str(tmp_path))
    (tmp_path / "stays").write_text("")
    child = os.fork()
    if child == 0:
        while True:
            os.mkdir(os.path.join(top, b"d"))
            with open(os.path.join(top, b"d", b"f"), "wb"):
                pass
            os.unlink(os.path.join(top, b"d", b"f"))
            os.rmdir(os.path.join(top, b"d"))
    try:
        for _ in range(300):
            assert set(listing.find("*", top, "raise").names) <= {b"stays", b"d/f"}
            assert set(listing.glob("**/*", top, "raise").names) <= {b"stays", b"d", b"d/f"}
            assert disk_usage(top, "raise")[0] == 0
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def test_a_result_that_begins_with_a_tilde_is_no_home_directory(tmp_path):
    (tmp_path / "~").mkdir()
    (tmp_path / "~" / "f").write_text("")
    place = files.LocalPlace(str(tmp_path))
    found = split_names(place.perform("find", {"path": ".", "pattern": "f", "on_error": "raise"})[1])
    assert found == ["./~/f"]
    assert place.perform("stat", {"path": found[0]})[0]["size"] == 0
