"""What a stream of Responses must look like: https://platform.openai.com/docs/api-reference/responses-streaming."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from metis.conformance.json_values import dicts, object_in, text_of
from metis.conformance.sse import Event

_BEFORE: Final = ("response.created", "response.queued", "error")
_ENDS: Final = ("response.completed", "response.incomplete", "response.failed")


def stream_faults(events: Sequence[Event]) -> list[str]:
    """What is wrong with a stream that ought to be whole, one sentence each."""
    state = _State()
    for event in events:
        state.take(event)
    return state.ended()


class _State:
    """What has been seen of one stream."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.begun = self.created = self.over = False
        self.number = -1
        self.open: dict[int, dict[str, Any]] = {}
        self.done: dict[int, dict[str, Any]] = {}
        self.deltas: dict[tuple[int, str], str] = {}
        self.parts: set[tuple[int, int]] = set()

    def fault(self, sentence: str) -> None:
        self.faults.append(sentence)

    def take(self, event: Event) -> None:
        if event.data == "[DONE]" and self.over:
            return  # some servers end as chat does; clients skip it
        said = event.object
        if said is None or "type" not in said:
            self.fault(f"an event's data is no object with a type: {event.data[:80]}")
            return
        kind = str(said["type"])
        if event.name not in ("", kind):
            self.fault(f"event {event.name!r} carries data of type {kind!r}")
        if kind == "keepalive":
            return
        if self.over:
            self.fault(f"{kind} after the end")
        if not self.begun and kind not in _BEFORE:
            self.fault(f"{kind} before response.created")
        self._numbered(said, kind)
        self._kind(said, kind)

    def _numbered(self, said: dict[str, Any], kind: str) -> None:
        number = said.get("sequence_number")
        if isinstance(number, int):
            if number <= self.number:
                self.fault(f"sequence_number {number} of {kind} after {self.number}")
            self.number = number

    def _kind(self, said: dict[str, Any], kind: str) -> None:
        match kind.removeprefix("response."):
            case "created":
                if self.created:
                    self.fault("a second response.created")
                self.begun = self.created = True
            case "queued":
                self.begun = True  # a background response that is taken up later begins so
            case "output_item.added":
                self._added(said)
            case "output_item.done":
                self._item_done(said)
            case "content_part.added":
                self.parts.add((said.get("output_index", -1), said.get("content_index", -1)))
            case "output_text.delta":
                place = (said.get("output_index", -1), said.get("content_index", -1))
                if place not in self.parts:
                    self.fault("output_text.delta before its content_part.added")
                self._delta(said, "message")
            case "function_call_arguments.delta":
                self._delta(said, "function_call")
            case "function_call_arguments.done":
                self._whole(said, "arguments")
            case "output_text.done":
                self._whole(said, "text")
            case "error":
                self.fault(f"an error event: {str(said)[:120]}")
            case _:
                if kind in _ENDS:
                    self._end(said)

    def _added(self, said: dict[str, Any]) -> None:
        index = said.get("output_index")
        if index != len(self.open):
            self.fault(f"output_item.added at {index!r}, expected {len(self.open)}")
        self.open[len(self.open)] = object_in(said.get("item"))

    def _delta(self, said: dict[str, Any], wanted: str) -> None:
        index = said.get("output_index", -1)
        item = self.open.get(index)
        if item is None or index in self.done:
            self.fault(f"{said['type']} for item {index}, which is not open")
        elif item.get("type") != wanted:
            self.fault(f"{said['type']} inside a {item.get('type')} item")
        elif said.get("item_id") != item.get("id"):
            self.fault(f"{said['type']} names another item than output_index {index}")
        place = (index, str(said.get("content_index", "")))
        self.deltas[place] = self.deltas.get(place, "") + str(said.get("delta", ""))

    def _whole(self, said: dict[str, Any], name: str) -> None:
        place = (said.get("output_index", -1), str(said.get("content_index", "")))
        told = self.deltas.get(place)
        if told is not None and told != said.get(name):
            self.fault(f"{said['type']} differs from its deltas joined")

    def _item_done(self, said: dict[str, Any]) -> None:
        index = said.get("output_index", -1)
        if index not in self.open or index in self.done:
            self.fault(f"output_item.done for item {index}, which is not open")
        self.done[index] = object_in(said.get("item"))

    def _end(self, said: dict[str, Any]) -> None:
        self.over = True
        if set(self.open) != set(self.done):
            self.fault("the response ends while an item is open")
        output = dicts(object_in(said.get("response")).get("output"))
        if len(output) != len(self.done):
            self.fault(f"{len(self.done)} items were streamed, the response has {len(output)}")
            return
        for index, item in sorted(self.done.items()):
            last = output[index] if index < len(output) else {}
            for name in ("type", "arguments", "name", "call_id"):
                if item.get(name) != last.get(name):
                    self.fault(f"item {index} ends with another {name} than the response has")
            if text_of(item.get("content")) != text_of(last.get("content")):
                self.fault(f"item {index} ends with another text than the response has")

    def ended(self) -> list[str]:
        if not self.begun:
            self.fault("no response.created")
        if not self.over:
            self.fault("no response.completed")
        return self.faults


def whole_faults(body: dict[str, Any]) -> list[str]:
    """What is wrong with an answer that was not streamed."""
    faults = [f"no {name}" for name in ("id", "model", "status", "usage") if not body.get(name)]
    if body.get("object") != "response":
        faults.append(f"object is {body.get('object')!r}, not 'response'")
    if not isinstance(body.get("output"), list):
        faults.append("output is no array")
    return faults
