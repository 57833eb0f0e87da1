"""What ``import clustrix`` is inside a job: the same names, without a connection."""

from ._job import cluster, configure, get_config

__all__ = ["cluster", "configure", "get_config"]
