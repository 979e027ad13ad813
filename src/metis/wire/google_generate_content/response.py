"""A whole answer, both ways, and the quick look at one for the ledger. Streams live in stream_in.

Of the first candidate, what the IR has no place for stands in the answer's extras under its path (`candidates[0].
safetyRatings`); a null there says that the field was absent where it usually is not.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from metis.errors import CodecError
from metis.ir.content import Part, ToolCall
from metis.ir.response import Response
from metis.ir.stream import Fold
from metis.wire.answer_facts import facts_of_response
from metis.wire.codec import Encoded, ReplyContext, ResponseFacts
from metis.wire.fields import Fields, Json, as_list, dump_json, load_json
from metis.wire.google_generate_content.name import API, NAME
from metis.wire.google_generate_content.parts_in import CallIds, read_parts
from metis.wire.google_generate_content.parts_out import own_parts
from metis.wire.google_generate_content.stream_in import GoogleStreamDecoder
from metis.wire.google_generate_content.usage import (
    blocked_reason,
    reason_text,
    reason_value,
    stop_of,
    usage_of,
)

FIRST: Final = "candidates[0]."


def decode_response(body: bytes) -> Response:
    """Decode an answer, or a stream's whole list of pieces. Raises CodecError, with the path, on other bytes."""
    value = load_json(body)
    if as_list(value) is not None:
        return _folded(body)
    fields = Fields(value, "")
    listed = fields.list("candidates")
    response_id = fields.word("responseId")
    model = fields.word("modelVersion")
    usage = fields.object("usageMetadata")
    blocked = blocked_reason(fields.left.get("promptFeedback"))
    if listed is None and usage is None and not blocked:
        raise CodecError("an answer needs candidates, or the reason why it has none")
    make_id = CallIds(response_id)
    first, *others = [
        _candidate(one, index, make_id) for index, one in enumerate(listed or [])
    ] or [_none(blocked)]
    extras = {**fields.left, **{f"{FIRST}{name}": left for name, left in first.extras.items()}}
    if not listed:
        extras["candidates"] = listed
    return msgspec.structs.replace(
        first,
        response_id=response_id,
        model=model,
        usage=None if usage is None else usage_of(usage),
        usage_raw=usage,
        choices=tuple(others),
        extras=extras,
    )


def _folded(body: bytes) -> Response:
    decoder, fold = GoogleStreamDecoder(), Fold()
    for event in (*decoder.feed(body), *decoder.finish()):
        fold.feed(event)
    if fold.failure is not None:
        raise CodecError(fold.failure.message)
    return fold.result()


def _none(blocked: str) -> Response:
    stop = "content_filter" if blocked else "other"
    return Response(origin=NAME, response_id="", model="", parts=(), stop=stop, stop_raw=blocked)


def _candidate(value: Any, index: int, make_id: CallIds) -> Response:
    """One candidate as an answer of its own; its leftovers are its extras."""
    fields = Fields(value, f"candidates[{index}]")
    left = fields.left
    raw = reason_text(left.pop("finishReason", None))
    if left.get("index") == index:
        del left["index"]
    else:
        left.setdefault("index", None)
    parts = _parts(fields, make_id)
    return Response(
        origin=NAME,
        response_id="",
        model="",
        parts=parts,
        stop=stop_of(raw, called=any(isinstance(part, ToolCall) for part in parts)),
        stop_raw=raw,
        extras=left,
    )


def _parts(candidate: Fields, make_id: CallIds) -> tuple[Part, ...]:
    """What it says. Where its content is not `{"parts": [...], "role": "model"}`, what else it is stays."""
    if not candidate.left.get("content"):
        candidate.left.setdefault("content", None)  # null for absent, or the empty object
        return ()
    content = Fields(candidate.left.pop("content"), candidate.path("content"))
    listed = content.list("parts")
    if not listed:
        content.left["parts"] = listed
    if content.left.get("role") == "model":
        del content.left["role"]
    else:
        content.left.setdefault("role", None)
    for name, left in content.left.items():
        candidate.left[f"content.{name}"] = left
    return read_parts(listed or [], content.path("parts"), make_id)


def encode_response(response: Response, context: ReplyContext) -> Encoded:
    """The JSON that an answer of this shape came as. Raises CodecError for any other: no client is spoken to so."""
    if response.origin != NAME:
        raise CodecError(f"an answer of {response.origin or 'no shape'} cannot be told in {API}")
    extras = {name: value for name, value in response.extras.items() if not name.startswith(FIRST)}
    own = {
        name.removeprefix(FIRST): value
        for name, value in response.extras.items()
        if name.startswith(FIRST)
    }
    body: Json = {}
    if "candidates" in extras and not extras["candidates"]:
        if extras["candidates"] is None:
            del extras["candidates"]
    else:
        told = [(response, own), *((choice, choice.extras) for choice in response.choices)]
        body["candidates"] = [
            _own_candidate(choice, left, index) for index, (choice, left) in enumerate(told)
        ]
    if response.usage_raw is not None:
        body["usageMetadata"] = response.usage_raw
    if response.model:
        body["modelVersion"] = response.model
    if response.response_id:
        body["responseId"] = response.response_id
    return Encoded(dump_json({**extras, **body}))


def _own_candidate(choice: Response, left: Json, index: int) -> Json:
    content: Json = {"parts": own_parts(choice.parts), "role": "model"}
    candidate: Json = {"content": content, "index": index}
    if choice.stop_raw:
        candidate["finishReason"] = reason_value(choice.stop_raw)
    for name, value in left.items():
        held, key = (content, name[8:]) if name.startswith("content.") else (candidate, name)
        if value is None:
            held.pop(key, None)
        else:
            held[key] = value
    return candidate


def facts_of(body: bytes) -> ResponseFacts:
    """Read what the ledger needs of a whole answer. Bytes that are no answer give empty facts."""
    try:
        return facts_of_response(decode_response(body))
    except CodecError:
        return ResponseFacts()
