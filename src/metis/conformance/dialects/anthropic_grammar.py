"""What a stream of Anthropic Messages must look like: https://platform.claude.com/docs/en/build-with-claude/streaming."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from metis.conformance.json_values import object_in
from metis.conformance.sse import Event

_DELTAS: Final = {
    "text_delta": ("text",),
    "citations_delta": ("text",),
    "thinking_delta": ("thinking",),
    "signature_delta": ("thinking",),
    "input_json_delta": ("tool_use", "server_tool_use", "mcp_tool_use"),
}


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
        self.started = self.told = self.stopped = False
        self.open: dict[int, str] = {}
        self.closed: set[int] = set()
        self.json: dict[int, str] = {}

    def fault(self, sentence: str) -> None:
        self.faults.append(sentence)

    def take(self, event: Event) -> None:
        value = event.object
        if value is None or "type" not in value:
            self.fault(f"an event's data is no object with a type: {event.data[:80]}")
            return
        kind = str(value["type"])
        if event.name != kind:
            self.fault(f"event {event.name!r} carries data of type {kind!r}")
        if kind == "ping":
            return
        if self.stopped:
            self.fault(f"{kind} after message_stop")
        if not self.started and kind not in ("message_start", "error"):
            self.fault(f"{kind} before message_start")
        match kind:
            case "message_start":
                self._start(value)
            case "content_block_start":
                self._open(value)
            case "content_block_delta":
                self._delta(value)
            case "content_block_stop":
                self._close(value)
            case "message_delta":
                self._told(value)
            case "message_stop":
                self.stopped = True
            case "error":
                self.fault(f"an error event: {event.data[:120]}")
            case _:
                return  # kinds may be added: clients skip what they do not know

    def _start(self, value: dict[str, Any]) -> None:
        if self.started:
            self.fault("a second message_start")
        self.started = True
        message = object_in(value.get("message"))
        for name in ("id", "role", "content", "model", "usage"):
            if name not in message:
                self.fault(f"message_start without message.{name}")

    def _open(self, value: dict[str, Any]) -> None:
        index = value.get("index")
        block = object_in(value.get("content_block"))
        if not isinstance(index, int) or index in self.open or index in self.closed:
            self.fault(f"content_block_start with the index {index!r}, which was used before")
            return
        if index != len(self.open) + len(self.closed):
            self.fault(f"content_block_start with index {index}, expected the next one")
        self.open[index] = str(block.get("type"))
        if self.told:
            self.fault("content_block_start after message_delta")

    def _delta(self, value: dict[str, Any]) -> None:
        index, delta = value.get("index"), object_in(value.get("delta"))
        kind = str(delta.get("type"))
        block = self.open.get(index) if isinstance(index, int) else None
        if block is None:
            self.fault(f"{kind} for block {index!r}, which is not open")
        elif kind in _DELTAS and block not in _DELTAS[kind]:
            self.fault(f"{kind} inside a {block} block")
        elif kind == "input_json_delta" and isinstance(index, int):
            self.json[index] = self.json.get(index, "") + str(delta.get("partial_json", ""))

    def _close(self, value: dict[str, Any]) -> None:
        index = value.get("index")
        if not isinstance(index, int) or index not in self.open:
            self.fault(f"content_block_stop for block {index!r}, which is not open")
            return
        del self.open[index]
        self.closed.add(index)
        arguments = self.json.get(index, "")
        try:
            whole: Any = json.loads(arguments or "{}")
        except ValueError:
            whole = None
        if not isinstance(whole, dict):
            self.fault(f"the input of block {index} is no JSON object: {arguments[:80]}")

    def _told(self, value: dict[str, Any]) -> None:
        self.told = True
        if self.open:
            self.fault(f"message_delta while block {min(self.open)} is open")
        if not object_in(value.get("delta")).get("stop_reason"):
            self.fault("message_delta without stop_reason")
        if not isinstance(object_in(value.get("usage")).get("output_tokens"), int):
            self.fault("message_delta without usage.output_tokens")

    def ended(self) -> list[str]:
        if not self.started:
            self.fault("no message_start")
        if not self.told:
            self.fault("no message_delta")
        if not self.stopped:
            self.fault("no message_stop")
        return self.faults


def whole_faults(body: dict[str, Any]) -> list[str]:
    """What is wrong with an answer that was not streamed."""
    faults = [
        f"no {name}"
        for name in ("id", "content", "model", "stop_reason", "usage")
        if name not in body
    ]
    if body.get("type") != "message":
        faults.append(f"type is {body.get('type')!r}, not 'message'")
    if body.get("role") != "assistant":
        faults.append(f"role is {body.get('role')!r}, not 'assistant'")
    if not isinstance(body.get("content"), list):
        faults.append("content is no array")
    return faults
