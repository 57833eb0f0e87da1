"""Files in which people write down what they need: requirements.txt, pyproject.toml, uv.lock, environment.yml."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clustrix.distributions import canonical_name
from clustrix.errors import ConfigurationError, PackagingError
from clustrix.yaml_files import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Requirements", "read_requirements"]


@dataclass(frozen=True)
class Requirements:
    """PEP 508 strings: what is required, and ``constraints`` on whatever is installed for it."""

    roots: tuple[str, ...]
    constraints: tuple[str, ...] = ()

    def required(self) -> tuple[str, ...]:
        """The roots, sorted, each also with the constraints on it."""
        from packaging.requirements import Requirement  # noqa: PLC0415 - 15 ms, seldom needed

        found = set(self.roots)
        for root in map(Requirement, self.roots):
            for limit in map(Requirement, self.constraints):
                if canonical_name(limit.name) == canonical_name(root.name) and not root.url and limit.specifier:
                    markers = " and ".join(f"({item.marker})" for item in (root, limit) if item.marker)
                    found.add(str(Requirement(f"{root.name}{limit.specifier}" + (f" ; {markers}" if markers else ""))))
        return tuple(sorted(found))


def read_requirements(value: str | Path | Iterable[str]) -> Requirements:
    """What a list says, or a file, whose name tells its kind; a name that says nothing is a requirements.txt.

    :raises PackagingError: the file can't be read, or holds what is not a requirement; the message names file and line
    """
    if not isinstance(value, str | Path):
        return Requirements(
            tuple(_requirement(line, f"requirements, line {number}") for number, line in _logical_lines(list(value)))
        )
    path = Path(value).expanduser()
    if path.name == "pyproject.toml":
        return _of_pyproject(path)
    if path.name == "uv.lock":
        return _of_uv_lock(path)
    if path.suffix in (".yml", ".yaml"):
        return _of_conda(path)
    roots: list[str] = []
    constraints: list[str] = []
    _read_text_file(path, roots, constraints, ())
    return Requirements(tuple(roots), tuple(constraints))


_NESTED = re.compile(r"(-r|-c|--requirement|--constraint)(?:\s*=\s*|\s*)(.+)")
_OPTION_ADVICE = {
    "-e": "an editable project is shipped as source when the function imports it: leave the line out",
    "--editable": "an editable project is shipped as source when the function imports it: leave the line out",
    "--hash": "clustrix locks with hashes of its own: leave them out",
    "-i": "set UV_DEFAULT_INDEX instead",
    "--index-url": "set UV_DEFAULT_INDEX instead",
    "--extra-index-url": "set UV_INDEX instead",
    "-f": "set UV_FIND_LINKS instead",
    "--find-links": "set UV_FIND_LINKS instead",
}


def _read_text_file(path: Path, into: list[str], constraints: list[str], above: tuple[Path, ...]) -> None:
    """A file in "Requirements File Format" (pip's documentation): ``-r`` and ``-c`` are relative to the file they stand in, other options refused."""
    if path.resolve() in above:
        raise PackagingError(f"{path} is read by itself, by way of -r or -c: take one of these lines out.")
    for number, line in _logical_lines(_text(path).splitlines()):
        origin = f"{path}, line {number}"
        nested = _NESTED.fullmatch(line)
        if nested:
            target = constraints if nested[1] in ("-c", "--constraint") else into
            inner = path.parent / nested[2].strip("\"' ")
            if not inner.is_file():
                raise PackagingError(f"{origin}: {line!r} names {inner}, which is not a file here.")
            _read_text_file(inner, target, constraints, (*above, path.resolve()))
            continue
        option = re.search(r"(?:^|\s)(--?[A-Za-z][\w-]*)", line)
        if option:
            advice = _OPTION_ADVICE.get(option[1], "leave it out, and configure uv or pip itself if it is needed")
            raise PackagingError(f"{origin}: the option {option[1]} is not carried to the cluster: {advice}.")
        into.append(_requirement(line, origin, path.parent))


def _logical_lines(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Lines without comments, with ``${VARIABLES}`` filled in and those joined that end in a backslash, and their numbers."""
    start, text = 0, ""
    for number, line in enumerate([*lines, ""], 1):
        start = start if text else number
        if line.endswith("\\") and not line.lstrip().startswith("#"):
            text += line[:-1] + " "
            continue
        text = re.sub(r"(^|\s)#.*$", "", text + line).strip()
        if text:
            yield start, re.sub(r"\$\{([A-Z0-9_]+)\}", lambda found: os.environ.get(found[1], found[0]), text)
        text = ""


def _requirement(line: str, origin: str, directory: Path | None = None) -> str:
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415 - 15 ms, seldom needed

    try:
        return str(Requirement(line))
    except InvalidRequirement as error:
        path = (directory or Path()) / line
        if path.suffix == ".whl" and path.is_file():
            return f"{canonical_name(path.name.partition('-')[0])} @ {path.resolve().as_uri()}"
        advice = "Write a name with versions, such as 'numpy>=1.19'"
        if path.is_dir():
            advice = "A project's directory is shipped as source when the function imports it"
        elif line.startswith("-"):
            advice = "Options are read in files only; write a name with versions, such as 'numpy>=1.19'"
        raise PackagingError(
            f"{origin}: {line!r} is not a requirement ({str(error).splitlines()[0]}). {advice}."
        ) from error


def _of_pyproject(path: Path) -> Requirements:
    text = _text(path)
    project = _toml(path, text).get("project")
    if not isinstance(project, dict):
        raise PackagingError(f"{path} has no [project], so no dependencies: give a list, or another file.")
    if "dependencies" in project.get("dynamic", ()):
        raise PackagingError(f"{path}: the build backend makes [project].dependencies: give a list, or another file.")
    lines = project.get("dependencies", [])
    if not isinstance(lines, list):
        raise PackagingError(f"{path}: [project].dependencies is not a list.")
    return Requirements(tuple(_requirement(str(line), _origin(path, text, str(line))) for line in lines))


def _of_uv_lock(path: Path) -> Requirements:
    """What the projects of a uv.lock need, and every version in it as a constraint.

    What comes from a directory or a repository is shipped as source when it is imported, so here what it needs counts.
    """
    text = _text(path)
    packages = _toml(path, text).get("package", [])
    if not isinstance(packages, list) or not all(isinstance(item, dict) and "name" in item for item in packages):
        raise PackagingError(f"{path} has no [[package]] tables: make it anew with 'uv lock'.")
    trees = {item["name"] for item in packages if not {"registry", "url"} & set(item.get("source", ()))}
    urls = {item["name"]: item["source"]["url"] for item in packages if "url" in item.get("source", ())}
    roots, constraints = [], []
    for item in packages:
        origin = _origin(path, text, f'name = "{item["name"]}"')
        if item["name"] in trees:
            for needed in item.get("dependencies", ()):
                if needed["name"] not in trees:
                    extras = f"[{','.join(needed['extra'])}]" if needed.get("extra") else ""
                    version = f"=={needed['version']}" if needed.get("version") else ""
                    where = f" @ {urls[needed['name']]}" if needed["name"] in urls else version
                    marker = f" ; {needed['marker']}" if needed.get("marker") else ""
                    roots.append(_requirement(f"{needed['name']}{extras}{where}{marker}", origin))
        elif item["name"] not in urls:
            markers = " or ".join(f"({marker})" for marker in item.get("resolution-markers", ()))
            constraints.append(
                _requirement(f"{item['name']}=={item['version']}" + (f" ; {markers}" if markers else ""), origin)
            )
    return Requirements(tuple(dict.fromkeys(roots)), tuple(constraints))


# Distributions that conda and PyPI call by different names, and what only conda has (conda-forge's feedstocks).
_CONDA_NAMES = {
    "dask-core": "dask",
    "importlib_metadata": "importlib-metadata",
    "matplotlib-base": "matplotlib",
    "opencv": "opencv-python-headless",
    "py-opencv": "opencv-python-headless",
    "py-xgboost": "xgboost",
    "pytables": "tables",
    "python-graphviz": "graphviz",
    "python-igraph": "igraph",
    "pytorch": "torch",
    "pytorch-cpu": "torch",
    "pytorch-gpu": "torch",
    "seaborn-base": "seaborn",
    "snakemake-minimal": "snakemake",
    "tensorflow-gpu": "tensorflow",
}
_ONLY_CONDA = re.compile(
    r"r-.*|_.*|lib(?!rosa$|sass$|cst$|tmux$).*|cuda.*|cudnn|nccl|mkl-service|blas|openblas|.*-dev|.*_linux-64|.*-compilers?|compilers|"
    r"c(xx)?-compiler|gcc.*|gxx.*|gfortran.*|binutils.*|make|autoconf|automake|openmpi|mpich|hdf5|netcdf4?-?c|openssl|"
    r"ca-certificates|zlib|bzip2|xz|readline|sqlite|tk|ncurses|ffmpeg|graphviz|nodejs|openjdk|perl|git|curl|gsl|fftw|eigen|"
    r"boost.*|icu|krb5|geos|proj|samtools|bcftools|bedtools|blast|bwa|pytorch-cuda"
)


def _of_conda(path: Path) -> Requirements:
    """What pip can install of a conda environment: ``name``, ``name=1.2=build``, ``channel::name>=1``, and its ``pip:`` list."""
    text = _text(path)
    try:
        content = parse_yaml(text, str(path))
    except ConfigurationError as error:
        raise PackagingError(str(error)) from error
    entries = content.get("dependencies") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise PackagingError(f"{path} has no list of 'dependencies', so it is no conda environment.")
    roots = []
    for entry in entries:
        if isinstance(entry, dict):
            for line in entry.get("pip") or ():
                origin = _origin(path, text, str(line))
                if str(line).startswith("-"):
                    raise PackagingError(
                        f"{origin}: {line!r}: name such a file, or its lines, in requirements= itself."
                    )
                roots.append(_requirement(str(line), origin, path.parent))
        else:
            roots += _of_conda_entry(str(entry), _origin(path, text, str(entry)))
    return Requirements(tuple(roots))


def _of_conda_entry(entry: str, origin: str) -> list[str]:
    match = re.fullmatch(r"(?:[^\s]*::)?([\w.-]+)(?:\[[^]]*\])?\s*(.*)", entry.strip())
    if match is None:
        raise PackagingError(f"{origin}: {entry!r} is not a conda requirement: write 'name', or 'name>=1.2'.")
    name, version = match[1].lower(), match[2].strip()
    if name in ("python", "pip", "setuptools", "wheel"):
        return []  # python= says which Python, and the others belong to it
    if _ONLY_CONDA.fullmatch(name):
        raise PackagingError(
            f"{origin}: {entry!r} is a package of conda's, which pip can't install. Make the environment on the cluster with "
            "conda and name it with environment=, or list what pip can install with requirements=[...]."
        )
    return [_requirement(_CONDA_NAMES.get(name, name) + _pip_version(version), origin)]


def _pip_version(version: str) -> str:
    """A version of conda's "Package match specifications" as PEP 440 has them: ``=1.2`` is any 1.2, a build string falls away."""
    match = re.fullmatch(r"(==?|)\s*([0-9][\w.!+*]*)(?:(?:\s*=\s*|\s+)(\S+))?", version)
    if match is None:
        return "" if version == "*" else version
    operator, number, build = match.groups()
    is_fuzzy = number.endswith("*") or (operator == "=" and not build)
    return f"=={number.rstrip('*').rstrip('.')}.*" if is_fuzzy else f"=={number}"


def _toml(path: Path, text: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib  # noqa: PLC0415 - only these files need it
    else:
        import tomli as tomllib  # noqa: PLC0415

    try:
        content: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PackagingError(f"{path} is not TOML: {error}") from error
    return content


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise PackagingError(f"requirements={str(path)!r} can't be read: {error}. Give a list or a file.") from error


def _origin(path: Path, text: str, item: str) -> str:
    """File and line of an item, by its text: parsers of TOML and YAML don't tell where a list's items stand."""
    for number, line in enumerate(text.splitlines(), 1):
        if item in line:
            return f"{path}, line {number}"
    return str(path)
