"""Event families: one file each, listed in EVENTS. To add a family, write its file and put it here."""

from __future__ import annotations

from typing import Final

import msgspec

from metis.trace.events.event import Event
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

AnyEvent = (
    RouteDecided
    | LlmCallStarted
    | LlmCallCompleted
    | TurnCompleted
    | KeyCreated
    | KeyRotated
    | KeyRevoked
    | AuthFailed
    | LimitExceeded
    | ConfigChanged
    | AdminActed
)

EVENTS: Final[tuple[type[Event], ...]] = (
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

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(AnyEvent)

encode_event = _encoder.encode


def decode_event(payload: bytes) -> AnyEvent:
    """Read one event back. Raises msgspec.DecodeError on anything that is none."""
    return _decoder.decode(payload)
