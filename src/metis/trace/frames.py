"""The spool's bytes: a segment's header, frames, and how to read them back. Sans-I/O: no files here.

A segment is a header of 16 bytes (`metis-spool`, a NUL, u32 format version) and frames. A frame is what one
append wrote: u32 length, u32 CRC-32 of the payload, payload. The payload is one JSON event a line, so an
append is there whole or not at all. Integers are little-endian.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Final, Literal, NamedTuple
from zlib import crc32

import msgspec

from metis.errors import LedgerError
from metis.trace.events import (
    LINE_START,
    AnyEvent,
    AnyForm,
    decode_event,
    decode_events,
    encode_events,
)

MAX_PAYLOAD_BYTES: Final = 16 * 1024 * 1024
_MAGIC: Final = b"metis-spool\0"
_VERSION: Final = 2
_U32: Final = Struct("<I")
_HEADER: Final = Struct("<II")
_pack: Final = _HEADER.pack
_unpack: Final = _HEADER.unpack_from
_PREAMBLE: Final = _HEADER.size

SEGMENT_HEADER: Final = _MAGIC + _U32.pack(_VERSION)
SEGMENT_HEADER_BYTES: Final = len(SEGMENT_HEADER)


# A whole frame: where it starts, counted from the segment's start, and its payload. A bare tuple, since making a
# NamedTuple for each took a third of the time of `scan`.
Frame = tuple[int, bytes]
Tail = Literal["clean", "short", "bad"]


class Damage(NamedTuple):
    """Bytes between whole frames that are none."""

    offset: int
    data: bytes


class Scan(NamedTuple):
    """What a buffer holds. `next_offset` is where reading goes on.

    `tail` is what stands there: "clean" nothing, "short" the beginning of a frame of `wanted` bytes,
    "bad" bytes that are no frame and after which none was found.
    """

    frames: list[Frame]
    damages: list[Damage]
    next_offset: int
    tail: Tail
    wanted: int


def encode_frame(events: Sequence[AnyForm]) -> bytes:
    """The bytes of one append. Raises LedgerError when an event cannot be written as JSON."""
    try:
        payload = encode_events(events)
    except (TypeError, ValueError, OverflowError) as exc:
        raise LedgerError(f"an event cannot be written as JSON: {exc}") from exc
    length = len(payload)
    if length > MAX_PAYLOAD_BYTES:
        raise LedgerError(f"{length:,} bytes in one append; at most {MAX_PAYLOAD_BYTES:,} fit")
    return _pack(length, crc32(payload)) + payload


def decode_payload(payload: bytes) -> tuple[list[AnyEvent], list[tuple[str, bytes]]]:
    """The events of a payload, and each line that is none with the reason."""
    events: list[AnyEvent] = []
    refused: list[tuple[str, bytes]] = []
    for line in payload.splitlines():
        try:
            events.append(decode_event(line))
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            refused.append((f"not an event: {exc}", line))
    return events, refused


def decode_frames(
    frames: Sequence[Frame], *, careful: bool = False
) -> tuple[list[AnyEvent], list[tuple[int, str, bytes]]]:
    """The events of frames, in order, and each line that is none with its place and the reason.

    Only a `careful` reader notices a group that is none.
    """
    try:
        if not careful:
            # Every payload ends with the end of a line, so together they are lines too.
            return decode_events(b"".join([payload for _, payload in frames])), []
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    events: list[AnyEvent] = []
    refused: list[tuple[int, str, bytes]] = []
    for offset, payload in frames:
        good, bad = decode_payload(payload)
        events += good
        refused += [(offset + index, why, line) for index, (why, line) in enumerate(bad)]
    return events, refused


def check_header(data: bytes) -> bool:
    """Whether these first bytes are a segment's header.

    Raises LedgerError when they are one of a format this Metis does not know.
    """
    if not data.startswith(_MAGIC) or len(data) < SEGMENT_HEADER_BYTES:
        return False
    version = int(_U32.unpack_from(data, len(_MAGIC))[0])
    if version != _VERSION:
        raise LedgerError(
            f"the spool has format {version}, this Metis reads {_VERSION}; run the Metis that wrote it"
        )
    return True


def scan(data: bytes, offset: int, *, complete: bool) -> Scan:
    """Read every whole frame of `data`, which starts `offset` bytes into its segment.

    `complete` says that `data` reaches the segment's end. Where a frame is damaged the next whole one is
    looked for, by the way payloads begin and their checksum, so damage costs what it touched and no more.
    """
    frames: list[Frame] = []
    damages: list[Damage] = []
    position, end = 0, len(data)
    last = end - _PREAMBLE
    while position <= last:
        length, checksum = _unpack(data, position)
        start = position + _PREAMBLE
        stop = start + length
        whole = stop <= end
        if whole and length:
            payload = data[start:stop]
            if crc32(payload) == checksum:
                frames.append((offset + position, payload))
                position = stop
                continue
        if not whole and length <= MAX_PAYLOAD_BYTES and not complete:
            return Scan(frames, damages, offset + position, "short", stop - position)
        found = _find_frame(data, position + 1)
        if found < 0:
            tail: Tail = "bad" if whole or length > MAX_PAYLOAD_BYTES else "short"
            return Scan(frames, damages, offset + position, tail, stop - position)
        damages.append(Damage(offset + position, data[position:found]))
        position = found
    tail = "short" if end > position else "clean"
    return Scan(frames, damages, offset + position, tail, _PREAMBLE)


def _find_frame(data: bytes, start: int) -> int:
    """The position of the first whole frame at or after `start`; -1 when there is none."""
    found = data.find(LINE_START, start + _PREAMBLE)
    while found >= 0:
        length, checksum = _unpack(data, found - _PREAMBLE)
        stop = found + length
        if length and stop <= len(data) and crc32(data[found:stop]) == checksum:
            return found - _PREAMBLE
        found = data.find(LINE_START, found + 1)
    return -1
