"""Frames: four packed header words and a payload; on TCP behind a magic word and a length, on UDP bare.

frame_info    4 version  4 type  8 device  4 error code  12 error sub-code     (most significant bits first)
message_info  16 session  16 message id
service_info  4 version  12 service  16 function
payload_info  8 reserved  24 payload length
"""

import struct
from dataclasses import dataclass, replace

from multigen_core.lab.kortex.calls import BASE_DEVICE, Call
from multigen_core.lab.kortex.messages import Failure, FrameMessage, HeaderMessage
from multigen_core.lab.kortex.wire import WireError, decode, encode

__all__ = [
    "LARGEST_DATAGRAM",
    "LARGEST_FRAME",
    "NOTIFICATION",
    "REQUEST",
    "RESPONSE",
    "Frame",
    "StreamSplitter",
    "bytes_to_frame",
    "failure_response",
    "frame_to_bytes",
    "frame_to_stream",
    "notification",
    "request",
    "response",
]

MAGIC = bytes.fromhex("07784574526f4b07")
VERSION = 1
REQUEST, RESPONSE, NOTIFICATION = 1, 3, 5
LARGEST_DATAGRAM = 65_507
LARGEST_FRAME = 1 << 20
"""No call of a pour is nearly as long: a longer one means that the stream is out of step."""


@dataclass(frozen=True)
class Frame:
    """A frame taken apart; the payload is the bytes of another message."""

    kind: int
    """``REQUEST``, ``RESPONSE`` or ``NOTIFICATION``."""
    session: int
    message: int
    """Id of the request, which its response repeats; of a notification the handle of the subscription."""
    call: int
    """``calls.Call``, or a number that is none."""
    payload: bytes = b""
    device: int = BASE_DEVICE
    error_code: int = 0
    error_sub_code: int = 0


def request(call: Call, *, session: int, message: int, payload: object) -> Frame:
    """A call of a client."""
    return Frame(REQUEST, session, message, int(call), encode(payload))


def response(asked: Frame, *, session: int, payload: object) -> Frame:
    """The answer to a request."""
    return Frame(RESPONSE, session, asked.message, asked.call, encode(payload), asked.device)


def failure_response(asked: Frame, *, session: int, failure: Failure) -> Frame:
    """The answer to a request that was refused."""
    answer = response(asked, session=session, payload=failure)
    return replace(answer, error_code=failure.code, error_sub_code=failure.sub_code)


def notification(call: int, *, session: int, handle: int, payload: object) -> Frame:
    """News for a subscriber."""
    return Frame(NOTIFICATION, session, handle, call, encode(payload))


def frame_to_bytes(frame: Frame) -> bytes:
    """A datagram. Raises ValueError when a number does not fit into its bits."""
    header = HeaderMessage(
        frame_info=_packed(
            (VERSION, 4), (frame.kind, 4), (frame.device, 8), (frame.error_code, 4), (frame.error_sub_code, 12)
        ),
        message_info=_packed((frame.session, 16), (frame.message, 16)),
        service_info=_packed((VERSION, 4), (frame.call >> 16, 12), (frame.call & 0xFFFF, 16)),
        payload_info=_packed((0, 8), (len(frame.payload), 24)),
    )
    return encode(FrameMessage(header, frame.payload))


def frame_to_stream(frame: Frame) -> bytes:
    """A frame as TCP carries it."""
    body = frame_to_bytes(frame)
    return MAGIC + struct.pack(">I", len(body)) + body


def bytes_to_frame(data: bytes) -> Frame:
    """The inverse of :func:`frame_to_bytes`. Raises WireError for anything that is no frame of this version."""
    message = decode(FrameMessage, data)
    header = message.header
    if header is None:
        raise WireError("a frame has no header")
    version, kind, device, code, sub_code = _unpacked(header.frame_info, 4, 4, 8, 4, 12)
    session, identifier = _unpacked(header.message_info, 16, 16)
    service_version, service, function = _unpacked(header.service_info, 4, 12, 16)
    _, length = _unpacked(header.payload_info, 8, 24)
    if version != VERSION or service_version != VERSION:
        raise WireError(f"a frame has versions {version} and {service_version}; {VERSION} is spoken here")
    if kind not in {REQUEST, RESPONSE, NOTIFICATION}:
        raise WireError(f"a frame is of type {kind}")
    if length != len(message.payload):
        raise WireError(f"a frame announces {length} bytes of payload and has {len(message.payload)}")
    return Frame(kind, session, identifier, service << 16 | function, message.payload, device, code, sub_code)


def _packed(*parts: tuple[int, int]) -> int:
    """One word of (value, bits), most significant first."""
    word = 0
    for value, bits in parts:
        if not 0 <= value < 1 << bits:
            raise ValueError(f"{value} does not fit into {bits} bits of a frame header")
        word = word << bits | value
    return word


def _unpacked(word: int, *bits: int) -> tuple[int, ...]:
    values: list[int] = []
    for width in reversed(bits):
        values.append(word & (1 << width) - 1)
        word >>= width
    return tuple(reversed(values))


class StreamSplitter:
    """Cuts a TCP stream into frames."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that ``data`` completes. Raises WireError when the stream is not one of frames: nothing after
        that can be trusted, and the connection is to be closed."""
        self._waiting += data
        frames: list[Frame] = []
        while True:
            head = bytes(self._waiting[: len(MAGIC)])
            if not MAGIC.startswith(head):
                raise WireError(f"a stream begins with {head.hex()} instead of {MAGIC.hex()}")
            if len(self._waiting) < len(MAGIC) + 4:
                return frames
            (size,) = struct.unpack_from(">I", self._waiting, len(MAGIC))
            if size > LARGEST_FRAME:
                raise WireError(f"a frame announces {size} bytes; at most {LARGEST_FRAME} are taken")
            end = len(MAGIC) + 4 + size
            if len(self._waiting) < end:
                return frames
            frames.append(bytes_to_frame(bytes(self._waiting[len(MAGIC) + 4 : end])))
            del self._waiting[:end]
