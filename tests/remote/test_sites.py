"""What a site's queues are and offer to a job, as real schedulers answer: OpenPBS 23.06.06."""

import pytest
from clustrix_remote.schedulers import sites

SERVER = "Server: login\n    server_state = Active\n    default_queue = workq\n    pbs_version = 23.06.06\n"
QUEUES = """\
Queue: workq
    queue_type = Execution
    total_jobs = 0
    enabled = True
    started = True

Queue: short
    queue_type = Execution
    total_jobs = 0
    resources_max.mem = 1gb
    resources_max.ncpus = 2
    resources_max.walltime = 00:10:00
    enabled = True
    started = False

"""
NODE = """\
{}
     Mom = {}
     Port = 15002
     pbs_version = 23.06.06
     ntype = PBS
     state = free
     pcpus = 2
     resources_available.arch = linux
     resources_available.mem = {}
     resources_available.ncpus = {}
     resources_assigned.ncpus = 0
{}     resv_enable = True

"""


@pytest.fixture
def pbs(answers, tmp_path):
    """pbs(nodes): the site whose pbsnodes says that; for qstat, which is asked twice, each answer is harmless to the other."""

    def site(nodes):
        answers("qstat", SERVER + QUEUES)
        answers("pbsnodes", nodes)
        found = sites.site_of("pbs")
        assert found.error == ""
        return {queue.name: queue for queue in found.queues}

    return site


def test_a_queue_of_pbs_offers_what_its_nodes_have_and_its_limits_leave(pbs):
    queues = pbs(NODE.format("node1", "node1", "4gb", 4, "") + NODE.format("node2", "node2", "2097152kb", 8, ""))
    assert queues["workq"] == sites.Queue("workq", True, True, None, nodes=2, cores=8, memory_mb=4096)
    assert queues["short"] == sites.Queue("short", False, False, "00:10:00", nodes=2, cores=2, memory_mb=1024)


def test_a_node_of_one_queue_is_of_no_other(pbs):
    own = "     queue = short\n"
    queues = pbs(NODE.format("node1", "node1", "4gb", 4, "") + NODE.format("node2", "node2", "512mb", 1, own))
    assert queues["workq"][4:] == (1, 4, 4096)
    assert queues["short"][4:] == (1, 1, 512)


@pytest.mark.parametrize("nodes", ["", "node1\n     state = free\n     resources_available.mem = 12gw\n\n"])
def test_where_nodes_do_not_say_what_they_have_the_queues_are_known_all_the_same(pbs, nodes):
    queues = pbs(nodes)
    assert queues["workq"][5:] == (0, 0)
    assert queues["short"][5:] == (2, 1024)
