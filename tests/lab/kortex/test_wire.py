"""The wire format: the bytes of the facts, round trips of everything, and no bytes that break it."""

import math
import struct
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multigen_core.lab.kortex import messages
from multigen_core.lab.kortex.calls import Call
from multigen_core.lab.kortex.frames import (
    LARGEST_FRAME,
    MAGIC,
    REQUEST,
    RESPONSE,
    Frame,
    StreamSplitter,
    bytes_to_frame,
    failure_response,
    frame_to_bytes,
    frame_to_stream,
    request,
)
from multigen_core.lab.kortex.messages import (
    Action,
    Failure,
    JointSpeed,
    JointSpeeds,
    OpenSession,
    ReachJointAngles,
)
from multigen_core.lab.kortex.wire import WireError, decode, encode

GOLDEN = bytes.fromhex(
    "07784574526f4b07 0000002c 0a14 0d00000011 1501000000 1d01000110 2514000000"
    "1214 0a0561646d696e10904e1a0561646d696e20d00f"
)
"""CreateSession of kortex_api 2.6.0: admin, admin, 10 s and 2 s."""

_SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "uint32": st.integers(0, 2**32 - 1),
    "int32": st.integers(-(2**31), 2**31 - 1),
    "fixed32": st.integers(0, 2**32 - 1),
    "float": st.floats(width=32, allow_nan=False),
    "string": st.text(max_size=20),
    "bytes": st.binary(max_size=40),
}


def made(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Any message of a kind."""
    parts: dict[str, st.SearchStrategy[Any]] = {}
    for item in fields(kind):
        inner, repeated = item.metadata["kind"], item.metadata["repeated"]
        if not isinstance(inner, type):
            parts[item.name] = _SCALARS[inner]
        elif repeated:
            parts[item.name] = st.lists(made(inner), max_size=4).map(tuple)
        else:
            parts[item.name] = st.none() | made(inner)
    return st.builds(kind, **parts)


KINDS = [getattr(messages, name) for name in messages.__all__]
FRAMES = st.builds(
    Frame,
    kind=st.sampled_from([1, 3, 5]),
    session=st.integers(0, 0xFFFF),
    message=st.integers(0, 0xFFFF),
    call=st.integers(0, 2**28 - 1),
    payload=st.binary(max_size=60),
    device=st.integers(0, 255),
    error_code=st.integers(0, 15),
    error_sub_code=st.integers(0, 4095),
)


def test_golden_bytes_of_a_session_opening() -> None:
    hello = OpenSession("admin", 10_000, "admin", 2_000)
    assert frame_to_stream(request(Call.CREATE_SESSION, session=0, message=1, payload=hello)) == GOLDEN
    (frame,) = StreamSplitter().feed(GOLDEN)
    assert (frame.kind, frame.session, frame.message, frame.call) == (REQUEST, 0, 1, Call.CREATE_SESSION)
    assert decode(OpenSession, frame.payload) == hello


def test_joint_speeds_by_hand() -> None:
    """Field 1 of the list is a message of 7 bytes: joint 2 and a float; a joint 0 and a speed 0 leave no trace."""
    speeds = JointSpeeds((JointSpeed(0, 0.0), JointSpeed(2, -1.5)))
    assert encode(speeds) == bytes.fromhex("0a00 0a07 0802 15") + struct.pack("<f", -1.5)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_message_comes_back(kind: type[Any]) -> None:
    @given(made(kind))
    def comes_back(message: Any) -> None:
        assert decode(kind, encode(message)) == message

    comes_back()


@given(st.sampled_from(KINDS), st.binary(max_size=200))
def test_hostile_bytes_are_a_message_or_a_wire_error(kind: type[Any], data: bytes) -> None:
    try:
        message = decode(kind, data)
    except WireError:
        return
    again = decode(kind, encode(message))
    assert again == message or "nan" in repr(message)


@given(made(Action), st.data())
def test_a_damaged_message_is_a_message_or_a_wire_error(action: Any, data: st.DataObject) -> None:
    raw = bytearray(encode(action))
    for _ in range(data.draw(st.integers(1, 3))):
        if raw:
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert isinstance(decode(Action, bytes(raw)), Action)
    except WireError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("0a", "has no end"),
        ("0aff", "has no end"),
        ("0a05616263", "2 bytes after"),
        ("08" + "ff" * 11, "has no end"),
        ("0b", "wire type 3"),
        ("0a02fffe", "no UTF-8"),
        ("0500000000", "field number 0"),
    ],
)
def test_what_is_wrong_is_said(data: str, words: str) -> None:
    with pytest.raises(WireError, match=words):
        decode(OpenSession, bytes.fromhex(data))


def test_unknown_fields_are_skipped_and_parts_merge() -> None:
    """Field 9 in every wire type; a message in two parts; a scalar of the wrong wire type."""
    unknown = bytes.fromhex("4805 4d00000000 490000000000000000 4a0161")
    hello = OpenSession("a", 1, "b", 2)
    assert decode(OpenSession, unknown + encode(hello) + unknown) == hello
    assert decode(OpenSession, encode(hello) + bytes.fromhex("0801")) == hello
    first = encode(Action(reach_joint_angles=ReachJointAngles(messages.JointAngles((messages.JointAngle(1, 2.0),)))))
    second = encode(Action(reach_joint_angles=ReachJointAngles(None, messages.Constraint(1, 3.0))))
    merged = decode(Action, first + second).reach_joint_angles
    assert merged is not None and merged.goal is not None and merged.constraint is not None


@pytest.mark.parametrize("message", [OpenSession("a", 2**32), OpenSession("a", -1), JointSpeed(0, 1e300)])
def test_numbers_that_do_not_fit_are_refused(message: Any) -> None:
    with pytest.raises(ValueError, match=r"is -?\d"):
        encode(message)


@given(FRAMES)
def test_frames_come_back(frame: Frame) -> None:
    assert bytes_to_frame(frame_to_bytes(frame)) == frame


@given(st.lists(FRAMES, max_size=5), st.lists(st.integers(1, 50), min_size=1))
def test_a_stream_may_be_cut_anywhere(frames: list[Frame], cuts: list[int]) -> None:
    stream = b"".join(map(frame_to_stream, frames))
    splitter, got, place, k = StreamSplitter(), [], 0, 0
    while place < len(stream):
        got += splitter.feed(stream[place : place + cuts[k % len(cuts)]])
        place, k = place + cuts[k % len(cuts)], k + 1
    assert got == frames


@given(st.binary(min_size=1, max_size=300))
def test_a_hostile_stream_is_frames_or_a_wire_error(data: bytes) -> None:
    for stream in (data, MAGIC + data, MAGIC + struct.pack(">I", len(data)) + data):
        try:
            StreamSplitter().feed(stream)
        except WireError as error:
            assert str(error)


def test_a_frame_as_long_as_memory_is_refused_before_it_arrives() -> None:
    with pytest.raises(WireError, match=str(LARGEST_FRAME)):
        StreamSplitter().feed(MAGIC + b"\xff\xff\xff\xff")


def test_an_error_travels_in_header_and_payload() -> None:
    asked = request(Call.STOP, session=7, message=9, payload=messages.Empty())
    answer = bytes_to_frame(frame_to_bytes(failure_response(asked, session=7, failure=Failure(3, 75, "wrong mode"))))
    assert (answer.kind, answer.message, answer.call) == (RESPONSE, 9, Call.STOP)
    assert (answer.error_code, answer.error_sub_code) == (3, 75)
    assert decode(Failure, answer.payload) == Failure(3, 75, "wrong mode")


def test_not_a_number_travels() -> None:
    """The codec carries it; the arm refuses it."""
    assert math.isnan(decode(JointSpeed, encode(JointSpeed(1, math.nan))).speed_deg_s)
