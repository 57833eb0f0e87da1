import re
import subprocess
import tarfile

import pytest

from simcluster import ClusterSpec
from simcluster.docker.local_images import find_interpreters
from simcluster.docker.recipe import ImageRecipe, recipe_directory
from simcluster.slurm.conf import Site, render_conf_files, render_slurm_conf

RECIPES = [path.parent.name for path in sorted(recipe_directory("host").parent.glob("*/Dockerfile"))]


def settings(conf):
    return dict(line.split("=", 1) for line in conf.splitlines() if line and line[0].isalpha())


def lines(conf, name):
    return [line for line in conf.splitlines() if line.startswith(f"{name}=")]


def test_nodes_have_what_the_spec_says():
    conf = render_slurm_conf(ClusterSpec(nodes=3, cpus_per_node=8, memory_per_node="2GB"), Site())
    assert lines(conf, "NodeName") == ["NodeName=node[1-3] CPUs=8 RealMemory=2048 State=UNKNOWN"]


def test_a_job_that_names_no_memory_gets_its_cpus_share():
    conf = render_slurm_conf(ClusterSpec(nodes=1, cpus_per_node=4, memory_per_node="2GB", partitions=["more"]), Site())
    assert all("DefMemPerCPU=512" in line for line in lines(conf, "PartitionName"))


def test_partitions_stand_beside_the_default_one():
    conf = render_slurm_conf(
        ClusterSpec(nodes=2, partitions=[{"name": "short", "nodes": ["node1"], "max_time": "10"}]), Site()
    )
    default, short = lines(conf, "PartitionName")
    assert default.startswith("PartitionName=debug Nodes=ALL Default=YES ")
    assert short.startswith("PartitionName=short Nodes=node1 MaxTime=10 ")


@pytest.mark.parametrize(("accounting", "storage"), [(True, "slurmdbd"), (False, "none")])
def test_accounting_is_on_or_off(accounting, storage):
    conf = render_slurm_conf(ClusterSpec(accounting=accounting), Site())
    assert settings(conf)["AccountingStorageType"] == f"accounting_storage/{storage}"


def test_the_newer_slurm_gets_only_what_it_still_has():
    old, new = (render_conf_files(ClusterSpec(), Site(version=version)) for version in ("22.05", "24.11"))
    assert {"TaskPlugin", "SwitchType"} <= set(settings(old["slurm.conf"]))
    assert not {"TaskPlugin", "SwitchType"} & set(settings(new["slurm.conf"]))
    assert (old["cgroup.conf"], new["cgroup.conf"]) == ("CgroupPlugin=cgroup/v1\n", "CgroupPlugin=disabled\n")


def test_gpus_are_counted():
    conf = render_conf_files(ClusterSpec(gpus_per_node=2), Site())
    assert "Gres=gpu:2" in conf["slurm.conf"]
    assert conf["gres.conf"].count("Name=gpu") == 2
    assert render_conf_files(ClusterSpec(), Site())["gres.conf"] == ""


def test_nothing_is_left_to_fill_in():
    assert "$" not in render_slurm_conf(ClusterSpec(), Site())


def test_an_image_is_named_by_what_it_is_made_of():
    recipe = ImageRecipe()
    others = [
        ImageRecipe(accounting=True),
        ImageRecipe("sge"),
        ImageRecipe(pythons=("3.6",)),
        ImageRecipe(base="debian:trixie-slim"),
        ImageRecipe(mirror="a-mirror"),
    ]
    assert ImageRecipe().tag == recipe.tag
    assert len({recipe.tag, *(other.tag for other in others)}) == 6
    assert re.fullmatch(r"simcluster/slurm:[0-9a-f]{12}-slurm", recipe.tag)


def test_an_image_is_another_one_on_another_host_image():
    slurm, sge = ImageRecipe(accounting=True), ImageRecipe("sge")
    assert slurm.host == sge.host == ImageRecipe("host")
    assert slurm.host != ImageRecipe(base="debian:trixie-slim").host
    assert ImageRecipe("host").host is None


def test_images_that_differ_in_their_interpreters_are_one_family():
    assert ImageRecipe(pythons=("3.6", "3.12")).family == ImageRecipe().family
    assert ImageRecipe(accounting=True).family != ImageRecipe().family


def test_the_build_context_has_the_recipe_but_not_what_is_filled_in_at_the_start():
    with tarfile.open(fileobj=ImageRecipe().context()) as tar:
        names = tar.getnames()
    assert {"Dockerfile", "packages.sh", "site/entrypoint.sh"} <= set(names)
    assert "slurm.conf" not in names


def test_the_same_context_is_the_same_bytes():
    assert ImageRecipe().context().read() == ImageRecipe().context().read()


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_name_no_hosts(name):
    for path in recipe_directory(name).rglob("*"):
        if path.is_file():
            assert not re.search(r"https?://|\.(org|com|net|io)\b", path.read_text()), path


@pytest.mark.parametrize("name", RECIPES)
def test_scripts_are_valid_bash(name):
    for script in recipe_directory(name).rglob("*.sh"):
        subprocess.run(["bash", "-n", str(script)], check=True)


def test_pyenvs_newest_patch_release_is_taken(tmp_path, monkeypatch):
    for version in ("3.6.9", "3.6.15", "3.12.1", "3.13.0rc1", "2.7.18"):
        interpreter = tmp_path / "versions" / version / "bin" / f"python{version.rpartition('.')[0]}"
        interpreter.parent.mkdir(parents=True)
        interpreter.touch()
    (tmp_path / "versions" / "3.9.1").mkdir()  # an installation that failed
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert {minor: prefix.name for minor, prefix in find_interpreters().items()} == {"3.6": "3.6.15", "3.12": "3.12.1"}
