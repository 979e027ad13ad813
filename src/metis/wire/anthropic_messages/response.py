"""A whole message, both ways, and the quick look at one for the ledger. Streams live in stream_in and stream_out."""

from __future__ import annotations

from typing import Any

import msgspec

from metis.ir.content import Media, Opaque, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from metis.ir.response import Response
from metis.wire import carry
from metis.wire.anthropic_messages.blocks_in import read_blocks
from metis.wire.anthropic_messages.blocks_out import own_block
from metis.wire.anthropic_messages.errors import error_of
from metis.wire.anthropic_messages.name import NAME
from metis.wire.anthropic_messages.stop import foreign_stop, stop_of
from metis.wire.anthropic_messages.usage import note_tier, usage_of, usage_out
from metis.wire.arguments import input_of
from metis.wire.codec import Encoded, ReplyContext, ResponseFacts
from metis.wire.fields import Fields, Json, as_object, dump_json, load_json
from metis.wire.losses import citation_path, lost_of_part, part_path
from metis.wire.notes import Notes


def decode_response(body: bytes) -> Response:
    """Decode a message. Raises CodecError, with the JSON path, on bytes that are none."""
    return message_of(Fields(load_json(body), ""))


def message_of(fields: Fields) -> Response:
    """Read a message object; also the one inside `message_start`, whose content is empty."""
    parts = read_blocks(fields.required_list("content"), fields.path("content"))
    stop_raw = fields.word("stop_reason")
    usage_raw = fields.object("usage")
    tier = (usage_raw or {}).get("service_tier")
    for key in ("type", "role"):
        fields.left.pop(key, None)
    for key in ("stop_reason", "stop_sequence"):
        if fields.left.get(key, "") is None:
            del fields.left[key]  # written as null again wherever there is none
    return Response(
        origin=NAME,
        response_id=fields.text("id") or "",
        model=fields.text("model") or "",
        parts=parts,
        stop=stop_of(stop_raw),
        stop_raw=stop_raw,
        stop_sequence=fields.text("stop_sequence"),
        usage=None if usage_raw is None else usage_of(usage_raw),
        usage_raw=usage_raw,
        service_tier=tier if isinstance(tier, str) else None,
        extras=fields.left,
    )


def encode_response(response: Response, context: ReplyContext) -> Encoded:
    """Encode for an Anthropic client.

    A response of this shape gives the JSON it came as, `model` as the context says. `stop_sequence`
    and `stop_reason` are always written, null where there is none.
    """
    notes = Notes("the Messages API")
    if response.origin == NAME:
        blocks = [own_block(part) for part in response.parts]
        stop: str | None = response.stop_raw or None
        usage = response.usage_raw or usage_out(response.usage)
    else:
        blocks = _foreign_blocks(response, notes)
        stop = foreign_stop(
            response.stop,
            called_tools=any(isinstance(part, ToolCall) for part in response.parts),
            refused=any(isinstance(part, Refusal) for part in response.parts),
        )
        usage = usage_out(response.usage)
        if response.choices:
            notes.lost("choices", f"{len(response.choices)} further answers; a message holds one")
        if response.service_tier is not None:
            notes.lost("service_tier", "a message says nothing of it")
        notes.lost_envelope(response.extras)
    body: Json = {
        "id": response.response_id or context.response_id,
        "type": "message",
        "role": "assistant",
        "model": context.model,
        "content": blocks,
        "stop_reason": stop,
        "stop_sequence": response.stop_sequence,
        "usage": usage,
    }
    if response.origin == NAME:
        body = {**response.extras, **body}
    return Encoded(dump_json(body), notes.all())


def _foreign_blocks(response: Response, notes: Notes) -> list[Json]:
    blocks: list[Json] = []
    for index, part in enumerate(response.parts):
        block = _foreign_block(part, part_path(response.origin, index), notes)
        if block is not None:
            blocks.append(block)
    return blocks


def _foreign_block(part: Part, path: str, notes: Notes) -> Json | None:
    note_lost_fields(part, path, notes)
    note_lost_reply(part, path, notes)
    match part:
        case Text() | Refusal():
            # An empty block would be replayed by the client and refused by Anthropic.
            return {"type": "text", "text": part.text} if part.text else None
        case Thinking():
            return thinking_reply(part)
        case ToolCall():
            arguments, valid = input_of(part)
            if not valid:
                why = "the arguments are no JSON object; kept whole under one name"
                notes.add("mapped", f"{path}.arguments", why)
            return {
                "type": "tool_use",
                "id": part.call_id,
                "name": part.name,
                "input": arguments,
            }
        case Opaque() if part.shape == NAME:
            return dict(part.value)
        case Opaque() | Media() | ToolResult():
            return None


def note_lost_fields(part: Part, path: str, notes: Notes) -> None:
    """Note the fields of a foreign answer's part that only its own shape has a place for."""
    for lost in lost_of_part(part, path):
        notes.lost(lost, "has no place in a message")


def note_lost_reply(part: Part, path: str, notes: Notes) -> None:
    """Note what of a foreign answer's part has no place in a message."""
    match part:
        case Text():
            for number in range(len(part.citations)):
                why = "citations of another API have no form here"
                notes.lost(citation_path(path, number), why)
        case Opaque() if part.shape != NAME:
            notes.lost(path, f"a {part.kind} entry has no counterpart in the Messages API")
        case Media():
            notes.lost(path, f"a message cannot hold {part.kind} output")
        case ToolResult():
            notes.lost(path, "an assistant's message holds no tool results")
        case _:
            pass


def thinking_reply(part: Thinking) -> Json | None:
    """Reasoning as a client of this shape sees it: another shape's proof rides wrapped in the signature.

    None for reasoning with neither text nor proof. Reasoning that is Anthropic's own, come round
    through another shape, is written as it was.
    """
    if part.origin == NAME:
        return own_block(part) if part.signature else None
    if not part.text and part.signature is None:
        return None
    return {"type": "thinking", "thinking": part.text, "signature": carry.wrap(part)}


class _Block(msgspec.Struct):
    type: str = ""
    text: Any = None
    thinking: Any = None
    input: msgspec.Raw = msgspec.Raw(b"")


class _Message(msgspec.Struct):
    type: str = ""
    id: str = ""
    model: str = ""
    content: list[_Block] = []
    stop_reason: str | None = None
    usage: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


_decode_message = msgspec.json.Decoder(_Message).decode


def facts_of(body: bytes) -> ResponseFacts:
    """Read what the ledger needs of a whole answer. Bytes that are no message give empty facts."""
    facts = ResponseFacts()
    try:
        message = _decode_message(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return facts
    if message.type == "error" and message.error is not None:
        value = as_object(msgspec.json.decode(body)) or {}
        facts.error = error_of(value)
        return facts
    facts.response_id = message.id
    facts.model = message.model
    facts.stop_raw = message.stop_reason or ""
    facts.stop = stop_of(facts.stop_raw) if facts.stop_raw else ""
    if message.usage is not None:
        facts.usage = usage_of(message.usage)
        note_tier(message.usage, facts)
    for block in message.content:
        if block.type == "tool_use":
            facts.tool_calls += 1
            facts.output_characters += memoryview(block.input).nbytes
        for text in (block.text, block.thinking):
            if isinstance(text, str):
                facts.output_characters += len(text)
    facts.complete = message.type == "message"
    return facts
