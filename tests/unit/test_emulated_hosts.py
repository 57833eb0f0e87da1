"""The daemon's end of a machine."""

from __future__ import annotations

import asyncio

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
