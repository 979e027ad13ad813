"""AWS's binary event stream: frames with headers and checksums, read under any chunking, and written.

A frame is its own length, its headers' length and a CRC-32 of these two; then headers, payload, and a CRC-32 of all
before it. Source: smithy.io/2.0/aws/amazon-eventstream.html. What the events mean lives in the shapes.
"""

from __future__ import annotations

import struct
from binascii import crc32
from collections.abc import Iterable
from typing import Final, NamedTuple

from metis.errors import CodecError

# AWS's own limits (the same page); longer ones are nonsense.
MAX_FRAME_BYTES: Final = 24 * 1024 * 1024
MAX_HEADER_BYTES: Final = 128 * 1024

_PRELUDE: Final = struct.Struct(">III")
_CRC: Final = struct.Struct(">I")
_LENGTHS: Final = struct.Struct(">II")
_LEAST: Final = _PRELUDE.size + _CRC.size
_STRING: Final = 7
# Bytes of the header values that have a fixed size, by their type: booleans, whole numbers, timestamp, uuid.
_FIXED: Final = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_SIZED: Final = frozenset({6, _STRING})


class Frame(NamedTuple):
    """One message. `headers` has those whose value is text, which are all that are in use."""

    headers: dict[str, str]
    payload: bytes


class EventStreamDecoder:
    """Feed bytes as they come; get the frames they complete."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def at_boundary(self) -> bool:
        """Whether what came so far ends with a frame."""
        return not self._buffer

    def feed(self, data: bytes) -> list[Frame]:
        """Raises CodecError on a checksum that does not fit and on lengths beyond the limits."""
        self._buffer += data
        frames: list[Frame] = []
        start, size = 0, len(self._buffer)
        while size - start >= _PRELUDE.size:
            total, header_bytes, told = _PRELUDE.unpack_from(self._buffer, start)
            if crc32(self._buffer[start : start + _LENGTHS.size]) != told:
                raise CodecError("the event stream's checksum of a frame's lengths does not fit")
            if not _LEAST + header_bytes <= total <= MAX_FRAME_BYTES or (
                header_bytes > MAX_HEADER_BYTES
            ):
                raise CodecError(
                    f"an event stream frame of {total} bytes with {header_bytes} of headers"
                )
            if size - start < total:
                break
            frames.append(_frame(bytes(self._buffer[start : start + total]), header_bytes))
            start += total
        del self._buffer[:start]
        return frames


def _frame(data: bytes, header_bytes: int) -> Frame:
    if crc32(data[: -_CRC.size]) != _CRC.unpack(data[-_CRC.size :])[0]:
        raise CodecError("the event stream's checksum of a frame does not fit")
    body = _PRELUDE.size + header_bytes
    return Frame(_headers(data[_PRELUDE.size : body]), data[body : -_CRC.size])


def _headers(data: bytes) -> dict[str, str]:
    headers: dict[str, str] = {}
    place = 0
    try:
        while place < len(data):
            name_end = place + 1 + data[place]
            name, kind = data[place + 1 : name_end].decode(), data[name_end]
            place = name_end + 1
            if kind in _SIZED:
                size = int.from_bytes(data[place : place + 2])
                place += 2
            else:
                size = _FIXED[kind]
            value = data[place : place + size]
            place += size
            if len(value) < size:
                raise CodecError("the headers of an event stream frame are cut off")
            if kind == _STRING:
                headers[name] = value.decode()
    except (IndexError, KeyError, UnicodeDecodeError) as exc:
        raise CodecError("the headers of an event stream frame cannot be read") from exc
    return headers


def encode_frame(headers: Iterable[tuple[str, str]], payload: bytes) -> bytes:
    """One frame whose headers are all text."""
    packed = b"".join(
        b"%c%b%c%b%b"
        % (len(name), name.encode(), _STRING, len(value.encode()).to_bytes(2), value.encode())
        for name, value in headers
    )
    lengths = _LENGTHS.pack(_LEAST + len(packed) + len(payload), len(packed))
    body = b"".join((lengths, _CRC.pack(crc32(lengths)), packed, payload))
    return body + _CRC.pack(crc32(body))


def encode_event_frame(event: str, payload: bytes) -> bytes:
    """An event with a JSON payload, in the headers' order of AWS's own services."""
    return encode_frame(
        (
            (":event-type", event),
            (":content-type", "application/json"),
            (":message-type", "event"),
        ),
        payload,
    )


def encode_exception_frame(exception: str, payload: bytes) -> bytes:
    """The end of a stream that failed."""
    return encode_frame(
        (
            (":exception-type", exception),
            (":content-type", "application/json"),
            (":message-type", "exception"),
        ),
        payload,
    )
