"""Which distributions a function's imports need, as the client has them; and what users write in their place.

The versions are upper bounds for the cluster's Python, which may be too old for the client's own; they are no lock:
what exactly is installed is decided for that interpreter (see lock.py).
"""

from __future__ import annotations

import re
import sys
from functools import cache
from typing import TYPE_CHECKING

from clustrix.distributions import canonical_name, installed_distributions, providers
from clustrix.local_modules import is_standard_library
from clustrix.requirement_files import read_requirements

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from clustrix.distributions import Distribution

__all__ = ["explicit_constraints", "explicit_requirements", "requirements_for"]

_OWN_PACKAGES = ("clustrix", "clustrix_remote", "simcluster")
# Modules that are often imported only on the cluster, of distributions with another name (each one's own documentation).
_OTHERWISE_NAMED = {
    "Bio": "biopython",
    "Crypto": "pycryptodome",
    "OpenSSL": "pyopenssl",
    "PIL": "pillow",
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "fitz": "pymupdf",
    "git": "gitpython",
    "igraph": "python-igraph",
    "mpl_toolkits": "matplotlib",
    "osgeo": "gdal",
    "pkg_resources": "setuptools",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "usb": "pyusb",
    "yaml": "pyyaml",
    "zmq": "pyzmq",
}

# Modules of the standard library that older Pythons lack, and a distribution has under the same name.
_BACKPORTS = {
    "contextvars": 'contextvars; python_version < "3.7"',
    "dataclasses": 'dataclasses; python_version < "3.7"',
    "graphlib": 'graphlib-backport; python_version < "3.9"',
}
# Modules that stand in for one of the standard library where that is not there yet (their own documentation).
_STAND_INS = {
    "backports.zoneinfo": 'backports.zoneinfo; python_version < "3.9"',
    "exceptiongroup": 'exceptiongroup; python_version < "3.11"',
    "importlib_metadata": 'importlib-metadata; python_version < "3.8"',
    "importlib_resources": 'importlib-resources; python_version < "3.9"',
    "tomli": 'tomli; python_version < "3.11"',
}


def requirements_for(imports: Iterable[str], optional: Iterable[str] = ()) -> tuple[str, ...]:
    """PEP 508 requirements for names of imported modules, sorted: ``numpy<=2.1.0``.

    What the client doesn't have is required by its bare name; of ``optional`` ones (always imported within
    ``try/except ImportError``) it is left out, but for what stands in there for a module that older Pythons lack. The standard library, but for
    what these lack of it, and clustrix itself need nothing, and neither do distributions that are shipped as source. What these ask of others with extras (``pandas[parquet]``) is asked for with them;
    other extras leave no trace in an installation. A version's local part (``+cu121``) is left out: the same release of
    whatever index the client uses.
    """
    left_out = set(optional)
    found: set[str] = set()
    for name in set(imports) | left_out:
        top = name.partition(".")[0]
        if top in _OWN_PACKAGES:
            continue
        if top in _BACKPORTS and name not in left_out:
            found.add(_BACKPORTS[top])
        having = providers(top, name) if top not in sys.stdlib_module_names else ()
        if having:
            found.update(_bounded(item) for item in having if not item.is_shipped)
        elif name in left_out and name in _STAND_INS:
            found.add(_STAND_INS[name])
        elif not is_standard_library(top) and name not in left_out:
            found.add(_OTHERWISE_NAMED.get(top, canonical_name(top)))
    return tuple(sorted(found))


def explicit_requirements(value: str | Path | Iterable[str]) -> tuple[str, ...]:
    """The user's own requirements, sorted: PEP 508 strings, or the path of a file that holds them.

    A requirements.txt, with the files that it names; a pyproject.toml's ``[project].dependencies``; what a uv.lock has
    for its projects; what pip can install of a conda environment.yml. Constraints on what is required are part of it.

    :raises PackagingError: the file can't be read, or a line is not a requirement; the message names it
    """
    return read_requirements(value).required()


def explicit_constraints(value: str | Path | Iterable[str]) -> tuple[str, ...]:
    """Versions for what the user's requirements need in turn: of ``-c`` in a requirements.txt, and all that is in a uv.lock.

    :raises PackagingError: as explicit_requirements
    """
    return read_requirements(value).constraints


def _bounded(distribution: Distribution) -> str:
    extras = ",".join(sorted(_extras_asked_for().get(distribution.name, ())))
    name = f"{distribution.name}[{extras}]" if extras else distribution.name
    version = distribution.version
    return f"{name}<={version}" if re.fullmatch(r"[0-9][0-9a-zA-Z.!_-]*", version) else name


@cache
def _extras_asked_for() -> dict[str, set[str]]:
    """The extras with which shipped distributions require others, by the others' names."""
    found: dict[str, set[str]] = {}
    for item in installed_distributions():
        lines = [line for line in item.requires if "[" in line.partition(";")[0]] if item.is_shipped else []
        for line in lines:
            from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415 - 15 ms, seldom needed

            try:
                wanted = Requirement(line)
            except InvalidRequirement:
                continue  # an old distribution's; its installer was more patient
            if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
                found.setdefault(canonical_name(wanted.name), set()).update(wanted.extras)
    return found
