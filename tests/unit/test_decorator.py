"""What happens before anything is sent. No test here may connect: the configured host does not exist."""

import inspect
import pickle
import subprocess
import sys
import threading

import pytest

import clustrix
import clustrix.config
from clustrix import cluster


@pytest.fixture(autouse=True)
def own_state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("CLUSTRIX_PACKAGE_DIR", str(tmp_path / "packages"))
    monkeypatch.chdir(tmp_path)
    yield
    clustrix.config.reset_config()


@pytest.fixture
def unreachable():
    clustrix.configure(cluster_host="nowhere.invalid", username="ada", connect_timeout=1)


def add(left: int, right: int = 1) -> int:
    """Add two numbers."""
    return left + right


def test_a_decorated_function_keeps_what_people_look_at():
    decorated = cluster(cores=2)(add)
    assert (decorated.__name__, decorated.__doc__, decorated.__wrapped__) == ("add", "Add two numbers.", add)
    assert inspect.signature(decorated) == inspect.signature(add)


def test_without_a_cluster_a_call_runs_here():
    assert cluster(add)(2, right=3) == 5


def test_with_cluster_type_local_a_call_runs_here_though_a_host_is_set(unreachable):
    assert cluster(cluster_type="local")(add)(2) == 3


def test_without_a_cluster_submit_gives_a_future_all_the_same():
    assert cluster(add).submit(2).result(30) == 3


def test_local_runs_the_undecorated_function(unreachable):
    assert cluster(add).local(1) == 2


def test_a_method_can_be_decorated():
    class Counter:
        step = 2

        @cluster
        def after(self, value):
            return value + self.step

    assert Counter().after(1) == 3


def test_an_unknown_keyword_is_a_type_error_that_names_the_nearest():
    with pytest.raises(TypeError, match="no keyword 'coers'; did you mean 'cores'"):
        cluster(coers=2)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"cores": 0}, "cores=0"),
        ({"cores": "4"}, "cores='4'"),
        ({"memory": "lots"}, "lots"),
        ({"time": "soon"}, "soon"),
        ({"python": 3.6}, r"python=3\.6.*as text"),
        ({"python": "36"}, "python='36'"),
        ({"partition": "a b\n#SBATCH x"}, "partition"),
        ({"constraint": "a;b\n"}, "constraint"),
        ({"cluster_port": 0}, "cluster_port"),
        ({"extra_directives": ["a\nb"]}, "extra_directives"),
        ({"retries": -1}, "retries=-1: allowed is a whole number from 0 to 9"),
        ({"retries": True}, "retries=True: allowed"),
        ({"retries": 3, "retry_policy": {"cores": 2}}, r"retry_policy=\{'cores': 2\}: allowed is by what factor"),
        ({"retries": 3, "retry_policy": {"memory": 1}}, "retry_policy=.*above 1 and at most 10"),
        ({"retries": 3, "retry_policy": {}}, "retry_policy={}: allowed"),
        ({"retry_policy": {"time": 2}}, "retries=None that this is never done: set retries="),
        ({"parallel": "yes"}, "parallel='yes': allowed is True, False, or None"),
    ],
)
def test_a_wrong_value_is_named_when_it_is_set(keywords, message):
    with pytest.raises(clustrix.ConfigurationError, match=message):
        cluster(**keywords)


def test_options_change_what_they_name_and_keep_the_rest():
    first = cluster(cores=2, memory="1GB")(add)
    second = first.options(cores=8)
    assert (second.job_options.cores, second.job_options.memory) == (8, "1GB")
    assert first.job_options.cores == 2


def test_a_builtin_is_refused_by_name(unreachable):
    with pytest.raises(ValueError, match="len"):
        cluster(len)([1])


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        (lambda: (threading.Lock(),), r"args\[0\]"),
        (
            lambda: ({"deep": [1, (number for number in range(3))]},),
            r"args\[0\]\['deep'\]\[1\]|args\[0\]\[\"deep\"\]\[1\]",
        ),
    ],
)
def test_an_argument_that_cannot_be_sent_is_named_by_its_place(unreachable, arguments, place):
    with pytest.raises(clustrix.SerializationError, match=place):
        cluster(add)(*arguments())


def test_a_keyword_argument_that_cannot_be_sent_is_named(unreachable):
    with pytest.raises(clustrix.SerializationError, match=r"kwargs\[.right.\]"):
        cluster(add)(1, right=threading.Lock())


def test_an_instance_of_a_scripts_class_is_refused_where_the_function_is_a_modules(unreachable, tmp_path):
    (tmp_path / "shapes.py").write_text("def area(shapes):\n    return 1\n")
    script = tmp_path / "script.py"
    script.write_text(
        "import clustrix, shapes\n"
        "class Shape:\n    pass\n"
        "clustrix.cluster(cluster_host='nowhere.invalid')(shapes.area)([Shape()])\n"
    )
    answer = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert (
        "SerializationError: the arguments hold a Shape of __main__, and area is not packed as a part of that file: "
        "put it at the top of a module, or call area from a function of that file"
    ) in answer.stderr


def test_an_instance_whose_class_the_function_mentions_is_not_refused(unreachable, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import clustrix, collections, decimal\n"
        "class Shape:\n    pass\n"
        "@clustrix.cluster(cluster_host='nowhere.invalid')\n"
        "def area(shape: Shape):\n    return 1\n"
        "area([Shape(), collections.OrderedDict(), decimal.Decimal(1)])\n"
    )
    answer = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert "ClusterConnectionError" in answer.stderr


def test_what_is_refused_leaves_no_entry_in_the_journal(unreachable, tmp_path):
    with pytest.raises(clustrix.SerializationError):
        cluster(add)(threading.Lock())
    assert list((tmp_path / "state").rglob("cx*")) == []


def test_an_executor_without_a_host_says_what_to_set():
    with pytest.raises(clustrix.ConfigurationError, match="cluster_host is not set"):
        clustrix.ClusterExecutor(clustrix.ClusterConfig())


def test_constructing_an_executor_connects_nowhere():
    clustrix.ClusterExecutor(clustrix.ClusterConfig(cluster_host="nowhere.invalid")).shutdown()


def test_a_shut_down_executor_takes_no_more_jobs():
    executor = clustrix.ClusterExecutor(clustrix.ClusterConfig(cluster_host="nowhere.invalid"))
    executor.shutdown()
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(add, 1)


def test_a_host_that_cannot_be_reached_is_an_error_that_names_it_and_leaves_nothing_in_the_journal(
    unreachable, tmp_path
):
    with pytest.raises(clustrix.ClusterConnectionError, match=r"nowhere\.invalid port 22"):
        cluster(add).submit(1)
    assert list((tmp_path / "state").rglob("cx*")) == []


def test_every_error_survives_pickling():
    for name in clustrix.errors.__all__:
        error = getattr(clustrix.errors, name)("what happened")
        assert str(pickle.loads(pickle.dumps(error))) == "what happened"
