"""What a cluster has on its file system: commands, Python wrappers, modules, and the files of /etc that differ."""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from simcluster.pythons import Interpreter

__all__ = ["SYSTEM_PATH", "bound_files", "furnish", "furnish_commands", "furnish_home", "shell_environment"]

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"

_EXEC = """\
#!/bin/sh
exec {program} "$@"
"""
# For sh the second line is a command, for Python the start of a text.
_ASK = """\
#!/bin/sh
'''exec' {program} -ISE "$0" "$@"
' '''
"""
_HOSTNAME = """\
#!/bin/sh
# A job of the native backend has the variables of the login that submitted it.
host=${SLURMD_NODENAME:-${SIMCLUSTER_HOST:-login}}
[ $# -gt 0 ] || { echo "$host"; exit 0; }
case $1 in -s | --short | -f | --fqdn | --long) echo "$host" ;; *) exec /bin/hostname "$@" ;; esac
"""


def furnish(
    root: Path,
    seen_as: str,
    *,
    commands: Iterable[str],
    pythons: Mapping[str, Interpreter],
    has_host_names: bool,
) -> None:
    """Fill the directory `root`, which the cluster's machines see at `seen_as`: bin, modules and etc."""
    binaries = furnish_commands(root, seen_as, commands)
    for version, interpreter in pythons.items():
        wrapper = _EXEC.format(program=shlex.quote(str(interpreter.path)))
        _executable(binaries / f"python{version}", wrapper)
        module = _directory(root / "modules" / "python" / version / "bin")
        for name in ("python", "python3", f"python{version}"):
            _executable(module / name, wrapper)
    oldest, *_, newest = *pythons, *pythons
    _executable(binaries / "python3", _EXEC.format(program=shlex.quote(str(pythons[oldest].path))))
    (root / "modules" / "python" / ".default").write_text(newest + "\n", encoding="ascii")
    if not has_host_names:
        _executable(binaries / "hostname", _HOSTNAME)
    _write_shell_files(_directory(root / "etc"), seen_as)


def furnish_commands(root: Path, seen_as: str, commands: Iterable[str]) -> Path:
    """The commands alone, and where they ask; the directory in which they are."""
    binaries = _directory(root / "bin")
    here = Path(__file__).parent
    program = shlex.quote(os.path.realpath(sys.executable))
    # Nothing but a docstring may stand before a future import, so both are left off.
    _, _, asking = (here / "machine" / "ask.py").read_text(encoding="utf-8").partition("import annotations\n")
    asking = asking.replace("@directory@", f"{seen_as}/run").replace("@library@", f"{seen_as}/lib")
    shutil.copy(here / "machine" / "lending.py", _directory(root / "lib"))
    _directory(root / "run")
    for command in commands:
        _executable(binaries / command, _ASK.format(program=program) + asking)
    return binaries


def bound_files(root: Path, home: str, hosts: Sequence[str]) -> list[tuple[str, str]]:
    """Write the machines' own versions of files in /etc: pairs of what appears where."""
    etc = _directory(root / "etc")
    versions = {"passwd": _passwd(home), "hosts": _hosts(hosts), "profile": None}
    pairs = []
    for name, text in versions.items():
        original = Path("/etc", name)
        if original.is_file() and not original.is_symlink():
            if text is not None:
                (etc / name).write_text(text, encoding="utf-8")
            pairs.append((str(etc / name), str(original)))
    return pairs


def furnish_home(home: Path, seen_as: str) -> None:
    """Where /etc/profile is the caller's, login shells learn of the cluster from the home directory."""
    for name in (".bash_profile", ".bashrc"):
        (home / name).write_text(f". {shlex.quote(seen_as)}/etc/simcluster.sh\n", encoding="utf-8")


def shell_environment(seen_as: str) -> dict[str, str]:
    """The variables by which shells that read no profile find commands and modules."""
    return {
        "PATH": f"{seen_as}/bin:{SYSTEM_PATH}",
        "BASH_ENV": f"{seen_as}/etc/modules.sh",
        "SIMCLUSTER_MODULES": f"{seen_as}/modules",
        "MODULEPATH": f"{seen_as}/modules",
    }


def _write_shell_files(etc: Path, seen_as: str) -> None:
    modules = Path(__file__).with_name("modules.sh").read_text(encoding="utf-8")
    (etc / "modules.sh").write_text(modules, encoding="utf-8")
    own = (
        # Before the system's, behind which macOS's path_helper(8) puts it at a login.
        f"case :${{PATH%%/usr/bin*}}: in *:{shlex.quote(seen_as)}/bin:*) ;;"
        f" *) PATH={shlex.quote(seen_as)}/bin:${{PATH:-{SYSTEM_PATH}}} ;; esac\n"
        f"SIMCLUSTER_MODULES={shlex.quote(seen_as)}/modules\n"
        "MODULEPATH=$SIMCLUSTER_MODULES\n"
        f"BASH_ENV={shlex.quote(seen_as)}/etc/modules.sh\n"
        "export PATH SIMCLUSTER_MODULES MODULEPATH BASH_ENV\n"
        f". {shlex.quote(seen_as)}/etc/modules.sh\n"
    )
    (etc / "simcluster.sh").write_text(own, encoding="utf-8")
    original = Path("/etc/profile")
    profile = original.read_text(encoding="utf-8", errors="replace") if original.is_file() else ""
    (etc / "profile").write_text(f"{profile}\n{own}", encoding="utf-8")


def _passwd(home: str) -> str:
    """The users of this machine; the one who runs this is at home on the cluster."""
    lines = Path("/etc/passwd").read_text(encoding="utf-8", errors="replace").splitlines()
    uid = str(os.getuid())
    kept = [line for line in lines if line.split(":")[2:3] != [uid]]
    try:
        known = pwd.getpwuid(os.getuid())
    except KeyError:
        name, group = Path(home).name, os.getgid()
    else:
        name, group = known.pw_name, known.pw_gid
    return "\n".join([f"{name}:x:{uid}:{group}::{home}:/bin/bash", *kept, ""])


def _hosts(hosts: Sequence[str]) -> str:
    original = Path("/etc/hosts").read_text(encoding="utf-8", errors="replace")
    return f"{original}\n127.0.0.1 {' '.join(hosts)}\n"


def _directory(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _executable(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
