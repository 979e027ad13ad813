"""What is asked of a recording: the same body out, an edit and nothing else, one stream however cut, no silent loss."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from corpus.differences import MISSING, differences
from corpus.records import Json, Record
from corpus.values import Said, Value, is_told, values_of
from metis.errors import CodecError
from metis.ir.content import Part, Text
from metis.ir.request import Message, Request
from metis.ir.stream import Fold, StreamEvent
from metis.wire import SHAPES, UPSTREAM_SHAPES
from metis.wire.codec import Note, ReplyContext, Shape, UpstreamShape

Verdict = Literal["pass", "carried", "lost", "failed"]
"""`carried` and `lost` pass too: the notes say so. `failed` is a difference or a loss without a note."""

_MARK: Final = "\u241fedited"
_MODEL: Final = "another-model"
_SIZES: Final = (1, 2, 7, 40, 300, 4_000)
# Every byte on its own takes a minute for each megabyte.
_BYTEWISE_MOST: Final = 12_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """One check of one record. `what` is the check, `detail` what went wrong."""

    what: str
    verdict: Verdict
    detail: str = ""


def check(record: Record, *, every_byte: bool = False) -> Iterator[Outcome]:
    """All that can be asked of a record. Never raises: what a codec raises is a failure."""
    shape = record.shape
    if shape is None:
        return
    if record.request is not None:
        yield _tried("request", lambda body=record.request: same_request(shape, body))
        yield _tried("edit", lambda body=record.request: _edit(shape, body))
        for other in UPSTREAM_SHAPES if isinstance(shape, Shape) else ():
            if other.name != shape.name:
                what = f"to {other.name}"
                yield _tried(what, lambda to=other, body=record.request: _cross(shape, to, body))
    if record.status == 200 and record.answer is not None:
        yield _tried("answer", lambda body=record.answer: same_answer(shape, body))
        for other in SHAPES:
            if other.name != shape.name:
                what = f"answer to {other.name}"
                yield _tried(
                    what, lambda to=other, body=record.answer: _cross_answer(shape, to, body)
                )
    if record.stream is not None:
        yield _tried(
            "stream", lambda data=record.stream: same_stream(shape, data, every_byte=every_byte)
        )
        for other in SHAPES:
            if other.name != shape.name:
                what = f"stream to {other.name}"
                yield _tried(
                    what, lambda to=other, data=record.stream: _cross_stream(shape, to, data)
                )


def _tried(what: str, attempt: Any) -> Outcome:
    try:
        verdict, detail = attempt()
    except (CodecError, ArithmeticError, LookupError, TypeError, ValueError) as exc:
        verdict, detail = "failed", f"{type(exc).__name__}: {exc}"
    return Outcome(what, verdict, detail)


# Usage has a table of its own; the rest is what Responses repeats of the request.
_NOT_THE_ANSWERS: Final = frozenset(
    {
        *(
            "usage",
            "usageMetadata",
            "background",
            "instructions",
            "max_output_tokens",
            "max_tool_calls",
            "metadata",
        ),
        *("parallel_tool_calls", "previous_response_id", "prompt", "prompt_cache_key"),
        *("prompt_cache_retention", "reasoning", "safety_identifier", "temperature", "text"),
        *("tool_choice", "tools", "top_logprobs", "top_p", "truncation", "user"),
        *("frequency_penalty", "presence_penalty", "billing", "tool_usage", "store"),
        *("incomplete_details", "prompt_cache_options", "completed_at"),
    }
)
Found = tuple[Verdict, str]
_PASS: Final[Found] = ("pass", "")


def _packed(body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "surrogatepass"
    )


def same_request(shape: UpstreamShape, body: Json) -> Found:
    """Whether a request is equal after decoding and encoding. Raises what the codec raises."""
    encoded = shape.encode_request(shape.decode_request(_packed(body)))
    return _compared(body, json.loads(encoded.body), encoded.notes)


def same_answer(shape: UpstreamShape, body: Json) -> Found:
    """Whether an answer is equal after decoding and encoding. Raises what the codec raises."""
    response = shape.decode_response(_packed(body))
    encoded = shape.encode_response(response, _context(str(body.get("model", ""))))
    return _compared(body, json.loads(encoded.body), encoded.notes)


def _compared(before: Json, after: Json, notes: Sequence[Note]) -> Found:
    # A field of the API that an older recording lacks may be added as null.
    found = [
        one
        for one in differences(before, after)
        if not (one.before is MISSING and one.after is None)
    ]
    if found or notes:
        said = [f"{one.path}: {one.before!r} became {one.after!r}"[:200] for one in found[:3]]
        return "failed", "; ".join([*said, *(f"a note of {note.path}" for note in notes[:3])])
    return _PASS


def _edit(shape: UpstreamShape, body: Json) -> Found:
    """Edit the model and every text; the JSON must differ there, by that, and nowhere else: nothing is kept raw."""
    request = shape.decode_request(_packed(body))
    edited, count = _with_edits(request)
    encoded = shape.encode_request(edited)
    seen = 0
    for one in differences(body, json.loads(encoded.body)):
        if one.path == "$.model" and one.after == _MODEL:
            continue
        if isinstance(one.before, str) and one.after == one.before + _MARK:
            seen += 1
            continue
        return (
            "failed",
            f"{one.path} was not edited, and differs: {one.before!r} became {one.after!r}"[:300],
        )
    return _PASS if seen == count else ("failed", f"{count} texts were edited, {seen} came out so")


def _with_edits(request: Request) -> tuple[Request, int]:
    count = 0

    def part(one: Part) -> Part:
        nonlocal count
        if isinstance(one, Text):
            count += 1
            return msgspec.structs.replace(one, text=one.text + _MARK)
        return one

    def message(one: Message) -> Message:
        return msgspec.structs.replace(one, parts=tuple(map(part, one.parts)))

    edited = msgspec.structs.replace(
        request,
        model=_MODEL,
        system=tuple(map(part, request.system)),
        messages=tuple(map(message, request.messages)),
    )
    return edited, count


def _cross(shape: Shape, other: UpstreamShape, body: Json) -> Found:
    request = shape.decode_request(_packed(body))
    refusal = shape.uncrossable(request)
    if refusal is not None:
        return "lost", refusal
    encoded = other.encode_request(request)
    said = json.loads(encoded.body)
    if isinstance(other, Shape):
        return _weighed(body, said, encoded.notes)
    # These have the model and the wish for a stream in the path, and a word for each media type.
    kept = [one for one in values_of(body) if not one.path.endswith(".media_type")]
    return _weighed(kept, {**said, "path": request.model}, encoded.notes)


def _cross_answer(shape: UpstreamShape, other: Shape, body: Json) -> Found:
    response = shape.decode_response(_packed(body))
    encoded = other.encode_response(response, _context(response.model))
    said = {name: value for name, value in body.items() if name not in _NOT_THE_ANSWERS}
    return _weighed(said, json.loads(encoded.body), encoded.notes)


def _weighed(before: Json | Sequence[Value], after: Json, notes: Sequence[Note]) -> Found:
    said = Said(after)
    silent = [
        one.path
        for one in (values_of(before) if isinstance(before, dict) else before)
        if not said.says(one.value) and not is_told(one, notes)
    ]
    if silent:
        return "failed", f"lost in silence: {', '.join(silent[:6])}"
    if any(note.verb == "lost" for note in notes):
        return "lost", ""
    return ("carried", "") if any(note.verb == "carried" for note in notes) else _PASS


def same_stream(shape: UpstreamShape, data: bytes, *, every_byte: bool) -> Found:
    """Whether a stream gives the same events however it is cut. Raises what the codec raises."""
    whole = _events(shape, [data])
    dice = random.Random(len(data))
    cuts = {"random pieces": _pieces(data, dice), "random pieces again": _pieces(data, dice)}
    if every_byte or len(data) <= _BYTEWISE_MOST:
        cuts["single bytes"] = [data[place : place + 1] for place in range(len(data))]
    for how, pieces in cuts.items():
        if _events(shape, pieces) != whole:
            return "failed", f"other events in {how}"
    return _PASS


def _cross_stream(shape: UpstreamShape, other: Shape, data: bytes) -> Found:
    """The other shape's stream must be one by its own decoder, end as this one ends, and say what this one says."""
    told = _folded(_events(shape, [data]))
    encoder = other.stream_encoder(_context(told.result().model))
    written = b"".join(map(encoder.feed, _events(shape, [data])))
    heard = _folded(_events(other, [written]))
    if (heard.ended, heard.failure is None) != (told.ended, told.failure is None):
        return "failed", "it does not end as the stream it was made of"
    if told.failure is not None:
        same = told.failure.message in heard.failure.message if heard.failure else False
        return _PASS if same else ("failed", "the failure's message is another")
    return _weighed(_spoken(shape, told), _spoken(other, heard), encoder.notes)


def _spoken(shape: UpstreamShape, fold: Fold) -> Json:
    """What a folded stream says, as a whole answer of its shape."""
    response = fold.result()
    body = json.loads(shape.encode_response(response, _context(response.model)).body)
    return {name: value for name, value in body.items() if name not in _NOT_THE_ANSWERS}


def _folded(events: Sequence[StreamEvent]) -> Fold:
    fold = Fold()
    for event in events:
        fold.feed(event)
    return fold


def _events(shape: UpstreamShape, pieces: Sequence[bytes]) -> list[StreamEvent]:
    decoder = shape.stream_decoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return [*events, *decoder.finish()]


def _pieces(data: bytes, dice: random.Random) -> list[bytes]:
    pieces: list[bytes] = []
    place = 0
    while place < len(data):
        size = dice.choice(_SIZES)
        pieces.append(data[place : place + size])
        place += size
    return pieces


def _context(model: str) -> ReplyContext:
    return ReplyContext(model=model, response_id="none", created=0)
