"""One client Python: submits every use case to every Python of the cluster at once, and writes down what became of each.

``python use_cases.py ORDERS CELLS``: ORDERS is a JSON file (see run.py), CELLS the file that is written.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from case import Seen
from cells import REFUSED, RIGHT, WRONG, Cell

import clustrix
from clustrix import cluster

if TYPE_CHECKING:
    from case import UseCase

    from clustrix.future import ClusterFuture

__all__ = ["main"]

HERE = Path(__file__).parent
LONGEST_RUN = 1200.0  # seconds that all calls of one client may take
LONGEST_REASON = 200  # characters


def main(use_cases: list[UseCase]) -> None:
    orders = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    _configure(orders["ssh"], Path(orders["directory"]))
    chosen = [case for case in use_cases if not orders["use_cases"] or case.name in orders["use_cases"]]
    submitted = [(case, python, _submit(case, python)) for case in chosen for python in orders["pythons"]]
    deadline = time.monotonic() + LONGEST_RUN
    cells = [_cell(case, python, outcome, deadline) for case, python, outcome in submitted]
    Path(sys.argv[2]).write_text(json.dumps([asdict(cell) for cell in cells]), encoding="utf-8")


def _configure(ssh: dict[str, Any], directory: Path) -> None:
    """Point ``@cluster`` at the cluster. Every field is set, so that nothing of the user's own configuration mixes in."""
    os.environ["XDG_STATE_HOME"] = str(directory / "state")
    config = clustrix.ClusterConfig(
        cluster_host=ssh["host"],
        cluster_port=int(ssh["port"]),
        username=ssh["username"],
        key_file=ssh["key_file"],
        known_hosts_file=ssh["known_hosts_file"],
        local_cache_dir=str(directory / "cache"),
        default_cores=1,
        default_memory="500MB",
        default_time="00:10:00",
    )
    clustrix.configure(**config.public_dict(), password=None)


def _submit(case: UseCase, python: str) -> ClusterFuture | BaseException:
    try:
        function = cluster(python=python)(case.function)
        return function.submit(*case.arguments, **case.keywords)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the cell's
        return error


def _cell(case: UseCase, python: str, outcome: ClusterFuture | BaseException, deadline: float) -> Cell:
    place: dict[str, Any] = {
        "use_case": case.name,
        "client": ".".join(map(str, sys.version_info[:2])),
        "cluster": python,
    }
    if isinstance(outcome, BaseException):
        return Cell(**place, verdict=REFUSED, reason=_shortened(outcome))
    try:
        error = outcome.exception(max(0.0, deadline - time.monotonic()))
    except TimeoutError:
        outcome.cancel()
        return Cell(**place, verdict=WRONG, job=outcome.job_id, reason=f"no end within {LONGEST_RUN:g} s")
    if outcome.scheduler_id is None:
        return Cell(**place, verdict=REFUSED, reason=_shortened(error))
    place.update(job=outcome.job_id, scheduler_id=outcome.scheduler_id, node=outcome.node)
    reason = _why_wrong(case, python, outcome, error)
    return Cell(**place, verdict=WRONG if reason else RIGHT, reason=reason)


def _why_wrong(case: UseCase, python: str, future: ClusterFuture, error: BaseException | None) -> str:
    if not (future.python or "").startswith(f"{python}."):
        return f"ran under Python {future.python}: {_shortened(error)}"
    value = None if error else future.result()
    seen = Seen(python, value, error, future.stdout(), future.stderr())
    try:
        is_right = case.is_right(seen)
    except Exception as failure:  # noqa: BLE001 - a check that can't even be made is not right either
        return f"{_shortened(error) or _shown(value)}: {_shortened(failure)}"
    return "" if is_right else _shortened(error) or f"{_shown(value)}, stdout {seen.stdout!r}, stderr {seen.stderr!r}"


def _shortened(error: BaseException | None) -> str:
    if error is None:
        return ""
    # As on any other computer and in any other process, for the record is kept.
    text = f"{type(error).__name__}: {error}".replace(f"{HERE}{os.sep}", "")
    return re.sub(r" at 0x[0-9a-f]+", "", text)[:LONGEST_REASON]


def _shown(value: Any) -> str:
    return repr(value)[:LONGEST_REASON]
