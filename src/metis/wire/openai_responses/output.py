"""The course of an answer for a client of this shape: events in OpenAI's order, and the response they end in.

Both answers in one piece and streams are made here, so that they cannot differ. Serialising is in
`stream_out.py`.
"""

from __future__ import annotations

from typing import Final

import msgspec

from metis.facts.usage import Usage
from metis.ir.content import Opaque, Part, Refusal, Text, Thinking, ToolCall
from metis.ir.response import ErrorInfo, StopReason
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
from metis.wire.codec import Note, ReplyContext
from metis.wire.losses import ENVELOPE, SAME_ITEM, lost_names, lost_of_part, part_path
from metis.wire.openai_responses.errors import stream_error
from metis.wire.openai_responses.fields import SHAPE, Json
from metis.wire.openai_responses.outcome import status_of
from metis.wire.openai_responses.output_items import (
    CallWriter,
    ItemWriter,
    MessageWriter,
    OpaqueWriter,
    Place,
    ReasoningWriter,
    id_prefix,
)
from metis.wire.openai_responses.reply_object import item_id, response_object
from metis.wire.openai_responses.reply_tools import ReplyTools
from metis.wire.openai_responses.usage import usage_object

_TERMINALS: Final = {
    "completed": "response.completed",
    "incomplete": "response.incomplete",
    "failed": "response.failed",
}
# What an answer that ends for this reason is called here although this shape has another word or none.
_MAPPED_STOPS: Final = {
    "pause_turn": "the turn was paused, not ended",
    "other": "an unknown reason",
}

_BlockEvent = (
    BlockStart
    | BlockStop
    | TextDelta
    | ThinkingDelta
    | SignatureDelta
    | ArgumentsDelta
    | CitationDelta
)


class Output:
    """Feed IR events in order; take the events of this shape that each makes due.

    One item is open at a time, as OpenAI does it. A text or reasoning block is closed when another
    block starts, and what comes for it later opens a new item. A call keeps the others waiting until
    it stops, for it can't be closed before its arguments are whole.
    """

    def __init__(self, ctx: ReplyContext) -> None:
        self.notes: list[Note] = []
        self._noted: set[Note] = set()  # a long answer may lose something of each of its blocks
        self.response: Json = {}
        self._ctx = ctx
        self._tools = ReplyTools(ctx)
        self._due: list[Json] = []
        self._sequence = 0
        self._items: list[Json | None] = []
        self._message: MessageWriter | None = None
        self._message_index = 0
        self._writer: ItemWriter | None = None
        self._open: int | None = None
        self._parts: dict[int, Part] = {}
        self._waiting: dict[int, list[_BlockEvent]] = {}
        self._stop: StopReason = "end_turn"
        self._usage: Usage | None = None
        self._refused = False
        self._ended = False
        self._origin = ""

    def feed(self, event: StreamEvent) -> list[Json]:
        if self._ended:
            return []
        match event:
            case Start():
                self._begin(event)
            case Heartbeat():
                self._emit("keepalive", {})
            case Finish():
                self._finish(event)
            case UsageReport(usage=usage):
                self._usage = usage
            case StreamFailure(error=error):
                self._fail(error)
            case End():
                self._end()
            case _:
                self._on_block(event)
                self._next_waiting()
        due, self._due = self._due, []
        return due

    def _begin(self, start: Start | None) -> None:
        if self.response:
            return
        ctx = self._ctx
        if start is not None:
            self._origin = start.origin
            self._note_envelope(start.extras)
        self.response = response_object(
            ctx,
            (start.response_id if start else "") or ctx.response_id,
            (start.created if start else 0) or ctx.created,
            ctx.model or (start.model if start else ""),
        )
        self._usage = (start.usage if start else None) or self._usage
        self._emit("response.created", {"response": self.response})
        self._emit("response.in_progress", {"response": self.response})

    def _finish(self, finish: Finish) -> None:
        self._stop = finish.stop
        self._usage = finish.usage or self._usage
        if finish.stop_sequence is not None:
            self._lost("stop_sequence", "this API does not name it")
        self._note_envelope(finish.extras)

    def _note_envelope(self, extras: Json) -> None:
        """One note for all of an answer's own fields; a chunk of chat repeats some of them."""
        names = [] if self._origin == SHAPE else lost_names(extras)
        if names:
            self._lost("", f"fields of the answer without a place here: {', '.join(names)}")

    def _lost(self, path: str, why: str) -> None:
        note = Note("lost", path, why)
        if note not in self._noted:
            self._noted.add(note)
            self.notes.append(note)

    def _end(self) -> None:
        self._begin(None)
        self._drain()
        status, incomplete = status_of(self._stop, refused=self._refused)
        if self._stop in _MAPPED_STOPS:
            self.notes.append(Note("mapped", "stop", f"{_MAPPED_STOPS[self._stop]}: {status}"))
        error: Json | None = None
        if status == "failed":
            error = {"code": "server_error", "message": "the upstream ended its answer in an error"}
        self._conclude(status, incomplete, error)

    def _fail(self, error: ErrorInfo) -> None:
        # What is half told stays half told: clients have run calls whose arguments were cut off.
        self._begin(None)
        self._conclude("failed", None, stream_error(error))

    def _conclude(self, status: str, incomplete: Json | None, error: Json | None) -> None:
        self._ended = True
        self.response = {
            **self.response,
            "status": status,
            "incomplete_details": incomplete,
            "error": error,
            "output": [item for item in self._items if item is not None],
            "usage": usage_object(self._usage),
        }
        self._emit(_TERMINALS[status], {"response": self.response})

    def _on_block(self, event: _BlockEvent) -> None:
        self._begin(None)
        index = event.index
        if isinstance(event, BlockStart):
            self._parts[index] = event.part
        if index == self._open:
            self._on_open_block(event)
        elif index in self._waiting:
            self._waiting[index].append(event)
        elif self._open is not None and self._is_patient(self._open):
            self._waiting[index] = [event]
        elif isinstance(event, BlockStart):
            self._close_block(None)
            self._open_block(event)
        elif not isinstance(event, BlockStop) and index in self._parts:
            self._close_block(None)
            self._open_block(BlockStart(index=index, part=_continued(self._parts[index])))
            self._on_open_block(event)

    def _is_patient(self, index: int) -> bool:
        """Whether others wait for a block: a call's arguments must come whole."""
        return isinstance(self._parts.get(index), ToolCall)

    def _on_open_block(self, event: _BlockEvent) -> None:
        if isinstance(event, BlockStop):
            self._close_block(event.part)
        elif isinstance(event, BlockStart):
            pass
        elif self._writer is not None:
            self._writer.delta(event)
        elif self._message is not None:
            self._message.delta(event)

    def _open_block(self, start: BlockStart) -> None:
        part = start.part
        self._open = start.index
        path = part_path(self._origin, start.index)
        if self._origin != SHAPE:
            for lost in lost_of_part(part, path):
                self._lost(lost, "no counterpart in this API")
        if isinstance(part, Text | Refusal):
            self._open_text(part)
            return
        self._close_message()
        match part:
            case Thinking():
                own_id = part.item_id if part.origin == SHAPE else None
                self._writer = ReasoningWriter(self._place("rs", own_id), part)
            case ToolCall():
                tool = self._tools.of(part)
                self._writer = CallWriter(
                    self._place(id_prefix(part, tool), part.item_id), part, tool
                )
            case Opaque(shape=shape) if shape == SHAPE:
                own_id = part.value.get("id")
                self._writer = OpaqueWriter(
                    self._place("item", own_id if isinstance(own_id, str) else None), part
                )
            case _:
                kind = part.kind if isinstance(part, Opaque) else type(part).__name__.lower()
                self._lost(path, f"{kind} has no counterpart in this API")

    def _open_text(self, part: Text | Refusal) -> None:
        self._refused = self._refused or isinstance(part, Refusal)
        if part.extras.get(ENVELOPE) is not None and not part.extras.get(SAME_ITEM):
            self._close_message()
        if self._message is None:
            envelope: Json = part.extras.get(ENVELOPE) or {}
            own_id = envelope.get("id")
            place = self._place("msg", own_id if isinstance(own_id, str) else None)
            self._message_index = place.index
            self._message = MessageWriter(place, envelope)
        self._message.open_part(part, part_path(self._origin, self._open or 0))

    def _close_block(self, whole: Part | None) -> None:
        if self._open is None:
            return
        self._open = None
        if self._writer is not None:
            writer, self._writer = self._writer, None
            self._items[-1] = writer.stop(whole)
        elif self._message is not None:
            self._message.stop_part(whole)

    def _close_message(self) -> None:
        if self._message is not None:
            message, self._message = self._message, None
            self._items[self._message_index] = message.close()

    def _next_waiting(self) -> None:
        """Let the blocks that waited for a call have their turn, in their order."""
        while self._open is None and self._waiting:
            index = next(iter(self._waiting))
            for event in self._waiting.pop(index):
                self._on_block(event)

    def _drain(self) -> None:
        while self._open is not None or self._waiting:
            self._close_block(None)
            self._next_waiting()
        self._close_message()

    def _place(self, prefix: str, own_id: str | None) -> Place:
        index = len(self._items)
        self._items.append(None)
        name = own_id or item_id(prefix, self.response["id"], index)
        return Place(index, name, self._emit, self.notes.append)

    def _emit(self, kind: str, fields: Json) -> None:
        self._due.append({"type": kind, **fields, "sequence_number": self._sequence})
        self._sequence += 1


def _continued(part: Part) -> Part:
    """A block that is told further after it had to be closed: the same, without what was told."""
    match part:
        case Text():
            return msgspec.structs.replace(part, text="", citations=(), extras={})
        case Refusal():
            return msgspec.structs.replace(part, text="", extras={})
        case Thinking():
            return msgspec.structs.replace(part, text="", signature=None, item_id=None)
        case _:
            return part
