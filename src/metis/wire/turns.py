"""Another shape's conversation for APIs that want two roles in turn, and every tool call answered in the next message.

Anthropic's Messages API and Bedrock's Converse want the same (platform.claude.com/docs/en/agents-and-tools/tool-use,
docs.aws.amazon.com/bedrock/latest/userguide/tool-use-inference-call.html): the message after a call begins with its
result; ids are unique and match `^[a-zA-Z0-9_-]+$`; no text is blank. Tool blocks in the history need no `tools` in
the request (of Anthropic since February 2025). Bodies are always lists of blocks, never strings, so that the prefix a
provider has cached stays the same when a later turn adds to a message. How a block is written is each shape's business.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from metis.ir.content import Opaque, Part, Refusal, Text, ToolCall, ToolResult
from metis.ir.request import Message, Request
from metis.wire.arguments import input_of
from metis.wire.fields import Json
from metis.wire.notes import Notes

# Said where a client never told what a call gave: without a result the API refuses the whole history.
NO_RESULT: Final = "No result of this call was recorded."
# Said where a history begins with the assistant, or ends with it on a model that cannot continue its own words.
GO_ON: Final = "Continue."

_UNFIT: Final = re.compile(r"[^a-zA-Z0-9_-]")
_LISTS: Final = {"openai_responses": "input"}

Role = Literal["user", "assistant"]


class Blocks(Protocol):
    """How one API writes the parts of a conversation.

    Each gives the entries that stand for a part, none where it is lost (and noted); part and cache mark may be two.
    """

    def system(self, part: Part, path: str) -> list[Json]: ...

    def content(self, part: Part, path: str) -> list[Json]:
        """Anything but a tool call or result."""
        ...

    def call(self, part: ToolCall, call_id: str, arguments: Json) -> list[Json]: ...

    def result(self, part: ToolResult, call_id: str, path: str) -> list[Json]: ...

    def no_result(self, call_id: str) -> list[Json]:
        """An error that says NO_RESULT."""
        ...

    def loose_result(self, part: ToolResult, path: str) -> list[Json]:
        """What a result says, as a user's content."""
        ...

    def text(self, text: str) -> Json:
        """A plain text; the entry's `text` is the text."""
        ...


@dataclass(slots=True)
class Conversation:
    """What a request's `system` and `messages` hold; a message is its role and its blocks."""

    system: list[Json]
    messages: list[tuple[Role, list[Json]]]


@dataclass(slots=True)
class _Unit:
    """The entries of one part, which stay together."""

    kind: Literal["text", "call", "other"]
    entries: list[Json]


@dataclass(slots=True)
class _Call:
    """A tool call and, once seen, its result."""

    call_id: str
    path: str
    result: list[Json] | None = None


@dataclass(slots=True)
class _Turn:
    role: Role
    units: list[_Unit] = field(default_factory=list[_Unit])
    calls: list[_Call] = field(default_factory=list[_Call])
    answers: bool = False  # it holds results of the turn before, which must not join the one after


def conversation_out(
    request: Request, blocks: Blocks, notes: Notes, *, prefill: bool
) -> Conversation:
    """Write the whole conversation; `prefill` says whether the model may continue an assistant message."""
    writer = _Writer(blocks, notes)
    for index, part in enumerate(request.system):
        writer.system += blocks.system(part, f"system[{index}]")
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
    turns = _merged(_answered(_merged(writer.turns), blocks, notes))
    if not turns and writer.system:
        # A prompt that is only a system message is legal elsewhere; here somebody must speak.
        turns = [_Turn("user", [_Unit("text", [writer.system.pop()])])]
        notes.add("mapped", f"{list_name}[0]", "the only message is sent as the user's")
    _close(turns, list_name, blocks, notes, prefill=prefill)
    return Conversation(
        writer.system,
        [(turn.role, [entry for unit in turn.units for entry in unit.entries]) for turn in turns],
    )


class _Writer:
    """Reads messages in order into turns; remembers calls until their results come."""

    def __init__(self, blocks: Blocks, notes: Notes) -> None:
        self.turns: list[_Turn] = []
        self.system: list[Json] = []
        self._blocks = blocks
        self._notes = notes
        self._waiting: dict[str, _Call] = {}
        self._answered: dict[str, _Call] = {}
        self._ids: set[str] = set()

    def add_head(self, message: Message, path: str) -> None:
        self._notes.lost_fields(message.extras, path)
        for part, part_path in _parts(message, path):
            self.system += self._blocks.system(part, part_path)

    def add(self, message: Message, path: str) -> None:
        self._notes.lost_fields(message.extras, path)
        role: Role = "assistant" if message.role == "assistant" else "user"
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
                    kind = "text" if isinstance(part, Text | Refusal) else "other"
                    _add(turn, kind, self._blocks.content(part, part_path))

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
        _add(turn, "call", self._blocks.call(part, call.call_id, arguments))
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
        if call is None:
            self._orphan(turn, part, path)
            return
        call.result = self._blocks.result(part, call.call_id, path)
        self._answered[part.call_id] = call
        before = self.turns[-2].calls if len(self.turns) > 1 else []
        turn.answers = turn.answers or any(asked is call for asked in before)

    def _orphan(self, turn: _Turn, part: ToolResult, path: str) -> None:
        """A result whose call is not in the history (cut off by the client) can only be told as text."""
        if part.call_id in self._answered:
            self._notes.lost(path, "a second result of one call")
            return
        self._notes.add("mapped", path, "the result of an unknown call is sent as text")
        heading = self._blocks.text(f"Result of tool call {part.call_id}:")
        _add(turn, "text", [heading, *self._blocks.loose_result(part, path)])


def _add(turn: _Turn, kind: Literal["text", "call", "other"], entries: list[Json]) -> None:
    if entries:
        turn.units.append(_Unit(kind, entries))


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
        if not turn.units and not turn.calls and not turn.answers:
            continue
        if merged and merged[-1].role == turn.role:
            merged[-1].units.extend(turn.units)
            merged[-1].calls.extend(turn.calls)
            merged[-1].answers = merged[-1].answers or turn.answers
        else:
            merged.append(turn)
    for turn in merged:
        if turn.calls and _text_after_call(turn.units):
            turn.units.sort(key=lambda unit: unit.kind == "call")
    return merged


def _text_after_call(units: list[_Unit]) -> bool:
    kinds = [unit.kind for unit in units]
    return "text" in kinds[kinds.index("call") :]


def _answered(turns: list[_Turn], blocks: Blocks, notes: Notes) -> list[_Turn]:
    """Put each call's result at the head of the next user turn, which is made where there is none."""
    out: list[_Turn] = []
    for position, turn in enumerate(turns):
        out.append(turn)
        if not turn.calls:
            continue
        results = [_Unit("other", _result_of(call, blocks, notes)) for call in turn.calls]
        turn.calls = []
        following = turns[position + 1] if position + 1 < len(turns) else None
        if following is not None and following.role == "user":
            following.units[:0] = results
        else:
            out.append(_Turn("user", results))
    return out


def _result_of(call: _Call, blocks: Blocks, notes: Notes) -> list[Json]:
    if call.result is not None:
        return call.result
    why = "the call has no result in the history; one that says so is added"
    notes.add("edited", call.path, why)
    return blocks.no_result(call.call_id)


def _close(
    turns: list[_Turn], list_name: str, blocks: Blocks, notes: Notes, *, prefill: bool
) -> None:
    if turns and turns[0].role == "assistant":
        turns.insert(0, _Turn("user", [_Unit("text", [blocks.text(GO_ON)])]))
        notes.add("edited", f"{list_name}[0]", "a user message is put before the assistant's")
    if not turns or turns[-1].role != "assistant":
        return
    if not prefill:
        turns.append(_Turn("user", [_Unit("text", [blocks.text(GO_ON)])]))
        notes.add("edited", list_name, "this model cannot continue its own words; it is asked to")
        return
    last = turns[-1].units[-1]
    text = last.entries[0].get("text")
    if last.kind == "text" and isinstance(text, str) and text != text.rstrip():
        # The API answers 400: "final assistant content cannot end with trailing whitespace".
        last.entries[0]["text"] = text.rstrip()
        notes.add("edited", list_name, "white space at the end of the last message is cut off")
