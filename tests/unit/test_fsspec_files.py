"""``clustrix://profile/path`` in fsspec, as pandas and others use it: by an agent, whose login node is this machine."""

import fsspec
import pytest

import clustrix
from clustrix.config import ProfileManager, reset_config
from clustrix.executors import executor_for
from clustrix.filesystem import RemotePlace
from clustrix.fsspec_files import ClustrixFileSystem
from clustrix.remote.filesystem import Settings


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """Where the agent is unpacked, once."""
    return tmp_path_factory.mktemp("agent") / "state"


@pytest.fixture
def work(tmp_path, monkeypatch, state):
    """The work directory of the profile "hpc", and of the configuration in force; an agent reads it, not this process."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Settings, "place_of", staticmethod(lambda config: RemotePlace(config or clustrix.get_config())))
    directory = tmp_path / "work"
    directory.mkdir()
    config = clustrix.ClusterConfig(connection="local", remote_work_dir=directory, remote_state_dir=state)
    ProfileManager().save("hpc", config)
    clustrix.configure(connection="local", remote_work_dir=directory, remote_state_dir=state)
    ClustrixFileSystem.clear_instance_cache()
    yield directory
    executor_for(config).shutdown()
    reset_config()


def test_a_file_of_a_profile_is_opened_by_its_url(work):
    (work / "a b.csv").write_bytes(b"x,y\n1,2\n")
    with fsspec.open("clustrix://hpc/a b.csv", "rt") as stream:
        assert stream.read() == "x,y\n1,2\n"
    with fsspec.open(f"clustrix://hpc/{work}/a b.csv") as stream:
        assert stream.read() == b"x,y\n1,2\n"
    with fsspec.open("clustrix:///a b.csv") as stream:
        assert stream.readline() == b"x,y\n"


def test_a_file_is_seen_whole_when_it_is_closed(work):
    content = bytes(range(256)) * 4096
    with fsspec.open("clustrix://hpc/new.bin", "wb", block_size=1 << 17) as stream:
        stream.write(content[: 1 << 19])
        assert not (work / "new.bin").exists()
        stream.write(content[1 << 19 :])
    assert (work / "new.bin").read_bytes() == content
    assert [item.name for item in work.iterdir()] == ["new.bin"]


def test_parts_of_a_large_file_are_read_where_they_are(work):
    with (work / "large").open("wb") as stream:
        stream.truncate(1 << 30)
        stream.seek(-5, 2)
        stream.write(b"12345")
    with fsspec.open("clustrix://hpc/large") as stream:
        stream.seek(-3, 2)
        assert stream.read() == b"345"
    files = fsspec.filesystem("clustrix", profile="hpc")
    assert files.cat_file("large", -4, -1) == b"234"


def test_directories_are_listed_and_searched(work):
    files = fsspec.filesystem("clustrix", profile="hpc")
    files.makedirs("d/e")
    files.pipe("d/e/f.csv", b"123")
    files.pipe("d/g.txt", b"")
    (work / "d" / "broken").symlink_to("nowhere")
    assert files.ls("d", detail=False) == ["d/broken", "d/e", "d/g.txt"]
    assert [(item["name"], item["size"], item["type"]) for item in files.ls("d/e")] == [("d/e/f.csv", 3, "file")]
    assert files.glob("clustrix://hpc/d/**/*.csv") == ["d/e/f.csv"]
    assert files.find("d") == ["d/broken", "d/e/f.csv", "d/g.txt"]
    assert files.isdir("d")
    files.mv("d/g.txt", "d/h.txt")
    files.rm("d/e", recursive=True)
    assert files.ls("d", detail=False) == ["d/broken", "d/h.txt"]
    assert files.unstrip_protocol("d/h.txt") == "clustrix://hpc/d/h.txt"


def test_trees_go_there_and_come_back(work, tmp_path):
    (tmp_path / "t" / "u").mkdir(parents=True)
    (tmp_path / "t" / "u" / "v").write_bytes(b"v")
    files = fsspec.filesystem("clustrix", profile="hpc")
    files.put(str(tmp_path / "t"), "there", recursive=True)
    files.get("there", str(tmp_path / "back"), recursive=True)
    assert (work / "there" / "u" / "v").read_bytes() == (tmp_path / "back" / "u" / "v").read_bytes() == b"v"


def test_what_is_missing_is_pythons_own_error(work):
    with pytest.raises(FileNotFoundError, match="work/nosuch"):
        fsspec.open("clustrix://hpc/nosuch").open()
    with pytest.raises(clustrix.ConfigurationError, match=r"no profile 'other'; there is hpc"):
        fsspec.open("clustrix://other/x").open()
    with pytest.raises(ValueError, match="mode 'ab'"):
        fsspec.filesystem("clustrix", profile="hpc").open("x", "ab")
