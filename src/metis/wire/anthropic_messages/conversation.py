"""Another shape's messages as Anthropic's: two roles in turn, every tool call answered at once in the next message.

What the API insists on (platform.claude.com/docs/en/agents-and-tools/tool-use/handle-tool-calls and
docs/en/api/errors): the message after a `tool_use` begins with its `tool_result`; ids are unique and
match `^[a-zA-Z0-9_-]+$`; no text is blank. Tool blocks in the history need no `tools` in the request
(since February 2025). Bodies are always lists of blocks, never strings, so that the prefix a
provider has cached stays the same when a later turn adds to a message.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from metis.ir.content import Opaque, Part, Text, ToolCall, ToolResult
from metis.ir.request import Message, Request
from metis.wire.anthropic_messages.blocks_out import (
    cache_out,
    foreign_block,
    input_of,
    result_content,
)
from metis.wire.anthropic_messages.fields import Json
from metis.wire.anthropic_messages.notes import Notes
from metis.wire.anthropic_messages.tools_out import ToolsOut

# Said where a client never told what a call gave: without a result the API refuses the whole history.
NO_RESULT = "No result of this call was recorded."
# Said where a history begins with the assistant, or ends with it on a model that cannot continue its own words.
GO_ON = "Continue."

_UNFIT = re.compile(r"[^a-zA-Z0-9_-]")
_LISTS = {"openai_responses": "input"}


@dataclass(slots=True)
class _Call:
    """A tool call and, once seen, its result."""

    call_id: str
    path: str
    result: Json | None = None


@dataclass(slots=True)
class _Turn:
    role: Literal["user", "assistant"]
    blocks: list[Json] = field(default_factory=list[Json])
    calls: list[_Call] = field(default_factory=list[_Call])
    answers: bool = False  # it holds results of the turn before, which must not join the one after


@dataclass(slots=True)
class Conversation:
    """What `system` and `messages` hold."""

    system: list[Json]
    messages: list[Json]


def conversation_out(
    request: Request, tools: ToolsOut, notes: Notes, *, prefill: bool
) -> Conversation:
    """Write the whole conversation; `prefill` says whether the model may continue an assistant message."""
    writer = _Writer(tools, notes)
    for index, part in enumerate(request.system):
        writer.add_system(part, f"system[{index}]")
    list_name = _LISTS.get(request.origin, "messages")
    head = True
    for index, message in enumerate(request.messages):
        path = f"{list_name}[{index}]"
        if message.tools and not _parts(message, path):
            notes.add("mapped", path, "the tools it brings stand with the request's")
            continue
        head = head and message.role in ("system", "developer")
        if head:
            writer.add_head(message, path)
        else:
            writer.add(message, path)
    turns = _merged(_answered(_merged(writer.turns), notes))
    if not turns and writer.system:
        # A prompt that is only a system message is legal elsewhere; here somebody must speak.
        turns = [_Turn("user", [writer.system.pop()])]
        notes.add("mapped", f"{list_name}[0]", "the only message is sent as the user's")
    _close(turns, list_name, notes, prefill=prefill)
    messages: list[Json] = [{"role": turn.role, "content": turn.blocks} for turn in turns]
    return Conversation(writer.system, messages)


class _Writer:
    """Reads messages in order into turns; remembers calls until their results come."""

    def __init__(self, tools: ToolsOut, notes: Notes) -> None:
        self.turns: list[_Turn] = []
        self.system: list[Json] = []
        self._tools = tools
        self._notes = notes
        self._waiting: dict[str, _Call] = {}
        self._answered: dict[str, _Call] = {}
        self._ids: set[str] = set()

    def add_system(self, part: Part, path: str) -> None:
        if not isinstance(part, Text):
            self._notes.lost(path, "Anthropic's system prompt holds only text")
        elif (block := foreign_block(part, path, self._notes)) is not None:
            self.system.append(block)

    def add_head(self, message: Message, path: str) -> None:
        self._notes.lost_fields(message.extras, path)
        for part, part_path in _parts(message, path):
            self.add_system(part, part_path)

    def add(self, message: Message, path: str) -> None:
        self._notes.lost_fields(message.extras, path)
        role: Literal["user", "assistant"] = "assistant" if message.role == "assistant" else "user"
        if not self.turns or self.turns[-1].role != role:
            self.turns.append(_Turn(role))
        turn = self.turns[-1]
        if message.role in ("system", "developer"):
            why = f"a {message.role} message inside the conversation is sent as the user's"
            self._notes.add("mapped", path, why)
        for part, part_path in _parts(message, path):
            match part:
                case ToolCall():
                    self._call(turn, part, part_path)
                case ToolResult():
                    self._result(turn, part, part_path)
                case _:
                    block = foreign_block(part, part_path, self._notes)
                    if block is not None:
                        turn.blocks.append(block)

    def _call(self, turn: _Turn, part: ToolCall, path: str) -> None:
        self._notes.lost_fields(part.extras, path)
        if turn.role != "assistant":
            self._notes.lost(path, "a tool call that no assistant made")
            return
        arguments, valid = input_of(part)
        if not valid:
            why = "the arguments are no JSON object; kept whole under one name"
            self._notes.add("mapped", f"{path}.arguments", why)
        call = _Call(self._fresh_id(part.call_id, path), path)
        block: Json = {
            "type": "tool_use",
            "id": call.call_id,
            "name": self._tools.name_of(part.namespace, part.name),
            "input": arguments,
        }
        if part.cache is not None:
            block["cache_control"] = cache_out(part.cache)
        turn.blocks.append(block)
        turn.calls.append(call)
        self._waiting[part.call_id] = call

    def _fresh_id(self, call_id: str, path: str) -> str:
        """An id the API takes and this conversation has not used: the client's own where that is one."""
        base = _UNFIT.sub("_", call_id) or "call"
        fresh, number = base, 1
        while fresh in self._ids:
            number += 1
            fresh = f"{base}_{number}"
        self._ids.add(fresh)
        if fresh != call_id:
            self._notes.add("mapped", path, f"call id {call_id!r} is sent as {fresh!r}")
        return fresh

    def _result(self, turn: _Turn, part: ToolResult, path: str) -> None:
        self._notes.lost_fields(part.extras, path)
        call = self._waiting.pop(part.call_id, None)
        content = result_content(part, path, self._notes)
        if call is None:
            self._orphan(turn, part, content, path)
            return
        result: Json = {"type": "tool_result", "tool_use_id": call.call_id, "content": content}
        if part.is_error:
            result["is_error"] = True
        if part.cache is not None:
            result["cache_control"] = cache_out(part.cache)
        call.result = result
        self._answered[part.call_id] = call
        before = self.turns[-2].calls if len(self.turns) > 1 else []
        turn.answers = turn.answers or any(asked is call for asked in before)

    def _orphan(self, turn: _Turn, part: ToolResult, content: str | list[Json], path: str) -> None:
        """A result whose call is not in the history (cut off by the client) can only be told as text."""
        if part.call_id in self._answered:
            self._notes.lost(path, "a second result of one call")
            return
        self._notes.add("mapped", path, "the result of an unknown call is sent as text")
        turn.blocks.append({"type": "text", "text": f"Result of tool call {part.call_id}:"})
        if isinstance(content, list):
            turn.blocks.extend(content)
        elif content.strip():
            turn.blocks.append({"type": "text", "text": content})


def _parts(message: Message, path: str) -> list[tuple[Part, str]]:
    """The parts with their paths; Opaque entries whose tools were gathered elsewhere are left out."""
    parts = [p for p in message.parts if not (message.tools and isinstance(p, Opaque))]
    if len(message.parts) == 1:
        return [(part, path) for part in parts]
    return [(part, f"{path}.content[{index}]") for index, part in enumerate(parts)]


def _merged(turns: list[_Turn]) -> list[_Turn]:
    """Join neighbours of one role, empty turns left out. Text goes before calls, since results must follow these."""
    merged: list[_Turn] = []
    for turn in turns:
        if not turn.blocks and not turn.calls and not turn.answers:
            continue
        if merged and merged[-1].role == turn.role:
            merged[-1].blocks.extend(turn.blocks)
            merged[-1].calls.extend(turn.calls)
            merged[-1].answers = merged[-1].answers or turn.answers
        else:
            merged.append(turn)
    for turn in merged:
        if turn.calls and _text_after_call(turn.blocks):
            turn.blocks.sort(key=lambda block: block.get("type") == "tool_use")
    return merged


def _text_after_call(blocks: list[Json]) -> bool:
    kinds = [block.get("type") for block in blocks]
    return "text" in kinds[kinds.index("tool_use") :]


def _answered(turns: list[_Turn], notes: Notes) -> list[_Turn]:
    """Put each call's result at the head of the next user turn, which is made where there is none."""
    out: list[_Turn] = []
    for position, turn in enumerate(turns):
        out.append(turn)
        if not turn.calls:
            continue
        results = [_result_of(call, notes) for call in turn.calls]
        turn.calls = []
        following = turns[position + 1] if position + 1 < len(turns) else None
        if following is not None and following.role == "user":
            following.blocks[:0] = results
        else:
            out.append(_Turn("user", results))
    return out


def _result_of(call: _Call, notes: Notes) -> Json:
    if call.result is not None:
        return call.result
    notes.add(
        "edited", call.path, "the call has no result in the history; one that says so is added"
    )
    return {
        "type": "tool_result",
        "tool_use_id": call.call_id,
        "content": NO_RESULT,
        "is_error": True,
    }


def _close(turns: list[_Turn], list_name: str, notes: Notes, *, prefill: bool) -> None:
    if turns and turns[0].role == "assistant":
        turns.insert(0, _Turn("user", [{"type": "text", "text": GO_ON}]))
        notes.add("edited", f"{list_name}[0]", "a user message is put before the assistant's")
    if not turns or turns[-1].role != "assistant":
        return
    if not prefill:
        turns.append(_Turn("user", [{"type": "text", "text": GO_ON}]))
        notes.add("edited", list_name, "this model cannot continue its own words; it is asked to")
        return
    last = turns[-1].blocks[-1]
    text = last.get("text")
    if last.get("type") == "text" and isinstance(text, str) and text != text.rstrip():
        # The API answers 400: "final assistant content cannot end with trailing whitespace".
        last["text"] = text.rstrip()
        notes.add("edited", list_name, "white space at the end of the last message is cut off")
