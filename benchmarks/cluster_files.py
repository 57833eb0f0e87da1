"""Files of a cluster in containers, behind OpenSSH's own server: beside what people type, and beside SFTP."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import paramiko

from clustrix import ClusterConfig, ClusterFilesystem
from clustrix.executors import executor_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import simcluster

# In the login node's own Python: 100,000 files in 1,000 directories, half of them .csv, and what is copied.
MAKE_TREE = """
import os
for number in range(1000):
    directory = "many/%03d/%d" % (number // 10, number % 10)
    os.makedirs(directory)
    for file in range(100):
        with open("%s/file%02d.%s" % (directory, file, "csv" if file % 2 else "txt"), "wb") as stream:
            stream.write(b"x" * (file % 7))
"""
MAKE_FILES = """
import os
for number in range(100):
    os.makedirs("small/%02d" % number)
    for file in range(100):
        with open("small/%02d/%02d" % (number, file), "wb") as stream:
            stream.write(os.urandom(1 + (file * 41) % 4096))
with open("large", "wb") as stream:
    for _ in range(SIZE):
        stream.write(os.urandom(1 << 20))
"""


class Site:
    """A cluster's login node, reached by each of the ways that are compared."""

    def __init__(self, cluster: simcluster.Cluster) -> None:
        self.cluster = cluster
        ssh = cluster.ssh
        self.config = ClusterConfig(
            cluster_host=ssh.host, cluster_port=ssh.port, username=ssh.username,
            key_file=str(ssh.key_file), known_hosts_file=str(ssh.known_hosts_file),
        )  # fmt: skip
        self.files = ClusterFilesystem(self.config)

    def make(self, program: str) -> None:
        self.cluster.run("python3 -", input=program, check=True, timeout=600)

    def command(self, words: str) -> Callable[[], object]:
        """What somebody types in a shell."""
        return lambda: subprocess.run([*self.cluster.ssh.command(), words], check=True, capture_output=True)

    def connected_sftp(self) -> paramiko.SFTPClient:
        ssh = self.cluster.ssh
        client = paramiko.SSHClient()
        client.load_host_keys(str(ssh.known_hosts_file))
        client.connect(ssh.host, ssh.port, ssh.username, key_filename=str(ssh.key_file))
        return client.open_sftp()

    def copied_by(self, *program: str) -> Callable[[str, str], object]:
        """scp or rsync, with this login node's key."""
        ssh = self.cluster.ssh
        how = [word for word in ssh.command() if word != f"{ssh.username}@{ssh.host}"]

        def copy(source: str, target: str) -> object:
            if program[0] == "rsync":
                words = [*program, "-e", subprocess.list2cmdline(how)]
            else:
                words = [*program, *("-P" if word == "-p" else word for word in how[1:])]
            return subprocess.run([*words, f"{ssh.username}@{ssh.host}:{source}", target], check=True)

        return copy


def walked(sftp: paramiko.SFTPClient, top: str, suffix: str) -> tuple[list[str], int]:
    """The files below ``top`` and their bytes, as a program with paramiko finds them."""
    names, total, waiting = [], 0, [top]
    while waiting:
        directory = waiting.pop()
        for item in sftp.listdir_attr(directory):
            path = f"{directory}/{item.filename}"
            if stat.S_ISDIR(item.st_mode or 0):
                waiting.append(path)
            else:
                total += item.st_size or 0
                if path.endswith(suffix):
                    names.append(path)
    return sorted(names), total


def files(rounds: int = 5, megabytes: int = 1024) -> Iterator[Any]:
    """Searching 100,000 files and copying, warm, with the least that each peer needs: a connection of its own for ssh, scp and rsync."""
    from record import Row
    from run import in_turns, milliseconds

    import simcluster

    def row(
        what: str,
        ours: Callable[[], object],
        peer: str,
        theirs: Callable[[], object],
        *,
        goal: float = 0,
        times: int = rounds,
    ) -> Row:
        medians = in_turns(lambda: milliseconds(ours), lambda: milliseconds(theirs), times)
        return Row(what, medians[0], peer, medians[1], goal)

    # Under a Python whose hashes are OpenSSL's, as those of distributions are: the 3.6 of these images has none of them.
    with simcluster.start("slurm", backend="docker", nodes=1, pythons=["3.12"]) as cluster:
        site = Site(cluster)
        site.make(MAKE_TREE)
        find, usage = lambda: site.files.find("*.csv", "many"), lambda: site.files.du("many")
        sftp = site.connected_sftp()
        found = find()
        assert (found, usage().total_bytes) == (walked(sftp, "many", ".csv")[0], walked(sftp, "many", "")[1])
        listed = site.command("find many -name '*.csv' -type f | sort")
        yield row("find *.csv in 100,000 files", find, "ssh host find", listed, goal=0.6)
        yield row("du of them", usage, "ssh host du", site.command("du -sb many"), goal=0.6)
        yield row(
            "find, on loopback", find, "SFTP walk, paramiko", lambda: walked(sftp, "many", ".csv"), goal=0.2, times=2
        )
        yield row("ls of 100 names", lambda: site.files.ls("many"), "ssh host ls", site.command("ls many"))
        with cluster.faults.ssh.latency(0.05):
            # A hundredth of them: the walk takes five round trips for each directory.
            # In containers the bad line is there for new connections only.
            executor_for(site.config).disconnect()
            far, files_there = site.connected_sftp(), Site(cluster).files
            yield row(
                "find in 1,000 files, round trip of 50 ms", lambda: files_there.find("*.csv", "many/010"),
                "SFTP walk, paramiko", lambda: walked(far, "many/010", ".csv"), goal=0.03, times=1,
            )  # fmt: skip
        site.make(MAKE_FILES.replace("SIZE", str(megabytes)))
        scratch = Path(tempfile.mkdtemp())
        try:
            for what, name, peer in (
                (f"get a file of {megabytes} MB", "large", ("scp", "-q")),
                ("get 10,000 small files", "small", ("rsync", "-a")),
            ):
                theirs = _into(scratch, name, site.copied_by(*peer))
                yield row(what, _into(scratch, name, site.files.get), " ".join(peer), theirs, goal=1.0, times=3)
        finally:
            shutil.rmtree(scratch)


def _into(scratch: Path, name: str, copy: Callable[[str, str], object]) -> Callable[[], object]:
    def copied() -> None:
        target = scratch / os.urandom(4).hex()
        if name == "small":
            target.mkdir()
            copy(name + "/", f"{target}/")
        else:
            copy(name, str(target))
        _forget.append(target)
        while len(_forget) > 1:
            old = _forget.pop(0)
            shutil.rmtree(old) if old.is_dir() else old.unlink()

    return copied


_forget: list[Path] = []
