"""Watching a same-shape stream go by: the hot path. Nothing is changed or held back.

Most chunks are whole content_block_delta events. Those are told by counting, without a look inside:
JSON text holds no raw line break, so "event: content_block_delta\\ndata: " stands only where an event
begins, and with three line breaks for each of them there is room for nothing else. All other chunks
(a few per stream) are taken apart.
"""

from __future__ import annotations

from typing import Any

import msgspec

from metis.wire.anthropic_messages.errors import error_of
from metis.wire.anthropic_messages.stop import stop_of
from metis.wire.anthropic_messages.usage import merge_usage, note_tier, usage_of
from metis.wire.codec import ResponseFacts
from metis.wire.fields import Json

# An event that grows beyond this (a fetched document) is relayed without being read.
MAX_HELD_BYTES = 1024 * 1024

_DELTA = b"event: content_block_delta\ndata: "
_BLANK = b"\n\n"
_SIGNATURE = b'"signature_delta"'
# What a delta event weighs without its text; taken off for `output_characters`.
_DELTA_OVERHEAD = len(
    _DELTA + b'{"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":""}}' + _BLANK
)
_BOM = b"\xef\xbb\xbf"
_SILENT = (b"event: content_block_stop\n", b"event: ping\n")


class _Delta(msgspec.Struct):
    stop_reason: str | None = None


class _Block(msgspec.Struct):
    type: str = ""


class _Message(msgspec.Struct):
    id: str = ""
    model: str = ""
    content: list[_Block] = []
    stop_reason: str | None = None
    usage: dict[str, Any] | None = None


class _Event(msgspec.Struct):
    type: str = ""
    message: _Message | None = None
    delta: _Delta | None = None
    usage: dict[str, Any] | None = None
    content_block: _Block | None = None
    error: dict[str, Any] | None = None
    request_id: str | None = None


_decode_event = msgspec.json.Decoder(_Event).decode


class AnthropicTap:
    """See `wire.codec.StreamTap`. `strip_usage` has no meaning here: usage is part of every stream."""

    __slots__ = ("_held", "_held_bytes", "_tail", "_usage", "at_boundary", "facts")

    def __init__(self, strip_usage: bool = False) -> None:
        self.facts = ResponseFacts()
        self.at_boundary = True
        self._held: list[bytes] = []  # the pieces of an event that is not complete yet
        self._held_bytes = 0
        self._tail = b""  # the end of what is held: a blank line may be split over chunks
        self._usage: Json = {}

    def feed(self, data: bytes) -> bytes:
        if self.at_boundary and data.endswith(_BLANK):
            events = data.count(_DELTA)
            if events and 3 * events == data.count(b"\n") and _SIGNATURE not in data:
                self.facts.output_characters += max(0, len(data) - events * _DELTA_OVERHEAD)
                return data
        self._slow(data)
        return data

    def _slow(self, data: bytes) -> None:
        if not data:
            return
        seam = self._tail + data
        if b"\r" not in seam and _BLANK not in seam:
            self._hold(data, seam)
            return
        text = b"".join((*self._held, data))
        self._held.clear()
        self._held_bytes = 0
        if b"\r" in text:
            # A CR at the very end may be half of a CRLF.
            cut = len(text) - 1 if text.endswith(b"\r") else len(text)
            text = text[:cut].replace(b"\r\n", b"\n").replace(b"\r", b"\n") + text[cut:]
        *events, rest = text.split(_BLANK)
        for event in events:
            self._event(event)
        rest = rest.lstrip(b"\n")
        if rest:
            self._hold(rest, rest)
        else:
            self._tail = b""
            self.at_boundary = True

    def _hold(self, data: bytes, seam: bytes) -> None:
        self.at_boundary = False
        self._tail = seam[-1:]
        if self._held_bytes <= MAX_HELD_BYTES:
            self._held.append(data)
            self._held_bytes += len(data)
            if self._held_bytes > MAX_HELD_BYTES:
                self._held.clear()

    def _event(self, event: bytes) -> None:
        event = event.removeprefix(_BOM).lstrip(b"\n")
        if event.startswith(_DELTA):
            if _SIGNATURE not in event:
                weight = len(event) + len(_BLANK) - _DELTA_OVERHEAD
                self.facts.output_characters += max(0, weight)
            return
        if not event or event.startswith(_SILENT):
            return
        data = b"\n".join(line[5:] for line in event.split(b"\n") if line.startswith(b"data:"))
        if data:
            self._parsed(data)

    def _parsed(self, data: bytes) -> None:
        try:
            event = _decode_event(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return
        facts = self.facts
        match event.type:
            case "content_block_delta":  # of a server that writes no `event:` lines
                if _SIGNATURE not in data:
                    overhead = _DELTA_OVERHEAD - len(_DELTA) - len(_BLANK)
                    facts.output_characters += max(0, len(data.strip()) - overhead)
            case "message_start" if event.message is not None:
                facts.response_id = event.message.id
                facts.model = event.message.model
                # A programmatic tool call comes whole in its message_start.
                for block in event.message.content:
                    facts.tool_calls += block.type == "tool_use"
                self._stop(event.message.stop_reason)
                self._report(event.message.usage)
            case "content_block_start" if event.content_block is not None:
                facts.tool_calls += event.content_block.type == "tool_use"
            case "message_delta":
                self._report(event.usage)
                if event.delta is not None:
                    self._stop(event.delta.stop_reason)
            case "message_stop":
                facts.complete = True
            case "error":
                value: Json = {"type": "error", "error": event.error or {}}
                if event.request_id is not None:
                    value["request_id"] = event.request_id
                facts.error = error_of(value)
            case _:
                pass

    def _stop(self, reason: str | None) -> None:
        if reason:
            self.facts.stop_raw = reason
            self.facts.stop = stop_of(reason)

    def _report(self, usage: Json | None) -> None:
        if usage is not None:
            self._usage = merge_usage(self._usage, usage)
            self.facts.usage = usage_of(self._usage)
            note_tier(self._usage, self.facts)
