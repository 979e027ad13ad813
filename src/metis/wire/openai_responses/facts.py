"""What the ledger needs of an answer, read without building IR. The stream's watcher is in `tap.py`."""

from __future__ import annotations

from typing import Any

import msgspec

from metis.errors import CodecError
from metis.facts.usage import Usage
from metis.wire.codec import ResponseFacts
from metis.wire.openai_responses.errors import error_of
from metis.wire.openai_responses.fields import Json, object_or_empty
from metis.wire.openai_responses.outcome import stop_of
from metis.wire.openai_responses.usage import is_billed_search, server_tools_of, usage_of

_CALLS = frozenset({"function_call", "custom_tool_call", "tool_search_call"})


class ContentFacts(msgspec.Struct, frozen=True):
    type: str = ""
    text: str | None = None
    refusal: str | None = None


class ItemFacts(msgspec.Struct, frozen=True):
    """An output item as far as it is counted."""

    type: str = ""
    execution: str | None = None
    action: Any = None
    arguments: Any = None
    input: Any = None
    content: list[ContentFacts] | None = None
    summary: list[ContentFacts] | None = None


class AnswerFacts(msgspec.Struct, frozen=True):
    """A response object, without what is only echoed in it (instructions and tools are most of its bytes)."""

    id: str | None = None
    model: str | None = None
    status: str | None = None
    incomplete_details: Any = None
    error: Any = None
    usage: Json | None = None
    tool_usage: Any = None
    service_tier: Any = None
    output: list[ItemFacts] | None = None


class TerminalEvent(msgspec.Struct, frozen=True):
    """`response.completed` and its kin."""

    type: str
    response: AnswerFacts


class _Envelope(msgspec.Struct, frozen=True):
    id: str | None = None
    model: str | None = None
    status: str | None = None
    usage: Json | None = None
    service_tier: Any = None


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_answer = msgspec.json.Decoder(AnswerFacts).decode


def facts_of(body: bytes) -> ResponseFacts:
    """Read a whole answer. Raises CodecError where it is not of this shape.

    An odd item must not cost a paid answer its usage: then the envelope alone is read.
    """
    try:
        answer = _decode_answer(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        answer = _read_envelope(body)
    facts = ResponseFacts(complete=True)
    read_answer(answer, facts)
    facts.output_characters = sum(map(_characters, answer.output or ()))
    return facts


def _read_envelope(body: bytes) -> AnswerFacts:
    try:
        envelope = _decode_envelope(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise CodecError(f"the response body is not of the Responses API: {exc}") from exc
    return AnswerFacts(
        id=envelope.id,
        model=envelope.model,
        status=envelope.status,
        usage=envelope.usage,
        service_tier=envelope.service_tier,
    )


def read_answer(answer: AnswerFacts, facts: ResponseFacts) -> None:
    """Take over what a response object says, leaving what it does not say as it is."""
    items = answer.output or []
    facts.response_id = answer.id or facts.response_id
    facts.model = answer.model or facts.model
    if isinstance(answer.service_tier, str):
        facts.service_tier = answer.service_tier
    if items:
        facts.tool_calls = sum(map(_is_call, items))
    if answer.usage is not None:
        facts.usage = _usage(answer, answer.usage, items)
    refused = any(part.refusal is not None for item in items for part in item.content or ())
    facts.stop, facts.stop_raw = stop_of(
        answer.status,
        answer.incomplete_details,
        calls=bool(facts.tool_calls),
        refused=refused,
    )
    error = object_or_empty(answer.error)
    if error:
        facts.error = error_of(error)


def _usage(answer: AnswerFacts, raw: Json, items: list[ItemFacts]) -> Usage:
    usage = usage_of(raw)
    searches = sum(is_billed_search(item.type, item.action) for item in items)
    billed = server_tools_of(answer.tool_usage, searches)
    if not billed or usage.server_tools:
        return usage
    return msgspec.structs.replace(usage, server_tools=billed)


def _is_call(item: ItemFacts) -> bool:
    return item.type in _CALLS and item.execution != "server"


def _characters(item: ItemFacts) -> int:
    said = [
        text
        for part in (*(item.content or ()), *(item.summary or ()))
        for text in (part.text, part.refusal)
    ]
    said += [text for text in (item.arguments, item.input) if isinstance(text, str)]
    return sum(len(text) for text in said if text)
