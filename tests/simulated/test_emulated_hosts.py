"""The daemon's end of a machine."""

from __future__ import annotations

import asyncio
import os
import signal

from simcluster.emulated.hosts import start_host


def test_what_is_started_on_a_machine_that_is_being_killed_is_lost_and_has_not_ended():
    async def kill_and_start():
        heard = []
        host = await start_host("node1", {}, ())
        host.start({"key": "early", "arguments": ["sleep", "60"], "environment": {}, "cwd": "/"}, heard.append)
        killing = asyncio.create_task(host.kill())
        await asyncio.sleep(0)
        host.start({"key": "late", "arguments": ["sleep", "60"], "environment": {}, "cwd": "/"}, heard.append)
        await killing
        return heard

    assert [(message["event"], message["key"]) for message in asyncio.run(kill_and_start())] == [
        ("lost", "early"),
        ("lost", "late"),
    ]


def started(key, *arguments):
    return {
        "key": key,
        "arguments": list(arguments),
        "environment": {"PATH": "/bin:/usr/bin"},
        "cwd": "/",
        "fallback_cwd": "/",
    }


def test_a_machine_that_somebody_else_ends_is_lost_with_all_that_runs_on_it():
    async def end_from_outside():
        heard, begun, lost = [], asyncio.Event(), asyncio.Event()

        def hear(message):
            heard.append(message)
            begun.set()

        host = await start_host("node1", {}, ())
        host.when_lost = lost.set
        host.start(started("early", "sleep", "60"), hear)
        await asyncio.wait_for(begun.wait(), 30)
        os.kill(host.pid, signal.SIGKILL)
        await asyncio.wait_for(lost.wait(), 30)
        host.start(started("late", "sleep", "60"), hear)
        await asyncio.wait_for(host.kill(), 30)  # harmless
        return [(message["event"], message["key"]) for message in heard]

    assert asyncio.run(end_from_outside()) == [("started", "early"), ("lost", "early"), ("lost", "late")]


def test_any_number_of_processes_is_started_at_once():
    """Neither side waits for the other to listen, however small the socket's buffers are."""

    async def start_many():
        ended = asyncio.Event()
        missing = set(map(str, range(2000)))

        def hear(message):
            if message["event"] == "ended":
                missing.discard(message["key"])
                if not missing:
                    ended.set()

        host = await start_host("node1", {}, ())
        for key in sorted(missing):
            host.start(started(key, "true"), hear)
        await asyncio.wait_for(ended.wait(), 120)
        await host.kill()

    asyncio.run(start_many())
