"""A function of the client's Python runs on a compute node of a real Slurm under Python 3.6."""

import pickle
import traceback

import numpy as np
import pytest
import workload

import clustrix
from clustrix import cluster

pytestmark = pytest.mark.real_world
SMALL = {"cores": 1, "memory": "300MB", "time": "00:05:00", "python": "3.6"}


def test_a_bare_decorator_uses_the_configured_defaults(configured):
    assert cluster(workload.doubled)(21) == 42


def test_the_function_runs_on_a_compute_node_under_the_wanted_python(configured, slurm):
    seen = cluster(**SMALL)(workload.where)()
    assert seen["python"] == (3, 6)
    assert seen["node"] in slurm.nodes
    assert seen["cwd"] == slurm.home


@pytest.mark.parametrize("python", ["3.6", "3.12"])
def test_each_python_of_the_cluster_can_be_asked_for(configured, python):
    assert cluster(**{**SMALL, "python": python})(workload.where)()["python"] == tuple(map(int, python.split(".")))


def test_helpers_constants_and_a_local_module_come_along(configured):
    assert cluster(**SMALL)(workload.areas)("square", "strip") == [4, 9]


def test_a_future_tells_where_its_job_ran_and_how_long_each_stage_took(configured, slurm):
    future = cluster(**SMALL)(workload.doubled).submit([1])
    assert future.result(120) == [1, 1]
    assert future.node in slurm.nodes
    assert future.python.startswith("3.6.")
    assert future.status() == "COMPLETED"
    assert {"package", "connect", "submit on the cluster", "call in the job"} <= set(future.timings)
    assert any(job.id == future.scheduler_id and job.name == future.job_id for job in slurm.jobs())


def test_many_calls_at_once_each_get_their_own_value(configured):
    doubled = cluster(**SMALL)(workload.doubled)
    futures = [doubled.submit(number) for number in range(12)]
    assert [future.result(240) for future in futures] == [2 * number for number in range(12)]


def test_numpy_arrays_cross_from_the_clients_numpy_to_an_old_one_and_back(configured):
    array = np.arange(12.0).reshape(3, 4)
    back = cluster(**SMALL, requirements=["numpy"])(workload.doubled)(array)
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array * 2)


def test_an_argument_of_many_megabytes_arrives_whole(configured):
    data = bytes(range(256)) * (20 << 12)
    assert cluster(**{**SMALL, "memory": "500MB"})(workload.doubled)(data) == data * 2


def test_an_exception_comes_back_as_its_own_type_with_the_remote_traceback(configured):
    with pytest.raises(workload.UnluckyError, match="unlucky number 13") as caught:
        cluster(**SMALL)(workload.unlucky)(13)
    assert (caught.value.code, caught.value.hint) == (13, "try 12")
    shown = "".join(traceback.format_exception(caught.value))
    assert shown.count("in _check") == 1
    assert "workload.py" in shown


def test_the_cause_of_an_exception_comes_back_too(configured):
    with pytest.raises(ValueError, match="second") as caught:
        cluster(**SMALL)(workload.fails_twice)()
    assert isinstance(caught.value.__cause__, KeyError)


def test_environment_variables_reach_the_function_as_they_are(configured):
    tricky = {"A": 'it\'s "$HOME" `x`\n2', "B_1": "ü"}
    asked = cluster(**SMALL, environment_variables=tricky)(workload.environment)
    assert asked("A", "B_1", "CLUSTRIX_JOB_ID")["A"] == tricky["A"]
    assert asked("B_1") == {"B_1": "ü"}


def test_modules_are_loaded_and_commands_run_before_the_function(configured):
    asked = cluster(**SMALL, modules=["python/3.12"], pre_execution_commands=["export SEEN=$(python3 -V)"])(
        workload.environment
    )
    value = asked("SEEN", "LOADEDMODULES")
    assert value["SEEN"].startswith("Python 3.12")
    assert "python/3.12" in value["LOADEDMODULES"]


def test_what_the_function_printed_is_the_futures_output(configured):
    future = cluster(**SMALL)(workload.sleeps).submit(0)
    assert future.result(120) is None
    assert future.stdout() == "sleeping\n"


def test_options_make_a_copy_with_other_resources(configured):
    function = cluster(**SMALL)(workload.where)
    assert function.options(python="3.12")()["python"] == (3, 12)
    assert function()["python"] == (3, 6)


def test_the_executor_works_on_its_own(configured):
    with clustrix.ClusterExecutor(clustrix.get_config()) as executor:
        futures = [executor.submit(workload.doubled, number) for number in range(3)]
        assert sorted(future.result() for future in clustrix.as_completed(futures, timeout=120)) == [0, 2, 4]


def test_a_state_directory_with_a_space_and_a_quote_works(configured):
    function = cluster(**SMALL, remote_state_dir="~/it's $mine %j")(workload.doubled)
    assert function(2) == 4


def test_nothing_of_a_fetched_job_stays_on_the_cluster(configured, slurm):
    with clustrix.ClusterExecutor(clustrix.get_config()) as executor:
        future = executor.submit(workload.doubled, 1)
        assert future.result(120) == 2
    left = slurm.run(f"find ~/.clustrix -name '*{future.job_id}*'").stdout
    assert left == ""


def test_a_result_that_was_changed_on_the_cluster_is_refused(configured, slurm):
    with clustrix.ClusterExecutor(clustrix.get_config()) as executor:
        future = executor.submit(workload.sleeps, 3)
        directory = f"$HOME/.clustrix/jobs/{future.job_id}"
        forged = pickle.dumps("forged").hex()
        # Whoever gets in between the job and the agent, but has not its key, writes a result of their own.
        plant = f"until [ -f {directory}/scheduler_id ]; do sleep 0.05; done; until squeue -h -n {future.job_id} -t R | grep -q .; do sleep 0.05; done; "
        plant += f"printf {forged} > {directory}/out/result; mkdir -p ~/.clustrix/done; for d in ~/.clustrix/done/*; do touch $d/{future.job_id}.done; done"
        slurm.run(plant, check=True, timeout=60)
        with pytest.raises(clustrix.ResultLostError, match="not the job's own"):
            future.result(60)
