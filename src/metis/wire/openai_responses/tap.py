"""Watching a stream of this shape go by: every byte passes, and the ledger's facts are picked up on the way.

This is the hot path of promise P1: most chunks hold one event with a few characters of text, so they are
looked at with byte searches alone. Only events that say something about the whole answer are parsed.
"""

from __future__ import annotations

from typing import Final

import msgspec

from metis.wire.codec import ResponseFacts
from metis.wire.openai_responses.errors import error_of
from metis.wire.openai_responses.facts import AnswerFacts, TerminalEvent, read_answer
from metis.wire.openai_responses.fields import Json, object_or_empty
from metis.wire.sse import MAX_EVENT_BYTES

# An event that holds one of these is worth parsing. In text the quotes would be escaped, and a text with one of the
# names costs one parse for nothing.
_TELLING: Final = (b"response.c", b"response.incomplete", b"response.failed", b'"error"')
# Most chunks are one of these events alone, and only its text is counted. Each search less is a quarter of a
# microsecond less.
_HOT_EVENTS: Final = (
    b"response.output_text.delta",
    b"response.function_call_arguments.delta",
    b"response.reasoning_summary_text.delta",
    b"response.custom_tool_call_input.delta",
    b"response.reasoning_text.delta",
)
_HOT: Final = (
    *(b"event: " + kind for kind in _HOT_EVENTS),
    *(b'data: {"type":"' + kind for kind in _HOT_EVENTS),
)
_DELTA: Final = b'"delta":'
_TEXT_BEGIN: Final = len(_DELTA) + 1
_TERMINALS: Final = frozenset(
    {"response.completed", "response.incomplete", "response.failed", "response.cancelled"}
)


class _AnyEvent(msgspec.Struct, frozen=True):
    type: str | None = None
    error: object = None
    code: object = None
    message: object = None
    param: object = None
    response: msgspec.Raw = msgspec.Raw()


_decode_event = msgspec.json.Decoder(_AnyEvent).decode
_decode_terminal = msgspec.json.Decoder(TerminalEvent).decode
_decode_answer = msgspec.json.Decoder(AnswerFacts).decode


class ResponsesTap:
    """See `codec.StreamTap`. `output_characters` is counted on the bytes of the deltas, so it is an estimate.

    A stream is cut into events at its blank lines. A part of an event that did not arrive whole waits here, but only
    for reading: what is relayed is what came.
    """

    __slots__ = ("_broken", "_held", "at_boundary", "facts")

    def __init__(self) -> None:
        self.facts = ResponseFacts()
        self.at_boundary = True
        self._held = bytearray()
        self._broken = False  # an event over the bound: nothing more is read until it ends

    def feed(self, data: bytes) -> bytes:
        # A stream with CRLF line ends never passes here, for its events end in other bytes.
        if self._held or not data.endswith(b"\n\n"):
            if data:
                self._piece(data)
            return data
        self.at_boundary = True
        self._read(data)
        return data

    def _piece(self, data: bytes) -> None:
        """A chunk that begins or ends inside an event, or whose lines end in carriage returns."""
        held = self._held
        start = max(0, len(held) - 3)
        held += data
        end = _last_end(held, start)
        if end > 0:
            whole = bytes(held[:end])
            del held[:end]
            if not self._broken:
                self._read(whole.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
            self._broken = False
        elif len(held) > MAX_EVENT_BYTES:
            self._broken = True
            del held[:-4]
        # More line ends than these would have been a blank line.
        self.at_boundary = len(held) < 4 and not held.strip(b"\r\n")
        if self.at_boundary:
            held.clear()

    def _read(self, events: bytes) -> None:
        """Look at whole events, lines ending in LF."""
        if events.startswith(_HOT) and events.find(b"\n\n") == len(events) - 2:
            begin = events.find(_DELTA) + _TEXT_BEGIN
            end = events.find(b'","', begin)
            self.facts.output_characters += (end if end != -1 else len(events) - 4) - begin
            return
        if b"_item.done" in events:
            self._count_calls(events)
        if (
            b"response.c" in events  # created, completed, cancelled; content_part is rare enough
            or b"response.incomplete" in events
            or b"response.failed" in events
            or b'"error"' in events
        ):
            self._parse(events)
        begin = events.find(_DELTA)
        while begin != -1:
            begin += _TEXT_BEGIN
            line_end = events.find(b"\n", begin)
            # A quote inside the text is escaped, so that this is the text's end or a later field's.
            end = events.find(b'","', begin, line_end)
            if end == -1:
                end = max(begin, line_end - 2)
            self.facts.output_characters += end - begin
            begin = events.find(_DELTA, end)

    def _count_calls(self, events: bytes) -> None:
        for event in events.split(b"\n\n"):
            if b"output_item.done" in event and b"_call" in event:
                head = event[:4_096].replace(b": ", b":")
                for kind in (b"function_call", b"custom_tool_call"):
                    if b'"type":"' + kind + b'"' in head:
                        self.facts.tool_calls += 1

    def _parse(self, events: bytes) -> None:
        for event in events.split(b"\n\n"):
            if any(mark in event for mark in _TELLING):
                lines = event.split(b"\n")
                payload = b"\n".join(line[5:] for line in lines if line.startswith(b"data:"))
                try:
                    self._take(payload)
                except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                    continue  # nonsense is relayed and says nothing

    def _take(self, payload: bytes) -> None:
        event = _decode_event(payload)
        if event.type in _TERMINALS:
            answer = _decode_terminal(payload).response
            read_answer(answer, self.facts)
            self.facts.complete = True
        elif event.type == "response.created" and event.response:
            answer = _decode_answer(event.response)
            self.facts.response_id = answer.id or ""
            self.facts.model = answer.model or ""
        elif event.type == "error" or (event.type is None and event.error is not None):
            flat: Json = {"code": event.code, "message": event.message, "param": event.param}
            said = {"message": event.error} if isinstance(event.error, str) else event.error
            self.facts.error = error_of(object_or_empty(said) or flat)


def _last_end(held: bytearray, start: int) -> int:
    """Where the last blank line of what is held ends; 0 where there is none after `start`."""
    ends = (
        held.rfind(end, start) + len(end) if held.rfind(end, start) != -1 else 0
        for end in (b"\n\n", b"\n\r\n", b"\r\r")
    )
    return max(ends)
