"""A result file is accepted only whole, unchanged, and where it belongs."""

import io

import pytest
from clustrix_remote.wire import SealError, seal, unseal
from hypothesis import given
from hypothesis import strategies as st

KEY = bytes(range(32))
HEAD = {"job": "cxabcdefghijkl", "attempt": 1, "task": 0, "package": "0123456789abcdef", "outcome": "value"}
EXPECTED = {name: HEAD[name] for name in ("job", "attempt", "task", "package")}


def sealed(key, head, *body):
    stream = io.BytesIO()
    seal(stream, key, head, body)
    return stream.getvalue()


json_values = st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False)


@given(body=st.binary(max_size=1000), free=st.dictionaries(st.text(), json_values, max_size=5))
def test_what_was_sealed_comes_out_again(body, free):
    head = dict(free, **HEAD)
    got_head, got_body = unseal(KEY, sealed(KEY, head, body), EXPECTED)
    assert got_head == head
    assert got_body == body


@given(body=st.binary(max_size=100), place=st.integers(min_value=0), flip=st.integers(min_value=1, max_value=255))
def test_any_changed_byte_is_refused(body, place, flip):
    data = bytearray(sealed(KEY, HEAD, body))
    data[place % len(data)] ^= flip
    with pytest.raises(SealError):
        unseal(KEY, data, EXPECTED)


def test_every_single_bit_is_signed():
    whole = sealed(KEY, HEAD, b"body")
    for bit in range(8 * len(whole)):
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SealError):
            unseal(KEY, data, EXPECTED)


def test_a_file_that_was_cut_short_is_refused_wherever_the_cut_is():
    whole = sealed(KEY, HEAD, b"some body")
    for length in range(len(whole)):
        with pytest.raises(SealError):
            unseal(KEY, whole[:length], EXPECTED)


@given(rest=st.binary(min_size=1, max_size=50))
def test_bytes_behind_the_end_are_refused(rest):
    with pytest.raises(SealError, match="signature"):
        unseal(KEY, sealed(KEY, HEAD, b"body") + rest, EXPECTED)


@given(data=st.binary(max_size=200))
def test_anything_else_is_refused_as_such(data):
    with pytest.raises(SealError):
        unseal(KEY, data, {})


def test_another_key_is_refused():
    with pytest.raises(SealError, match="another key"):
        unseal(KEY[::-1], sealed(KEY, HEAD, b"body"), EXPECTED)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_result_of_another_place_is_refused_by_name(name):
    other = dict(HEAD)
    other[name] = 7
    with pytest.raises(SealError, match="{} is 7, not {!r}".format(name, HEAD[name])):
        unseal(KEY, sealed(KEY, other, b"body"), EXPECTED)


def test_a_head_that_lacks_what_is_expected_is_refused_even_if_that_is_none():
    with pytest.raises(SealError, match="node is None"):
        unseal(KEY, sealed(KEY, HEAD, b""), {"node": None})


def test_a_short_key_is_never_used():
    with pytest.raises(ValueError, match="32 bytes"):
        sealed(b"short", HEAD, b"body")


def test_the_body_is_not_copied():
    data = sealed(KEY, HEAD, b"body")
    assert unseal(KEY, data, EXPECTED)[1].obj is data


@given(pieces=st.lists(st.binary(max_size=100), max_size=5), name=st.text(max_size=70))
def test_a_body_in_pieces_is_sealed_as_the_whole_and_begins_where_arrays_may(pieces, name):
    head = dict(HEAD, name=name)
    data = sealed(KEY, head, *pieces)
    assert data == sealed(KEY, head, b"".join(pieces))
    assert unseal(KEY, data, {})[1] == b"".join(pieces)
    assert (len(data) - len(b"".join(pieces))) % 64 == 0
