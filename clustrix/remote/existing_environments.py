"""Environments that the user made on the cluster, conda's and virtual ones: found, asked what they have, never changed."""

import json
import os
import subprocess
from typing import Dict, List, NamedTuple, Optional, Sequence

from .interpreters import Interpreter, inspect_interpreter
from .places import conda_environments
from .script import activation_file, with_modules

__all__ = ["EnvironmentUnusableError", "ExistingEnvironment", "find_environment", "missing_imports"]

# Nothing is imported, for imports run the libraries' own code: a name is looked for where its package lies. Only below
# a namespace package do several distributions share a name; inside others a name may be made when they are imported.
_FIND = """
import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec
def is_there(name):
    spec, path = find_spec(name.partition(".")[0]), name.partition(".")[0]
    for part in name.split(".")[1:]:
        if spec is None or spec.origin not in (None, "namespace") or spec.submodule_search_locations is None:
            break
        path += "." + part
        spec = PathFinder.find_spec(path, spec.submodule_search_locations)
    return spec is not None
print("\\n".join(["missing:"] + [name for name in sys.argv[1:] if not is_there(name)]))
"""


class EnvironmentUnusableError(Exception):
    """The environment that was asked for is not there, or can't run the function."""


class ExistingEnvironment(NamedTuple):
    """An environment of the user's: its directory, its Python, and its name if it is one of conda's."""

    prefix: str
    interpreter: Interpreter
    conda_name: Optional[str]

    @property
    def in_words(self) -> str:
        kind = "virtual environment" if self.conda_name is None else "conda environment"
        return "the %s %s (Python %s)" % (kind, self.prefix, self.interpreter.version_text)

    @property
    def python(self) -> str:
        return os.path.join(self.prefix, "bin", "python")

    def activation(self) -> str:
        """The text of the job's activation file."""
        return activation_file(self.prefix, self.conda_name, self._variables())

    def _variables(self) -> Dict[str, str]:
        """What ``conda env config vars set`` keeps."""
        try:
            with open(os.path.join(self.prefix, "conda-meta", "state"), encoding="utf-8") as stream:
                variables = json.load(stream).get("env_vars", {})
        except (OSError, ValueError, AttributeError):
            return {}
        # Unset ones are kept with a mark of conda's own.
        return {name: str(value) for name, value in variables.items() if value != "***unset***"}


def find_environment(named: str) -> ExistingEnvironment:
    """The environment at a path, or conda's of that name.

    Raises EnvironmentUnusableError: it is not there (the message lists those that are), several have that name, or its
    Python does not run.
    """
    environments = conda_environments()
    if "/" in named or named.startswith("~"):
        prefix = os.path.abspath(os.path.expanduser(named))
    else:
        having = [prefix for prefix, name in environments.items() if name == named]
        if len(having) > 1:
            raise EnvironmentUnusableError(
                "several conda environments on the cluster are called %s: give the path of one of %s"
                % (named, ", ".join(having))
            )
        if not having:
            raise EnvironmentUnusableError(
                "no conda environment on the cluster is called %s; found: %s. A virtual environment is named by its path"
                % (named, ", ".join("%s (%s)" % (name, path) for path, name in environments.items()) or "none")
            )
        prefix = having[0]
    python = os.path.join(prefix, "bin", "python")
    if not os.path.exists(python):
        raise EnvironmentUnusableError(
            "the environment %s is not on the cluster: there is no %s. Make it there, or name another one"
            % (named, python)
        )
    interpreter = inspect_interpreter(python)
    if interpreter is None:
        raise EnvironmentUnusableError(
            "the Python of the environment %s (%s) does not run as a CPython 3.6 or newer: mend it, or name another one"
            % (named, python)
        )
    is_conda = os.path.isdir(os.path.join(prefix, "conda-meta"))
    conda_name = environments.get(os.path.realpath(prefix), os.path.basename(prefix)) if is_conda else None
    return ExistingEnvironment(prefix, interpreter, conda_name)


def missing_imports(
    environment: ExistingEnvironment, imports: Sequence[str], modules: Sequence[str], variables: Dict[str, str]
) -> List[str]:
    """Which of the modules ``imports`` the environment lacks, where the job's modules and variables are set.

    Raises EnvironmentUnusableError when it can't be asked.
    """
    if not imports:
        return []
    own = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    try:
        answer = subprocess.run(
            with_modules(modules, [environment.python, "-s", "-B", "-c", _FIND, *imports]),
            env=dict(own, **variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise EnvironmentUnusableError("%s did not say within 60 s what it has" % environment.in_words) from None
    before, found, names = answer.stdout.decode("utf-8", "replace").rpartition("missing:")
    if answer.returncode != 0 or not found:
        words = answer.stderr.decode("utf-8", "replace").strip()[-1000:] or before.strip()[-1000:]
        raise EnvironmentUnusableError("%s can't be asked what it has: %s" % (environment.in_words, words))
    return names.split()
