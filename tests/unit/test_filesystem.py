"""Files by ``cluster_*``, without a scheduler: here, directly, and by an agent that is a child process."""

import file_cases
import pytest

from clustrix import ClusterConfig, DiskUsage, FileInfo
from clustrix.executor import executor_for
from clustrix.filesystem import RemotePlace
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
