"""The recorded cluster on the emulated scheduler, with a clock that the test moves."""

from __future__ import annotations

import asyncio

from simcluster.emulated.core import Core
from simcluster.emulated.interface import Call, Machine, Partition, Settings
from simcluster.emulated.slurm import answer

START = 1795226880.0


class Clock:
    def __init__(self):
        self.now = START

    def time(self):
        return self.now


class Launcher:
    """Remembers what it was asked; scripts are in `files`."""

    def __init__(self):
        self.launched, self.signals, self.files, self.notices = [], [], {}, []

    def launch(self, job):
        self.launched.append(job)

    def signal(self, job, number, everything):
        self.signals.append((job.id, number, everything))

    def read_script(self, path, cwd):
        try:
            return self.files[path]
        except KeyError:
            raise FileNotFoundError(path) from None

    def notice(self, job, text):
        self.notices.append(text)


class Site:
    """Two nodes of four CPUs, as the recorded cluster."""

    def __init__(self, *, accounting=True, gpus=0, settings=None):
        self.clock, self.launcher = Clock(), Launcher()
        machines = [Machine("node1", 4, 4000, gpus, ("fast",)), Machine("node2", 4, 4000, gpus, ("slow",))]
        partitions = [
            Partition("debug", max_time=7200, is_default=True),
            Partition("long", max_time=7 * 86400),
            Partition("down", nodes=("node2",), is_up=False),
        ]
        self.core = Core(
            machines,
            partitions,
            cluster_name="cluster",
            clock=self.clock,
            launcher=self.launcher,
            accounting=accounting,
            settings=settings or Settings(memory_per_cpu=500, controller="slurm", user_ids={"user": 1000}),
        )

    def call(self, *words, stdin=b"", user="user", environment=()):
        variables = {"HOME": "/home/user", "PATH": "/usr/bin", **dict(environment)}
        return answer(self.core, Call(words[0], words[1:], "/home/user/t", variables, stdin, user))

    def __call__(self, *words, **more):
        reply = asyncio.run(self.call(*words, **more))
        return reply.stdout, reply.stderr, reply.code

    def submit(self, *options, command="true"):
        out, err, code = self("sbatch", "--parsable", *options, "--wrap", command)
        assert code == 0, err
        return int(out)

    def end(self, number, code=0, signal=None):
        for job in self.core.find(number):
            self.core.ended(job, None if signal else code, signal)
