"""Anthropic's stream into events, under any chunking.

Source: platform.claude.com/docs/en/build-with-claude/streaming. Event types this codec does not know
are passed over, as the documentation asks of clients.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from metis.errors import CodecError
from metis.ir.content import Opaque, Part, Text, Thinking, ToolCall
from metis.ir.response import BROKEN_OFF, ErrorInfo, Response
from metis.ir.stream import (
    ArgumentsDelta,
    BlockStart,
    BlockStop,
    CitationDelta,
    End,
    Finish,
    Heartbeat,
    SignatureDelta,
    Start,
    StreamEvent,
    StreamFailure,
    TextDelta,
    ThinkingDelta,
    UsageReport,
)
from metis.wire.anthropic_messages.blocks_in import read_block
from metis.wire.anthropic_messages.errors import error_of
from metis.wire.anthropic_messages.response import message_of
from metis.wire.anthropic_messages.stop import stop_of
from metis.wire.anthropic_messages.usage import merge_usage, usage_of
from metis.wire.fields import Fields, Json, as_object, load_json
from metis.wire.sse import ServerSentEvent, SseDecoder

_EMPTY_INPUT = ("{}", "null", '""')


@dataclass(slots=True)
class _Open:
    """A block under way. `pieces` is the input so far; `value` an opaque block, `grown` what was added to its texts."""

    part: Part
    pieces: list[str] = field(default_factory=list[str])
    value: Json = field(default_factory=dict[str, object])
    grown: dict[str, list[str]] = field(default_factory=dict[str, list[str]])


class _Piece(msgspec.Struct):
    type: str
    text: str | None = None
    partial_json: str | None = None


class _PieceEvent(msgspec.Struct):
    type: str
    index: int
    delta: _Piece


_decode_piece = msgspec.json.Decoder(_PieceEvent).decode


class AnthropicStreamDecoder:
    """See `wire.codec.StreamDecoder`."""

    def __init__(self) -> None:
        self._sse = SseDecoder()
        self._open: dict[int, _Open] = {}
        self._seen: set[int] = set()
        self._usage: Json = {}
        self._whole: Response | None = None  # a message_start that is the whole message already
        self._shift = 0  # how many blocks message_start brought; they come before all others
        self._started = False
        self._over = False

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Raises CodecError on an event that is no JSON object, lacks a known field or breaks the order."""
        out: list[StreamEvent] = []
        for event in self._sse.feed(data):
            self._event(event, out)
        return out

    def finish(self) -> list[StreamEvent]:
        """What is still due; a stream cut before `message_stop` ends in a StreamFailure."""
        out: list[StreamEvent] = []
        for event in self._sse.finish():
            self._event(event, out)
        if not self._over:
            self._over = True
            cut = f"{BROKEN_OFF}: the upstream's stream ended before its end"
            out.append(StreamFailure(ErrorInfo(status=502, kind="api", message=cut)))
        return out

    def _event(self, event: ServerSentEvent, out: list[StreamEvent]) -> None:
        if self._over or event.data == b"[DONE]":  # some compatible servers close like chat does
            return
        if event.event == "content_block_delta" and self._quick(event.data, out):
            return
        fields = Fields(load_json(event.data), "")
        match fields.required_text("type"):
            case "content_block_delta":
                self._delta(fields, out)
            case "content_block_start":
                self._block_start(fields, out)
            case "content_block_stop":
                self._block_stop(fields, out)
            case "ping":
                out.append(Heartbeat())
            case "message_start":
                self._start(fields, out)
            case "message_delta":
                self._finish(fields, out)
            case "message_stop":
                self._over = True
                self._close_all(out)
                if self._whole is not None:
                    out.append(_whole_finish(self._whole))
                out.append(End())
            case "error":
                self._over = True
                out.append(StreamFailure(error_of({"type": "error", **fields.left})))
            case _:
                pass

    def _quick(self, data: bytes, out: list[StreamEvent]) -> bool:
        """Read the two commonest deltas without building their objects; False: the event needs the whole reading."""
        try:
            event = _decode_piece(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return False
        index = event.index + self._shift
        opened = self._open.get(index)
        if opened is None or event.type != "content_block_delta":
            return False
        delta = event.delta
        if delta.type == "text_delta" and delta.text is not None and isinstance(opened.part, Text):
            out.append(TextDelta(index, delta.text))
            return True
        if (
            delta.type == "input_json_delta"
            and delta.partial_json
            and isinstance(opened.part, ToolCall | Opaque)
        ):
            opened.pieces.append(delta.partial_json)
            out.append(ArgumentsDelta(index, delta.partial_json))
            return True
        return False

    def _start(self, fields: Fields, out: list[StreamEvent]) -> None:
        if self._started:
            raise CodecError("a second message_start")
        self._started = True
        message = Fields(fields.left.get("message"), "message")
        message.left.setdefault("content", [])
        response = message_of(message)
        self._usage = response.usage_raw or {}
        out.append(
            Start(
                origin=response.origin,
                response_id=response.response_id,
                model=response.model,
                usage=response.usage,
                extras=response.extras,
            )
        )
        # A programmatic tool call comes whole: message_start with content and stop reason, then message_stop.
        self._whole = response if response.stop_raw else None
        self._shift = len(response.parts)
        for index, part in enumerate(response.parts):
            out += (BlockStart(index=index, part=part), BlockStop(index, part))

    def _index(self, fields: Fields) -> int:
        if not self._started:
            raise CodecError("a block before message_start")
        index = fields.whole("index")
        if index is None:
            raise CodecError("is missing; it must be a whole number", where="index")
        if index < 0:
            raise CodecError("must not be negative", where="index")
        return index + self._shift

    def _block_start(self, fields: Fields, out: list[StreamEvent]) -> None:
        index = self._index(fields)
        if index in self._seen:
            raise CodecError(f"block {index} starts twice", where="index")
        part = read_block(fields.left.get("content_block"), "content_block")
        opened = _Open(part)
        match part:
            case ToolCall():
                if part.arguments not in _EMPTY_INPUT:
                    opened.value["whole"] = part.arguments
                opened.part = msgspec.structs.replace(part, arguments="")
            case Opaque():
                opened.value = dict(part.value)
            case _:
                pass
        self._seen.add(index)
        self._open[index] = opened
        out.append(BlockStart(index=index, part=opened.part))

    def _delta(self, fields: Fields, out: list[StreamEvent]) -> None:
        index = self._index(fields)
        opened = self._open.get(index)
        if opened is None:
            raise CodecError(f"block {index} is not open", where="index")
        delta = Fields(fields.left.get("delta"), "delta")
        kind = delta.required_text("type")
        match kind, opened.part:
            case "text_delta", Text():
                out.append(TextDelta(index, delta.required_text("text")))
            case "thinking_delta", Thinking():
                out.append(ThinkingDelta(index, delta.required_text("thinking")))
            case "signature_delta", Thinking():
                out.append(SignatureDelta(index, delta.required_text("signature")))
            case "citations_delta", Text():
                citation = delta.object("citation")
                if citation is not None:
                    out.append(CitationDelta(index, citation))
            case "input_json_delta", ToolCall() | Opaque():
                piece = delta.required_text("partial_json")
                opened.pieces.append(piece)
                if piece:
                    out.append(ArgumentsDelta(index, piece))
            case _, Opaque():
                _grow(opened, delta.left)
            case _:
                pass  # a delta of a kind this codec does not know, for a block it does

    def _block_stop(self, fields: Fields, out: list[StreamEvent]) -> None:
        index = self._index(fields)
        opened = self._open.pop(index, None)
        if opened is None:
            raise CodecError(f"block {index} is not open", where="index")
        self._close(index, opened, out)

    def _close_all(self, out: list[StreamEvent]) -> None:
        """Close what an answer cut short by max_tokens leaves open: some servers send no content_block_stop then."""
        for index, opened in self._open.items():
            self._close(index, opened, out)
        self._open.clear()

    def _close(self, index: int, opened: _Open, out: list[StreamEvent]) -> None:
        match opened.part:
            case ToolCall():
                if not any(opened.pieces):
                    out.append(ArgumentsDelta(index, str(opened.value.get("whole", "{}"))))
                out.append(BlockStop(index))
            case Opaque() as part:
                whole = msgspec.structs.replace(part, value=_whole_value(opened))
                out.append(BlockStop(index, whole))
            case _:
                out.append(BlockStop(index))

    def _finish(self, fields: Fields, out: list[StreamEvent]) -> None:
        if not self._started:
            raise CodecError("message_delta before message_start")
        delta = Fields(fields.object("delta") or {}, "delta")
        told = fields.object("usage")
        if told is not None:
            self._usage = merge_usage(self._usage, told)
        usage = usage_of(self._usage) if self._usage else None
        stop_raw = delta.word("stop_reason")
        if not stop_raw:
            if usage is not None:
                out.append(UsageReport(usage, self._usage))
            return
        self._whole = None
        self._close_all(out)
        stop_sequence = delta.text("stop_sequence")
        for key in ("stop_reason", "stop_sequence"):
            delta.left.pop(key, None)
        out.append(
            Finish(
                stop=stop_of(stop_raw),
                stop_raw=stop_raw,
                stop_sequence=stop_sequence,
                usage=usage,
                usage_raw=self._usage or None,
                extras={**delta.left, **fields.left},
            )
        )


def _whole_finish(message: Response) -> Finish:
    return Finish(
        stop=message.stop,
        stop_raw=message.stop_raw,
        stop_sequence=message.stop_sequence,
        usage=message.usage,
        usage_raw=message.usage_raw,
    )


def _grow(opened: _Open, delta: Json) -> None:
    """Add a delta of a kind without a word in the IR: strings are appended, all else replaces."""
    for key, piece in delta.items():
        if isinstance(piece, str) and isinstance(opened.value.get(key), str):
            opened.grown.setdefault(key, []).append(piece)
        else:
            opened.value[key] = piece
            opened.grown.pop(key, None)


def _whole_value(opened: _Open) -> Json:
    """An opaque block at its end, what came in pieces put together: its texts, and its `input`."""
    texts = {key: "".join((opened.value[key], *more)) for key, more in opened.grown.items()}
    value = {**opened.value, **texts}
    text = "".join(opened.pieces)
    if not text:
        return value
    try:
        whole = msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        whole = text
    found = as_object(whole)
    return {**value, "input": whole if found is None else found}
