"""Puts a bad line before the SSH server of a login container, and takes it away: bash, for root in there."""

from __future__ import annotations

import json
import secrets
import shlex
from pathlib import Path

import simcluster

__all__ = ["CONFIG_PORT", "add", "remove"]

_CONFIG = "/opt/simcluster/sshd_config"
_ASIDE = "127.0.0.1:2222"
_LINE = "/run/simcluster/line"
_PROGRAM = "/run/simcluster/relay"
_FILES = ("docker/relay.py", "emulated/line.py")

CONFIG_PORT = f"$(sed -n 's/^ListenAddress .*://p' {_CONFIG} | grep . || echo 22)"
"""The port on which the SSH server itself listens."""

# The server's connections go on when it moves: it starts itself anew, and leaves them to its children. One that hangs
# has to wake up for it. Where it listens is asked of the kernel, for a connection would be one more for the server.
_APPLY = f"""\
move() {{
    sed -i '/^ListenAddress /d' {_CONFIG}
    [ -z "$1" ] || echo "ListenAddress $1" >> {_CONFIG}
    sshd=$(pgrep -o -x sshd)
    stopped=$(sed -n 's/^State:\\tT.*/yes/p' /proc/$sshd/status)
    kill -HUP $sshd
    [ -z "$stopped" ] || kill -CONT $sshd
    wait_until grep -q "$2 00000000:0000 0A" /proc/net/tcp
    [ -z "$stopped" ] || kill -STOP $sshd
}}
wait_until() {{
    for _ in {{1..1000}}; do "$@" && return; sleep 0.02; done
    echo "not within twenty seconds: $*" >&2
    exit 1
}}
has_seen() {{ [ -e {_LINE}.seen ] && [ "$(cat {_LINE}.seen)" = "$(LC_ALL=C ls {_LINE})" ]; }}
runs() {{ [ -e {_LINE}.pid ] && kill -0 "$(cat {_LINE}.pid)" 2> /dev/null; }}
if runs; then
    kill -HUP "$(cat {_LINE}.pid)"
    wait_until has_seen
elif [ -n "$(ls {_LINE})" ]; then
    rm -f {_LINE}.seen
    move {_ASIDE} 0100007F:08AE
    python=$(ls -d /opt/python/3.*/bin/python3 | sort -V | tail -n 1)
    PYTHONPATH={_PROGRAM} PYTHONDONTWRITEBYTECODE=1 setsid "$python" -m simcluster.docker.relay {_LINE} {_ASIDE} \\
        < /dev/null > /proc/1/fd/1 2>&1 9>&- &
    echo $! > {_LINE}.pid
    wait_until has_seen
fi
if [ -z "$(ls {_LINE})" ] && grep -q '^ListenAddress ' {_CONFIG}; then
    rm -f {_LINE}.pid
    move '' 00000000:0016
fi
"""


def add(name: str, value: float | None) -> tuple[str, str]:
    """A fault's file, and the bash that brings it into force."""
    root = Path(simcluster.__file__).parent
    install = "".join(
        f"mkdir -p {_PROGRAM}/simcluster/{Path(file).parent}\n"
        f"printf %s {shlex.quote((root / file).read_text(encoding='utf-8'))} > {_PROGRAM}/simcluster/{file}\n"
        for file in _FILES
    )
    fault = f"{_LINE}/{secrets.token_hex(8)}"
    write = f"printf %s {shlex.quote(json.dumps([name, value]))} > {fault}\n"
    return fault, _locked(install + write)


def remove(fault: str) -> str:
    """The bash that ends a fault."""
    return _locked(f"rm -f {fault}\n")


def _locked(change: str) -> str:
    return f"mkdir -p {_LINE}; exec 9> {_LINE}.lock; flock 9\n{change}{_APPLY}"
