"""The accounting of a native cluster: slurmdbd, and a MariaDB of its own whose database is made at the start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcluster.emulated.machines import LOGIN

if TYPE_CHECKING:
    from pathlib import Path

    from simcluster.native.daemons import Daemons
    from simcluster.native.installation import Accounting

__all__ = ["render_slurmdbd_conf", "start_accounting"]

_CONF = """\
DbdHost={host}
DbdPort={port}
SlurmUser={user}
AuthType=auth/munge
AuthInfo=socket={directory}/run/munge.socket
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm_acct_db
PidFile={directory}/run/slurmdbd.pid
DebugLevel=info
"""
# A database that is thrown away: small, and never waiting for a disk. slurmdbd complains about shorter lock waits.
_DATABASE_OPTIONS = (
    "--skip-networking",
    "--performance-schema=OFF",
    "--innodb-buffer-pool-size=32M",
    "--innodb-log-file-size=8M",
    "--innodb-flush-method=nosync",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=0",
    "--innodb-lock-wait-timeout=900",
)


def render_slurmdbd_conf(host: str, port: int, user: str, directory: str) -> str:
    """slurmdbd.conf; `directory` is Slurm's, as the machines see it."""
    return _CONF.format(host=host, port=port, user=user, directory=directory)


async def start_accounting(
    daemons: Daemons, programs: Accounting, *, user: str, port: int, directory: Path, seen_as: str
) -> None:
    """Start it on the login host; returns when it knows the cluster and its user."""
    (directory / "database").mkdir(mode=0o700)
    options = ["--no-defaults", f"--user={user}", f"--datadir={seen_as}/database", *_DATABASE_OPTIONS]
    # Whoever may enter the private directory is the database's root.
    await daemons.output(
        programs.install_database, *options, "--skip-test-db", "--auth-root-authentication-method=normal"
    )
    # slurmdbd makes it itself where it is missing, over a connection that failed for that: with the client library of MariaDB
    # 11.8.9 such a one takes no answer any more.
    (directory / "etc" / "database.sql").write_text("CREATE DATABASE IF NOT EXISTS slurm_acct_db;\n", encoding="utf-8")
    options.append(f"--init-file={seen_as}/etc/database.sql")
    name = f"{seen_as}/run/database.socket"
    daemons.start(LOGIN, [programs.database, *options, f"--socket={name}", f"--pid-file={seen_as}/run/database.pid"])
    await daemons.until_there(directory / "run" / "database.socket", "MariaDB did not come up")
    daemons.start(LOGIN, [programs.slurmdbd, "-D"], {"MYSQL_UNIX_PORT": name})
    await daemons.until_listening("127.0.0.1", port, "slurmdbd did not come up")
    for what in (
        ("cluster", "simcluster"),
        ("account", "lab", "Description=lab", "Organization=lab"),
        ("user", user, "Account=lab"),
    ):
        await daemons.output("sacctmgr", "--immediate", "add", *what)
    if user == "root":
        # slurmdbd brings root along, with an account of its own.
        await daemons.output("sacctmgr", "--immediate", "modify", "user", user, "set", "DefaultAccount=lab")
        await daemons.output("sacctmgr", "--immediate", "delete", "user", user, "where", "account=root")
