"""Protocol buffers' binary format for frozen dataclasses: as much of it as the messages of this package use.

A message is a dataclass whose fields are made with :func:`slot`. Encoding follows proto3: a scalar that is zero or
empty and a message that is None are left out. Decoding skips unknown fields and fields of an unexpected wire type, the
last value of a scalar wins, repeated parts of one message merge (Protocol Buffers documentation, "Encoding").
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeVar

__all__ = ["WireError", "decode", "encode", "slot"]

Message = TypeVar("Message")
Scalar = Literal["uint32", "int32", "fixed32", "float", "string", "bytes"]

_VARINT, _SIXTY_FOUR, _LENGTH, _THIRTY_TWO = 0, 1, 2, 5
_WIRE_TYPES = {
    "uint32": _VARINT,
    "int32": _VARINT,
    "fixed32": _THIRTY_TWO,
    "float": _THIRTY_TWO,
    "string": _LENGTH,
    "bytes": _LENGTH,
}
_DEFAULTS: dict[str, object] = {"uint32": 0, "int32": 0, "fixed32": 0, "float": 0.0, "string": "", "bytes": b""}
_LONGEST_VARINT = 10


class WireError(ValueError):
    """Bytes that are no message."""


@dataclass(frozen=True)
class _Slot:
    name: str
    number: int
    kind: Scalar | type[Any]
    repeated: bool

    @property
    def is_message(self) -> bool:
        return isinstance(self.kind, type)

    @property
    def wire_type(self) -> int:
        return _LENGTH if isinstance(self.kind, type) else _WIRE_TYPES[self.kind]


def slot(number: int, kind: Scalar | type[Any], *, repeated: bool = False) -> Any:
    """A dataclass field with a field number; ``kind`` is a scalar's name (enumerations are ``int32``) or a message
    class. Only messages repeat, as tuples; a message that does not is None when absent."""
    default: object = () if repeated else None if isinstance(kind, type) else _DEFAULTS[kind]
    return field(default=default, metadata={"number": number, "kind": kind, "repeated": repeated})


_KNOWN: dict[type[Any], tuple[_Slot, ...]] = {}


def _slots(kind: type[Any]) -> tuple[_Slot, ...]:
    """The fields of a message class, looked up once."""
    if kind not in _KNOWN:
        _KNOWN[kind] = tuple(
            _Slot(item.name, item.metadata["number"], item.metadata["kind"], item.metadata["repeated"])
            for item in fields(kind)
        )
    return _KNOWN[kind]


def encode(message: object) -> bytes:
    """Bytes of a message. Raises ValueError when a number does not fit into its field."""
    return b"".join(_encoded_slot(item, getattr(message, item.name)) for item in _slots(type(message)))


def _encoded_slot(item: _Slot, value: Any) -> bytes:
    tag = _varint(item.number << 3 | item.wire_type)
    if item.is_message:
        parts = value if item.repeated else () if value is None else (value,)
        return b"".join(tag + _varint(len(body)) + body for body in map(encode, parts))
    if not value:
        return b""
    if item.kind in {"string", "bytes"}:
        body = value.encode() if item.kind == "string" else value
        return tag + _varint(len(body)) + body
    if item.kind == "float":
        try:
            return tag + struct.pack("<f", value)
        except OverflowError as error:
            raise ValueError(f"{item.name} is {value!r}; a 32-bit float is needed") from error
    low, high = (-(2**31), 2**31 - 1) if item.kind == "int32" else (0, 2**32 - 1)
    if not low <= value <= high:
        raise ValueError(f"{item.name} is {value!r}; {item.kind} reaches from {low} to {high}")
    if item.kind == "fixed32":
        return tag + struct.pack("<I", value)
    return tag + _varint(value % 2**64)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def decode(kind: type[Message], data: bytes) -> Message:
    """The message that ``data`` holds. Raises WireError when it holds none."""
    known = {item.number: item for item in _slots(kind)}
    values: dict[str, Any] = {}
    bodies: dict[str, bytes] = {}
    for number, wire_type, raw in _fields(data):
        item = known.get(number)
        if item is None or item.wire_type != wire_type:
            continue
        if not item.is_message:
            values[item.name] = _scalar(item, raw)
        elif item.repeated:
            values[item.name] = (*values.get(item.name, ()), decode(_message_class(item), raw))
        else:
            bodies[item.name] = bodies.get(item.name, b"") + raw
    for item in known.values():
        if item.name in bodies:
            values[item.name] = decode(_message_class(item), bodies[item.name])
    return kind(**values)


def _message_class(item: _Slot) -> type[Any]:
    assert isinstance(item.kind, type)
    return item.kind


def _scalar(item: _Slot, raw: Any) -> object:
    if item.kind == "string":
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise WireError(f"field {item.name} is no UTF-8 text") from error
    if item.kind == "bytes":
        return raw
    if item.kind == "float":
        return struct.unpack("<f", raw)[0]
    if item.kind == "fixed32":
        return struct.unpack("<I", raw)[0]
    low = raw % 2**32
    return low - 2**32 if item.kind == "int32" and low >= 2**31 else low


def _fields(data: bytes) -> Iterator[tuple[int, int, Any]]:
    """(field number, wire type, value): an int for a varint, bytes for everything else."""
    place = 0
    while place < len(data):
        tag, place = _read_varint(data, place)
        number, wire_type = tag >> 3, tag & 7
        if not 0 < number < 2**29:
            raise WireError(f"field number {number} is out of range")
        if wire_type == _VARINT:
            value, place = _read_varint(data, place)
            yield number, wire_type, value
            continue
        if wire_type == _LENGTH:
            size, place = _read_varint(data, place)
        elif wire_type in {_THIRTY_TWO, _SIXTY_FOUR}:
            size = 4 if wire_type == _THIRTY_TWO else 8
        else:
            raise WireError(f"wire type {wire_type} is not used by this protocol")
        if place + size > len(data):
            raise WireError(f"field {number} ends {place + size - len(data)} bytes after the message")
        yield number, wire_type, data[place : place + size]
        place += size


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for count, byte in enumerate(data[place : place + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            return value % 2**64, place + count + 1
    raise WireError("a number has no end")
