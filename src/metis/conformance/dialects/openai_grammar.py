"""What a stream of Chat Completions must look like: https://platform.openai.com/docs/api-reference/chat-streaming."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from metis.conformance.json_values import Json, dicts, integer, object_in
from metis.conformance.sse import Event


def stream_faults(events: Sequence[Event]) -> list[str]:
    """What is wrong with a stream that ought to be whole, one sentence each."""
    state = _State()
    for event in events:
        state.take(event)
    return state.ended()


class _State:
    """What has been seen of one stream; of its choices by their index."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.done = False
        self.identity: Any = None
        self.choices: dict[int, _Choice] = {}

    def fault(self, sentence: str) -> None:
        self.faults.append(sentence)

    def take(self, event: Event) -> None:
        chunk = event.object
        if self.done:
            self.fault(f"data after [DONE]: {event.data[:80]}")
        elif event.data == "[DONE]":
            self.done = True
        elif chunk is None:
            self.fault(f"an event's data is no object: {event.data[:80]}")
        elif "error" in chunk:
            self.fault(f"an error: {str(chunk['error'])[:120]}")
        else:
            self._chunk(chunk)

    def _chunk(self, chunk: Json) -> None:
        if chunk.get("object") != "chat.completion.chunk":
            self.fault(f"object is {chunk.get('object')!r}, not 'chat.completion.chunk'")
        if not isinstance(chunk.get("choices"), list):
            self.fault("a chunk without choices")
        if self.identity is not None and chunk.get("id") != self.identity:
            self.fault(f"the id changes from {self.identity!r} to {chunk.get('id')!r}")
        self.identity = chunk.get("id")
        for choice in dicts(chunk.get("choices")):
            index = integer(choice.get("index"))
            self.choices.setdefault(index, _Choice(self.fault)).take(choice)

    def ended(self) -> list[str]:
        if not self.choices:
            self.fault("no chunk with a choice")
        if not all(choice.finish for choice in self.choices.values()):
            self.fault("no finish_reason")
        if not self.done:
            self.fault("no [DONE]")
        return self.faults


class _Choice:
    """What has been seen of one choice."""

    def __init__(self, fault: Callable[[str], None]) -> None:
        self.fault = fault
        self.begun = False
        self.finish = ""
        self.calls: dict[int, str] = {}

    def take(self, choice: Json) -> None:
        delta = object_in(choice.get("delta"))
        if not self.begun and delta.get("role") != "assistant":
            self.fault("the first delta does not say role: assistant")
        self.begun = True
        if self.finish and (delta.get("content") or delta.get("tool_calls")):
            self.fault("content after finish_reason")
        for call in dicts(delta.get("tool_calls")):
            self._call(call)
        finish = str(choice.get("finish_reason") or "")
        if finish and self.finish and finish != self.finish:
            self.fault(f"finish_reason {finish!r} after {self.finish!r}")
        self.finish = self.finish or finish

    def _call(self, call: Json) -> None:
        index, call_id = call.get("index"), call.get("id")
        if not isinstance(index, int):
            self.fault("a tool call without an index")
        elif index not in self.calls:
            if not call_id or not object_in(call.get("function")).get("name"):
                self.fault(f"tool call {index} begins without id and name")
            if index != len(self.calls):
                self.fault(f"tool call {index} begins, expected index {len(self.calls)}")
            if call_id in self.calls.values():
                self.fault(f"tool call {call_id!r} has two indices")
            self.calls[index] = str(call_id)
        elif call_id and call_id != self.calls[index]:
            self.fault(f"tool call {index} changes its id")


def whole_faults(body: Json) -> list[str]:
    """What is wrong with an answer that was not streamed."""
    faults = [f"no {name}" for name in ("id", "model", "usage") if not body.get(name)]
    if body.get("object") != "chat.completion":
        faults.append(f"object is {body.get('object')!r}, not 'chat.completion'")
    choice = next(iter(dicts(body.get("choices"))), None)
    if choice is None:
        return [*faults, "no choice"]
    if object_in(choice.get("message")).get("role") != "assistant":
        faults.append("the message does not say role: assistant")
    if not choice.get("finish_reason"):
        faults.append("no finish_reason")
    return faults
