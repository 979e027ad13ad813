"""Gemini's stream into events, under any chunking: each piece is an answer that says what is new.

There is no terminator, and some models give a `finishReason` with every piece: so the answer ends where the body does,
and a stream that never gave a reason was cut. Of several candidates the first is told; none is asked for in streams.
Source: ai.google.dev/api/generate-content#method:-models.streamgeneratecontent.
"""

from __future__ import annotations

from typing import Any

import msgspec

from metis.errors import CodecError
from metis.ir.content import Part, Text, Thinking, ToolCall
from metis.ir.response import BROKEN_OFF, ErrorInfo
from metis.ir.stream import (
    ArgumentsDelta,
    BlockStart,
    BlockStop,
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
from metis.wire.fields import Fields, Json, as_object, load_json
from metis.wire.google_generate_content.errors import error_in, error_of
from metis.wire.google_generate_content.framing import PieceReader
from metis.wire.google_generate_content.name import NAME
from metis.wire.google_generate_content.parts_in import CallIds, read_part
from metis.wire.google_generate_content.usage import (
    blocked_reason,
    reason_text,
    stop_of,
    usage_of,
)


class GoogleStreamDecoder:
    """See `wire.codec.StreamDecoder`."""

    def __init__(self) -> None:
        self._pieces = PieceReader()
        self._blocks = _Blocks()
        self._begun = False
        self._over = False
        self._reason = ""
        self._blocked = ""
        self._usage: Json | None = None
        self._extras: Json = {}
        self._make_id = CallIds("")

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Raises CodecError on pieces that are no JSON, or lack a known field."""
        out: list[StreamEvent] = []
        for piece in self._pieces.feed(data):
            self._piece(piece, out)
        return out

    def finish(self) -> list[StreamEvent]:
        """What is still due; a stream cut before it said why it stopped ends in a StreamFailure."""
        out: list[StreamEvent] = []
        for piece in self._pieces.finish():
            self._piece(piece, out)
        if self._over:
            return out
        self._over = True
        if not self._reason and not self._blocked:
            cut = f"{BROKEN_OFF}: the upstream's stream ended before its end"
            out.append(StreamFailure(ErrorInfo(status=502, kind="api", message=cut)))
            return out
        self._blocks.close(out)
        stop = stop_of(self._reason, called=self._blocks.called)
        usage = self._usage
        out.append(
            Finish(
                stop=stop if self._reason else "content_filter",
                stop_raw=self._reason or self._blocked,
                usage=None if usage is None else usage_of(usage),
                usage_raw=usage,
                extras=self._extras,
            )
        )
        out.append(End())
        return out

    def _piece(self, piece: bytes, out: list[StreamEvent]) -> None:
        if self._over or not piece.strip():
            return
        value = load_json(piece)
        error = error_in(value)
        if error is not None:
            self._over = True
            out.append(StreamFailure(error_of(error)))
            return
        fields = Fields(value, "")
        self._begin(fields, out)
        for index, candidate in enumerate(fields.list("candidates") or []):
            found = as_object(candidate)
            if found is None:
                raise CodecError("must be an object", where=f"candidates[{index}]")
            if not found.get("index"):
                self._candidate(Fields(found, f"candidates[{index}]"), out)
        usage = fields.object("usageMetadata")
        if usage is not None and usage != self._usage:
            self._usage = usage
            out.append(UsageReport(usage_of(usage), usage))
        self._blocked = blocked_reason(fields.left.get("promptFeedback")) or self._blocked
        self._extras.update(fields.left)

    def _begin(self, fields: Fields, out: list[StreamEvent]) -> None:
        response_id, model = fields.word("responseId"), fields.word("modelVersion")
        if self._begun:
            return
        self._begun = True
        self._make_id = CallIds(response_id)
        out.append(Start(origin=NAME, response_id=response_id, model=model))

    def _candidate(self, candidate: Fields, out: list[StreamEvent]) -> None:
        left = candidate.left
        content = Fields(left.pop("content", None) or {}, candidate.path("content"))
        for index, part in enumerate(content.list("parts") or []):
            read = read_part(part, f"{content.path('parts')}[{index}]", self._make_id)
            self._blocks.add(read, out)
        self._reason = reason_text(left.pop("finishReason", None)) or self._reason
        left.pop("index", None)
        for name, value in left.items():
            self._extras[f"candidates[0].{name}"] = value


class _Blocks:
    """The blocks of a stream: texts and thoughts grow from piece to piece, all else comes whole."""

    def __init__(self) -> None:
        self.called = False
        self._next = 0
        self._open: Part | None = None

    def add(self, parts: list[Part], out: list[StreamEvent]) -> None:
        """What one part was read as. A text with a signature stands alone: it must come back as it was."""
        match parts:
            case [Text(text="", extras=extras)] if not extras:
                pass
            case [Text(extras=extras) as text] if not extras:
                self._grow(Text(text=""), out)
                out.append(TextDelta(self._next - 1, text.text))
            case [Thinking(item_id=None, extras=extras) as thought] if not extras:
                self._think(thought, out)
            case _:
                for part in parts:
                    self._whole(part, out)

    def close(self, out: list[StreamEvent]) -> None:
        if self._open is not None:
            out.append(BlockStop(self._next - 1))
            self._open = None

    def _grow(self, empty: Part, out: list[StreamEvent]) -> None:
        """Go on with the open block where it is of this kind, else open one."""
        if type(self._open) is not type(empty):
            self.close(out)
            self._open = empty
            out.append(BlockStart(index=self._next, part=empty))
            self._next += 1

    def _think(self, thought: Thinking, out: list[StreamEvent]) -> None:
        self._grow(Thinking(origin=NAME, summary=True), out)
        if thought.text:
            out.append(ThinkingDelta(self._next - 1, thought.text))
        if thought.signature is not None:
            out.append(SignatureDelta(self._next - 1, thought.signature))
            self.close(out)

    def _whole(self, part: Part, out: list[StreamEvent]) -> None:
        self.close(out)
        index = self._next
        self._next += 1
        begun: Part = part
        deltas: list[Any] = []
        match part:
            case ToolCall(arguments=arguments):
                self.called = True
                begun = msgspec.structs.replace(part, arguments="")
                deltas = [ArgumentsDelta(index, arguments)] if arguments else []
            case Text(text=text):
                begun, deltas = msgspec.structs.replace(part, text=""), [TextDelta(index, text)]
            case Thinking(text=text, signature=signature):
                begun = msgspec.structs.replace(part, text="", signature=None)
                deltas = [ThinkingDelta(index, text)] if text else []
                deltas += [SignatureDelta(index, signature)] if signature is not None else []
            case _:
                pass
        out += [BlockStart(index=index, part=begun), *deltas, BlockStop(index, part)]
