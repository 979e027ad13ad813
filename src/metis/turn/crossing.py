"""Receiving an answer of another shape than the client's: through the IR (promise P2)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from metis.facts.usage import Usage
from metis.ir.content import Part, ToolCall
from metis.ir.response import ErrorInfo, Response
from metis.ir.stream import (
    ArgumentsDelta,
    BlockStart,
    End,
    Finish,
    Fold,
    Heartbeat,
    Start,
    StreamEvent,
    StreamFailure,
    TextDelta,
    ThinkingDelta,
    UsageReport,
    unfold,
)
from metis.trace.events.turn import FidelityNote
from metis.turn.relay import CUT, begins_events
from metis.wire.codec import (
    Note,
    ReplyContext,
    ResponseFacts,
    Shape,
    StreamEncoder,
    UpstreamShape,
)


def as_fidelity(notes: tuple[Note, ...] | list[Note]) -> tuple[FidelityNote, ...]:
    """Codec notes as the turn stores them."""
    return tuple(FidelityNote(note.verb, note.path, note.why) for note in notes)


def measure(event: StreamEvent, facts: ResponseFacts) -> None:
    """Keep what the ledger needs of an event; text is counted, never kept."""
    match event:
        case TextDelta(text=text) | ThinkingDelta(text=text) | ArgumentsDelta(text=text):
            facts.output_characters += len(text)
        case Start():
            facts.response_id = event.response_id
            facts.model = event.model
            facts.usage = event.usage or facts.usage
        case BlockStart(part=ToolCall(arguments=arguments)):
            facts.tool_calls += 1
            facts.output_characters += len(arguments)
        case Finish():
            facts.stop = event.stop
            facts.stop_raw = event.stop_raw
            facts.usage = event.usage or facts.usage
            _note_tier(event.extras, facts)
            _note_tier(event.usage_raw or {}, facts)
        case UsageReport(usage=usage, raw=raw):
            facts.usage = usage
            _note_tier(raw or {}, facts)
        case StreamFailure(error=error):
            facts.error = error
        case End():
            facts.complete = True
        case _:
            pass


def _own_name(part: Part, renamed: dict[str, str]) -> Part:
    """A part as the client knows it: a call of a tool that the upstream was told by another name gets its own."""
    if isinstance(part, ToolCall) and part.name in renamed:
        return msgspec.structs.replace(part, name=renamed[part.name])
    return part


def _own_names(response: Response, renamed: dict[str, str]) -> Response:
    return msgspec.structs.replace(
        response,
        parts=tuple(_own_name(part, renamed) for part in response.parts),
        choices=tuple(_own_names(choice, renamed) for choice in response.choices),
    )


def _note_tier(said: dict[str, Any], facts: ResponseFacts) -> None:
    """OpenAI says the tier beside the usage, Anthropic in it."""
    tier, speed = said.get("service_tier"), said.get("speed")
    if isinstance(tier, str):
        facts.service_tier = tier
    if isinstance(speed, str):
        facts.speed = speed


class WholeCrossing:
    """A JSON answer that is translated when it is whole. `finish` raises CodecError on nonsense."""

    __slots__ = ("_context", "_from", "_notes", "_pieces", "_to", "facts", "streaming")

    def __init__(self, source: UpstreamShape, target: Shape, context: ReplyContext) -> None:
        self._from = source
        self._to = target
        self._context = context
        self._pieces: list[bytes] = []
        self._notes: tuple[Note, ...] = ()
        self.facts = ResponseFacts()
        self.streaming = False

    def feed(self, data: bytes) -> bytes:
        self._pieces.append(data)
        return b""

    def finish(self) -> bytes:
        body = b"".join(self._pieces)
        self.facts = self._from.facts_of(body)
        response = self._from.decode_response(body)
        if self._context.renamed:
            response = _own_names(response, self._context.renamed)
        encoded = self._to.encode_response(response, self._context)
        self._notes = encoded.notes
        self.facts.complete = True
        return encoded.body

    def fail(self, error: ErrorInfo) -> bytes | None:
        return None

    def heartbeat(self) -> bytes:
        return b""

    def notes(self) -> tuple[FidelityNote, ...]:
        return as_fidelity(self._notes)


class FoldedStream:
    """A stream that nobody asked for, folded into the whole answer that was; also within one shape.

    Without a model in `context` the answer says the stream's own.
    """

    __slots__ = ("_context", "_decoder", "_fold", "_notes", "_to", "facts", "streaming")

    def __init__(self, source: UpstreamShape, target: Shape, context: ReplyContext) -> None:
        self._decoder = source.stream_decoder()
        self._fold = Fold()
        self._to = target
        self._context = context
        self._notes: tuple[Note, ...] = ()
        self.facts = ResponseFacts()
        self.streaming = False

    def feed(self, data: bytes) -> bytes:
        """Raises CodecError on bytes that are no stream of the source's shape."""
        self._take(self._decoder.feed(data))
        return b""

    def finish(self) -> bytes | ErrorInfo:
        """Raises CodecError likewise. An error inside the stream is the answer's error; without an end it was cut."""
        facts = self.facts
        self._take([event for event in self._decoder.finish() if not _is_cut(event)])
        if facts.error is not None:
            return facts.error
        if not (facts.complete or facts.stop):
            return CUT
        facts.complete = True
        response, context = self._fold.result(), self._context
        if context.renamed:
            response = _own_names(response, context.renamed)
        if not context.model:
            context = replace(context, model=response.model)
        encoded = self._to.encode_response(response, context)
        self._notes = encoded.notes
        return encoded.body

    def fail(self, error: ErrorInfo) -> bytes | None:
        return None

    def heartbeat(self) -> bytes:
        return b""

    def notes(self) -> tuple[FidelityNote, ...]:
        return (*as_fidelity(self._notes), FidelityNote("mapped", "$", "a stream nobody asked for"))

    def _take(self, events: list[StreamEvent]) -> None:
        for event in events:
            if self.facts.complete or self.facts.error is not None:
                break  # the grammar ends there, whatever else the upstream says
            self._fold.feed(event)
            measure(event, self.facts)


class StreamCrossing:
    """A stream translated event by event. `events`: the upstream says that it sends one; its first bytes are
    believed before its word, and one JSON body instead of a stream is unfolded.
    """

    __slots__ = (
        "_decoder",
        "_encoder",
        "_events",
        "_from",
        "_pieces",
        "_renamed",
        "facts",
        "streaming",
    )

    def __init__(
        self, source: UpstreamShape, target: Shape, context: ReplyContext, *, events: bool
    ) -> None:
        self._from = source
        self._decoder = source.stream_decoder()
        self._encoder: StreamEncoder = target.stream_encoder(context)
        self._renamed = context.renamed
        self._events = events
        self._pieces: list[bytes] | None = (
            None  # of one JSON body; None until the first bytes are here
        )
        self.facts = ResponseFacts()
        self.streaming = True

    def feed(self, data: bytes) -> bytes:
        """Raises CodecError on bytes that are no stream of the source's shape."""
        pieces = self._pieces
        if pieces is None:
            pieces = self._pieces = []
            self._events = begins_events(data, labelled=self._events)
        if self._events:
            return self._send(self._decoder.feed(data))
        pieces.append(data)
        return b""

    def finish(self) -> bytes:
        """Raises CodecError likewise.

        A stream that told why it stopped is whole without its terminator, as it is for a client of its own
        shape. One that did not is left without an end: the turn then says that it was cut.
        """
        if not self._events:
            body = b"".join(self._pieces or ())
            told = self._from.facts_of(body)
            self.facts.service_tier, self.facts.speed = told.service_tier, told.speed
            return self._send(unfold(self._from.decode_response(body)))
        events = [event for event in self._decoder.finish() if not _is_cut(event)]
        out = self._send(events)
        facts = self.facts
        if facts.stop and not (facts.complete or facts.error is not None):
            out += self._send([End()])
        return out

    def fail(self, error: ErrorInfo) -> bytes | None:
        return self._encoder.feed(StreamFailure(error))

    def heartbeat(self) -> bytes:
        return self._encoder.feed(Heartbeat())

    def notes(self) -> tuple[FidelityNote, ...]:
        return as_fidelity(self._encoder.notes)

    def _send(self, events: list[StreamEvent]) -> bytes:
        pieces: list[bytes] = []
        for event in events:
            if self.facts.complete or self.facts.error is not None:
                break  # the grammar ends there, whatever else the upstream says
            if isinstance(event, Finish) and self.facts.stop:
                if event.usage is None:
                    continue
                # The grammar has one Finish: of a second one only what was used since is news.
                event = UsageReport(event.usage, event.usage_raw)
            measure(event, self.facts)
            if self._renamed and isinstance(event, BlockStart):
                event = BlockStart(index=event.index, part=_own_name(event.part, self._renamed))
            pieces.append(self._encoder.feed(event))
        return b"".join(pieces)


def _is_cut(event: StreamEvent) -> bool:
    """Whether this is a decoder's own word for a stream that ended early, and not one of the upstream's."""
    if not isinstance(event, StreamFailure):
        return False
    return event.error.status == CUT.status and event.error.original is None


def estimate_usage(facts: ResponseFacts, request_bytes: int) -> Usage:
    """What an answer that never told its usage has probably used.

    Four characters to a token, the providers' own rule of thumb for English
    (https://help.openai.com/en/articles/4936856); the row says `estimated`, so totals show it apart.
    """
    known = facts.usage
    if known is not None:
        output = max(known.output_tokens, (facts.output_characters + 3) // 4)
        return Usage(
            input_tokens=known.input_tokens,
            cache_read_tokens=known.cache_read_tokens,
            cache_write_5m_tokens=known.cache_write_5m_tokens,
            cache_write_1h_tokens=known.cache_write_1h_tokens,
            output_tokens=output,
        )
    return Usage(
        input_tokens=(request_bytes + 3) // 4, output_tokens=(facts.output_characters + 3) // 4
    )
