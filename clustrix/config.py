"""Which cluster, and how it is used: the fields, and where their values come from.

Highest first: decorator keyword, ``configure()``, environment, project file, user file, default. Files and the
environment hold text; a field's kind says what that text means, so ``default_time: 10:00:00`` is a time and
``partition: no`` a word, whatever YAML makes of them elsewhere.
"""

from __future__ import annotations

import os
import re
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from clustrix.config_fields import KINDS, SECRET_FIELDS, check_field, kind_of, parse_memory_mb, parse_time_seconds
from clustrix.errors import ConfigurationError
from clustrix.yaml_files import Lines, parse_yaml, write_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    environment_variables: dict[str, str] = field(default_factory=dict, repr=False)
    pre_execution_commands: list[str] = field(default_factory=list)
    provision_python: bool = False
    build_on: str = "login"
    nested: str = "local"
    show_progress: bool = True

    host_key_policy: str = "strict"
    known_hosts_file: str | None = None
    connect_timeout: float = 20

    def __new__(cls, **values: Any) -> ClusterConfig:  # noqa: PYI034 - Self is not in 3.10
        for name in values:  # the generated __init__ would say less about an unknown name
            kind_of(name)
        return super().__new__(cls)

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, check_field(name, value))

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
        return {name: _own(getattr(self, name)) for name in KINDS if name not in SECRET_FIELDS}

    @classmethod
    def load_from_file(cls, path: str | os.PathLike[str], profile: str | None = None) -> ClusterConfig:
        """The configuration that a YAML file holds, over the defaults; of several profiles the named or active one."""
        return _unchecked(_fields_of(Path(path), profile))

    def save_to_file(self, path: str | os.PathLike[str]) -> None:
        """Write what differs from the defaults, secrets apart, as YAML that only the user may read (0600)."""
        write_yaml(Path(path), _differing(self))


def configure(*, profile: str | None = None, **values: Any) -> None:
    """Set fields for this process, over environment and files; fields set before stay. All are set or none.

    ``profile`` picks one of the files' profiles, as ``CLUSTRIX_PROFILE`` does.
    """
    checked = {name: check_field(name, value) for name, value in values.items()}
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
    write_yaml(Path(path), {name: value for name, value in values.items() if name not in SECRET_FIELDS})


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
        return _read(self.path) if self.path.expanduser().exists() else _ConfigFile(self.path, Lines(), {}, None)

    def _write(self, file: _ConfigFile, profiles: dict[str, Any], active: str | None) -> None:
        if file.flat:
            raise ConfigurationError(
                f"{self.path} holds one configuration without a name; put its lines under 'profiles: {{name: ...}}' first"
            )
        write_yaml(file.path, {"active": active, "profiles": profiles})


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
    names = {**{f"CLUSTRIX_{name.upper()}": name for name in KINDS}, **_ALIASES}
    for variable, name in names.items():
        if variable in os.environ:
            value = check_field(name, os.environ[variable], f"environment variable {variable}")
            if values.setdefault(name, value) != value:
                raise ConfigurationError(
                    f"{variable}={value} contradicts CLUSTRIX_{name.upper()}={values[name]}; unset one"
                )
    return values


@dataclass(frozen=True)
class _ConfigFile:
    """A file as it was read: one flat mapping, or profiles. Values are text still."""

    path: Path
    flat: Lines
    profiles: Mapping[str, Lines] | None
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

    def _check(self, values: Lines, where: str = "") -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for name, value in values.items():
            origin = f"{self.path}, line {values.line_of[name]}{where}"
            if name in SECRET_FIELDS:
                raise ConfigurationError(
                    f"{origin}: a {name} does not belong in a file; use a key, or set CLUSTRIX_{name.upper()}"
                )
            fields[name] = check_field(name, value, origin)
        return fields


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
    content = parse_yaml(text, str(path))
    if content is None:
        content = Lines()
    if not isinstance(content, Lines):
        raise ConfigurationError(f"{path}: expected lines such as 'cluster_host: login.example.org'")
    if "profiles" not in content and "active" not in content:
        return _ConfigFile(path, content, None, None)
    unknown = sorted(set(content) - {"profiles", "active"})
    if unknown:
        raise ConfigurationError(
            f"{path}, line {content.line_of[unknown[0]]}: beside 'profiles' and 'active' there can be no {unknown[0]!r}"
        )
    profiles, active = content.get("profiles") or {}, content.get("active")
    if not isinstance(profiles, dict) or not all(isinstance(values, Lines) for values in profiles.values()):
        raise ConfigurationError(f"{path}: 'profiles' holds names, and below each of them fields")
    if active is not None and active not in profiles:
        raise ConfigurationError(
            f"{path}: active is {active!r}; the profiles are {', '.join(sorted(profiles)) or 'none'}"
        )
    return _ConfigFile(path, Lines(), profiles, active)


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
