"""What the daemon makes of a caller that does not speak as it should."""

import asyncio
import socket
import struct

import pytest

from simcluster.emulated.callers import Caller
from simcluster.emulated.messages import Conversation


@pytest.mark.parametrize("said", [b"not JSON", b"[]", b"7", b"{}", b'{"refused": "stdin"}'])
def test_nobody_waits_for_ever_for_a_caller_that_is_not_understood(said):
    async def listen():
        ours, theirs = socket.socketpair()
        with theirs:
            caller = Caller(Conversation(ours))
            theirs.sendall(struct.pack("!I", len(said)) + said)
            heard = await asyncio.wait_for(caller.heard(), 30)
            with pytest.raises(OSError, match="not understood"):
                await asyncio.wait_for(caller.borrow(), 30)
            ours.close()
        return heard

    assert asyncio.run(listen()) is None
