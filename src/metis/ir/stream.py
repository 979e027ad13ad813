"""An answer as it arrives: events, their fold into a Response, and a Response's unfolding into events.

The grammar: Start, then blocks, then at most one Finish, then End. A block is BlockStart, deltas of
its kind, BlockStop, and has an `index` that no other block of the stream has. Blocks of chat streams
may interleave (parallel tool calls), so encoders of shapes that cannot say this close the open block
first. StreamFailure may stand anywhere after Start and ends the stream.
"""

from __future__ import annotations

from typing import Any

import msgspec

from metis.facts.usage import Usage
from metis.ir.content import Extras, Opaque, Part, Refusal, Text, Thinking, ToolCall
from metis.ir.response import ErrorInfo, Response, StopReason


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """The head of the answer. `usage` is what is known of the input so far (Anthropic tells early)."""

    origin: str
    response_id: str
    model: str
    created: int = 0
    usage: Usage | None = None
    extras: Extras = {}


class BlockStart(msgspec.Struct, frozen=True, kw_only=True):
    """`part` is the block with what is known at its start: an empty Text, a ToolCall without arguments."""

    index: int
    part: Part


class TextDelta(msgspec.Struct, frozen=True):
    """More text of a Text or Refusal block."""

    index: int
    text: str


class ThinkingDelta(msgspec.Struct, frozen=True):
    index: int
    text: str


class SignatureDelta(msgspec.Struct, frozen=True):
    """A (piece of a) Thinking block's signature."""

    index: int
    signature: str


class ArgumentsDelta(msgspec.Struct, frozen=True):
    """More of a ToolCall's arguments text."""

    index: int
    text: str


class CitationDelta(msgspec.Struct, frozen=True):
    index: int
    citation: dict[str, Any]


Delta = TextDelta | ThinkingDelta | SignatureDelta | ArgumentsDelta | CitationDelta


class BlockStop(msgspec.Struct, frozen=True):
    """`part` is the whole block where the origin repeats it at its end (Responses does), else None."""

    index: int
    part: Part | None = None


class Finish(msgspec.Struct, frozen=True, kw_only=True):
    """Why the answer ended, and the usage where it is known by now. Later Finish fields win."""

    stop: StopReason
    stop_raw: str = ""
    stop_sequence: str | None = None
    usage: Usage | None = None
    usage_raw: dict[str, Any] | None = None
    extras: Extras = {}


class UsageReport(msgspec.Struct, frozen=True):
    """Usage that came on its own (chat's last chunk)."""

    usage: Usage
    raw: dict[str, Any] | None = None


class StreamFailure(msgspec.Struct, frozen=True):
    """The upstream's in-stream error, or the stream's being cut."""

    error: ErrorInfo


class Heartbeat(msgspec.Struct, frozen=True):
    """Nothing happened, and somebody said so."""


class End(msgspec.Struct, frozen=True):
    """The upstream's own terminator was seen ([DONE], message_stop, response.completed)."""


StreamEvent = (
    Start
    | BlockStart
    | TextDelta
    | ThinkingDelta
    | SignatureDelta
    | ArgumentsDelta
    | CitationDelta
    | BlockStop
    | Finish
    | UsageReport
    | StreamFailure
    | Heartbeat
    | End
)


class Fold:
    """Gather a stream's events into the Response they describe: feed them in order, then `result()`.

    A delta for a block that never began says nothing.
    """

    def __init__(self) -> None:
        self._start: Start | None = None
        self._parts: dict[int, Part] = {}
        # What a block said since its part was told, joined once: adding text to text would cost its length squared.
        self._said: dict[int, list[Delta]] = {}
        self._finish: Finish | None = None
        self._usage: Usage | None = None
        self._usage_raw: dict[str, Any] | None = None
        self.failure: ErrorInfo | None = None
        self.ended = False

    @property
    def usage(self) -> Usage | None:
        """The usage known so far: the newest report wins."""
        return self._usage

    def feed(self, event: StreamEvent) -> None:
        match event:
            case TextDelta() | ArgumentsDelta() | ThinkingDelta() | SignatureDelta():  # as most are
                said = self._said.get(event.index)
                if said is not None:
                    said.append(event)
            case CitationDelta(index=index):
                if index in self._said:
                    self._said[index].append(event)
            case BlockStart(index=index, part=part):
                self._parts[index], self._said[index] = part, []
            case BlockStop(index=index, part=part):
                if part is not None:
                    self._parts[index], self._said[index] = part, []
            case Start():
                self._start = event
                self._usage = event.usage or self._usage
            case Finish():
                self._finish = event
                self._usage = event.usage or self._usage
                self._usage_raw = event.usage_raw or self._usage_raw
            case UsageReport(usage=usage, raw=raw):
                self._usage = usage
                self._usage_raw = raw or self._usage_raw
            case StreamFailure(error=error):
                self.failure = error
            case End():
                self.ended = True
            case Heartbeat():
                pass

    def result(self) -> Response:
        """The answer so far; `stop` is "error" when no Finish came."""
        start, finish = self._start, self._finish
        return Response(
            origin=start.origin if start else "",
            response_id=start.response_id if start else "",
            model=start.model if start else "",
            created=start.created if start else 0,
            parts=tuple(
                _grown(self._parts[index], self._said[index]) for index in sorted(self._parts)
            ),
            stop=finish.stop if finish else "error",
            stop_raw=finish.stop_raw if finish else "",
            stop_sequence=finish.stop_sequence if finish else None,
            usage=self._usage,
            usage_raw=self._usage_raw,
            extras={**(start.extras if start else {}), **(finish.extras if finish else {})},
        )


def _grown(part: Part, said: list[Delta]) -> Part:
    """The block with its deltas added; those that do not fit it leave it as it is."""
    if not said:
        return part
    replace = msgspec.structs.replace
    match part:
        case Text():
            citations = [one.citation for one in said if isinstance(one, CitationDelta)]
            text = _joined(part.text, said, TextDelta)
            return replace(part, text=text, citations=(*part.citations, *citations))
        case Refusal():
            return replace(part, text=_joined(part.text, said, TextDelta))
        case Thinking():
            signatures = [one.signature for one in said if isinstance(one, SignatureDelta)]
            signature = (
                "".join((part.signature or "", *signatures)) if signatures else part.signature
            )
            return replace(part, text=_joined(part.text, said, ThinkingDelta), signature=signature)
        case ToolCall():
            return replace(part, arguments=_joined(part.arguments, said, ArgumentsDelta))
        case Opaque():
            # Server-side tool blocks stream their input too; gathered under the name Anthropic uses.
            if not any(isinstance(one, ArgumentsDelta) for one in said):
                return part
            held = _joined(str(part.value.get("input_json", "")), said, ArgumentsDelta)
            return replace(part, value={**part.value, "input_json": held})
        case _:
            return part


def _joined(
    text: str,
    said: list[Delta],
    kind: type[TextDelta] | type[ThinkingDelta] | type[ArgumentsDelta],
) -> str:
    return "".join((text, *(one.text for one in said if isinstance(one, kind))))


def unfold(response: Response) -> list[StreamEvent]:
    """A whole Response as the shortest stream that folds back to it."""
    events: list[StreamEvent] = [
        Start(
            origin=response.origin,
            response_id=response.response_id,
            model=response.model,
            created=response.created,
        )
    ]
    for index, part in enumerate(response.parts):
        events.extend(_unfold_part(index, part))
    events.append(
        Finish(
            stop=response.stop,
            stop_raw=response.stop_raw,
            stop_sequence=response.stop_sequence,
            usage=response.usage,
            usage_raw=response.usage_raw,
            extras=response.extras,
        )
    )
    events.append(End())
    return events


def _unfold_part(index: int, part: Part) -> list[StreamEvent]:
    replace = msgspec.structs.replace
    match part:
        case Text(text=text, citations=citations):
            opened: Part = replace(part, text="", citations=())
            deltas: list[StreamEvent] = [CitationDelta(index, citation) for citation in citations]
            deltas.insert(0, TextDelta(index, text))
        case Refusal(text=text):
            opened, deltas = replace(part, text=""), [TextDelta(index, text)]
        case Thinking(redacted=False):
            opened = replace(part, text="", signature=None)
            deltas = [ThinkingDelta(index, part.text)] if part.text else []
            if part.signature is not None:
                deltas.append(SignatureDelta(index, part.signature))
        case ToolCall(arguments=arguments):
            opened, deltas = replace(part, arguments=""), [ArgumentsDelta(index, arguments)]
        case _:
            opened, deltas = part, []
    return [BlockStart(index=index, part=opened), *deltas, BlockStop(index, part)]
