"""The tool calls of a chat stream, put together from their fragments. Prose and thinking are read elsewhere.

Servers differ: fragments by index (OpenAI), whole calls at once (xAI, Mistral), several in one chunk,
without an index (Mistral), all under index 0 with their own ids, repeated empty ids and names (Qwen).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, cast

from metis.ir.content import ToolCall
from metis.ir.stream import ArgumentsDelta, BlockStart, BlockStop, StreamEvent
from metis.wire.openai_chat.fields import Object, dump_text
from metis.wire.openai_chat.functions import LEGACY_CALL, made_call_id

_LEGACY = -1  # the key of a deprecated function call, which has no index


@dataclass(slots=True)
class _Call:
    index: int  # of its block
    call_id: str
    name: str
    kind: Literal["function", "custom"]
    opened: bool = False
    waiting: list[str] = field(default_factory=list[str])  # arguments that came before the name


class CallReader:
    """`count` is how many calls there were; `seed` makes ids for servers that give none."""

    def __init__(self) -> None:
        self.count = 0
        self.seed = ""
        self._open: dict[int, _Call] = {}
        self._last = 0
        self._moved: dict[int, int] = {}

    def read(self, delta: Object, next_index: int, events: list[StreamEvent]) -> int:
        """Turn the delta's calls into events; gives the next free block index."""
        calls = delta.get("tool_calls")
        for entry in cast(list[Any], calls) if isinstance(calls, list) else ():
            if isinstance(entry, dict):
                next_index = self._fragment(cast(Object, entry), next_index, events)
        legacy = delta.get("function_call")
        if isinstance(legacy, dict) and legacy:
            called: Object = {"index": _LEGACY, "function": cast(Object, legacy)}
            next_index = self._fragment(called, next_index, events)
        return next_index

    def close(self, events: list[StreamEvent]) -> None:
        for call in self._open.values():
            if not call.opened:
                _open(call, events)
            events.append(BlockStop(call.index))
        self._open.clear()

    def _fragment(self, entry: Object, next_index: int, events: list[StreamEvent]) -> int:
        custom = entry.get("type") == "custom" or "function" not in entry
        inner = entry.get("custom" if custom else "function")
        fields = cast(Object, inner) if isinstance(inner, dict) else {}
        call_id, name = _text(entry.get("id")), _text(fields.get("name"))
        place = self._key(entry, call_id, name)
        key = self._moved.get(place, place)
        call = self._open.get(key)
        if call is not None and call_id and call.call_id != call_id and name:
            # A second call under the same index: the server does not count.
            key = self._moved[place] = max(self._open) + 1
            call = None
        if call is None:
            call = _Call(
                index=next_index,
                call_id=call_id or self._made_id(key),
                name=name,
                kind="custom" if custom and key != _LEGACY else "function",
            )
            next_index += 1
            self.count += 1
            self._open[key] = call
        self._last = key
        if not call.opened:
            call.name = call.name or name
            if call.name:
                _open(call, events)
        text = _arguments(fields.get("input" if custom else "arguments"))
        if text and call.opened:
            events.append(ArgumentsDelta(call.index, text))
        elif text:
            call.waiting.append(text)
        return next_index

    def _key(self, entry: Object, call_id: str, name: str) -> int:
        index = entry.get("index")
        if isinstance(index, int) and not isinstance(index, bool):
            return index
        for key, call in self._open.items():
            if call_id and call.call_id == call_id:
                return key
        if call_id or name:
            return max(self._open, default=-1) + 1
        return self._last

    def _made_id(self, key: int) -> str:
        if key == _LEGACY:
            return f"{LEGACY_CALL}0"
        return made_call_id(self.seed, self.count)


def _open(call: _Call, events: list[StreamEvent]) -> None:
    call.opened = True
    part = ToolCall(call_id=call.call_id, name=call.name, arguments="", kind=call.kind)
    events.append(BlockStart(index=call.index, part=part))
    if call.waiting:
        events.append(ArgumentsDelta(call.index, "".join(call.waiting)))
        call.waiting.clear()


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _arguments(value: object) -> str:
    """Arguments text; an object (some servers write one) as its JSON."""
    return dump_text(value) if isinstance(value, dict) else _text(value)
