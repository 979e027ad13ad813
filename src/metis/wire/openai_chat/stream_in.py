"""A chat stream to IR events, under any chunking. Same-shape streams are watched by `tap`, not decoded here.

https://platform.openai.com/docs/api-reference/chat-streaming. Only choice 0 becomes events: the IR's
streams have one answer, and no client of another shape can ask for more.

Blocks open when their first text comes. A prose block (text, thinking, refusal) closes when another
kind begins; tool calls stay open until the finish reason, since parallel ones may interleave. Finish
is held until the stream's end: several servers tell the reason twice or the usage after it.
"""

from __future__ import annotations

from typing import Any, cast

from metis.errors import CodecError
from metis.ir.content import Refusal, Text
from metis.ir.response import BROKEN_OFF, ErrorInfo
from metis.ir.stream import (
    BlockStart,
    BlockStop,
    CitationDelta,
    End,
    Finish,
    Start,
    StreamEvent,
    StreamFailure,
    TextDelta,
    UsageReport,
)
from metis.wire.openai_chat.calls_in import CallReader
from metis.wire.openai_chat.errors import error_of
from metis.wire.openai_chat.fields import Object, kind_of, load
from metis.wire.openai_chat.finish import stop_of
from metis.wire.openai_chat.parts import SHAPE
from metis.wire.openai_chat.thinking_in import ThinkingReader
from metis.wire.openai_chat.usage import usage_of
from metis.wire.sse import SseDecoder

# Padding against traffic analysis (OpenAI, Mistral), and what is read elsewhere.
_CHUNK_FIELDS = frozenset(
    {"id", "object", "created", "model", "choices", "usage", "obfuscation", "p", "error"}
)
_CHOICE_FIELDS = frozenset({"index", "delta", "message", "finish_reason"})
_DELTA_FIELDS = frozenset(
    {
        "role",
        "content",
        "refusal",
        "tool_calls",
        "function_call",
        "reasoning",
        "reasoning_content",
        "reasoning_details",
        "annotations",
        "audio",
    }
)


class ChatStreamDecoder:
    """Feed bytes as they come. Raises CodecError on an event that is no JSON object."""

    def __init__(self) -> None:
        self._sse = SseDecoder()
        self._started = False
        self._over = False
        self._next_index = 0
        self._prose: Text | Refusal | None = None
        self._prose_index = -1
        self._thinking = ThinkingReader()
        self._calls = CallReader()
        self._finish_reason = ""
        self._refused = False
        self._usage_raw: Object | None = None
        self._extras: Object = {}
        self._choice: Object = {}
        self._message: Object = {}

    def feed(self, data: bytes) -> list[StreamEvent]:
        events: list[StreamEvent] = []
        for event in self._sse.feed(data):
            self._event(event.event, event.data, events)
        return events

    def finish(self) -> list[StreamEvent]:
        """What is still due. A finish reason without [DONE] is a whole answer: several servers never send it."""
        events: list[StreamEvent] = []
        for event in self._sse.finish():
            self._event(event.event, event.data, events)
        if not self._over:
            if self._finish_reason:
                self._end(events)
            else:
                self._fail(events, _cut_short())
        return events

    def _event(self, name: str, data: bytes, events: list[StreamEvent]) -> None:
        if self._over:
            return
        data = data.strip()
        if data == b"[DONE]":
            self._end(events)
            return
        if not data:
            return
        value = load(data, "a stream event")
        if not isinstance(value, dict):
            raise CodecError(f"a stream event must be a JSON object, not {kind_of(value)}")
        chunk = cast(Object, value)
        if chunk.get("error") or (name == "error" and "choices" not in chunk):
            self._fail(events, error_of(0, chunk))
            return
        self._chunk(chunk, events)

    def _chunk(self, chunk: Object, events: list[StreamEvent]) -> None:
        if not self._started:
            self._start(chunk, events)
        if not _CHUNK_FIELDS.issuperset(chunk):
            _keep_others(self._extras, chunk, _CHUNK_FIELDS)
        choices = chunk.get("choices")
        for choice in cast(list[Any], choices) if isinstance(choices, list) else ():
            if isinstance(choice, dict) and not cast(Object, choice).get("index"):
                self._read_choice(cast(Object, choice), events)
        usage = chunk.get("usage") or _groq_usage(chunk)
        if isinstance(usage, dict) and usage:
            self._usage_raw = cast(Object, usage)
            events.append(UsageReport(usage_of(self._usage_raw), self._usage_raw))

    def _start(self, chunk: Object, events: list[StreamEvent]) -> None:
        # Azure opens with a chunk of filter results that knows neither id nor model.
        if chunk.get("choices") == [] and not chunk.get("model") and not chunk.get("usage"):
            return
        self._started = True
        response_id, model, created = chunk.get("id"), chunk.get("model"), chunk.get("created")
        response_id = response_id if isinstance(response_id, str) else ""
        self._calls.seed = response_id
        events.append(
            Start(
                origin=SHAPE,
                response_id=response_id,
                model=model if isinstance(model, str) else "",
                created=created if type(created) is int else 0,  # and no truth value
            )
        )

    def _read_choice(self, choice: Object, events: list[StreamEvent]) -> None:
        delta = choice.get("delta")
        if isinstance(delta, dict):
            self._delta(cast(Object, delta), events)
        if not _CHOICE_FIELDS.issuperset(choice):
            logprobs = choice.get("logprobs")
            if isinstance(logprobs, dict):
                _gather_logprobs(self._choice, cast(Object, logprobs))
                _keep_others(self._choice, choice, _CHOICE_FIELDS | {"logprobs"})
            else:
                _keep_others(self._choice, choice, _CHOICE_FIELDS)
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and reason:
            self._finish_reason = reason
            self._close_prose(events)
            self._calls.close(events)

    def _delta(self, delta: Object, events: list[StreamEvent]) -> None:
        if len(delta) == 1:  # as most deltas are
            text = delta.get("content")
            if text and isinstance(text, str) and isinstance(self._prose, Text):
                events.append(TextDelta(self._prose_index, text))
                return
            if delta.get("tool_calls"):
                self._call(delta, events)
                return
        if self._thinking.wants(delta):
            self._close_text(events)
            self._next_index = self._thinking.read(delta, self._next_index, events)
        content = delta.get("content")
        if isinstance(content, str):
            self._say(Text(text=""), content, events)
        elif isinstance(content, list):
            self._blocks(cast(list[Any], content), events)
        refusal = delta.get("refusal")
        if isinstance(refusal, str) and refusal:
            self._refused = True
            self._say(Refusal(text=""), refusal, events)
        self._annotate(delta.get("annotations"), events)
        if delta.get("tool_calls") or delta.get("function_call"):
            self._call(delta, events)
        if not _DELTA_FIELDS.issuperset(delta):
            _keep_others(self._message, delta, _DELTA_FIELDS)
        if isinstance(delta.get("audio"), dict):
            _gather_audio(self._message, cast(Object, delta["audio"]))

    def _call(self, delta: Object, events: list[StreamEvent]) -> None:
        self._close_prose(events)
        self._next_index = self._calls.read(delta, self._next_index, events)

    def _blocks(self, blocks: list[Any], events: list[StreamEvent]) -> None:
        """Mistral's content as a list: thinking and text blocks."""
        for value in blocks:
            if not isinstance(value, dict):
                continue
            block = cast(Object, value)
            text = block.get("text")
            if block.get("type") == "thinking":
                self._close_text(events)
                self._next_index = self._thinking.read_block(block, self._next_index, events)
            elif block.get("type") == "text" and isinstance(text, str):
                self._say(Text(text=""), text, events)

    def _say(self, kind: Text | Refusal, text: str, events: list[StreamEvent]) -> None:
        if not text:
            return
        if type(self._prose) is not type(kind):
            self._close_prose(events)
            self._prose, self._prose_index = kind, self._next_index
            self._next_index += 1
            events.append(BlockStart(index=self._prose_index, part=kind))
            if isinstance(kind, Text):
                self._annotate(self._message.pop("annotations", None), events)  # what came before
        events.append(TextDelta(self._prose_index, text))

    def _annotate(self, annotations: object, events: list[StreamEvent]) -> None:
        if not isinstance(annotations, list) or not annotations:
            return
        for annotation in cast(list[Any], annotations):
            if isinstance(self._prose, Text) and isinstance(annotation, dict):
                events.append(CitationDelta(self._prose_index, cast(Object, annotation)))
            else:
                self._message.setdefault("annotations", []).append(annotation)

    def _close_text(self, events: list[StreamEvent]) -> None:
        if self._prose is not None:
            events.append(BlockStop(self._prose_index))
            self._prose = None

    def _close_prose(self, events: list[StreamEvent]) -> None:
        self._close_text(events)
        self._thinking.close(events)

    def _end(self, events: list[StreamEvent]) -> None:
        self._over = True
        if not self._started:
            events.append(Start(origin=SHAPE, response_id="", model=""))
        self._close_prose(events)
        self._calls.close(events)
        if self._message:
            self._choice["message"] = self._message
        raw = self._usage_raw
        events.append(
            Finish(
                stop=stop_of(
                    self._finish_reason,
                    called_tools=self._calls.count > 0,
                    refused=self._refused,
                ),
                stop_raw=self._finish_reason,
                usage=usage_of(raw) if raw is not None else None,
                usage_raw=raw,
                extras={**self._extras, **({"choices": [self._choice]} if self._choice else {})},
            )
        )
        events.append(End())

    def _fail(self, events: list[StreamEvent], error: ErrorInfo) -> None:
        self._over = True
        if not self._started:
            events.append(Start(origin=SHAPE, response_id="", model=""))
        events.append(StreamFailure(error))


def _keep_others(kept: Object, told: Object, known: frozenset[str]) -> None:
    """Keep the fields nobody here reads: a client of the same shape gets them back."""
    for key, value in told.items():
        if key not in known and value is not None:
            kept[key] = value


def _cut_short() -> ErrorInfo:
    return ErrorInfo(
        status=502,
        kind="api",
        message=f"{BROKEN_OFF}: the upstream's stream ended before its end",
        code="stream_cut",
    )


def _groq_usage(chunk: Object) -> object:
    """Groq puts usage into its own field where the client did not ask for it."""
    own = chunk.get("x_groq")
    return cast(Object, own).get("usage") if isinstance(own, dict) else None


def _gather_logprobs(choice: Object, logprobs: Object) -> None:
    held = choice.setdefault("logprobs", {})
    for key, value in logprobs.items():
        if isinstance(value, list):
            held.setdefault(key, []).extend(cast(list[Any], value))


def _gather_audio(message: Object, audio: Object) -> None:
    held = message.setdefault("audio", {})
    for key, value in audio.items():
        grows = key in ("data", "transcript") and isinstance(value, str)
        held[key] = str(held.get(key, "")) + value if grows else value
