"""Reading a request's outside: its top-level fields, who is asking, which session, which kind of call."""

from __future__ import annotations

from typing import Final

import msgspec

from metis.facts.identity import SessionFacts
from metis.trace.events.groups import CallRole, Packed
from metis.turn.actions import Inbound
from metis.turn.course import Course, course_of
from metis.turn.engine import Engine
from metis.turn.sessions import message_slices
from metis.wire.splice import Body, Fields, read_body

# What may stand only once: the gateway decides by these, so the upstream must read the same ones.
_DECISIVE: Final = ("model", "stream", "max_tokens", "messages", "input")
_LIMIT_FIELDS: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_USUAL_MAX_TOKENS: Final = 8192
_NO_MESSAGES: Final[list[msgspec.Raw]] = []


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


def read_intake(engine: Engine, inbound: Inbound, turn_id: str) -> Intake:
    """Raises CodecError on a body that is no JSON object or whose decisive fields have wrong types."""
    operation = inbound.operation
    relayed = operation == "relay"
    body = Body(inbound.body, {}) if relayed else read_body(inbound.body, _DECISIVE)
    fields = body.fields
    course = course_of(engine, inbound, fields)
    said = course.read_session(fields)
    who = inbound.principal
    previous, messages = "", _NO_MESSAGES
    is_turn = not relayed and operation != "count_tokens"
    if is_turn:
        messages = message_slices(fields)
        if not said.session_id:
            session_id = engine.sessions.recognise((who.key_id, said.client), fields, messages)
            said = msgspec.structs.replace(said, session_id=session_id, source="prefix")
        previous = engine.sessions.succeed(who.key_id, said.session_id, turn_id)
    role = "relay" if relayed else "auxiliary" if said.auxiliary or not is_turn else "main"
    return Intake(course, body, messages, said, previous, course.whose(said), role, is_turn)


def max_tokens(fields: Fields) -> int:
    """The most output a request allows, in tokens; what is usual where it names nothing that can be read."""
    for name in _LIMIT_FIELDS:
        raw = fields.get(name)
        if raw is not None and bytes(raw) != b"null":
            try:
                return msgspec.json.decode(raw, type=int)
            except msgspec.DecodeError:
                return _USUAL_MAX_TOKENS  # the upstream will refuse it in its own words
    return _USUAL_MAX_TOKENS
