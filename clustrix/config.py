"""Which cluster, and how it is used: the fields, what each may be, and where their values come from.

Highest first: decorator keyword, ``configure()``, environment, project file, user file, default. Files and the
environment hold text; a field's kind says what that text means, so ``default_time: 10:00:00`` is a time and
``partition: no`` a word, whatever YAML makes of them elsewhere.
"""

from __future__ import annotations

import difflib
import functools
import math
import operator
import os
import re
import reprlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import platformdirs

from clustrix.errors import ConfigurationError

__all__ = [
    "SECRET_FIELDS",
    "ClusterConfig",
    "ProfileManager",
    "configure",
    "effective_config",
    "get_config",
    "load_config",
    "parse_memory_mb",
    "parse_time_seconds",
    "reset_config",
    "save_config",
]

SECRET_FIELDS = ("password",)

# What this release can do of what the contract allows. A row goes when its feature comes.
_SUPPORTED: dict[str, tuple[Any, ...]] = {
    "cluster_type": ("slurm", "local"),
    "connection": ("auto", "paramiko", "local"),
    "use_two_venv": (False, "auto"),
    "package_manager": ("auto", "pip"),
    "build_on": ("login",),
    "provision_python": (False,),
    "conda_env_name": (None,),
}


def _platform_cache_dir() -> str:
    return platformdirs.user_cache_dir("clustrix", appauthor=False)


@dataclass(kw_only=True)
class ClusterConfig:
    """The settings for one cluster. Every value is checked when it is set, here and by assignment later.

    Memory is text with a unit ("8GB"; a GB is 1024 MB, as schedulers count), time is text as Slurm takes it
    ("HH:MM:SS", "D-HH:MM:SS", "MM:SS", or minutes). Paths may be given as `Path` and are kept as text, ``~`` unexpanded.
    Raises ConfigurationError, which is both a ValueError and a TypeError.
    """

    cluster_type: str = "slurm"
    cluster_host: str | None = None
    cluster_port: int = 22
    username: str | None = None
    key_file: str | None = None
    password: str | None = field(default=None, repr=False)
    connection: str = "auto"

    default_cores: int = 4
    default_memory: str = "8GB"
    default_time: str = "01:00:00"
    default_partition: str | None = None
    default_queue: str | None = None

    remote_work_dir: str = "~"
    remote_state_dir: str = "~/.clustrix"
    local_work_dir: str | None = None
    local_cache_dir: str = field(default_factory=_platform_cache_dir)
    python_executable: str | None = None
    conda_env_name: str | None = None

    auto_parallel: bool = True
    max_parallel_jobs: int = 100
    account: str | None = None
    qos: str | None = None
    extra_directives: list[str] = field(default_factory=list)
    job_poll_interval: float | None = None
    cleanup_on_success: bool = True
    prefer_local_parallel: bool = False
    local_parallel_threshold: int = 1000
    async_submit: bool = False
    use_two_venv: bool | str = "auto"
    venv_setup_timeout: float = 300
    package_manager: str = "auto"

    module_loads: list[str] = field(default_factory=list)
    environment_variables: dict[str, str] = field(default_factory=dict)
    pre_execution_commands: list[str] = field(default_factory=list)
    provision_python: bool = False
    build_on: str = "login"

    host_key_policy: str = "strict"
    known_hosts_file: str | None = None
    connect_timeout: float = 20

    def __new__(cls, **values: Any) -> ClusterConfig:  # noqa: PYI034 - Self is not in 3.10
        for name in values:  # the generated __init__ would say less about an unknown name
            _kind(name)
        return super().__new__(cls)

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, _checked(name, value))

    def __copy__(self) -> ClusterConfig:
        copy = object.__new__(ClusterConfig)
        copy.__dict__.update({name: _own(value) for name, value in self.__dict__.items()})
        return copy

    def __deepcopy__(self, memo: dict[int, Any]) -> ClusterConfig:
        return self.__copy__()

    def __getstate__(self) -> dict[str, Any]:
        # A pickled configuration may travel to the cluster as somebody's argument.
        return {**self.__dict__, **dict.fromkeys(SECRET_FIELDS)}

    def public_dict(self) -> dict[str, Any]:
        """Every field but the secrets, as plain data of its own."""
        return {name: _own(getattr(self, name)) for name in _KINDS if name not in SECRET_FIELDS}

    @classmethod
    def load_from_file(cls, path: str | os.PathLike[str], profile: str | None = None) -> ClusterConfig:
        """The configuration that a YAML file holds, over the defaults; of several profiles the named or active one."""
        return _unchecked(_fields_of(Path(path), profile))

    def save_to_file(self, path: str | os.PathLike[str]) -> None:
        """Write what differs from the defaults, secrets apart, as YAML that only the user may read (0600)."""
        _write(Path(path), _differing(self))


def configure(*, profile: str | None = None, **values: Any) -> None:
    """Set fields for this process, over environment and files; fields set before stay. All are set or none.

    ``profile`` picks one of the files' profiles, as ``CLUSTRIX_PROFILE`` does.
    """
    checked = {name: _checked(name, value) for name, value in values.items()}
    with _process.guard:
        if profile is not None:
            _set_fields(profile)  # raises for an unknown one
            _process.profile = profile
        _process.configured.update(checked)
        _process.resolved = None


def get_config() -> ClusterConfig:
    """The configuration in force, as a copy of the caller's own. Files and environment are read again when they changed."""
    with _process.guard:
        key = _sources()
        if _process.resolved is None or _process.resolved[0] != key:
            _process.resolved = (key, _unchecked(_set_fields(_process.profile)))
        return _process.resolved[1].__copy__()


def effective_config(overrides: Mapping[str, Any]) -> ClusterConfig:
    """`get_config()` with a decorator's overrides on top."""
    config = get_config()
    for name, value in overrides.items():
        setattr(config, name, value)
    return config


def load_config(path: str | os.PathLike[str]) -> ClusterConfig:
    """Set the fields that a file holds as `configure` does, and forget those set before; returns what is now in force."""
    with _process.guard:
        _process.configured, _process.resolved = _fields_of(Path(path), None), None
        return get_config()


def save_config(path: str | os.PathLike[str]) -> None:
    """Write every field that `configure()`, the environment or a file set; secrets apart, for the user's eyes only."""
    with _process.guard:
        values = _set_fields(_process.profile)
    _write(Path(path), {name: value for name, value in values.items() if name not in SECRET_FIELDS})


def reset_config() -> None:
    """Forget what `configure` and `load_config` set."""
    with _process.guard:
        _process.configured, _process.profile, _process.resolved = {}, None, None


class ProfileManager:
    """The named profiles of one file, by default the user's. Writing keeps the profiles and drops comments."""

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = Path(path) if path is not None else _first_there(_USER_FILES) or Path(_USER_FILES[0]).expanduser()

    def names(self) -> list[str]:
        """The profiles' names, sorted."""
        return sorted(self._file().profiles or {})

    def get(self, name: str) -> ClusterConfig:
        """That profile over the defaults. Raises ConfigurationError with the names there are."""
        return _unchecked(self._file().profile_fields(name))

    def save(self, name: str, config: ClusterConfig) -> None:
        """Add or replace a profile: what differs from the defaults, secrets apart."""
        if not isinstance(name, str) or not re.fullmatch(r"\w[\w.+-]*", name):
            raise ConfigurationError(
                f"profile {name!r}: a name is letters, digits and . + - _, and begins with neither of . + -"
            )
        file = self._file()
        self._write(file, {**file.checked_profiles(), name: _differing(config)}, file.active)

    def remove(self, name: str) -> None:
        """Delete a profile; when it was the active one, none is active then."""
        file = self._file()
        file.profile_fields(name)
        rest = {other: values for other, values in file.checked_profiles().items() if other != name}
        self._write(file, rest, None if file.active == name else file.active)

    @property
    def active(self) -> str | None:
        """The profile that is used when none is picked; a file's only one needs no word for it."""
        return self._file().active

    @active.setter
    def active(self, name: str | None) -> None:
        file = self._file()
        if name is not None:
            file.profile_fields(name)
        self._write(file, file.checked_profiles(), name)

    def _file(self) -> _ConfigFile:
        return _read(self.path) if self.path.expanduser().exists() else _ConfigFile(self.path, _Lines(), {}, None)

    def _write(self, file: _ConfigFile, profiles: dict[str, Any], active: str | None) -> None:
        if file.flat:
            raise ConfigurationError(
                f"{self.path} holds one configuration without a name; put its lines under 'profiles: {{name: ...}}' first"
            )
        _write(file.path, {"active": active, "profiles": profiles})


@dataclass
class _Process:
    """What this process was told, and the last answer with the sources it was made from."""

    guard: Any = field(default_factory=threading.RLock)
    configured: dict[str, Any] = field(default_factory=dict)
    profile: str | None = None
    resolved: tuple[Any, ClusterConfig] | None = None


_process = _Process()

_USER_FILES = ("~/.clustrix/config.yaml", "~/.clustrix/config.yml")
_PROJECT_FILES = ("clustrix.yml", "clustrix.yaml")
_SETTLED = 2_000_000_000  # nanoseconds, the coarsest time stamp of any file system in use (FAT)
_ALIASES = {"CLUSTRIX_REMOTE_PYTHON_PATH": "python_executable"}


def _sources() -> tuple[Any, ...]:
    """What the answer of `get_config` depends on: cheap to compute, different when any of it changed."""
    variables = sorted(item for item in os.environ.items() if item[0].startswith("CLUSTRIX_"))
    return variables, [_stamp(name) for name in (*_USER_FILES, *_PROJECT_FILES)], _platform_cache_dir()


def _stamp(name: str) -> Any:
    """What tells one state of a file from another; None for a file that is not there."""
    try:
        facts = os.stat(os.path.expanduser(name))  # noqa: PTH111, PTH116 - every call of every function comes here
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:  # it is there, and reading it will say what is wrong
        return error.errno
    if abs(time.time_ns() - facts.st_mtime_ns) < _SETTLED:
        return object()  # equal to nothing: a second change now may leave size and time as they are
    return facts.st_dev, facts.st_ino, facts.st_mtime_ns, facts.st_size


def _set_fields(profile: str | None) -> dict[str, Any]:
    """The fields that anything but the defaults sets, each by its highest source."""
    files = [_read(path) for path in (_first_there(_USER_FILES), _first_there(_PROJECT_FILES)) if path]
    profile = profile or os.environ.get("CLUSTRIX_PROFILE") or None
    known = sorted({name for file in files for name in file.profiles or ()})
    if profile is not None and profile not in known:
        where = (
            ", ".join(str(file.path) for file in files)
            or f"{_PROJECT_FILES[0]} and {_USER_FILES[0]}, which do not exist"
        )
        raise ConfigurationError(f"no profile {profile!r}; there is {', '.join(known) or 'none'} in {where}")
    values: dict[str, Any] = {}
    for file in files:
        values.update(file.fields(profile))
    return {**values, **_environment_fields(), **_process.configured}


def _first_there(names: tuple[str, str]) -> Path | None:
    found = [Path(name).expanduser() for name in names if _stamp(name) is not None]
    if len(found) > 1:
        raise ConfigurationError(f"{found[0]} and {found[1]} both exist; keep one of them")
    return found[0] if found else None


def _environment_fields() -> dict[str, Any]:
    values: dict[str, Any] = {}
    names = {**{f"CLUSTRIX_{name.upper()}": name for name in _KINDS}, **_ALIASES}
    for variable, name in names.items():
        if variable in os.environ:
            value = _checked(name, os.environ[variable], f"environment variable {variable}")
            if values.setdefault(name, value) != value:
                raise ConfigurationError(
                    f"{variable}={value} contradicts CLUSTRIX_{name.upper()}={values[name]}; unset one"
                )
    return values


# --- Files ---


class _Lines(dict[str, Any]):
    """A mapping of a file that knows on which line each of its keys stands."""

    line_of: dict[str, int]

    def __init__(self) -> None:
        super().__init__()
        self.line_of = {}


@dataclass(frozen=True)
class _ConfigFile:
    """A file as it was read: one flat mapping, or profiles. Values are text still."""

    path: Path
    flat: _Lines
    profiles: Mapping[str, _Lines] | None
    said_active: str | None

    @property
    def active(self) -> str | None:
        return (
            next(iter(self.profiles))
            if self.said_active is None and self.profiles and len(self.profiles) == 1
            else self.said_active
        )

    def fields(self, picked: str | None) -> dict[str, Any]:
        """What the file sets when `picked` was asked for; nothing, when it has profiles but not that one."""
        if self.profiles is None:
            return self._check(self.flat)
        if picked is None and self.active is None and self.profiles:
            raise ConfigurationError(
                f"{self.path} has the profiles {', '.join(sorted(self.profiles))} and none is active; "
                "pick one with CLUSTRIX_PROFILE, configure(profile=...) or a line 'active: NAME'"
            )
        name = picked or self.active
        return self.profile_fields(name) if name and name in self.profiles else {}

    def profile_fields(self, name: str | None) -> dict[str, Any]:
        profiles = self.profiles or {}
        if name is None or name not in profiles:
            raise ConfigurationError(
                f"{self.path}: no profile {name!r}; there is {', '.join(sorted(profiles)) or 'none'}"
            )
        return self._check(profiles[name], f", profile {name}")

    def checked_profiles(self) -> dict[str, dict[str, Any]]:
        return {name: self.profile_fields(name) for name in self.profiles or ()}

    def _check(self, values: _Lines, where: str = "") -> dict[str, Any]:
        checked = {}
        for name, value in values.items():
            origin = f"{self.path}, line {values.line_of[name]}{where}"
            if name in SECRET_FIELDS:
                raise ConfigurationError(
                    f"{origin}: a {name} does not belong in a file; use a key, or set CLUSTRIX_{name.upper()}"
                )
            checked[name] = _checked(name, value, origin)
        return checked


def _fields_of(path: Path, profile: str | None) -> dict[str, Any]:
    """What one file sets, alone: of its profiles the named one, else the one picked for this process, else the active."""
    file = _read(path)
    picked = _process.profile or os.environ.get("CLUSTRIX_PROFILE") if file.profiles is not None else None
    return file.profile_fields(profile or picked) if profile or picked else file.fields(None)


def _read(path: Path) -> _ConfigFile:
    path = path.expanduser()
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"{path} can't be read: {error}") from error
    content = _parse_yaml(text, str(path))
    if content is None:
        content = _Lines()
    if not isinstance(content, _Lines):
        raise ConfigurationError(f"{path}: expected lines such as 'cluster_host: login.example.org'")
    if "profiles" not in content and "active" not in content:
        return _ConfigFile(path, content, None, None)
    unknown = sorted(set(content) - {"profiles", "active"})
    if unknown:
        raise ConfigurationError(
            f"{path}, line {content.line_of[unknown[0]]}: beside 'profiles' and 'active' there can be no {unknown[0]!r}"
        )
    profiles, active = content.get("profiles") or {}, content.get("active")
    if not isinstance(profiles, dict) or not all(isinstance(values, _Lines) for values in profiles.values()):
        raise ConfigurationError(f"{path}: 'profiles' holds names, and below each of them fields")
    if active is not None and active not in profiles:
        raise ConfigurationError(
            f"{path}: active is {active!r}; the profiles are {', '.join(sorted(profiles)) or 'none'}"
        )
    return _ConfigFile(path, _Lines(), profiles, active)


def _parse_yaml(text: str, origin: str) -> Any:
    import yaml  # noqa: PLC0415 - 15 ms that only a file or a list in the environment costs

    try:
        return yaml.load(text, Loader=_text_loader())  # noqa: S506 - it is a SafeLoader
    except yaml.YAMLError as error:
        # The error's own text quotes the file's lines, which may hold what nobody should see in a log.
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise ConfigurationError(
            f"{origin}{line}: this is not YAML: {getattr(error, 'problem', None) or 'unreadable'}"
        ) from None


@functools.cache
def _text_loader() -> type[Any]:
    """YAML's safe loader, for which every scalar is text but ``null``: a field's kind decides what the text means."""
    import yaml  # noqa: PLC0415

    class TextLoader(yaml.SafeLoader):
        pass

    TextLoader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in known if tag.endswith((":null", ":merge"))]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def mapping(loader: Any, node: Any) -> _Lines:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.value in seen:
                problem = "a name is there twice" if isinstance(key_node, yaml.ScalarNode) else "a name has to be text"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            seen.add(key_node.value)
        loader.flatten_mapping(node)
        result = _Lines()
        for key_node, value_node in node.value:
            result[key_node.value] = loader.construct_object(value_node, deep=True)
            result.line_of[key_node.value] = key_node.start_mark.line + 1
        return result

    TextLoader.add_constructor("tag:yaml.org,2002:map", mapping)
    return TextLoader


def _write(path: Path, content: Mapping[str, Any]) -> None:
    """Written aside and renamed, so that nobody reads half a file; 0600 from its first byte."""
    import tempfile  # noqa: PLC0415 - with shutil and all its compressors it takes longer than this module

    import yaml  # noqa: PLC0415

    target = Path(os.path.realpath(path.expanduser()))  # a link to a file elsewhere stays a link
    try:
        # ~/.clustrix is also the state directory where client and cluster share a home: 0700 or refused.
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, aside = tempfile.mkstemp(dir=target.parent, prefix=target.name)
        try:
            with open(descriptor, "w", encoding="utf-8") as stream:  # noqa: PTH123 - a descriptor
                yaml.safe_dump(dict(content), stream, sort_keys=False)
                stream.flush()
                os.fsync(stream.fileno())
            Path(aside).replace(target)
        except BaseException:
            Path(aside).unlink()
            raise
    except OSError as error:
        raise ConfigurationError(f"{path} can't be written: {error}") from error


def _differing(config: ClusterConfig) -> dict[str, Any]:
    default = ClusterConfig().public_dict()
    return {name: value for name, value in config.public_dict().items() if value != default[name]}


def _unchecked(values: Mapping[str, Any]) -> ClusterConfig:
    """A configuration of values that were checked already, with containers of its own."""
    config = ClusterConfig()
    config.__dict__.update({name: _own(value) for name, value in values.items()})
    return config


def _own(value: Any) -> Any:
    return value.copy() if isinstance(value, (list, dict)) else value


# --- Kinds: what a field may be ---


class _Kind(NamedTuple):
    """``check`` gives the value as it is kept, or raises ValueError or TypeError; ``parse`` reads text for it."""

    allowed: str
    check: Callable[[Any], Any]
    parse: Callable[[str], Any] = str
    takes_none: bool = False

    def or_none(self) -> _Kind:
        return self._replace(takes_none=True)


def _kind(name: str, origin: str = "") -> _Kind:
    try:
        return _KINDS[name]
    except KeyError:
        near = difflib.get_close_matches(name, _KINDS, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(_KINDS)}"
        raise ConfigurationError(_said(origin, f"the configuration has no field {name!r}{hint}")) from None


def _checked(name: str, value: Any, origin: str = "") -> Any:
    """The value as the field keeps it; text from a source other than Python (`origin` says which) is parsed first."""
    kind = _kind(name, origin)
    try:
        if origin:
            value = None if value == "" and kind.takes_none else kind.parse(value) if isinstance(value, str) else value
        kept = None if value is None and kind.takes_none else kind.check(value)
    except (ValueError, TypeError, OverflowError) as error:
        shown = "..." if name in SECRET_FIELDS else _brief.repr(value)[:500]
        words = f"{name}={shown}: allowed is {kind.allowed}{' or None' if kind.takes_none else ''}"
        raise ConfigurationError(_said(origin, words)) from (None if name in SECRET_FIELDS else error)
    if name in _SUPPORTED and kept not in _SUPPORTED[name]:
        from clustrix import __version__  # noqa: PLC0415 - the front door stands above this room

        choices = ", ".join(map(repr, _SUPPORTED[name]))
        words = f"{name}={kept!r} is not supported by clustrix {__version__} yet; supported: {choices}"
        raise ConfigurationError(_said(origin, words))
    return kept


def _said(origin: str, words: str) -> str:
    return f"{origin}: {words}" if origin else words


def parse_memory_mb(text: str) -> int:
    """MiB, rounded up, of text such as "8GB", "1.5G" or "500MB"; K, M, G and T are powers of 1024, as for schedulers."""
    match = (
        re.fullmatch(r"([0-9]{1,12})(?:\.([0-9]{1,12}))?\s*([KMGT])(?:i?B)?", text.strip(), re.IGNORECASE)
        if isinstance(text, str)
        else None
    )
    if match:
        whole, fraction, unit = match[1], match[2] or "", match[3].upper()
        megabytes: int = -(-int(whole + fraction) * (1 << 10 * "KMGT".index(unit)) // (1024 * 10 ** len(fraction)))
        if megabytes:
            return megabytes
    raise ConfigurationError(f"memory {_brief.repr(text)}: allowed is {_MEMORY_WORDS}")


def parse_time_seconds(text: str) -> int:
    """Seconds of a time as Slurm takes it (sbatch(1), ``--time``): M, M:S, H:M:S, D-H, D-H:M or D-H:M:S."""
    match = (
        re.fullmatch(r"(?:([0-9]{1,5})-)?([0-9]{1,7})(?::([0-9]{1,4}))?(?::([0-9]{1,4}))?", text.strip())
        if isinstance(text, str)
        else None
    )
    if match:
        days, *parts = (None if part is None else int(part) for part in match.groups())
        numbers = [part for part in parts if part is not None]
        if days is not None:
            hours, minutes, seconds = [*numbers, 0, 0][:3]
        elif len(numbers) == 3:
            hours, minutes, seconds = numbers
        else:
            hours, (minutes, seconds) = 0, [*numbers, 0][:2]
        total = (((days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds
        if total:
            return total
    raise ConfigurationError(f"time {_brief.repr(text)}: allowed is {_TIME_WORDS}")


_brief = reprlib.Repr()
_brief.maxstring = _brief.maxother = 120
_brief.maxlevel = 2  # a few aliases in a YAML file can stand for billions of items

_MEMORY_WORDS = 'text with a unit, such as "8GB", "1.5GB" or "500MB"'
_TIME_WORDS = 'text such as "02:30:00" (HH:MM:SS), "1-12:00:00" (D-HH:MM:SS), "30:00" (MM:SS) or "90" (minutes)'


def _require(condition: object) -> None:
    if not condition:
        raise ValueError


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    value.encode()  # UnicodeEncodeError, a ValueError, for what no file and no cluster could take
    _require("\0" not in value)
    return value


def _matching(pattern: str, allowed: str) -> _Kind:
    def check(value: Any) -> str:
        _require(re.fullmatch(pattern, _text(value)))
        return str(value)

    return _Kind(allowed, check)


def _choice(*choices: str) -> _Kind:
    return _matching("|".join(map(re.escape, choices)), "one of " + ", ".join(map(repr, choices)))


def _whole(least: int, most: int | None = None) -> _Kind:
    def check(value: Any) -> int:
        _require(not isinstance(value, bool))
        number = operator.index(value)  # numpy's integers are welcome, floats are not
        _require(number >= least and (most is None or number <= most))
        return number

    return _Kind(f"a whole number {f'of {least} or more' if most is None else f'from {least} to {most}'}", check, int)


def _seconds(value: Any) -> float:
    _require(isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0 and math.isfinite(value))
    return value  # type: ignore[no-any-return]


def _parse_seconds(text: str) -> float:
    return int(text) if text.isdecimal() else float(text)


def _truth(value: Any) -> bool:
    _require(isinstance(value, bool))
    return bool(value)


def _parse_truth(text: str) -> bool:
    words = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    _require(text.lower() in words)
    return words[text.lower()]


def _two_venv(value: Any) -> bool | str:
    return "auto" if isinstance(value, str) and value == "auto" else _truth(value)


def _spec_of(parse: Callable[[str], int]) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        parse(value)
        return _text(value)

    return check


def _path(value: Any) -> str:
    text = os.fspath(value)
    _require(_text(text) and not text.startswith("-") and "\n" not in text and "\r" not in text)
    return str(text)


def _remote_path(value: Any) -> str:
    # On Windows a Path would say it with backslashes.
    return _path(value.as_posix() if isinstance(value, PurePath) else value)


def _list_of(check_one: Callable[[Any], str], allowed: str) -> _Kind:
    def check(value: Any) -> list[str]:
        _require(isinstance(value, (list, tuple)))
        return [check_one(one) for one in value]

    return _Kind(f"a list of {allowed}", check, lambda text: _parse_yaml(text, "the text of a list"))


def _variables(value: Any) -> dict[str, str]:
    _require(isinstance(value, Mapping))
    for name in value:
        _require(re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", _text(name)))
    return {name: _text(text) for name, text in value.items()}


def _directive(value: Any) -> str:
    # A line break would end the directive and begin shell text.
    _require(_text(value).strip() and value.isprintable())
    return str(value)


_MODULE = _matching(r"\w[\w.+:@=/-]*", "")
_WORD = _matching(r"[\w.,:@+/=*%-]+", "one word of letters, digits and . , : @ + / = * % _ -").or_none()
_PATH = _Kind("a path without line breaks that does not begin with '-'", _path)
_REMOTE_PATH = _PATH._replace(check=_remote_path)
_TRUTH = _Kind("True or False", _truth, _parse_truth)
_SECONDS = _Kind("a number of seconds above 0", _seconds, _parse_seconds)
_COUNT = _whole(1)

_KINDS: dict[str, _Kind] = {
    "cluster_type": _choice("slurm", "pbs", "sge", "ssh", "local"),
    "cluster_host": _matching(
        r"[\w.:\[\]][\w.:%+\[\]-]*",
        "a host name, an alias of ~/.ssh/config or an address; the user goes into username, the port into cluster_port",
    ).or_none(),
    "cluster_port": _whole(1, 65535),
    "username": _matching(r"[\w.][\w.@+\\-]*", "a user's name").or_none(),
    "key_file": _PATH.or_none(),
    "password": _Kind("text", _text).or_none(),
    "connection": _choice("auto", "paramiko", "openssh", "local"),
    "default_cores": _COUNT,
    "default_memory": _Kind(_MEMORY_WORDS, _spec_of(parse_memory_mb)),
    "default_time": _Kind(_TIME_WORDS, _spec_of(parse_time_seconds)),
    "default_partition": _WORD,
    "default_queue": _WORD,
    "remote_work_dir": _REMOTE_PATH,
    "remote_state_dir": _REMOTE_PATH,
    "local_work_dir": _PATH.or_none(),
    "local_cache_dir": _PATH,
    "python_executable": _REMOTE_PATH.or_none(),
    "conda_env_name": _WORD,
    "auto_parallel": _TRUTH,
    "max_parallel_jobs": _COUNT,
    "account": _WORD,
    "qos": _WORD,
    "extra_directives": _list_of(_directive, 'single lines such as "--nice=100"'),
    "job_poll_interval": _SECONDS.or_none(),
    "cleanup_on_success": _TRUTH,
    "prefer_local_parallel": _TRUTH,
    "local_parallel_threshold": _whole(0),
    "async_submit": _TRUTH,
    "use_two_venv": _Kind(
        "True, False or 'auto'", _two_venv, lambda text: text if text == "auto" else _parse_truth(text)
    ),
    "venv_setup_timeout": _SECONDS,
    "package_manager": _choice("auto", "uv", "pip"),
    "module_loads": _list_of(_MODULE.check, 'modules such as "gcc/12.2"'),
    "environment_variables": _Kind(
        'a mapping of names to text, such as {"OMP_NUM_THREADS": "4"}',
        _variables,
        lambda text: _parse_yaml(text, "the text of a mapping"),
    ),
    "pre_execution_commands": _list_of(_text, "shell commands"),
    "provision_python": _TRUTH,
    "build_on": _choice("login", "compute"),
    "host_key_policy": _choice("strict", "accept-new"),
    "known_hosts_file": _PATH.or_none(),
    "connect_timeout": _SECONDS,
}
