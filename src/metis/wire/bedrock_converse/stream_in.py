"""Converse's event stream into events, under any chunking.

Text blocks have no start of their own; the stream's last event is `metadata`, with the usage. Event types this codec
does not know are passed over. Source: docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from metis.errors import CodecError
from metis.ir.content import Opaque, Part, Text, Thinking, ToolCall
from metis.ir.response import BROKEN_OFF, ErrorInfo
from metis.ir.stream import (
    ArgumentsDelta,
    BlockStart,
    BlockStop,
    CitationDelta,
    End,
    Finish,
    SignatureDelta,
    Start,
    StreamEvent,
    StreamFailure,
    TextDelta,
    ThinkingDelta,
    UsageReport,
)
from metis.wire.bedrock_converse.blocks_in import read_block
from metis.wire.bedrock_converse.errors import error_of
from metis.wire.bedrock_converse.name import CLAUDE, NAME
from metis.wire.bedrock_converse.usage import stop_of, usage_of
from metis.wire.event_stream import EventStreamDecoder, Frame
from metis.wire.fields import Fields, Json, as_object, load_json

_PADDING: Final = "p"  # letters of random number, against guessing texts by their lengths


@dataclass(slots=True)
class _Reasoning:
    """What a reasoning block has said so far. Whose proof it is shows only when the signature comes."""

    text: list[str] = field(default_factory=list[str])
    signature: list[str] = field(default_factory=list[str])
    redacted: list[str] = field(default_factory=list[str])

    def part(self) -> Part:
        if self.redacted:
            block: Json = {"redactedContent": "".join(self.redacted)}
        else:
            block = {"reasoningText": {"text": "".join(self.text)}}
            if self.signature:
                block["reasoningText"]["signature"] = "".join(self.signature)
        return read_block({"reasoningContent": block}, "delta")


class ConverseStreamDecoder:
    """See `wire.codec.StreamDecoder`."""

    def __init__(self) -> None:
        self._frames = EventStreamDecoder()
        self._open: dict[int, Part] = {}
        self._seen: set[int] = set()
        self._reasoning: dict[int, _Reasoning] = {}
        self._results: dict[int, Json] = {}
        self._stopped = False
        self._over = False

    @property
    def at_boundary(self) -> bool:
        """Whether what came so far ends between two events."""
        return self._frames.at_boundary

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Raises CodecError on bytes that are no frames, or an event that lacks a known field."""
        out: list[StreamEvent] = []
        for frame in self._frames.feed(data):
            if not self._over:
                self._frame(frame, out)
        return out

    def finish(self) -> list[StreamEvent]:
        """What is still due; a stream cut before it said why it stopped ends in a StreamFailure."""
        if self._over:
            return []
        self._over = True
        if self._stopped:
            return [End()]
        cut = f"{BROKEN_OFF}: the upstream's stream ended before its end"
        return [StreamFailure(ErrorInfo(status=502, kind="api", message=cut))]

    def _frame(self, frame: Frame, out: list[StreamEvent]) -> None:
        value = as_object(load_json(frame.payload)) if frame.payload else {}
        if value is None:
            raise CodecError("an event's payload must be an object")
        if frame.headers.get(":message-type", "event") != "event":
            self._over = True
            name = frame.headers.get(":exception-type") or frame.headers.get(":error-code", "")
            if not value:
                value = {"message": frame.headers.get(":error-message", name)}
            out.append(StreamFailure(error_of(value, name=name)))
            return
        value.pop(_PADDING, None)
        event = frame.headers.get(":event-type", "")
        fields = Fields(value, event)
        match event:
            case "contentBlockDelta":
                self._delta(fields, out)
            case "contentBlockStart":
                self._start(fields, out)
            case "contentBlockStop":
                self._stop(_index(fields), out)
            case "messageStart":
                fields.left.pop("role", None)
                out.append(Start(origin=NAME, response_id="", model="", extras=fields.left))
            case "messageStop":
                self._finish(fields, out)
            case "metadata":
                self._metadata(fields, out)
            case _:
                pass

    def _start(self, fields: Fields, out: list[StreamEvent]) -> None:
        index = _index(fields)
        start = fields.object("start") or {}
        use, result = as_object(start.get("toolUse")), as_object(start.get("toolResult"))
        if use is not None:
            inner = Fields(use, fields.path("start.toolUse"))
            call = ToolCall(
                call_id=inner.required_text("toolUseId"),
                name=inner.required_text("name"),
                arguments="",
                extras=inner.left,
            )
            self._begin(index, call, out)
        elif result is not None:
            self._results[index] = {**result, "content": []}
            block = {"toolResult": self._results[index]}
            self._begin(index, Opaque(shape=NAME, kind="toolResult", value=block), out)
        elif start:
            self._begin(index, Opaque(shape=NAME, kind=next(iter(start)), value=start), out)
        else:
            self._begin(index, Text(text=""), out)

    def _begin(self, index: int, part: Part, out: list[StreamEvent]) -> None:
        if index in self._seen:
            raise CodecError(f"block {index} starts twice", where="contentBlockIndex")
        self._seen.add(index)
        self._open[index] = part
        out.append(BlockStart(index=index, part=part))

    def _delta(self, fields: Fields, out: list[StreamEvent]) -> None:
        index = _index(fields)
        delta: Any = fields.object("delta") or {}
        opened = self._open.get(index)
        if opened is None:
            opened = _begun_by(delta)
            if opened is None:
                return
            self._begin(index, opened, out)
        match delta, opened:
            case {"text": str(text)}, Text():
                out.append(TextDelta(index, text))
            case {"toolUse": {"input": str(piece)}}, ToolCall():
                out.append(ArgumentsDelta(index, piece))
            case {"reasoningContent": dict()}, Thinking():
                self._think(index, delta["reasoningContent"], out)
            case {"citation": dict()}, Text():
                out.append(CitationDelta(index, delta["citation"]))
            case {"toolResult": [*pieces]}, Opaque() if index in self._results:
                self._results[index]["content"] += pieces
            case _:
                pass  # a delta of a kind this codec does not know

    def _think(self, index: int, delta: Json, out: list[StreamEvent]) -> None:
        said = self._reasoning.setdefault(index, _Reasoning())
        match delta:
            case {"text": str(text)}:
                said.text.append(text)
                out.append(ThinkingDelta(index, text))
            case {"signature": str(signature)}:
                said.signature.append(signature)
                out.append(SignatureDelta(index, signature))
            case {"redactedContent": str(packed)}:
                said.redacted.append(packed)
            case _:
                pass

    def _stop(self, index: int, out: list[StreamEvent]) -> None:
        opened = self._open.pop(index, None)
        match opened:
            case None:
                return  # an empty text has neither start nor delta
            case Thinking() if index in self._reasoning:
                out.append(BlockStop(index, self._reasoning.pop(index).part()))
            case Opaque() if index in self._results:
                whole = read_block({"toolResult": self._results[index]}, "delta")
                out.append(BlockStop(index, whole))
            case _:
                out.append(BlockStop(index))

    def _finish(self, fields: Fields, out: list[StreamEvent]) -> None:
        for index in list(self._open):
            self._stop(index, out)
        self._stopped = True
        raw = fields.word("stopReason")
        out.append(Finish(stop=stop_of(raw), stop_raw=raw, extras=fields.left))

    def _metadata(self, fields: Fields, out: list[StreamEvent]) -> None:
        usage = fields.object("usage")
        if usage is not None:
            out.append(UsageReport(usage_of(usage), usage))
        if self._stopped:
            self._over = True
            out.append(End())


def _index(fields: Fields) -> int:
    index = fields.whole("contentBlockIndex")
    if index is None or index < 0:
        where = fields.path("contentBlockIndex")
        raise CodecError("must be a whole number that is not negative", where=where)
    return index


def _begun_by(delta: Json) -> Part | None:
    """The part that a block without a start is, by its first delta."""
    match delta:
        case {"text": _} | {"citation": _}:
            return Text(text="")
        case {"reasoningContent": _}:
            # Nearly always Claude's; without a signature at its end it was not, and the whole part says so.
            return Thinking(origin=CLAUDE)
        case _:
            return None
