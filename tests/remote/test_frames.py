import contextlib
import io

import pytest
from clustrix_remote.frames import MAX_BODY, FrameError, encode_frame, read_frame
from hypothesis import given
from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
HEADS = st.dictionaries(st.text(max_size=20), JSON, max_size=5)


@given(st.lists(st.tuples(HEADS, st.binary(max_size=300)), max_size=5))
def test_what_is_encoded_is_read_back_frame_by_frame(frames):
    stream = io.BytesIO(b"".join(bytes(part) for head, body in frames for part in encode_frame(head, body)))
    assert [read_frame(stream.read) for _ in frames] == frames
    assert read_frame(stream.read) is None


@given(HEADS, st.binary(max_size=100), st.data())
def test_a_stream_that_ends_inside_a_frame_is_an_error(head, body, data):
    whole = b"".join(bytes(part) for part in encode_frame(head, body))
    cut = data.draw(st.integers(1, len(whole) - 1))
    with pytest.raises(FrameError, match="ended inside"):
        read_frame(io.BytesIO(whole[:cut]).read)


@given(st.binary(min_size=8, max_size=200))
def test_bytes_that_are_no_frame_never_raise_anything_else(garbage):
    with contextlib.suppress(FrameError):
        read_frame(io.BytesIO(garbage).read)


def test_a_body_over_the_limit_is_refused_by_the_sender():
    with pytest.raises(FrameError, match="over the limit"):
        encode_frame({}, b"x" * (MAX_BODY + 1))


def test_an_announced_length_over_the_limit_is_refused_before_it_is_read():
    with pytest.raises(FrameError, match="announces"):
        read_frame(io.BytesIO(b"\x00\xff\xff\xff\x7f\x00\x00\x00").read)


@pytest.mark.parametrize("noise", [b"hello\n", b"no line end", b"1234567", b"12345678", "grüße\r\n".encode() * 1000])
def test_text_between_frames_is_skipped(noise):
    frame = b"".join(encode_frame({"id": 1}, b"body"))
    stream = io.BytesIO(noise + frame + noise + frame + noise)
    assert [read_frame(stream.read) for _ in range(3)] == [({"id": 1}, b"body"), ({"id": 1}, b"body"), None]
