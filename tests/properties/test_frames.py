"""Frames survive any splitting, and malformed ones are refused with their own error."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funcledger_schemas.frames import KEEP_ALIVE, FrameError, Splitter, cut, delimit, pack, unpack

HEADS = st.dictionaries(st.text(max_size=5), st.none() | st.booleans() | st.integers() | st.text(max_size=9))


@given(HEADS, st.lists(st.binary(max_size=20), max_size=5))
def test_head_and_payloads_come_back_from_a_frame(head: dict[str, object], payloads: list[bytes]) -> None:
    frame = pack(head, payloads)
    read, start = unpack(frame)
    assert read == head
    assert cut(frame, start, [len(payload) for payload in payloads]) == payloads


@given(st.lists(st.binary(max_size=40), max_size=8), st.data())
def test_frames_come_out_of_a_stream_however_it_is_split(frames: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(delimit(frame) for frame in frames)
    splitter, came, at = Splitter(), [], 0
    while at < len(stream):
        step = data.draw(st.integers(1, len(stream) - at))
        came += splitter.feed(stream[at : at + step])
        at += step
    assert came == frames


def test_a_sign_of_life_is_an_empty_frame() -> None:
    assert Splitter().feed(KEEP_ALIVE + delimit(b"x") + KEEP_ALIVE) == [b"", b"x", b""]


def test_a_frame_is_given_out_once_even_when_its_receiver_stops_in_the_middle() -> None:
    splitter = Splitter()
    for frame in splitter.feed(delimit(b"one") + delimit(b"two")):
        assert frame == b"one"
        break
    assert splitter.feed(delimit(b"three")) == [b"three"]


def test_a_frame_over_the_limit_is_refused_when_announced() -> None:
    with pytest.raises(FrameError, match="a frame of 2147483648 bytes is over the limit of 100"):
        Splitter(limit=100).feed((2**31).to_bytes(4, "big"))


@given(st.binary(max_size=60))
def test_arbitrary_bytes_are_a_frame_or_a_frame_error(body: bytes) -> None:
    try:
        _, start = unpack(body)
    except FrameError:
        return
    json.loads(body[4:start])


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (b"", "ends before its head does"),
        (b"\0\0\0", "ends before its head does"),
        (pack({"a": 1})[:-1], "ends before its head does"),
        (b"\xff\xff\xff\xff{}", "ends before its head does"),
        (b"\0\0\0\x02{]", "not JSON"),
        (b"\0\0\0\x02\xff\xfe", "not JSON"),
        (b"\0\0\0\0", "not JSON"),
        (len(b"[" * 10**6).to_bytes(4, "big") + b"[" * 10**6, "not JSON"),
        (len(b"9" * 10**5).to_bytes(4, "big") + b"9" * 10**5, "not JSON"),
    ],
    ids=[
        "empty",
        "no length",
        "cut head",
        "huge head",
        "no json",
        "no text",
        "no head",
        "deep",
        "long number",
    ],
)
def test_a_malformed_frame_is_refused(frame: bytes, why: str) -> None:
    with pytest.raises(FrameError, match=why):
        unpack(frame)


@pytest.mark.parametrize("sizes", [[], [2], [4], [1, 1], [-1, 4], [2**62], [1, 1, 1, 1]])
def test_sizes_that_do_not_use_up_the_frame_are_refused(sizes: list[int]) -> None:
    frame = pack({}, [b"abc"])
    with pytest.raises(FrameError, match="add up to"):
        cut(frame, unpack(frame)[1], sizes)
