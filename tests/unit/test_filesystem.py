"""Files by ``cluster_*``, without a scheduler: here, directly, and by an agent that is a child process."""

import json
import os
import pickle
import platform
from pathlib import PureWindowsPath

import file_cases
import pytest

from clustrix import ClusterConfig, ClusterFilesystem, DiskUsage, FileInfo
from clustrix.executors import executor_for
from clustrix.filesystem import RemotePlace
from clustrix.remote.copying import BLOCK
from clustrix.remote.files import LARGEST_READ
from clustrix.remote.filesystem import Settings


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    top = tmp_path_factory.mktemp("files") / "tree"
    file_cases.make_tree(str(top))
    return top


@pytest.fixture
def here(tree):
    return ClusterConfig(cluster_type="local", local_work_dir=tree)


@pytest.fixture
def by_agent(tmp_path, monkeypatch):
    """A configuration whose files an agent reads: as `connection="local"`, but over the stream."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    made = []

    def config(work_dir):
        config = ClusterConfig(connection="local", remote_work_dir=work_dir)
        made.append(config)
        return config

    monkeypatch.setattr(Settings, "place_of", staticmethod(RemotePlace))
    yield config
    for each in made:
        executor_for(each).shutdown()


@pytest.fixture(scope="module")
def expected(tree):
    return file_cases.answers(ClusterConfig(cluster_type="local", local_work_dir=tree))


def test_here_the_answers_are_those_of_python_itself(tree, expected):
    assert expected["ls"] == ascii(sorted(item.name for item in tree.iterdir()))
    found = sorted(str(p.relative_to(tree)) for p in tree.rglob("*.csv") if p.is_file())
    assert expected["find"] == ascii(sorted(f"./{name}" if name.startswith("~/") else name for name in found))
    assert expected["stat"] == ascii(FileInfo(4, file_cases.WHEN, False, "640", "a.csv"))
    assert expected["ls of nothing"] == "FileNotFoundError tree/nosuch"
    assert expected["ls of a file"] == "NotADirectoryError tree/data/a.csv"
    assert expected["read a directory"] == "IsADirectoryError tree/data"
    assert expected["du"] == ascii(DiskUsage(5 * 2**30 + sum(map(len, file_cases.FILES.values())), 16))


def test_on_the_login_node_every_answer_is_the_same(tree, expected):
    assert file_cases.answers(ClusterConfig(connection="local", remote_work_dir=str(tree))) == expected


def test_by_an_agent_every_answer_is_the_same(tree, expected, by_agent):
    assert file_cases.answers(by_agent(str(tree))) == expected


def test_a_warm_call_is_one_message_there_and_one_back(tree, by_agent):
    config = by_agent(str(tree))
    files = ClusterFilesystem(config)
    files.ls()
    stream = executor_for(config)._session.connect()._stream
    frames = []
    stream._write = _noting_before(frames, stream._write)
    stream._read = _noting_after(frames, stream._read)
    files.ls()  # what reads now began before
    for question in (
        files.ls,
        lambda: files.find("*"),
        files.du,
        lambda: files.stat("data"),
        lambda: files.read("link.csv"),
    ):
        frames.clear()
        question()
        heads = [json.loads(head[head.index(b"{") :]) for head in frames if b'"id":' in head]
        assert [sorted(head) for head in heads] == [
            ["arguments", "base", "call", "client", "id", "op", "scheduler"],
            ["id", "ok"],
        ]


def _noting_before(seen, write):
    def noting(data):
        seen.append(bytes(data))
        write(data)

    return noting


def _noting_after(seen, read):
    def noting(size):
        data = bytes(read(size))
        seen.append(data)
        return data

    return noting


def test_trees_go_over_the_stream_and_come_back(tree, by_agent, tmp_path):
    (tmp_path / "work").mkdir()
    files = ClusterFilesystem(by_agent(str(tmp_path / "work")))
    large = tmp_path / "large"
    large.write_bytes(os.urandom(3 * BLOCK + 1))
    files.mkdir("there")
    files.put(large, "there/")
    assert files.put(tree / "data", "there/data", on_error="skip").sent == sum(
        len(content) for name, content in file_cases.FILES.items() if name.startswith(b"data/")
    )
    assert files.get("there", tmp_path / "back").skipped == []
    assert (tmp_path / "back" / "large").read_bytes() == large.read_bytes()
    came, went = (set(map(os.fsencode, top.iterdir())) for top in (tmp_path / "back" / "data", tree / "data"))
    assert {os.path.basename(path) for path in came} == {os.path.basename(path) for path in went}  # noqa: PTH119 - bytes
    assert files.get("there", tmp_path / "back").sent == 0


def test_a_large_content_is_written_and_read_in_parts(by_agent, tmp_path):
    (tmp_path / "work").mkdir()
    files = ClusterFilesystem(by_agent(str(tmp_path / "work")))
    content = os.urandom(2 * LARGEST_READ + 7)
    files.write("f", content)
    assert files.read("f") == content
    assert files.read("f", 5, LARGEST_READ + 1) == content[5 : LARGEST_READ + 6]
    assert files.ls() == ["f"]


def test_an_error_names_the_host_and_the_whole_path(tmp_path):
    files = ClusterFilesystem(ClusterConfig(cluster_type="local", local_work_dir=tmp_path))
    with pytest.raises(
        FileNotFoundError, match=f"No such file or directory on {platform.node()}: '{tmp_path}/nosuch'"
    ) as caught:
        files.stat("nosuch")
    assert caught.value.filename == f"{tmp_path}/nosuch"
    with pytest.raises(FileNotFoundError, match=f"make it first .* on {platform.node()}: '{tmp_path}/nosuch'"):
        files.write("nosuch/a", b"")


def test_without_a_cluster_paths_begin_in_local_work_dir_else_here(tmp_path, monkeypatch):
    (tmp_path / "d").mkdir()
    monkeypatch.chdir(tmp_path)
    assert ClusterFilesystem(ClusterConfig()).ls() == ["d"]
    assert ClusterFilesystem(ClusterConfig(local_work_dir=tmp_path / "d")).ls() == []


def test_the_values_say_what_they_are():
    info = FileInfo(1, 1.5, False, "640")
    assert (info.name, info.is_file, info.modified_datetime.timestamp()) == ("", True, 1.5)
    assert pickle.loads(pickle.dumps(info)) == info
    assert FileInfo.__module__ == "clustrix.filesystem"
    usage = DiskUsage(3 << 29, 2)
    assert (usage.total_mb, usage.total_gb) == (1536.0, 1.5)


def test_a_path_may_be_a_path_and_bytes_are_refused(tree, here):
    assert ClusterFilesystem(here).isdir(PureWindowsPath("data\\deep"))
    with pytest.raises(TypeError, match="a path is text"):
        ClusterFilesystem(here).ls(b"data")
