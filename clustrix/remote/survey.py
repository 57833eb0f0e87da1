"""What this login node is, for whoever sets up or examines a profile: read, and nothing changed."""

import shutil
import socket
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Dict

from . import interpreters, inventory
from .cores import cores
from .installers import index_url
from .login_shell import login_path
from .paths import StatePaths
from .schedulers.sites import sites

__all__ = ["job_facts", "survey"]

INDEX_TIMEOUT = 5.0  # seconds


def survey(state: StatePaths) -> Dict[str, Any]:
    """The facts, each under its name; one that can't be found out is the text of its error in ``failures``.

    ``index`` has the package index' ``url`` and why it does not serve (``error``, empty if it does).
    """
    questions: Dict[str, Callable[[], Any]] = {
        "host": socket.getfqdn,
        "schedulers": lambda: [_site(site) for site in sites()],
        "interpreters": lambda: [dict(item._asdict()) for item in interpreters.survey(is_fresh=True)],
        "room": lambda: inventory.room(state),
        "state_dir": lambda: state.root,
        "uv": lambda: shutil.which("uv") or shutil.which("uv", path=login_path()) or "",
        "index": _index,
        "cores": cores,
    }
    found: Dict[str, Any] = {"failures": {}}
    with ThreadPoolExecutor(len(questions)) as pool:
        answers = [(name, pool.submit(question)) for name, question in questions.items()]
        for name, answer in answers:
            try:
                found[name] = answer.result()
            except Exception as error:  # noqa: BLE001, PERF203 - whatever it is, the other facts count
                found["failures"][name] = "%s: %s" % (type(error).__name__, error)
    return found


def job_facts() -> Dict[str, Any]:
    """The same of the compute node that a job runs on, as far as a job has to do with it."""
    return {
        "node": socket.gethostname(),
        "python": "%d.%d.%d" % sys.version_info[:3],
        "index": _index(),
    }


def _site(site: Any) -> Dict[str, Any]:
    return dict(site._asdict(), queues=[dict(queue._asdict()) for queue in site.queues])


def _index() -> Dict[str, str]:
    """Whether the index that installers use here answers at all; a login it may ask for is theirs."""
    url, error = index_url(), ""
    if not url:
        return {"url": "the package index", "error": "no settings name one, and no pip came with Python"}
    try:
        with urllib.request.urlopen(url, timeout=INDEX_TIMEOUT):  # noqa: S310 - the site's own settings name it
            pass
    except urllib.error.HTTPError:
        pass
    except (OSError, ValueError) as failure:
        error = str(getattr(failure, "reason", failure))
    return {"url": url, "error": error}
