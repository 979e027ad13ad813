"""What a turn knows on its way: what it read, what it sends, how an attempt stands. Values only."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from metis.catalog.rates import ModelPrice
from metis.facts.identity import SessionFacts
from metis.providers.provider import Unframer
from metis.trace.events.groups import CallRole, Packed
from metis.trace.events.turn import FidelityNote
from metis.turn.course import Course, Way
from metis.wire.codec import ReplyContext, UpstreamShape
from metis.wire.splice import Body


class Intake(msgspec.Struct, frozen=True):
    """What is known of a request before it is routed.

    `is_turn`: decisions and turn events are recorded; token counts are calls but no turns.
    `previous` is the session's turn before this one, `whose` a packed Whose.
    """

    course: Course
    body: Body
    messages: list[msgspec.Raw]
    session: SessionFacts
    previous: str
    whose: Packed
    role: CallRole
    is_turn: bool


class Outbound(msgspec.Struct, frozen=True, gc=False):
    """A request ready to leave. `shape` is the upstream's; `context` is set for a crossing only.

    `unframe` is set where the answer's stream may come in another framing than the shape's own.
    """

    body: bytes
    shape: UpstreamShape | None
    path: bytes
    strip_usage: bool = False
    context: ReplyContext | None = None
    notes: tuple[FidelityNote, ...] = ()
    method: bytes = b"POST"
    content_type: bytes = b"application/json"
    unframe: Callable[[], Unframer] | None = None


class CallState(msgspec.Struct):
    """One upstream attempt while it runs. `kind` is a packed CallKind.

    `price` is the model's standard one on the day it began; `asked_tier` and `asked_speed` are what the request
    wants otherwise, in the provider's words.
    """

    call_id: str
    attempt: int
    way: Way
    kind: Packed
    body_bytes: int
    started_ns: int
    started_s: float
    price: ModelPrice | None
    asked_tier: str = ""
    asked_speed: str = ""
    http_status: int = 0
    first_byte_ns: int = 0
    response_bytes: int = 0
    request_id: str = ""
    failure: str = ""
    cause: str = ""
    error_type: str = ""
    open: bool = True
