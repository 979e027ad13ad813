"""An upstream's stream of this shape to IR events, under any chunking. Writing streams is in `stream_out.py`.

Source: https://platform.openai.com/docs/api-reference/responses-streaming. The events repeat themselves: an item
comes as it starts, in deltas, whole at its end, and once more in the last event. The whole item at its
end is what counts; deltas that a server leaves out are made up for from it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from metis.errors import CodecError
from metis.ir.content import Opaque, Part, Refusal, Text, Thinking, ToolCall
from metis.ir.response import BROKEN_OFF, ErrorInfo
from metis.ir.stream import (
    ArgumentsDelta,
    BlockStart,
    BlockStop,
    CitationDelta,
    End,
    Heartbeat,
    SignatureDelta,
    Start,
    StreamEvent,
    StreamFailure,
    TextDelta,
    ThinkingDelta,
    UsageReport,
)
from metis.wire.openai_responses.errors import error_of
from metis.wire.openai_responses.fields import (
    SHAPE,
    Json,
    as_object,
    list_or_empty,
    object_or_empty,
    parse_object,
    text_field,
    text_or_none,
)
from metis.wire.openai_responses.items import (
    decode_call,
    decode_content,
    decode_output_item,
    decode_reasoning,
    is_call,
)
from metis.wire.openai_responses.response import created_of, finish_of
from metis.wire.sse import ServerSentEvent, SseDecoder

_PARAGRAPH: Final = "\n\n"
_CONTENT_TYPES: Final = ("output_text", "refusal")


class _Block:
    """A block that was started: its index, and what of it has been told."""

    __slots__ = ("citations", "index", "said", "signed", "stopped")

    def __init__(self, index: int) -> None:
        self.index = index
        self.said: list[str] = []
        self.citations = 0
        self.signed = False
        self.stopped = False


class _Item:
    """An output item that was seen: its first form, and its blocks by content index (0 but for messages)."""

    __slots__ = ("blocks", "done", "raw")

    def __init__(self, raw: Json) -> None:
        self.raw = raw
        self.blocks: dict[int, _Block] = {}
        self.done = False


class ResponsesStreamDecoder:
    """See `codec.StreamDecoder`. Events of kinds that mean nothing to the IR are passed over."""

    def __init__(self) -> None:
        self._sse = SseDecoder()
        self._items: dict[int, _Item] = {}
        self._blocks = 0
        self._started = False
        self._ended = False
        self._handlers: Final[dict[str, Callable[[Json], list[StreamEvent]]]] = {
            "response.created": self._on_start,
            "response.queued": self._on_start,
            "response.in_progress": self._on_start,
            "response.output_item.added": self._on_item_added,
            "response.output_item.done": self._on_item_done,
            "response.content_part.added": self._on_content_added,
            "response.output_text.delta": self._on_text,
            "response.refusal.delta": self._on_text,
            "response.output_text.annotation.added": self._on_annotation,
            "response.function_call_arguments.delta": self._on_arguments,
            "response.custom_tool_call_input.delta": self._on_arguments,
            "response.reasoning_summary_part.added": self._on_summary_part,
            "response.reasoning_summary_text.delta": self._on_thinking,
            "response.reasoning_text.delta": self._on_thinking,
            "response.completed": self._on_finished,
            "response.incomplete": self._on_finished,
            "response.failed": self._on_failed,
            "response.cancelled": self._on_failed,
            "error": self._on_error,
            "keepalive": lambda _: [Heartbeat()],
        }

    def feed(self, data: bytes) -> list[StreamEvent]:
        return self._read(self._sse.feed(data))

    def finish(self) -> list[StreamEvent]:
        events = self._read(self._sse.finish())
        if not self._ended:
            self._ended = True
            message = f"{BROKEN_OFF}: the upstream's stream ended before response.completed"
            events.append(StreamFailure(ErrorInfo(status=502, kind="api", message=message)))
        return events

    def _read(self, received: list[ServerSentEvent]) -> list[StreamEvent]:
        events: list[StreamEvent] = []
        for sse in received:
            if self._ended or sse.data.strip() == b"[DONE]":
                continue
            raw = parse_object(sse.data, "a stream event")
            kind = raw.get("type")
            if kind is None and "error" in raw:
                kind = "error"
            handler = self._handlers.get(kind) if isinstance(kind, str) else None
            if handler is None:
                continue
            if not self._started and kind != "keepalive":
                events.append(self._start(object_or_empty(raw.get("response"))))
            events.extend(handler(raw))
        return events

    def _start(self, response: Json) -> StreamEvent:
        self._started = True
        return Start(
            origin=SHAPE,
            response_id=text_or_none(response, "id", "response") or "",
            model=text_or_none(response, "model", "response") or "",
            created=created_of(response, "response"),
        )

    def _on_start(self, raw: Json) -> list[StreamEvent]:
        return []

    def _on_item_added(self, raw: Json) -> list[StreamEvent]:
        item = as_object(raw.get("item"), "item")
        text_field(item, "type", "item")
        self._items[self._place(raw)] = seen = _Item(item)
        if item["type"] == "message":
            return []
        return [self._open(seen, 0, _first_sight(item))]

    def _on_content_added(self, raw: Json) -> list[StreamEvent]:
        part = as_object(raw.get("part"), "part")
        item = self._item(raw)
        place = _index(raw, "content_index")
        # Reasoning items announce their text the same way; their block is open already.
        if part.get("type") not in _CONTENT_TYPES or place in item.blocks or not _is_message(item):
            return []
        return [self._open(item, place, decode_content(part, item.raw, place, "part"))]

    def _on_text(self, raw: Json) -> list[StreamEvent]:
        item, place = self._item(raw), _index(raw, "content_index")
        events: list[StreamEvent] = []
        if place not in item.blocks:
            kind = "refusal" if raw["type"] == "response.refusal.delta" else "output_text"
            empty: Json = {"type": kind, "refusal" if kind == "refusal" else "text": ""}
            events.append(self._open(item, place, decode_content(empty, item.raw, place, "")))
        block = item.blocks[place]
        text = text_field(raw, "delta", "")
        block.said.append(text)
        return [*events, TextDelta(block.index, text)]

    def _on_annotation(self, raw: Json) -> list[StreamEvent]:
        block = self._item(raw).blocks.get(_index(raw, "content_index"))
        if block is None:
            return []
        block.citations += 1
        return [CitationDelta(block.index, as_object(raw.get("annotation"), "annotation"))]

    def _on_arguments(self, raw: Json) -> list[StreamEvent]:
        block = self._item(raw).blocks.get(0)
        if block is None:
            return []
        text = text_field(raw, "delta", "")
        block.said.append(text)
        return [ArgumentsDelta(block.index, text)]

    def _on_summary_part(self, raw: Json) -> list[StreamEvent]:
        block = self._item(raw).blocks.get(0)
        if block is None or not block.said:
            return []
        block.said.append(_PARAGRAPH)
        return [ThinkingDelta(block.index, _PARAGRAPH)]

    def _on_thinking(self, raw: Json) -> list[StreamEvent]:
        item = self._item(raw)
        events: list[StreamEvent] = []
        if 0 not in item.blocks:
            if _is_message(item):
                return []
            events.append(self._open(item, 0, Thinking(origin=SHAPE, summary=True)))
        text = text_field(raw, "delta", "")
        block = item.blocks[0]
        block.said.append(text)
        return [*events, ThinkingDelta(block.index, text)]

    def _on_item_done(self, raw: Json) -> list[StreamEvent]:
        item = as_object(raw.get("item"), "item")
        place = self._place(raw)
        return self._complete(self._items.setdefault(place, _Item(item)), item)

    def _on_finished(self, raw: Json) -> list[StreamEvent]:
        response = as_object(raw.get("response"), "response")
        events: list[StreamEvent] = []
        parts: list[Part] = []
        for place, item in enumerate(list_or_empty(response.get("output"))):
            parts += decode_output_item(item, f"response.output[{place}]")
            seen = self._items.setdefault(place, _Item(item))
            if not seen.done and seen.raw.get("type") == item["type"]:
                events.extend(self._complete(seen, item))
        events.extend(self._close_all())
        finish = finish_of(response, tuple(parts) or self._guessed_parts(), "response")
        self._ended = True
        return [*events, finish, End()]

    def _on_failed(self, raw: Json) -> list[StreamEvent]:
        response = object_or_empty(raw.get("response"))
        self._ended = True
        finish = finish_of(response, (), "response")
        events: list[StreamEvent] = []
        if finish.usage is not None:
            events.append(UsageReport(finish.usage, finish.usage_raw))
        told = object_or_empty(response.get("error"))
        error = error_of(told or {"message": f"the upstream's response is {finish.stop_raw}"})
        return [*events, StreamFailure(error)]

    def _on_error(self, raw: Json) -> list[StreamEvent]:
        self._ended = True
        inner = raw.get("error")
        if isinstance(inner, str):
            inner = {"message": inner}
        flat = {key: value for key, value in raw.items() if key not in ("type", "sequence_number")}
        return [StreamFailure(error_of(object_or_empty(inner) or flat))]

    def _complete(self, seen: _Item, item: Json) -> list[StreamEvent]:
        """End an item with its whole form: what of it was not told yet is told first."""
        seen.done = True
        events: list[StreamEvent] = []
        parts = decode_output_item(item, "item")
        if seen.blocks and _is_message(seen) and not isinstance(parts[0], Text | Refusal):
            return self._stop(seen)
        for place, part in enumerate(parts):
            if place not in seen.blocks:
                events.append(self._open(seen, place, _emptied(part)))
            block = seen.blocks[place]
            events.extend(_rest(block, part))
            if not block.stopped:
                block.stopped = True
                events.append(BlockStop(block.index, part))
        return [*events, *self._stop(seen)]

    def _close_all(self) -> list[StreamEvent]:
        return [event for item in self._items.values() for event in self._stop(item)]

    def _stop(self, item: _Item) -> list[StreamEvent]:
        open_blocks = [block for block in item.blocks.values() if not block.stopped]
        for block in open_blocks:
            block.stopped = True
        return [BlockStop(block.index) for block in open_blocks]

    def _guessed_parts(self) -> tuple[Part, ...]:
        """What was streamed, for servers whose last event leaves the output out."""
        return tuple(_first_sight(item.raw) for item in self._items.values())

    def _open(self, item: _Item, place: int, part: Part) -> StreamEvent:
        item.blocks[place] = _Block(self._blocks)
        self._blocks += 1
        return BlockStart(index=item.blocks[place].index, part=part)

    def _place(self, raw: Json) -> int:
        """An event's output index; servers that leave it out number their items in order."""
        place = raw.get("output_index")
        return place if isinstance(place, int) else len(self._items)

    def _item(self, raw: Json) -> _Item:
        place = raw.get("output_index")
        if not isinstance(place, int):
            place = max(self._items, default=0)
        return self._items.setdefault(place, _Item({}))


def _first_sight(item: Json) -> Part:
    """The block an item starts: what is known of it before its deltas."""
    if is_call(item) or item.get("type") in ("function_call", "custom_tool_call"):
        return _emptied(decode_call(item, "item", started=True))
    if item.get("type") == "reasoning":
        return _emptied(decode_reasoning(item, "item"))
    return Opaque(shape=SHAPE, kind=str(item.get("type")), value=item)


def _emptied(part: Part) -> Part:
    match part:
        case Text():
            return msgspec.structs.replace(part, text="", citations=())
        case Refusal():
            return msgspec.structs.replace(part, text="")
        case Thinking():
            return msgspec.structs.replace(part, text="", signature=None)
        case ToolCall():
            return msgspec.structs.replace(part, arguments="")
        case _:
            return part


def _rest(block: _Block, part: Part) -> list[StreamEvent]:
    """The deltas of a finished block that its stream left out."""
    said, index = "".join(block.said), block.index
    events: list[StreamEvent] = []
    match part:
        case Text(text=text) | Refusal(text=text):
            if text.startswith(said) and text != said:
                events.append(TextDelta(index, text[len(said) :]))
            if isinstance(part, Text):
                untold = part.citations[block.citations :]
                events.extend(CitationDelta(index, citation) for citation in untold)
        case Thinking(text=text, signature=signature):
            if text.startswith(said) and text != said:
                events.append(ThinkingDelta(index, text[len(said) :]))
            if signature is not None and not block.signed:
                block.signed = True
                events.append(SignatureDelta(index, signature))
        case ToolCall(arguments=text):
            if text.startswith(said) and text != said:
                events.append(ArgumentsDelta(index, text[len(said) :]))
        case _:
            pass
    return events


def _is_message(item: _Item) -> bool:
    return item.raw.get("type", "message") == "message"


def _index(raw: Json, key: str) -> int:
    value: Any = raw.get(key, 0)
    if not isinstance(value, int):
        raise CodecError("it must be a whole number", where=key)
    return value
