"""The files in /etc/slurm for one cluster."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simcluster.spec import ClusterSpec

__all__ = ["Site", "render_conf_files", "render_slurm_conf"]


@dataclass(frozen=True)
class Site:
    """What of a Slurm depends on where it runs; as it stands: in the containers of docker/slurm.

    `version` is that of the release, "22.05". `spool` may hold %n, the node's name. `addresses` are more words for a
    node's line, by its name; without them nodes are found by their names.
    """

    version: str = "22.05"
    controller: str = "login"
    user: str = "slurm"
    node_user: str = "root"
    port: int = 6817
    run: str = "/run/slurm"
    state: str = "/var/spool/slurmctld"
    spool: str = "/var/spool/slurmd"
    logs: str = "/var/log/slurm"
    devices: str = "/dev"
    settings: tuple[str, ...] = (
        "SlurmdPort=6818",
        "AuthType=auth/munge",
        "AuthInfo=cred_expire=5",
        "CredType=cred/munge",
        "CommunicationParameters=NoAddrCache",  # a restarted container has another address
    )
    addresses: Mapping[str, str] = field(default_factory=dict)

    @property
    def completion_log(self) -> str:
        """Where Slurm writes a line about each job that has ended."""
        return f"{self.logs}/jobcomp.log"

    def gpu_devices(self, spec: ClusterSpec) -> list[str]:
        """What stands for each GPU of a node: slurmd wants a device of such a name, and never opens it."""
        return [f"{self.devices}/simgpu{number}" for number in range(spec.gpus_per_node)]

    @property
    def is_old(self) -> bool:
        """Whether it is older than 24.05, which dropped and renamed some settings."""
        return self.version < "24.05"


def render_conf_files(spec: ClusterSpec, site: Site) -> dict[str, str]:
    """Every file by name."""
    return {
        "slurm.conf": render_slurm_conf(spec, site),
        "cgroup.conf": _cgroup_conf(site),
        "gres.conf": _gres_conf(spec, site),
    }


def render_slurm_conf(spec: ClusterSpec, site: Site) -> str:
    """slurm.conf with the nodes, partitions and settings of `spec`."""
    template = Template(Path(__file__).with_name("slurm.conf").read_text(encoding="utf-8"))
    return template.substitute(
        controller=site.controller,
        user=site.user,
        node_user=site.node_user,
        port=site.port,
        run=site.run,
        state=site.state,
        spool=site.spool,
        completion_log=site.completion_log,
        settings="\n".join(_settings(spec, site)),
        nodes="\n".join(_nodes(spec, site)),
        partitions="\n".join(_partitions(spec)),
    )


def _cgroup_conf(site: Site) -> str:
    """There are no cgroups to manage; left to itself, slurmd would look for them and give up."""
    return "CgroupPlugin=cgroup/v1\n" if site.is_old else "CgroupPlugin=disabled\n"


def _gres_conf(spec: ClusterSpec, site: Site) -> str:
    """GPUs that are counted and handed out, and that nothing can compute on."""
    return "".join(f"Name=gpu File={name}\n" for name in site.gpu_devices(spec))


def _settings(spec: ClusterSpec, site: Site) -> list[str]:
    settings = list(site.settings)
    if site.is_old:
        settings += ["SwitchType=switch/none", "TaskPlugin=task/none"]  # 24.05 has neither of these values
    if spec.accounting:
        settings += ["AccountingStorageType=accounting_storage/slurmdbd", "AccountingStorageHost=localhost"]
    else:
        settings += ["AccountingStorageType=accounting_storage/none"]
    if spec.gpus_per_node:
        settings += ["GresTypes=gpu"]
    return settings


def _nodes(spec: ClusterSpec, site: Site) -> list[str]:
    gpus = f" Gres=gpu:{spec.gpus_per_node}" if spec.gpus_per_node else ""
    each = f" CPUs={spec.cpus_per_node} RealMemory={spec.memory_mb}{gpus} State=UNKNOWN"
    if site.addresses:
        return [f"NodeName={name} {site.addresses[name]}{each}" for name in spec.node_names]
    names = f"node[1-{spec.nodes}]" if spec.nodes > 1 else "node1"
    return [f"NodeName={names}{each}"]


def _partitions(spec: ClusterSpec) -> list[str]:
    # A job that names no memory gets its CPUs' share, so that memory never keeps CPUs idle.
    share = f"DefMemPerCPU={spec.memory_mb // spec.cpus_per_node}"
    lines = [f"PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE {share} State=UP"]
    for partition in spec.partitions:
        nodes = ",".join(partition.nodes) if partition.nodes else "ALL"
        lines.append(f"PartitionName={partition.name} Nodes={nodes} MaxTime={partition.max_time} {share} State=UP")
    return lines
