"""The environment of one job: which Python and which packages, decided once with the client, then found again by one file.

``decisions/<digest>.json`` says what was decided for the same wishes on the same interpreters. As long as the environment
that it names is there, a submission asks nobody.
"""

import contextlib
import hashlib
import json
import os
import re
import threading
from typing import Any, Callable, Dict, NamedTuple, Optional, Sequence, Tuple

from . import inventory
from .build_jobs import BuildJob
from .environments import BuildSettings, Recipe, ensure_environment, environment_key, environment_python
from .interpreters import Interpreter, choose_interpreter
from .paths import StatePaths, write_aside
from .wheels import Wheel

__all__ = ["JobEnvironment", "job_environment"]


_FOR_OLDER = re.compile(r'; python_version < "(\d+)\.(\d+)"\Z')


class JobEnvironment(NamedTuple):
    """The interpreter, and the Python of the environment that is made with it; that of the tools environment if it is needed."""

    interpreter: Interpreter
    python: str
    tools: Optional[str]


def job_environment(
    state: StatePaths,
    spec: Dict[str, Any],
    candidates: Sequence[Interpreter],
    *,
    report: Callable[[str], None],
    ask: Callable[..., bytes],
    gone: threading.Event,
) -> JobEnvironment:
    """The environment for the job of ``spec`` on one of ``candidates``, the best of which comes first; built if need be.

    Where the job needs packages, the client is asked for the piece ``lock``, with the candidates: it answers in JSON with
    ``candidate``, the number of the first one that can have them all; ``lock``, the text of its requirements file, empty if
    the client can make none (then ``requirements`` are resolved here); and what it sends when it is asked for, each as
    [name, sha256]: ``tools`` for the tools environment, whose uv builds the others, ``pip``, and, if it ``has_wheels``, those
    of the lock. The tools environment is also the one that takes the first of two stages. Raises what ``ensure_environment`` does. ``spec["environments"]`` gets the keys of what the job needs.
    """
    wish = [spec["client_python"], spec["requirements"], spec["constraints"], spec["package_manager"]]
    known = [[item.path, item.version, item.platform] for item in candidates]
    decision = state.decision(hashlib.sha256(json.dumps([wish, known]).encode("utf-8")).hexdigest()[:16])
    decided = _read(decision)
    has_two_stages = spec["use_two_venv"] is True
    if decided and all(
        key and os.path.exists(environment_python(state, key))
        for key in [decided["key"], *([decided["tools"]] if has_two_stages else [])]
    ):
        return _used(state, spec, candidates[decided["candidate"]], decided)
    answer: Dict[str, Any] = {"candidate": 0}
    if _that_apply(spec["requirements"], candidates[0]) or has_two_stages:
        answer = json.loads(ask("lock", candidates=[dict(item._asdict()) for item in candidates]).decode("utf-8"))
    interpreter = candidates[answer["candidate"]]
    if answer["candidate"] > 0:
        report("%s is used, for what is required can't be had on %s" % (interpreter.in_words, candidates[0].in_words))
    settings = BuildSettings(
        seconds=spec["setup_timeout"],
        package_manager=spec["package_manager"],
        pip=Wheel(*answer["pip"]) if answer.get("pip") else None,
        has_wheels=answer.get("has_wheels", False),
        job=_build_job(spec),
    )
    tools_key = None
    if answer.get("tools") or has_two_stages:
        tools = Recipe(tools=tuple(Wheel(*item) for item in answer.get("tools", ())))
        nearest = choose_interpreter(None, None, tuple(spec["client_python"]))
        python = ensure_environment(state, nearest, tools, settings, report=report, fetch=ask, gone=gone)
        tools_key = environment_key(nearest, tools)
        inventory.note_use(state, tools_key)
        settings = settings._replace(tools=python)
    lock = answer.get("lock", "")
    recipe = Recipe(lock, () if lock else _that_apply(spec["requirements"], interpreter))
    ensure_environment(state, interpreter, recipe, settings, report=report, fetch=ask, gone=gone)
    decided = {"candidate": answer["candidate"], "key": environment_key(interpreter, recipe), "tools": tools_key}
    write_aside(decision, json.dumps(decided).encode("utf-8"))
    return _used(state, spec, interpreter, decided)


def _build_job(spec: Dict[str, Any]) -> Optional[BuildJob]:
    """Where there is no scheduler, there is no other node than the login node."""
    if spec["build_on"] != "compute" or spec["scheduler"] in ("ssh", "local"):
        return None
    return BuildJob(spec["scheduler"], spec["resources"])


def _that_apply(requirements: Sequence[str], interpreter: Interpreter) -> Tuple[str, ...]:
    """Without those for older Pythons than this one: most jobs then need no packages, and ask nobody."""
    limits = [(item, _FOR_OLDER.search(item)) for item in requirements]
    version = tuple(interpreter.version[:2])
    return tuple(item for item, limit in limits if not limit or version < (int(limit.group(1)), int(limit.group(2))))


def _used(state: StatePaths, spec: Dict[str, Any], interpreter: Interpreter, decided: Dict[str, Any]) -> JobEnvironment:
    tools = decided["tools"] if spec["use_two_venv"] is True else None
    spec["environments"] = [decided["key"], *([tools] if tools else [])]
    for key in spec["environments"]:
        inventory.note_use(state, key)
    return JobEnvironment(
        interpreter, environment_python(state, decided["key"]), environment_python(state, tools) if tools else None
    )


def _read(path: str) -> Dict[str, Any]:
    decided: Dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError), open(path, encoding="utf-8") as stream:
        decided = json.load(stream)
    return decided
