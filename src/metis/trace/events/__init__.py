"""Event families: one file each, listed in EVENTS. To add a family, write its file and put it here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from metis.trace.events.event import AnyForm, Event
from metis.trace.events.gateway import (
    AdminActed,
    AuthFailed,
    ConfigChanged,
    KeyCreated,
    KeyRevoked,
    KeyRotated,
    LimitExceeded,
)
from metis.trace.events.llm import LlmCallCompleted, LlmCallStarted
from metis.trace.events.route import RouteDecided
from metis.trace.events.turn import TurnCompleted

AnyTurnEvent = RouteDecided | LlmCallStarted | LlmCallCompleted | TurnCompleted
AnyOtherEvent = (
    KeyCreated | KeyRotated | KeyRevoked | AuthFailed | LimitExceeded | ConfigChanged | AdminActed
)
AnyEvent = AnyTurnEvent | AnyOtherEvent

EVENTS: Final[tuple[type[AnyForm], ...]] = (
    RouteDecided,
    LlmCallStarted,
    LlmCallCompleted,
    TurnCompleted,
    KeyCreated,
    KeyRotated,
    KeyRevoked,
    AuthFailed,
    LimitExceeded,
    ConfigChanged,
    AdminActed,
)


class _Other(msgspec.Struct, frozen=True, array_like=True, tag="event", gc=False):
    """How an event that is an object stands among those that are arrays."""

    event: msgspec.Raw


_encoder: Final = msgspec.json.Encoder()
_decode_line: Final = msgspec.json.Decoder(AnyTurnEvent | _Other).decode
_decode_lines: Final = msgspec.json.Decoder(AnyTurnEvent | _Other).decode_lines
_decode_other: Final = msgspec.json.Decoder(AnyOtherEvent).decode
LINE_START: Final = b'["'  # how every event's line begins


def encode_events(events: Sequence[AnyForm]) -> bytes:
    """Write events one a line, each line ended. Raises TypeError or ValueError on what JSON cannot hold."""
    for event in events:
        if isinstance(event, Event):
            return _encoder.encode_lines([_lined(event) for event in events])
    return _encoder.encode_lines(events)


def _lined(event: AnyForm) -> msgspec.Struct:
    return _Other(msgspec.Raw(_encoder.encode(event))) if isinstance(event, Event) else event


def decode_event(line: bytes) -> AnyEvent:
    """Read one line of `encode_events` back. Raises msgspec.DecodeError on anything that is none."""
    event = _decode_line(line)
    if isinstance(event, _Other):
        return _decode_other(event.event)
    for name, group in event.groups.items():
        group.unpack(getattr(event, name))
    return event


def decode_events(lines: bytes) -> list[AnyEvent]:
    """Read all lines of `encode_events` back. Raises msgspec.DecodeError when one of them is no event.

    Their groups are not looked at: whoever unpacks one that is none finds out.
    """
    return [
        _decode_other(event.event) if type(event) is _Other else event
        for event in _decode_lines(lines)
    ]


def decode_object(text: bytes) -> AnyOtherEvent:
    """Read an event that stands alone, as an object. Raises msgspec.DecodeError on anything that is none."""
    return _decode_other(text)
