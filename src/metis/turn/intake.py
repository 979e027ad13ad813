"""Reading a request's outside: its top-level fields, who is asking, which session, which kind of call."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final, NamedTuple

import msgspec

from metis.trace.events.groups import CallRole
from metis.turn.actions import Inbound
from metis.turn.course import course_of
from metis.turn.engine import Engine
from metis.turn.sessions import message_slices
from metis.turn.state import Intake
from metis.wire.splice import Body, Fields, check_members, check_text, read_body, top_level

# What may stand only once: the gateway decides by these, so the upstream must read the same ones.
_DECISIVE: Final = ("model", "stream", "max_tokens", "messages", "input")
_LIMIT_FIELDS: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_USUAL_MAX_TOKENS: Final = 8192
_MOST_TOKENS: Final = (
    10**9
)  # more than anything could make; sums of it stay numbers that can be shown
_decode_number: Final = msgspec.json.Decoder(int | float | None).decode
_NO_MESSAGES: Final[list[msgspec.Raw]] = []


class Parts(NamedTuple):
    """A request's body taken apart as far as every turn needs it: its fields, and the conversation's entries."""

    body: Body
    messages: list[msgspec.Raw]


def read_parts(inbound: Inbound) -> Parts:
    """Raises CodecError on a body that is no JSON object, or that says twice what counts."""
    if inbound.operation == "relay":
        return Parts(Body(inbound.body, {}), _NO_MESSAGES)
    body = read_body(inbound.body, _DECISIVE)
    return Parts(body, message_slices(body.fields) if _is_turn(inbound) else _NO_MESSAGES)


def read_parts_in_steps(inbound: Inbound) -> Generator[None, None, Parts]:
    """As `read_parts`, with a pause after each look at the whole body: each takes 0.4 ms a megabyte."""
    text = inbound.body
    fields = top_level(text)
    yield
    check_text(text)
    yield
    check_members(text, fields, _DECISIVE)
    messages = message_slices(fields) if _is_turn(inbound) else _NO_MESSAGES
    yield
    return Parts(Body(text, fields), messages)


def _is_turn(inbound: Inbound) -> bool:
    return inbound.operation not in ("count_tokens", "relay")


def read_intake(engine: Engine, inbound: Inbound, parts: Parts, turn_id: str) -> Intake:
    """Raises CodecError when a decisive field has a wrong type."""
    (body, messages), who = parts, inbound.principal
    fields = body.fields
    course = course_of(engine, inbound, fields)
    said = course.read_session(fields)
    previous, is_turn = "", _is_turn(inbound)
    if is_turn:
        if not said.session_id:
            session_id = engine.sessions.recognise((who.key_id, said.client), fields, messages)
            said = msgspec.structs.replace(said, session_id=session_id, source="prefix")
        previous = engine.sessions.succeed(who.key_id, said.session_id, turn_id)
    role = _role(inbound, auxiliary=bool(said.auxiliary) or not is_turn)
    return Intake(course, body, messages, said, previous, course.whose(said), role, is_turn)


def _role(inbound: Inbound, *, auxiliary: bool) -> CallRole:
    if inbound.operation == "relay":
        return "relay"
    return "auxiliary" if auxiliary else "main"


def max_tokens(fields: Fields) -> int:
    """The most output a request allows, in tokens; what is usual where it names no limit that can be read.

    Of several limits the largest counts, since servers differ in which one they read; `n` answers take n times as much.
    """
    named = [_count(fields[name]) for name in _LIMIT_FIELDS if name in fields]
    most = max((count for count in named if count is not None), default=_USUAL_MAX_TOKENS)
    answers = (_count(fields["n"]) or 1) if "n" in fields else 1
    return min(most * answers, _MOST_TOKENS)


def _count(raw: msgspec.Raw) -> int | None:
    """A number of the request's, however it is written; None for nonsense, which the upstream will refuse itself."""
    text = bytes(raw)
    try:
        count = _decode_number(text)
    except msgspec.DecodeError:
        return _MOST_TOKENS if text.isdigit() else None  # more digits than a number may have
    return None if count is None else int(min(max(count, 0), _MOST_TOKENS))
