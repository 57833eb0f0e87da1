"""Files of the cluster, for a job on it: read directly, from the job's work directory."""

from typing import Any

from clustrix_remote import filesystem as _shared  # type: ignore[import-not-found]
from clustrix_remote.files import LocalPlace  # type: ignore[import-not-found]
from clustrix_remote.filesystem import *  # type: ignore[import-not-found]  # noqa: F403 - all that it offers

from ._job import get_config


def _place_of(config: Any) -> Any:
    return LocalPlace((config or get_config()).remote_work_dir)


_shared.Settings.place_of = staticmethod(_place_of)
_shared.Settings.local_place_of = staticmethod(_place_of)
