import pytest

import simcluster
from simcluster import ClusterSpec, Partition, SpecError


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"scheduler": "lsf"}, "slurm"),
        ({"backend": "cloud"}, "docker"),
        ({"backend": "podman"}, "emulated, native, docker"),
        ({"scheduler": "sun"}, "slurm, pbs, sge, ssh"),
        ({"version": "22.05", "scheduler": "pbs"}, "23.06"),
        ({"pythons": ["2.7"]}, "3.6, 3.7, 3.8, 3.9, 3.10, 3.11, 3.12, 3.13"),
        ({"version": "21.08"}, "22.05, 24.11"),
    ],
)
def test_what_is_unknown_is_refused_with_what_is_known(wrong, named):
    with pytest.raises(SpecError, match=next(iter(wrong))) as caught:
        ClusterSpec(**wrong)
    assert named in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"nodes": 0},
        {"nodes": "2"},
        {"nodes": True},
        {"cpus_per_node": -1},
        {"gpus_per_node": -1},
        {"memory_per_node": "much"},
        {"memory_per_node": "2MB"},
        {"pythons": []},
        {"pythons": "3.6"},
        {"pythons": [3.1]},
        {"partitions": "short"},
        {"partitions": ["a", "a"]},
        {"partitions": ["debug"]},
        {"partitions": ["two words"]},
        {"partitions": [{"name": "a", "max_time": "soon"}]},
        {"partitions": [{"name": "a", "colour": "red"}]},
    ],
)
def test_nonsense_is_refused(wrong):
    with pytest.raises(SpecError):
        ClusterSpec(**wrong)


@pytest.mark.parametrize("backend", ["emulated", "native"])
def test_only_containers_can_be_without_a_way_out(backend):
    with pytest.raises(SpecError, match=r'internet=False: .*backend="docker"'):
        ClusterSpec(backend=backend, internet=False)
    assert not ClusterSpec(backend="docker", internet=False).internet


def test_start_checks_before_it_starts_anything():
    with pytest.raises(SpecError, match="scheduler='lsf'"):
        simcluster.start("lsf")


def test_pythons_are_sorted_by_version_and_unique():
    assert ClusterSpec(pythons=["3.12", "3.6", "3.10", "3.6"]).pythons == ("3.6", "3.10", "3.12")


@pytest.mark.parametrize(
    ("text", "megabytes"),
    [("4GB", 4096), ("4G", 4096), ("512MB", 512), ("1.5 GiB", 1536), ("2000", 2000), ("1T", 1 << 20)],
)
def test_memory_is_counted_as_schedulers_do(text, megabytes):
    assert ClusterSpec(memory_per_node=text).memory_mb == megabytes


def test_partitions_may_be_names_mappings_or_partitions():
    spec = ClusterSpec(nodes=2, partitions=["a", {"name": "b", "nodes": ["node2"]}, Partition("c", max_time="1:00:00")])
    assert spec.partitions == (Partition("a"), Partition("b", ("node2",)), Partition("c", None, "1:00:00"))


def test_a_partition_of_unknown_nodes_names_the_nodes():
    with pytest.raises(SpecError, match="node9; the nodes are node1, node2"):
        ClusterSpec(nodes=2, partitions=[{"name": "a", "nodes": ["node9"]}])


def test_a_spec_is_read_from_yaml(tmp_path):
    file = tmp_path / "cluster.yaml"
    file.write_text(
        'scheduler: slurm\nnodes: 3\npythons: ["3.6", "3.10"]\npartitions: [{name: short, max_time: "30"}]\n'
    )
    assert ClusterSpec.from_yaml(file) == ClusterSpec(
        nodes=3, pythons=("3.6", "3.10"), partitions=(Partition("short", None, "30"),)
    )


def test_unquoted_versions_in_yaml_are_refused_because_3_10_would_be_3_1(tmp_path):
    file = tmp_path / "cluster.yaml"
    file.write_text("pythons: [3.10]\n")
    with pytest.raises(SpecError, match="in quotes"):
        ClusterSpec.from_yaml(file)


def test_a_file_that_is_no_yaml_is_refused_by_its_name(tmp_path):
    file = tmp_path / "cluster.yaml"
    file.write_text("- [\n")
    with pytest.raises(SpecError, match=r"cluster\.yaml is not YAML"):
        ClusterSpec.from_yaml(file)


def test_unknown_settings_are_refused_with_the_known_ones(tmp_path):
    file = tmp_path / "cluster.yaml"
    file.write_text("node: 3\n")
    with pytest.raises(SpecError, match=r"unknown settings node; a cluster has scheduler, backend, nodes"):
        ClusterSpec.from_yaml(file)


def test_plain_values_make_the_same_spec_again():
    spec = ClusterSpec(nodes=2, pythons=["3.8"], partitions=[{"name": "b", "nodes": ["node2"]}], gpus_per_node=1)
    assert ClusterSpec.from_dict(spec.to_dict()) == spec
    assert hash(ClusterSpec.from_dict(spec.to_dict())) == hash(spec)
