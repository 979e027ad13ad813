"""One content block of a client's stream being written, from any origin's events. Indices and order are `stream_out`'s.

A writer answers each event with steps: a block's opening object, or a delta. A writer that never
opens leaves no trace in the stream.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from metis.ir.content import Media, Opaque, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from metis.ir.stream import (
    ArgumentsDelta,
    BlockStop,
    CitationDelta,
    SignatureDelta,
    TextDelta,
    ThinkingDelta,
)
from metis.wire.anthropic_messages.blocks_out import own_block
from metis.wire.anthropic_messages.name import NAME
from metis.wire.anthropic_messages.response import note_lost_reply, thinking_reply
from metis.wire.arguments import input_of
from metis.wire.fields import Json, as_object, dump_json
from metis.wire.notes import Notes

BlockEvent = TextDelta | ThinkingDelta | SignatureDelta | ArgumentsDelta | CitationDelta | BlockStop


class Opening(msgspec.Struct, frozen=True):
    block: Json


class Delta(msgspec.Struct, frozen=True):
    delta: Json


Steps = list[Opening | Delta]


class BlockWriter(Protocol):
    def start(self) -> Steps: ...

    def feed(self, event: BlockEvent) -> Steps: ...


def writer_for(part: Part, path: str, notes: Notes, *, own: bool) -> BlockWriter:
    """The writer for a block; `own` says that the stream's origin is this shape."""
    match part:
        case Text() | Refusal():
            return _TextWriter(part, path, notes, own=own)
        case Thinking(redacted=True):
            return _WholeWriter(part, path, notes)
        case Thinking() if part.origin == NAME:
            return _OwnThinkingWriter(part)
        case Thinking():
            return _ForeignThinkingWriter(part)
        case ToolCall():
            return _ToolWriter(part, path, notes, own=own)
        case Opaque() | Media() | ToolResult():
            return _WholeWriter(part, path, notes)


class _TextWriter:
    """Text and refusals. Of another origin the block opens with its first letter: empty ones are refused on replay."""

    def __init__(self, part: Text | Refusal, path: str, notes: Notes, *, own: bool) -> None:
        self._part = part
        self._path = path
        self._notes = notes
        self._own = own
        self._open = False
        self._told = False

    def start(self) -> Steps:
        steps: Steps = []
        if self._own:
            opened = msgspec.structs.replace(self._part, text="")
            if isinstance(opened, Text):
                opened = msgspec.structs.replace(opened, citations=())
            steps.append(Opening(own_block(opened)))
            self._open = True
        steps += self._text(self._part.text)
        if isinstance(self._part, Text):
            for citation in self._part.citations:
                steps += self._citation(citation)
        return steps

    def feed(self, event: BlockEvent) -> Steps:
        match event:
            case TextDelta():
                return self._text(event.text)
            case CitationDelta():
                return self._citation(event.citation)
            case BlockStop(part=Text() | Refusal() as whole) if not self._told:
                return self._text(whole.text)
            case _:
                return []

    def _text(self, text: str) -> Steps:
        if not text:
            return []
        steps: Steps = []
        if not self._open:
            self._open = True
            steps.append(Opening({"type": "text", "text": ""}))
        self._told = True
        steps.append(Delta({"type": "text_delta", "text": text}))
        return steps

    def _citation(self, citation: Json) -> Steps:
        if self._own:
            return [Delta({"type": "citations_delta", "citation": citation})]
        note_lost_reply(Text(text="", citations=(citation,)), self._path, self._notes)
        return []


class _OwnThinkingWriter:
    """Anthropic's own reasoning: text and signature go out as they come."""

    def __init__(self, part: Thinking) -> None:
        self._part = part
        self._told = False
        self._signed = False

    def start(self) -> Steps:
        opened = msgspec.structs.replace(self._part, text="", signature="")
        return [
            Opening(own_block(opened)),
            *self._text(self._part.text),
            *self._sign(self._part.signature),
        ]

    def feed(self, event: BlockEvent) -> Steps:
        match event:
            case ThinkingDelta():
                return self._text(event.text)
            case SignatureDelta():
                return self._sign(event.signature)
            case BlockStop(part=Thinking() as whole):
                text = "" if self._told else whole.text
                signature = None if self._signed else whole.signature
                return [*self._text(text), *self._sign(signature)]
            case _:
                return []

    def _text(self, text: str) -> Steps:
        if not text:
            return []
        self._told = True
        return [Delta({"type": "thinking_delta", "thinking": text})]

    def _sign(self, signature: str | None) -> Steps:
        if not signature:
            return []
        self._signed = True
        return [Delta({"type": "signature_delta", "signature": signature})]


class _ForeignThinkingWriter:
    """Another API's reasoning: its text as it comes, at the end its proof wrapped into one signature.

    Opens with the first text, or at the end where there is only a proof (OpenAI's encrypted content).
    """

    def __init__(self, part: Thinking) -> None:
        self._part = msgspec.structs.replace(part, text="", signature=None)
        self._first = part
        self._open = False
        self._text_seen: list[str] = []
        self._signature: list[str] = []

    def start(self) -> Steps:
        if self._first.signature:
            self._signature.append(self._first.signature)
        return self._text(self._first.text)

    def feed(self, event: BlockEvent) -> Steps:
        match event:
            case ThinkingDelta():
                return self._text(event.text)
            case SignatureDelta():
                self._signature.append(event.signature)
                return []
            case BlockStop():
                return self._stop(event.part)
            case _:
                return []

    def _text(self, text: str) -> Steps:
        if not text:
            return []
        self._text_seen.append(text)
        delta = Delta({"type": "thinking_delta", "thinking": text})
        return [delta] if self._open else [*self._opening(), delta]

    def _opening(self) -> Steps:
        self._open = True
        return [Opening({"type": "thinking", "thinking": "", "signature": ""})]

    def _stop(self, whole: Part | None) -> Steps:
        steps: Steps = []
        part = self._part
        signature = "".join(self._signature) or None
        if isinstance(whole, Thinking):
            part = whole
            signature = whole.signature if whole.signature is not None else signature
            if not self._text_seen:
                steps += self._text(whole.text)
        part = msgspec.structs.replace(part, text="".join(self._text_seen), signature=signature)
        written = thinking_reply(part)
        if written is None:
            return steps
        if not self._open:
            steps += self._opening()
        if signed := written.get("signature"):
            steps.append(Delta({"type": "signature_delta", "signature": signed}))
        return steps


class _ToolWriter:
    """A tool call. A custom tool's free text becomes the one property `input`, escaped piece by piece."""

    def __init__(self, part: ToolCall, path: str, notes: Notes, *, own: bool) -> None:
        self._part = part
        self._path = path
        self._notes = notes
        self._own = own
        self._pieces: list[str] = []

    def start(self) -> Steps:
        opened = msgspec.structs.replace(self._part, arguments="", kind="function")
        if not self._own:
            opened = msgspec.structs.replace(opened, extras={}, cache=None)
        return [Opening(own_block(opened)), *self._piece(self._part.arguments)]

    def feed(self, event: BlockEvent) -> Steps:
        match event:
            case ArgumentsDelta():
                return self._piece(event.text)
            case BlockStop():
                return self._stop(event.part)
            case _:
                return []

    def _piece(self, text: str) -> Steps:
        if not text:
            return []
        if self._part.kind == "custom":
            escaped = dump_json(text).decode()[1:-1]
            partial = escaped if self._pieces else f'{{"input":"{escaped}'
        else:
            partial = text
        self._pieces.append(text)
        return [_input_delta(partial)]

    def _stop(self, whole: Part | None) -> Steps:
        steps: Steps = []
        if not self._pieces and isinstance(whole, ToolCall):
            steps += self._piece(whole.arguments)
        if self._part.kind == "custom":
            steps.append(_input_delta('"}' if self._pieces else '{"input":""}'))
            return steps
        call = msgspec.structs.replace(self._part, arguments="".join(self._pieces))
        if not self._own and not input_of(call)[1]:
            self._notes.lost(f"{self._path}.arguments", "the arguments are no JSON object")
        return steps


class _WholeWriter:
    """A block that is written in one piece when it is complete, or not at all (and noted)."""

    def __init__(self, part: Part, path: str, notes: Notes) -> None:
        self._part = part
        self._path = path
        self._notes = notes

    def start(self) -> Steps:
        return []

    def feed(self, event: BlockEvent) -> Steps:
        if not isinstance(event, BlockStop):
            return []
        part = event.part or self._part
        match part:
            case Thinking():
                written = thinking_reply(part)
                return [] if written is None else _thinking_steps(written)
            case Opaque() if part.shape == NAME:
                return _opaque_steps(part)
            case _:
                note_lost_reply(part, self._path, self._notes)
                return []


def _thinking_steps(block: Json) -> Steps:
    """Redacted reasoning goes out whole; wrapped proof as a signature delta, where clients look for it."""
    signature = block.get("signature")
    if signature is None:
        return [Opening(block)]
    return [
        Opening({**block, "signature": ""}),
        Delta({"type": "signature_delta", "signature": signature}),
    ]


def _opaque_steps(part: Opaque) -> Steps:
    """A server tool's `input` is streamed like Anthropic does it, for clients gather it from deltas."""
    given = as_object(part.value.get("input"))
    if not given:
        return [Opening(dict(part.value))]
    return [
        Opening({**part.value, "input": {}}),
        _input_delta(dump_json(given).decode()),
    ]


def _input_delta(partial: str) -> Delta:
    return Delta({"type": "input_json_delta", "partial_json": partial})
