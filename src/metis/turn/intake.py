"""Reading a request's outside: its top-level fields, who is asking, which session, which kind of call."""

from __future__ import annotations

from typing import Final

import msgspec

from metis.trace.events.llm import CallRole
from metis.turn.accounting import TurnLedger
from metis.turn.actions import Inbound
from metis.turn.engine import Engine
from metis.turn.sessions import message_slices
from metis.wire.splice import Body, Fields, flag_field, read_body, text_field

# What may stand only once: the gateway decides by these, so the upstream must read the same ones.
_DECISIVE: Final = ("model", "stream", "max_tokens", "messages", "input")
_LIMIT_FIELDS: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_USUAL_MAX_TOKENS: Final = 8192


class Intake(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a request before it is routed.

    `is_turn`: decisions and turn events are recorded; token counts are calls but no turns.
    """

    body: Body
    messages: list[msgspec.Raw]
    model: str
    stream: bool
    role: CallRole
    is_turn: bool
    ledger: TurnLedger


def read_intake(engine: Engine, inbound: Inbound, turn_id: str) -> Intake:
    """Raises CodecError on a body that is no JSON object or whose decisive fields have wrong types."""
    relayed = inbound.operation == "relay"
    head = inbound.head
    body = Body(inbound.body, {}) if relayed else read_body(inbound.body, _DECISIVE)
    fields = body.fields
    model = text_field(fields, "model") or ""
    stream = flag_field(fields, "stream") is True
    said = engine.identify(head.named, fields, head.path.decode("latin-1"))
    is_turn = inbound.operation not in ("count_tokens", "relay")
    previous = ""
    messages = message_slices(fields) if is_turn else []
    if is_turn:
        key_id = inbound.principal.key_id
        if not said.session_id:
            session_id = engine.sessions.recognise((key_id, said.client), fields, messages)
            said = msgspec.structs.replace(said, session_id=session_id, source="prefix")
        previous = engine.sessions.succeed(key_id, said.session_id, turn_id)
    ledger = TurnLedger(
        engine, inbound, said, (turn_id, previous), requested_model=model, stream=stream
    )
    auxiliary = bool(said.auxiliary) or not is_turn
    return Intake(
        body=body,
        messages=messages,
        model=model,
        stream=stream,
        role="relay" if relayed else "auxiliary" if auxiliary else "main",
        is_turn=is_turn,
        ledger=ledger,
    )


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
