"""Values, exceptions and sealed results between Pythons 3.6 and newer, in either direction.

On the client this package is `clustrix.remote.wire`; on the cluster it has another name. No pickle refers to it.
"""

from .container import Bytes
from .culprit import WireError
from .exceptions import RemoteErrorBase, RemoteTraceback, describe_exception, rebuild_exception
from .pickler import dump_pieces, dumps, loads
from .plain_values import rewrite
from .reducers import Settings
from .seal import SealError, seal, unseal

__all__ = [
    "Bytes",
    "RemoteErrorBase",
    "RemoteTraceback",
    "SealError",
    "Settings",
    "WireError",
    "describe_exception",
    "dump_pieces",
    "dumps",
    "loads",
    "rebuild_exception",
    "rewrite",
    "seal",
    "unseal",
]
