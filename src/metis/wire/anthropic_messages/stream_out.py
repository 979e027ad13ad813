"""Events of any origin into the one stream grammar that Anthropic's clients know.

    message_start (content_block_start content_block_delta* content_block_stop)* message_delta message_stop

with `ping` anywhere and `error` as the only other end. Indices are consecutive and one block is open at
a time: the first that opens streams, what others say meanwhile waits until it stops. `message_delta` is
held back until the end, because some APIs tell the usage after the stop reason. No other event type is
ever written, for some clients die of one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from metis.ir.content import Part, Refusal, ToolCall
from metis.ir.response import ErrorInfo
from metis.ir.stream import (
    BlockStart,
    BlockStop,
    End,
    Finish,
    Heartbeat,
    Start,
    StreamEvent,
    StreamFailure,
    TextDelta,
    UsageReport,
)
from metis.wire.anthropic_messages.block_writers import (
    BlockEvent,
    BlockWriter,
    Delta,
    Opening,
    Steps,
    writer_for,
)
from metis.wire.anthropic_messages.errors import encode_stream_error
from metis.wire.anthropic_messages.name import NAME
from metis.wire.anthropic_messages.response import note_lost_fields
from metis.wire.anthropic_messages.stop import foreign_stop
from metis.wire.anthropic_messages.usage import usage_out
from metis.wire.codec import Note, ReplyContext
from metis.wire.fields import Json, dump_json
from metis.wire.losses import lost_at_stop, part_path
from metis.wire.notes import Notes
from metis.wire.sse import encode_event

PING = encode_event(b'{"type":"ping"}', "ping")

# Told beside `delta` in message_delta, not inside it.
_BESIDE_DELTA = frozenset({"context_management"})


@dataclass(slots=True)
class _Block:
    writer: BlockWriter
    part: Part
    waiting: list[BlockEvent] = field(default_factory=list[BlockEvent])
    stopped: bool = False


class AnthropicStreamEncoder:
    """See `wire.codec.StreamEncoder`. Works from any events: a missing Start or BlockStop is made up for."""

    def __init__(self, context: ReplyContext) -> None:
        self.notes: list[Note] = []
        self._context = context
        self._gathered = Notes("the Messages API")
        self._start: Start | None = None
        self._finish: Finish | None = None
        self._usage: Json | None = None
        # In the order they began; the first is the one being written.
        self._blocks: dict[int, _Block] = {}
        self._written = -1  # index of the newest block on the wire
        self._open = False
        self._called_tools = False
        self._refused = False
        self._over = False

    def feed(self, event: StreamEvent) -> bytes:
        if self._over:
            return b""
        if isinstance(event, TextDelta):  # as most are
            return self._block_event(event)
        match event:
            case Heartbeat():
                return PING
            case StreamFailure():
                return self._fail(event.error)
            case Start():
                return self._begin(event)
            case BlockStart():
                return self._begun() + self._block_start(event)
            case UsageReport():
                self._usage = self._usage_json(event)
                return b""
            case Finish():
                self._finish = event
                if event.usage is not None:
                    self._usage = self._usage_json(event)
                return b""
            case End():
                return self._begun() + self._end()
            case _:
                return self._block_event(event)

    @property
    def _own(self) -> bool:
        return self._start is not None and self._start.origin == NAME

    def _usage_json(self, told: UsageReport | Finish) -> Json:
        raw = told.usage_raw if isinstance(told, Finish) else told.raw
        return raw if self._own and raw is not None else usage_out(told.usage)

    def _begin(self, start: Start) -> bytes:
        if self._start is not None:
            return b""
        self._start = start
        own = start.origin == NAME
        if not own:
            self._gathered.lost_envelope(start.extras)
        message: Json = {
            "id": start.response_id or self._context.response_id,
            "type": "message",
            "role": "assistant",
            "model": self._context.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage_out(start.usage),
        }
        if own:
            message = {**start.extras, **message}
        self._note()
        return _event("message_start", {"message": message})

    def _begun(self) -> bytes:
        return (
            b""
            if self._start is not None
            else self._begin(Start(origin="", response_id="", model=""))
        )

    def _block_start(self, event: BlockStart) -> bytes:
        if event.index in self._blocks:
            return b""
        self._called_tools = self._called_tools or isinstance(event.part, ToolCall)
        self._refused = self._refused or isinstance(event.part, Refusal)
        path = part_path(self._start.origin if self._start else "", event.index)
        if not self._own:
            note_lost_fields(event.part, path, self._gathered)
        writer = writer_for(event.part, path, self._gathered, own=self._own)
        block = _Block(writer, event.part)
        self._blocks[event.index] = block
        if len(self._blocks) > 1:
            return b""
        return self._write(block.writer.start())

    def _block_event(self, event: BlockEvent) -> bytes:
        block = self._blocks.get(event.index)
        if block is None or block.stopped:
            return b""
        if isinstance(event, BlockStop) and not self._own:
            self._note_at_stop(event, block.part)
        if block is not next(iter(self._blocks.values())):
            block.waiting.append(event)
            block.stopped = isinstance(event, BlockStop)
            return b""
        written = self._write(block.writer.feed(event))
        if isinstance(event, BlockStop):
            written += self._close(event.index)
        return written

    def _note_at_stop(self, event: BlockStop, begun: Part) -> None:
        path = part_path(self._start.origin if self._start else "", event.index)
        for lost in lost_at_stop(begun, event.part, path):
            self._gathered.lost(lost, "has no place in a message")

    def _close(self, index: int) -> bytes:
        """End the block on the wire and let those that waited speak, up to the first that still goes on."""
        del self._blocks[index]
        pieces = [self._stop_event()]
        while self._blocks:
            following, block = next(iter(self._blocks.items()))
            pieces.append(self._write(block.writer.start()))
            for event in block.waiting:
                pieces.append(self._write(block.writer.feed(event)))
            block.waiting.clear()
            if not block.stopped:
                break
            del self._blocks[following]
            pieces.append(self._stop_event())
        self._note()
        return b"".join(pieces)

    def _stop_event(self) -> bytes:
        if not self._open:
            return b""
        self._open = False
        return b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n' % (
            self._written
        )

    def _write(self, steps: Steps) -> bytes:
        if len(steps) == 1:
            return self._step(steps[0])
        return b"".join([self._step(step) for step in steps])

    def _step(self, step: Opening | Delta) -> bytes:
        match step:
            case Opening():
                self._open = True
                self._written += 1
                return _event(
                    "content_block_start", {"index": self._written, "content_block": step.block}
                )
            case Delta():
                return (
                    b"event: content_block_delta\n"
                    b'data: {"type":"content_block_delta","index":%d,"delta":%b}\n\n'
                    % (self._written, dump_json(step.delta))
                )

    def _end(self) -> bytes:
        self._over = True
        pieces: list[bytes] = []
        while self._blocks:
            index, block = next(iter(self._blocks.items()))
            if not block.stopped:
                pieces.append(self._block_event(BlockStop(index)))
        finish = self._finish or Finish(stop="end_turn")
        delta: Json = {
            "stop_reason": self._stop_reason(finish),
            "stop_sequence": finish.stop_sequence,
        }
        beside: Json = {}
        if self._own:
            for key, value in finish.extras.items():
                (beside if key in _BESIDE_DELTA else delta).setdefault(key, value)
        else:
            self._gathered.lost_envelope(finish.extras)
        usage = self._usage
        if usage is None:
            usage = usage_out(self._start.usage if self._start else None)
        pieces.append(_event("message_delta", {"delta": delta, "usage": usage, **beside}))
        pieces.append(_event("message_stop", {}))
        self._note()
        return b"".join(pieces)

    def _stop_reason(self, finish: Finish) -> str:
        if self._own and finish.stop_raw:
            return finish.stop_raw
        return foreign_stop(finish.stop, called_tools=self._called_tools, refused=self._refused)

    def _fail(self, error: ErrorInfo) -> bytes:
        self._over = True
        self._note()
        return encode_stream_error(error)

    def _note(self) -> None:
        self.notes[:] = self._gathered.all()


def _event(name: str, fields: Json) -> bytes:
    return encode_event(dump_json({"type": name, **fields}), name)
