"""IR events of any origin as a chat stream. What the events mean comes from `metis.ir.stream`.

https://platform.openai.com/docs/api-reference/chat-streaming. The first chunk carries the role; a tool
call has one index, its id and name in its first chunk; the finish reason has a chunk of its own;
usage, when asked for, comes in a chunk without choices before `[DONE]`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import msgspec

from metis.facts.usage import Usage
from metis.ir.content import Opaque, Part, Refusal, Text, Thinking, ToolCall
from metis.ir.response import StopReason
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
from metis.wire.losses import citation_path, lost_at_stop, lost_of_citation, lost_of_part, part_path
from metis.wire.openai_chat.citations import annotation_of
from metis.wire.openai_chat.errors import encode_stream_error
from metis.wire.openai_chat.fields import Object, dump
from metis.wire.openai_chat.finish import finish_of
from metis.wire.openai_chat.message_out import CARRIED, call_out, is_free_text, lost_fields
from metis.wire.openai_chat.parts import SHAPE
from metis.wire.openai_chat.reasoning import (
    ANTHROPIC,
    RESPONSES,
    detail,
    details_of,
    proof_detail,
)
from metis.wire.openai_chat.usage import usage_object

KEEPALIVE = b": keepalive\n\n"
_NO_PLACE = "has no place in a chat answer"
DONE = b"data: [DONE]\n\n"
CHUNK_OBJECT = "chat.completion.chunk"


@dataclass(slots=True)
class _Block:
    """An open block: the part as gathered so far, and what the client already has of it."""

    part: Part
    number: int  # among the tool calls, or among the thinking blocks
    start: int = 0  # of a text, in characters of the whole content
    sent: int = 0  # characters of a call's arguments, or of a thinking text
    citations: list[Object] = field(default_factory=list[Object])  # of a text


class ChatStreamEncoder:
    """Feed events in order. Raises CodecError only for what JSON cannot hold."""

    def __init__(self, context: ReplyContext) -> None:
        self.notes: list[Note] = []
        self._noted: set[Note] = set()  # a long answer may lose something of each of its blocks
        self._context = context
        self._head = b""
        self._blocks: dict[int, _Block] = {}
        self._calls = 0
        self._thoughts = 0
        self._characters = 0
        self._refused = False
        self._stop: StopReason | None = None
        self._usage: Usage | None = None
        self._usage_raw: Object | None = None
        self._origin = ""
        self._over = False

    def feed(self, event: StreamEvent) -> bytes:
        if self._over:
            return b""
        match event:
            case Start():
                return self._start(event)
            case BlockStart(index=index, part=part):
                return self._open(index, part)
            case TextDelta(index=index, text=text):
                return self._text(index, text)
            case ThinkingDelta(index=index, text=text):
                return self._think(index, text)
            case SignatureDelta(index=index, signature=signature):
                self._sign(index, signature)
                return b""
            case ArgumentsDelta(index=index, text=text):
                return self._arguments(index, text)
            case CitationDelta(index=index, citation=citation):
                self._cite(index, citation)
                return b""
            case BlockStop(index=index, part=part):
                return self._close(index, part)
            case Finish():
                return self._finish(event)
            case UsageReport(usage=usage, raw=raw):
                self._usage, self._usage_raw = usage, raw
                return b""
            case StreamFailure(error=error):
                self._over = True
                return encode_stream_error(error)
            case Heartbeat():
                return KEEPALIVE
            case End():
                return self._end()

    def _start(self, event: Start) -> bytes:
        context = self._context
        self._origin = event.origin
        self._usage = event.usage
        head: Object = {
            "id": event.response_id or context.response_id,
            "object": CHUNK_OBJECT,
            "created": event.created or context.created,
            "model": context.model or event.model,
        }
        self._head = dump(head)[:-1]
        if event.origin != SHAPE:
            for key in lost_fields(event.origin, event.extras):
                self._lost(key, _NO_PLACE)
        return self._delta({"role": "assistant", "content": ""})

    def _delta(self, delta: Object, finish_reason: str | None = None) -> bytes:
        if not self._head:  # a stream without Start: the context knows enough
            opening = self._start(Start(origin="", response_id="", model=""))
            return opening + self._delta(delta, finish_reason)
        return (
            b'data: %b,"choices":[{"index":0,"delta":%b,"logprobs":null,"finish_reason":%b}]}\n\n'
            % (
                self._head,
                dump(delta),
                dump(finish_reason),
            )
        )

    def _path(self, index: int) -> str:
        return part_path(self._origin, index)

    def _open(self, index: int, part: Part) -> bytes:
        if self._origin != SHAPE:
            for lost in lost_of_part(part, self._path(index)):
                self._lost(lost, _NO_PLACE)
        match part:
            case ToolCall():
                block = self._blocks[index] = _Block(part, self._calls)
                self._calls += 1
                return self._open_call(block, part)
            case Thinking():
                self._blocks[index] = _Block(msgspec.structs.replace(part, text=""), self._thoughts)
                self._thoughts += 1
                return self._think(index, part.text)
            case Text(text=text, citations=citations):
                self._blocks[index] = _Block(part, 0, start=self._characters)
                self._blocks[index].citations.extend(citations)
                return self._text(index, text)
            case Refusal(text=text):
                self._refused = True
                self._blocks[index] = _Block(part, 0)
                return self._text(index, text)
            case Opaque(kind=kind):
                self._lost(self._path(index), f"a {kind} block has no place in a chat answer")
            case _:
                name = type(part).__name__
                self._lost(self._path(index), f"{name} has no place in a chat answer")
        return b""

    def _open_call(self, block: _Block, part: ToolCall) -> bytes:
        opening: Object
        if is_free_text(part, self._context):
            opening = {"type": "custom", "custom": {"name": part.name, "input": ""}}
        else:
            opening = {
                "type": "function",
                "function": {"name": part.name, "arguments": part.arguments},
            }
            block.sent = len(part.arguments)
        call = {"index": block.number, "id": part.call_id, **opening}
        return self._delta({"tool_calls": [call]})

    def _text(self, index: int, text: str) -> bytes:
        block = self._blocks.get(index)
        if block is None or not text:
            return b""
        if isinstance(block.part, Refusal):
            return self._delta({"refusal": text})
        if not isinstance(block.part, Text):
            return b""
        self._characters += len(text)
        return self._delta({"content": text})

    def _think(self, index: int, text: str) -> bytes:
        block = self._blocks.get(index)
        if block is None or not text or not isinstance(block.part, Thinking):
            return b""
        part = block.part
        block.part = msgspec.structs.replace(part, text=part.text + text)
        delta: Object = {"reasoning_content": text}
        if part.origin in (ANTHROPIC, RESPONSES):
            summary = part.origin == RESPONSES and part.summary
            frame = detail(
                "reasoning.summary" if summary else "reasoning.text", part.origin, block.number
            )
            frame["summary" if summary else "text"] = text
            delta["reasoning_details"] = [frame]
        return self._delta(delta)

    def _sign(self, index: int, signature: str) -> None:
        block = self._blocks.get(index)
        if block is not None and isinstance(block.part, Thinking):
            held = block.part.signature or ""
            block.part = msgspec.structs.replace(block.part, signature=held + signature)

    def _arguments(self, index: int, text: str) -> bytes:
        block = self._blocks.get(index)
        if block is None or not isinstance(block.part, ToolCall) or not text:
            return b""
        part = block.part
        free = is_free_text(part, self._context)
        if free and part.kind == "function":
            # Made a function upstream: its JSON must be whole before the text can be taken out.
            block.part = msgspec.structs.replace(part, arguments=part.arguments + text)
            return b""
        block.sent += len(text)
        piece: Object = {"custom": {"input": text}} if free else {"function": {"arguments": text}}
        return self._delta({"tool_calls": [{"index": block.number, **piece}]})

    def _cite(self, index: int, citation: Object) -> None:
        """Kept until its text is whole: Anthropic cites before the words, and an annotation says where they end."""
        block = self._blocks.get(index)
        if block is not None:
            block.citations.append(citation)

    def _close_text(self, index: int, block: _Block) -> bytes:
        told: list[Object] = []
        for place, citation in enumerate(block.citations):
            where = citation_path(self._path(index), place)
            annotation = annotation_of(citation, block.start, self._characters - block.start)
            if annotation is None:
                self._lost(where, "chat answers cite web pages only")
                continue
            told.append(annotation)
            for lost in lost_of_citation(citation, where):
                self._lost(lost, _NO_PLACE)
        return self._delta({"annotations": told}) if told else b""

    def _close(self, index: int, whole: Part | None) -> bytes:
        block = self._blocks.pop(index, None)
        if block is None:
            return b""
        if self._origin != SHAPE:
            for lost in lost_at_stop(block.part, whole, self._path(index)):
                self._lost(lost, _NO_PLACE)
        match block.part:
            case Thinking() as part:
                return self._close_thinking(block, whole if isinstance(whole, Thinking) else part)
            case ToolCall() as part:
                return self._close_call(block, whole if isinstance(whole, ToolCall) else part)
            case Text():
                return self._close_text(index, block)
            case _:
                return b""

    def _close_thinking(self, block: _Block, part: Thinking) -> bytes:
        """The proof, once it is whole; texts that never came as deltas come now."""
        said = block.part.text if isinstance(block.part, Thinking) else ""
        signature = part.signature
        if signature is None and isinstance(block.part, Thinking):
            signature = block.part.signature
        part = msgspec.structs.replace(part, signature=signature)
        late = b""
        if part.text and not said and not part.redacted:
            self._blocks[-1] = block
            late = self._think(-1, part.text)
            del self._blocks[-1]
        if part.origin == ANTHROPIC and not part.redacted:
            if signature is None:
                return late
            frame = detail("reasoning.text", ANTHROPIC, block.number)
            details = [{**frame, "signature": signature}]
        elif part.origin == RESPONSES:
            if signature is None:
                return late
            details = [proof_detail(part, block.number)]
        else:
            details = details_of(part, block.number)
        if not details:
            return late
        self._note("carried", self._path(block.number), CARRIED)
        return late + self._delta({"reasoning_details": details})

    def _close_call(self, block: _Block, part: ToolCall) -> bytes:
        """Arguments that never came as deltas; a function called without any gets an empty object."""
        if is_free_text(part, self._context):
            text = call_out(part, self._context)["custom"]["input"][block.sent :]
            piece: Object = {"custom": {"input": text}}
        else:
            text = part.arguments[block.sent :] if len(part.arguments) > block.sent else ""
            if not text and not block.sent:
                text = "{}"
            piece = {"function": {"arguments": text}}
        return self._delta({"tool_calls": [{"index": block.number, **piece}]}) if text else b""

    def _finish(self, event: Finish) -> bytes:
        closing = self._close_all()
        self._stop = event.stop
        if event.usage is not None:
            self._usage, self._usage_raw = event.usage, event.usage_raw
        if event.stop_sequence is not None:
            self._lost("stop_sequence", "chat answers do not name it")
        if self._origin != SHAPE:
            for key in lost_fields(self._origin, event.extras):
                self._lost(key, _NO_PLACE)
            tier = event.extras.get("service_tier")
            if self._origin == "openai_responses" and isinstance(tier, str):
                self._head += b',"service_tier":' + dump(tier)  # as in a whole answer
        reason = finish_of(event.stop, called_tools=self._calls > 0, refused=self._refused)
        return closing + self._delta({}, reason)

    def _close_all(self) -> bytes:
        return b"".join([self._close(index, None) for index in list(self._blocks)])

    def _end(self) -> bytes:
        """The rest of a whole answer; a stream that never said why it ended gets its finish reason here."""
        out = b"" if self._stop is not None else self._finish(Finish(stop="end_turn"))
        self._over = True
        usage = self._usage
        if self._context.include_usage and usage is not None:
            own = self._origin == SHAPE and self._usage_raw is not None
            told = self._usage_raw if own else usage_object(usage)
            out += b'data: %b,"choices":[],"usage":%b}\n\n' % (self._head, dump(told))
        return out + DONE

    def _lost(self, path: str, why: str) -> None:
        self._note("lost", path, why)

    def _note(self, verb: Literal["lost", "carried"], path: str, why: str) -> None:
        note = Note(verb, path, why)
        if note not in self._noted:
            self._noted.add(note)
            self.notes.append(note)
