import io
import os
import threading

import pytest
from clustrix_remote.frames import MAX_BODY, FrameError, MessageError, encode_frame
from clustrix_remote.stream import WINDOW, Stream


class Ends:
    """Two streams that are connected by two pipes, each read by a thread that keeps what it receives in order."""

    def __init__(self):
        there, back = os.pipe(), os.pipe()
        self.files = [
            os.fdopen(back[0], "rb"),
            os.fdopen(there[1], "wb", 0),
            os.fdopen(there[0], "rb"),
            os.fdopen(back[1], "wb", 0),
        ]
        self.left, self.right = self._stream(0, 1), self._stream(2, 3)
        self.received = {"left": [], "right": []}
        self.arrived = threading.Condition()
        self.readers = [threading.Thread(target=self._read, args=(name,), daemon=True) for name in ("left", "right")]
        for reader in self.readers:
            reader.start()

    def _stream(self, reader, writer):
        def write(buffer):
            view = memoryview(buffer)
            while len(view):
                view = view[self.files[writer].write(view) :]

        return Stream(self.files[reader].read, write)

    def _read(self, name):
        while True:
            message = getattr(self, name).receive()
            if message is None:
                return
            with self.arrived:
                self.received[name].append(message)
                self.arrived.notify_all()

    def wait_for(self, name, count):
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.received[name]) >= count, timeout=60)
            return self.received[name]

    def close(self):
        self.left.close()
        self.right.close()
        for writer in (1, 3):
            self.files[writer].close()
        for reader in self.readers:
            reader.join(10)
        for reader in (0, 2):
            self.files[reader].close()


@pytest.fixture
def ends():
    ends = Ends()
    yield ends
    ends.close()


@pytest.mark.parametrize("size", [0, 1, MAX_BODY - 1, MAX_BODY, MAX_BODY + 1, WINDOW + 1, 3 * WINDOW + 17])
def test_a_body_of_any_size_arrives_whole(ends, size):
    body = os.urandom(size)
    ends.left.send({"id": 1, "op": "x"}, body)
    assert ends.wait_for("right", 1) == [({"id": 1, "op": "x"}, body)]


def test_a_small_message_overtakes_a_large_one(ends):
    ends.left.send({"id": 1}, bytes(5 * WINDOW))
    ends.left.send({"id": 2}, b"small")
    assert [head["id"] for head, _ in ends.wait_for("right", 2)] == [2, 1]


def test_two_large_bodies_in_opposite_directions_do_not_block_each_other(ends):
    ends.left.send({"id": 1}, bytes(5 * WINDOW))
    ends.right.send({"id": 1}, bytes(5 * WINDOW))
    assert len(ends.wait_for("right", 1)[0][1]) == len(ends.wait_for("left", 1)[0][1]) == 5 * WINDOW


def test_messages_from_many_threads_all_arrive(ends):
    def send(number):
        ends.left.send({"id": number}, bytes([number]) * (number * 50000))

    threads = [threading.Thread(target=send, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    received = {head["id"]: body for head, body in ends.wait_for("right", 40)}
    assert received == {number: bytes([number]) * (number * 50000) for number in range(40)}


def test_credit_that_comes_while_a_frame_is_being_written_is_not_lost():
    """The other side answers each frame before its writing has returned: the sender must not wait for that answer again."""
    answering, granted = os.pipe(), os.pipe()
    incoming, answers = os.fdopen(answering[0], "rb"), os.fdopen(answering[1], "wb", 0)
    sent, done = [], threading.Event()

    def write(buffer):
        sent.append(bytes(buffer))
        if len(buffer) == MAX_BODY:
            for part in encode_frame({"id": 1, "credit": MAX_BODY}):
                answers.write(part)
            # The reader has taken the credit when it has also taken what came behind it.
            for part in encode_frame({"id": 99}):
                answers.write(part)
            os.read(granted[0], 1)
        if sum(map(len, sent)) > 3 * WINDOW:
            done.set()

    stream = Stream(incoming.read, write)

    def read():
        while True:
            if stream.receive() is None:
                return
            os.write(granted[1], b"x")

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    stream.send({"id": 1}, bytes(3 * WINDOW))
    assert done.wait(30)
    stream.close()
    answers.close()
    reader.join(10)
    incoming.close()
    os.close(granted[0])
    os.close(granted[1])


def test_giving_credit_does_not_lose_a_message_of_the_same_id_that_waits_for_its_own():
    other_side = os.pipe()
    incoming, answers = os.fdopen(other_side[0], "rb"), os.fdopen(other_side[1], "wb", 0)
    sent, wrote = [], threading.Condition()

    def write(buffer):
        with wrote:
            sent.append(bytes(buffer))
            wrote.notify_all()

    def wait_until(condition):
        with wrote:
            assert wrote.wait_for(condition, timeout=60)

    def answer(head, body=b""):
        for part in encode_frame(head, body):
            answers.write(part)

    stream = Stream(incoming.read, write)
    reader = threading.Thread(target=stream.receive, daemon=True)
    reader.start()
    stream.send({"id": 1}, bytes(2 * WINDOW))
    wait_until(lambda: sum(map(len, sent)) > WINDOW)
    answer({"id": 1, "more": True, "size": 8}, b"part")
    wait_until(lambda: any(b'"credit":4' in buffer for buffer in sent))
    stream.send({"id": 2}, b"")  # has been written when all before it has been put back
    wait_until(lambda: any(b'"id":2' in buffer for buffer in sent))
    answer({"id": 1, "credit": WINDOW})
    wait_until(lambda: sum(map(len, sent)) > 2 * WINDOW)
    stream.close()
    answers.close()
    reader.join(10)
    incoming.close()


def test_sending_on_a_closed_stream_is_a_broken_pipe(ends):
    ends.left.close()
    with pytest.raises(BrokenPipeError):
        ends.left.send({"id": 1})


def test_a_body_in_pieces_arrives_as_one(ends):
    pieces = [b"", b"a", bytes(MAX_BODY + 5), memoryview(b"xyz")[1:], bytearray(b"end")]
    ends.left.send({"id": 1}, *pieces)
    assert ends.wait_for("right", 1) == [({"id": 1}, b"".join(pieces))]


def test_a_large_body_is_memory_that_its_receiver_may_write_to(ends):
    ends.left.send({"id": 1}, bytes(2 * MAX_BODY))
    assert isinstance(ends.wait_for("right", 1)[0][1], bytearray)


def test_the_sender_is_told_how_far_it_is(ends):
    told = []
    ends.left.send({"id": 1}, bytes(MAX_BODY), bytes(2 * MAX_BODY), on_sent=lambda *numbers: told.append(numbers))
    ends.wait_for("right", 1)
    ends.left.close()
    assert told == [(part * MAX_BODY, 3 * MAX_BODY) for part in (1, 2, 3)]


def test_the_receiver_is_told_how_far_it_is():
    body = bytes(2 * MAX_BODY + 1)
    sent, told = io.BytesIO(), []
    for start in range(0, len(body), MAX_BODY):
        head = {"id": 1, "size": len(body), "op": "x"} if start == 0 else {"id": 1}
        part = body[start : start + MAX_BODY]
        sent.writelines(encode_frame(dict(head, more=True) if len(part) == MAX_BODY else head, part))
    sent.seek(0)
    stream = Stream(sent.read, lambda _buffer: None, lambda *about: told.append(about))
    assert stream.receive() == ({"id": 1, "op": "x"}, body)
    stream.close()
    head = {"id": 1, "op": "x"}
    assert told == [(head, done, len(body)) for done in (MAX_BODY, 2 * MAX_BODY, len(body))]


@pytest.mark.parametrize(("announced", "words"), [(1, "has more"), (7, "ended after 2")])
def test_a_body_of_another_size_than_announced_is_refused(announced, words):
    frames = [*encode_frame({"id": 1, "size": announced, "more": True}, b"a"), *encode_frame({"id": 1}, b"b")]
    stream = Stream(io.BytesIO(b"".join(frames)).read, lambda _buffer: None)
    with pytest.raises(FrameError, match=words):
        stream.receive()
    stream.close()


def test_a_head_that_is_too_long_is_refused_where_it_is_sent_and_the_stream_goes_on(ends):
    with pytest.raises(FrameError, match="over the limit"):
        ends.left.send({"id": 1, "text": "x" * (1 << 24)})
    ends.left.send({"id": 2})
    assert ends.wait_for("right", 1) == [({"id": 2}, b"")]


@pytest.mark.parametrize(
    ("head", "known_id"),
    [
        ({"op": "ping"}, None),
        ({"id": [1]}, None),
        ({"id": "x" * 101}, None),
        ({"id": 1, "more": True}, 1),
        ({"id": 1, "more": True, "size": -1}, 1),
        ({"id": 1, "more": True, "size": 1 << 62}, 1),
        ({"id": 1, "more": True, "size": 1}, 1),
        ({"id": 1, "credit": "all"}, 1),
    ],
)
def test_a_message_that_makes_no_sense_is_told_with_its_id_and_the_next_is_received(head, known_id):
    sent = io.BytesIO(b"".join(encode_frame(head, b"ab") + encode_frame({"id": 2})))
    stream = Stream(sent.read, lambda _: None)
    with pytest.raises(MessageError) as caught:
        stream.receive()
    assert caught.value.message_id == known_id
    assert stream.receive() == ({"id": 2}, b"")
    stream.close()
