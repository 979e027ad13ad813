"""How one IR block of any origin becomes an output item and the events that tell of it. Their order: `output.py`.

Source: https://platform.openai.com/docs/api-reference/responses-streaming. A writer is told its block's start,
deltas and stop; it emits events through its `Place` and returns the finished item.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec

from metis.ir.content import Opaque, Refusal, Text, Thinking, ToolCall
from metis.ir.stream import (
    ArgumentsDelta,
    CitationDelta,
    SignatureDelta,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
)
from metis.wire import carry
from metis.wire.codec import Note
from metis.wire.losses import citation_path, lost_of_citation
from metis.wire.openai_responses.citations import annotation_of
from metis.wire.openai_responses.fields import SHAPE, Json
from metis.wire.openai_responses.items import summary_of
from metis.wire.openai_responses.reply_tools import CalledTool, custom_input, search_arguments

Emit = Callable[[str, Json], None]
NoteSink = Callable[[Note], None]

_IDS: Final = {"function": "fc", "custom": "ctc", "search": "tsc"}
_DELTAS: Final = {
    "function": "response.function_call_arguments",
    "custom": "response.custom_tool_call_input",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where an item stands: its output index and id, and how to emit an event about it."""

    index: int
    item_id: str
    emit: Emit
    note: NoteSink

    def tell(self, kind: str, **fields: Any) -> None:
        self.emit(kind, {"item_id": self.item_id, "output_index": self.index, **fields})

    def added(self, item: Json) -> None:
        self.emit("response.output_item.added", {"output_index": self.index, "item": item})

    def done(self, item: Json) -> Json:
        self.emit("response.output_item.done", {"output_index": self.index, "item": item})
        return item


class ItemWriter(Protocol):
    """One open item that is no message. `stop` gets the whole block where the origin repeated it."""

    def delta(self, event: StreamEvent) -> None: ...

    def stop(self, whole: Any) -> Json: ...


def id_prefix(part: Thinking | ToolCall, tool: CalledTool | None) -> str:
    return "rs" if tool is None or isinstance(part, Thinking) else _IDS[tool.form]


class MessageWriter:
    """A message item: text and refusal blocks that follow each other become its content parts."""

    def __init__(self, place: Place, envelope: Json) -> None:
        self._place = place
        self._content: list[Json] = []
        self._said: list[str] = []
        self._citations: list[Json] = []
        self._refusal = False
        kept = {key: value for key, value in envelope.items() if key not in ("id", "status")}
        self._item: Json = {"id": place.item_id, "type": "message", "role": "assistant", **kept}
        place.added({**self._item, "status": "in_progress", "content": []})

    def open_part(self, part: Text | Refusal, path: str) -> None:
        self._path = path
        self._refusal = isinstance(part, Refusal)
        self._said, self._citations = [], []
        empty = _content("", [], refusal=self._refusal)
        self._tell("response.content_part.added", part=empty)
        if part.text:
            self.delta(TextDelta(0, part.text))
        if isinstance(part, Text):
            self._citations.extend(part.citations)

    def delta(self, event: StreamEvent) -> None:
        match event:
            case TextDelta(text=text) if text:
                self._said.append(text)
                if self._refusal:
                    self._tell("response.refusal.delta", delta=text)
                else:
                    self._tell("response.output_text.delta", delta=text, logprobs=[])
            case CitationDelta(citation=citation):
                self._citations.append(citation)
            case _:
                pass

    def stop_part(self, whole: Any) -> None:
        said = "".join(self._said)
        if isinstance(whole, Text | Refusal) and whole.text != said and whole.text.startswith(said):
            self.delta(TextDelta(0, whole.text[len(said) :]))
            said = whole.text
        if isinstance(whole, Text) and len(whole.citations) > len(self._citations):
            self._citations = list(whole.citations)
        annotations = self._annotations(len(said))
        if self._refusal:
            self._tell("response.refusal.done", refusal=said)
        else:
            self._tell("response.output_text.done", text=said, logprobs=[])
        part = _content(said, annotations, refusal=self._refusal)
        self._tell("response.content_part.done", part=part)
        self._content.append(part)

    def close(self) -> Json:
        return self._place.done({**self._item, "status": "completed", "content": self._content})

    def _annotations(self, length: int) -> list[Json]:
        annotations: list[Json] = []
        for number, citation in enumerate(self._citations):
            annotation = annotation_of(citation, length)
            if annotation is None:
                self._place.note(
                    Note(
                        "lost",
                        citation_path(self._path, number),
                        "a citation without an address",
                    )
                )
                continue
            for lost in lost_of_citation(citation, citation_path(self._path, number)):
                self._place.note(Note("lost", lost, "no counterpart in this API"))
            told: Json = {"annotation": annotation, "annotation_index": len(annotations)}
            self._tell("response.output_text.annotation.added", **told)
            annotations.append(annotation)
        return annotations

    def _tell(self, kind: str, **fields: Any) -> None:
        self._place.tell(kind, content_index=len(self._content), **fields)


class ReasoningWriter:
    """A reasoning item. Another shape's thinking shows its text as a summary and carries its signature wrapped."""

    def __init__(self, place: Place, part: Thinking) -> None:
        self._place = place
        self._part = part
        self._said: list[str] = []
        self._signature: list[str] = [part.signature] if part.signature else []
        # Models of this shape that show their reasoning as it is have it in `content`, not in a summary.
        self._plain = part.origin == SHAPE and not part.summary
        self._item: Json = {"id": place.item_id, "type": "reasoning", "summary": []}
        place.added(self._item)
        if part.text:
            self.delta(ThinkingDelta(0, part.text))

    def delta(self, event: StreamEvent) -> None:
        match event:
            case ThinkingDelta(text=text) if text:
                if self._plain:
                    self._place.tell("response.reasoning_text.delta", content_index=0, delta=text)
                else:
                    self._tell_summary(text)
                self._said.append(text)
            case SignatureDelta(signature=signature):
                self._signature.append(signature)
            case _:
                pass

    def stop(self, whole: Any) -> Json:
        final = self._part
        if isinstance(whole, Thinking):
            final = whole
            said = "".join(self._said)
            if final.text != said and final.text.startswith(said):
                self.delta(ThinkingDelta(0, final.text[len(said) :]))
        elif self._signature:
            final = msgspec.structs.replace(final, signature="".join(self._signature))
        item = dict(self._item)
        text = "".join(self._said)
        if text and self._plain:
            self._place.tell("response.reasoning_text.done", content_index=0, text=text)
            item["content"] = [{"type": "reasoning_text", "text": text}]
        elif text:
            item["summary"] = self._stop_summary(text)
        if final.origin == SHAPE:
            if final.signature is not None:
                item["encrypted_content"] = final.signature
        elif final.origin:
            item["encrypted_content"] = carry.wrap(final)
        return self._place.done(item)

    def _tell_summary(self, text: str) -> None:
        if not self._said:
            empty: Json = {"type": "summary_text", "text": ""}
            self._place.tell("response.reasoning_summary_part.added", summary_index=0, part=empty)
        self._place.tell("response.reasoning_summary_text.delta", summary_index=0, delta=text)

    def _stop_summary(self, text: str) -> list[Json]:
        summary = summary_of((text,))
        self._place.tell("response.reasoning_summary_text.done", summary_index=0, text=text)
        self._place.tell("response.reasoning_summary_part.done", summary_index=0, part=summary[0])
        return summary


class CallWriter:
    """A call: of a function, of a custom tool, or of the client's tool search.

    Free text that travels as JSON can only be told when all of it is there.
    """

    def __init__(self, place: Place, part: ToolCall, tool: CalledTool) -> None:
        self._place = place
        self._part = part
        self._form = tool.form
        self._said: list[str] = []
        self._live = tool.form == "function" or (tool.form == "custom" and part.kind == "custom")
        item: Json = {"id": place.item_id, "call_id": part.call_id or f"call_{place.item_id}"}
        if tool.form == "search":
            item |= {"type": "tool_search_call", "execution": "client"}
        else:
            kind = "function_call" if tool.form == "function" else "custom_tool_call"
            item |= {"type": kind, "name": tool.name}
            if tool.namespace:
                item["namespace"] = tool.namespace
        self._item = item
        empty: Any = {} if tool.form == "search" else ""
        place.added({**item, "status": "in_progress", self._field: empty})
        if part.arguments:
            self.delta(ArgumentsDelta(0, part.arguments))

    def delta(self, event: StreamEvent) -> None:
        match event:
            case ArgumentsDelta(text=text) if text:
                self._said.append(text)
                if self._live:
                    self._place.tell(f"{_DELTAS[self._form]}.delta", delta=text)
            case _:
                pass

    def stop(self, whole: Any) -> Json:
        said = "".join(self._said)
        if isinstance(whole, ToolCall) and whole.arguments != said:
            if whole.arguments.startswith(said):
                self.delta(ArgumentsDelta(0, whole.arguments[len(said) :]))
            said = whole.arguments
        call = msgspec.structs.replace(self._part, arguments=said)
        final: Any = said
        if self._form == "search":
            final = search_arguments(call)
        elif self._form == "custom":
            final = custom_input(call)
        elif not said:
            final = "{}"  # clients parse arguments as JSON, which no text at all is not
        if self._form != "search":
            kind = _DELTAS[self._form]
            if final and (not self._live or not said):
                self._place.tell(f"{kind}.delta", delta=final)
            named: Json = {"name": self._item["name"]} if self._form == "function" else {}
            self._place.tell(f"{kind}.done", **{self._field: final}, **named)
        return self._place.done({**self._item, "status": "completed", self._field: final})

    @property
    def _field(self) -> str:
        return "input" if self._form == "custom" else "arguments"


class OpaqueWriter:
    """An item of this shape that the IR has no word for, told whole."""

    def __init__(self, place: Place, part: Opaque) -> None:
        self._place = place
        self._value = part.value
        place.added(part.value)

    def delta(self, event: StreamEvent) -> None:
        pass

    def stop(self, whole: Any) -> Json:
        return self._place.done(whole.value if isinstance(whole, Opaque) else self._value)


def _content(text: str, annotations: list[Json], *, refusal: bool) -> Json:
    if refusal:
        return {"type": "refusal", "refusal": text}
    return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": []}
