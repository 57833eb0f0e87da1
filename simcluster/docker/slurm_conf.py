"""The files in /etc/slurm for one cluster."""

from __future__ import annotations

from string import Template
from typing import TYPE_CHECKING

from simcluster.docker.recipe import recipe_directory

if TYPE_CHECKING:
    from simcluster.spec import ClusterSpec

__all__ = ["render_conf_files", "render_slurm_conf"]


def render_conf_files(spec: ClusterSpec) -> dict[str, str]:
    """Every file by name."""
    return {"slurm.conf": render_slurm_conf(spec), "cgroup.conf": _cgroup_conf(spec), "gres.conf": _gres_conf(spec)}


def render_slurm_conf(spec: ClusterSpec) -> str:
    """The recipe's slurm.conf with the nodes, partitions and settings of `spec`."""
    template = Template((recipe_directory("slurm") / "slurm.conf").read_text(encoding="utf-8"))
    return template.substitute(
        settings="\n".join(_settings(spec)),
        nodes=_nodes(spec),
        partitions="\n".join(_partitions(spec)),
    )


def _cgroup_conf(spec: ClusterSpec) -> str:
    """Containers have no cgroups to manage; left to itself, slurmd would look for them and give up."""
    return "CgroupPlugin=cgroup/v1\n" if _is_old(spec) else "CgroupPlugin=disabled\n"


def _gres_conf(spec: ClusterSpec) -> str:
    """GPUs that are counted and handed out, and that nothing can compute on."""
    return "".join(f"Name=gpu File=/dev/simgpu{number}\n" for number in range(spec.gpus_per_node))


def _is_old(spec: ClusterSpec) -> bool:
    return (spec.version or "22.05") < "24.05"


def _settings(spec: ClusterSpec) -> list[str]:
    settings = []
    if _is_old(spec):
        settings += ["SwitchType=switch/none", "TaskPlugin=task/none"]  # 24.05 has neither of these values
    if spec.accounting:
        settings += ["AccountingStorageType=accounting_storage/slurmdbd", "AccountingStorageHost=localhost"]
    else:
        settings += ["AccountingStorageType=accounting_storage/none"]
    if spec.gpus_per_node:
        settings += ["GresTypes=gpu"]
    return settings


def _nodes(spec: ClusterSpec) -> str:
    names = f"node[1-{spec.nodes}]" if spec.nodes > 1 else "node1"
    gpus = f" Gres=gpu:{spec.gpus_per_node}" if spec.gpus_per_node else ""
    return f"NodeName={names} CPUs={spec.cpus_per_node} RealMemory={spec.memory_mb}{gpus} State=UNKNOWN"


def _partitions(spec: ClusterSpec) -> list[str]:
    # A job that names no memory gets its CPUs' share, so that memory never keeps CPUs idle.
    share = f"DefMemPerCPU={spec.memory_mb // spec.cpus_per_node}"
    lines = [f"PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE {share} State=UP"]
    for partition in spec.partitions:
        nodes = ",".join(partition.nodes) if partition.nodes else "ALL"
        lines.append(f"PartitionName={partition.name} Nodes={nodes} MaxTime={partition.max_time} {share} State=UP")
    return lines
