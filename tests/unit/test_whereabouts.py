"""Where am I: names make it likely, and the storage proves it."""

import pytest

from clustrix import ClusterConfig, whereabouts
from clustrix.remote.files import LocalPlace
from clustrix.whereabouts import is_likely_there, is_on_the_cluster, registered_domain


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("login.hpc.uni-x.de", "uni-x.de"),
        ("uni-x.de", "uni-x.de"),
        ("login1.cluster.ox.ac.uk", "ox.ac.uk"),
        ("login.cam.ac.uk.", "cam.ac.uk"),
        ("ac.uk", None),
        ("node1.massive.org.au", "massive.org.au"),
        ("hpc.u-tokyo.ac.jp", "u-tokyo.ac.jp"),
        ("Frontera.TACC.utexas.edu", "utexas.edu"),
        ("node17", None),
        ("node17.local", None),
        ("192.168.0.17", None),
        ("fe80::1", None),
    ],
)
def test_the_domain_is_what_somebody_registered(host, domain):
    assert registered_domain(host) == domain


@pytest.mark.parametrize(
    ("host", "own_name", "variables", "is_likely"),
    [
        ("login.hpc.uni-x.de", "node17.hpc.uni-x.de", {}, True),
        ("login.hpc.uni-x.de", "login.hpc.uni-x.de", {}, True),
        ("login.cs.ox.ac.uk", "laptop.cam.ac.uk", {}, False),
        ("login", "login.hpc.uni-x.de", {}, True),
        ("login", "laptop", {}, False),
        ("login.hpc.uni-x.de", "node17", {"SLURM_JOB_ID": "1"}, True),
        ("login.hpc.uni-x.de", "node17", {"PBS_JOBID": "1"}, False),
        ("127.0.0.1", "laptop", {}, False),
        ("login.hpc.uni-x.de", "laptop.fritz.box", {}, False),
    ],
)
def test_names_make_it_likely(host, own_name, variables, is_likely):
    assert is_likely_there(ClusterConfig(cluster_host=host), variables, own_name) is is_likely


@pytest.fixture
def in_a_job(tmp_path, monkeypatch):
    """A process with the variables of a job of Slurm, and a state of its own."""
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "client"))
    monkeypatch.setattr(whereabouts, "_elsewhere", set())
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home" / ".clustrix").mkdir(parents=True)
    return tmp_path


class LoginNode:
    """The far side, with its home where the test says."""

    def __init__(self, home):
        (home / ".clustrix").mkdir(parents=True, exist_ok=True)
        self._home = home
        self.asked = 0

    def __call__(self, operation, arguments):
        self.asked += 1
        path = arguments["path"].replace("~", str(self._home), 1)
        return LocalPlace(str(self._home)).perform(operation, {**arguments, "path": path})


def test_the_same_storage_proves_it_and_is_asked_about_once(in_a_job):
    config = ClusterConfig(cluster_host="login.hpc.uni-x.de")
    node = LoginNode(in_a_job / "home")
    assert is_on_the_cluster(config, node)
    assert is_on_the_cluster(config, node)
    assert node.asked == 1
    assert config == ClusterConfig(cluster_host="login.hpc.uni-x.de")


def test_another_storage_disproves_it_even_with_a_mark_of_its_own(in_a_job):
    config = ClusterConfig(cluster_host="login.hpc.uni-x.de")
    LoginNode(in_a_job / "home")("mark", {"path": "~/.clustrix"})
    node = LoginNode(in_a_job / "elsewhere")
    assert not is_on_the_cluster(config, node)
    assert not is_on_the_cluster(config, node)
    assert node.asked == 1


def test_a_client_elsewhere_asks_nobody(in_a_job, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID")
    node = LoginNode(in_a_job / "home")
    assert not is_on_the_cluster(ClusterConfig(cluster_host="127.0.0.1"), node)
    assert node.asked == 0
