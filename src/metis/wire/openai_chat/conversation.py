"""Another shape's conversation as chat messages: neighbours merged, tool results right behind their calls.

What the API insists on: the messages after an assistant's tool calls are their results, of role
`tool`, text only. So images of a result follow in one user message behind the results.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from metis.ir.content import (
    Media,
    Node,
    Opaque,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from metis.ir.request import Message, Request
from metis.wire.losses import result_path, says_something
from metis.wire.openai_chat.fields import Object
from metis.wire.openai_chat.functions import call_of_function
from metis.wire.openai_chat.notes import Notes
from metis.wire.openai_chat.parts import SHAPE, plain_part
from metis.wire.openai_chat.reasoning import speak
from metis.wire.tools import FlatTool, short_name

_LISTS = {"openai_responses": "input"}
MAX_NAME_CHARACTERS = 64  # of a function; Anthropic allows 128
# Said where a client never told what a call gave.
NO_RESULT = "No result of this call was recorded."
# Bookkeeping of Responses items, which no model ever sees.
_BOOKKEEPING = frozenset({"id", "status"})
Role = Literal["system", "developer", "user"]


@dataclass(slots=True)
class _Assistant:
    """One assistant message: neighbours of the origin are gathered in it."""

    content: list[Object] = field(default_factory=list[Object])
    refusals: list[str] = field(default_factory=list[str])
    thinking: list[Thinking] = field(default_factory=list[Thinking])
    calls: list[Object] = field(default_factory=list[Object])


@dataclass(slots=True)
class _Result:
    call_id: str
    path: str
    message: Object
    media: list[Object]


def messages_out(request: Request, flat: tuple[FlatTool, ...], notes: Notes) -> list[Object]:
    """Write `messages`. Raises nothing: what cannot be said is noted."""
    writer = _Writer(request.origin, flat, notes)
    system = [
        made
        for index, part in enumerate(request.system)
        for made in writer.part(part, f"system[{index}]", "system")
    ]
    out: list[Object] = [{"role": "system", "content": _content(system)}] if system else []
    root = _LISTS.get(request.origin, "messages")
    for index, message in enumerate(request.messages):
        writer.add(message, f"{root}[{index}]")
    out.extend(_in_order(writer.items, notes))
    return out


class _Writer:
    """Reads messages in order into items: assistants, results, and finished messages of other roles."""

    def __init__(self, origin: str, flat: tuple[FlatTool, ...], notes: Notes) -> None:
        self.items: list[_Assistant | _Result | Object] = []
        self._origin = origin
        self._notes = notes
        self._names = {(item.namespace, item.tool.name): item.name for item in flat}

    def add(self, message: Message, path: str) -> None:
        self._note_extras(message.extras, path, "has no place in a chat message")
        rest: list[tuple[Part, str]] = []
        for index, part in enumerate(message.parts):
            if message.tools and isinstance(part, Opaque):
                self._notes.mapped(path, "the tools it brings stand with the request's")
                continue
            where = f"{path}.content[{index}]" if len(message.parts) > 1 else path
            if isinstance(part, ToolResult):
                self._result(part, where)
            else:
                rest.append((part, where))
        if message.role == "assistant":
            self._assistant(rest)
        elif rest:
            # `tool` entries hold nothing but results; whatever else stands there is the user's.
            role: Role = "user" if message.role == "tool" else message.role
            made = [item for part, where in rest for item in self.part(part, where, role)]
            if made:
                self.items.append({"role": role, "content": _content(made)})

    def part(
        self, part: Part, path: str, role: Role | Literal["tool", "assistant"]
    ) -> Iterator[Object]:
        """The content parts that stand for one IR part: none where it is lost, several for a nested document."""
        self._note_marks(part, path)
        match part:
            case Text(text=text):
                if part.citations:
                    self._notes.lost(f"{path}.citations", "chat messages cite nothing")
                yield {"type": "text", "text": text}
            case Refusal(text=text):
                yield {"type": "text", "text": text}
            case Media() if role == "user":
                yield from self._media(part, path)
            case Media(text=str()) | Media(parts=tuple()):
                yield from self._document_text(part, path)
            case Opaque(shape=shape, value=value) if shape == SHAPE:
                yield dict(value)
            case _:
                self._notes.lost(path, f"{_kind(part)} has no place in a message of role {role}")

    def _note_marks(self, part: Node, path: str) -> None:
        if part.cache is not None:
            self._notes.lost(f"{path}.cache_control", "cache marker")
        self._note_extras(part.extras, path, "has no place in a chat content part")

    def _note_extras(self, extras: Object, path: str, why: str) -> None:
        quiet: frozenset[str] = _BOOKKEEPING if self._origin == "openai_responses" else frozenset()
        for key, value in extras.items():
            if key not in quiet and says_something(value):
                self._notes.lost(f"{path}.{key}", why)

    def _media(self, media: Media, path: str) -> Iterator[Object]:
        if media.text is not None or media.parts is not None:
            yield from self._document_text(media, path)
            return
        if media.kind == "document" and media.url is not None:
            # Nothing is ever fetched for a client, and OpenAI's endpoint takes no address here.
            self._notes.mapped(path, "a linked document is sent as its address in words")
            yield {"type": "text", "text": f"{media.title or 'Document'}: {media.url}"}
            return
        foreign_file = media.file_id is not None and self._origin != "openai_responses"
        made = None if foreign_file or media.kind == "video" else plain_part(media)
        if made is None:
            why = "files belong to the provider they were given to" if foreign_file else "no form"
            self._notes.lost(path, f"{media.kind}: {why}")
            return
        if made["type"] == "file" and "file_data" in made["file"]:
            made["file"].setdefault("filename", "document.pdf")  # OpenAI asks for one with data
        if media.context:
            self._notes.lost(f"{path}.context", "has no place in a chat content part")
        yield made

    def _document_text(self, media: Media, path: str) -> Iterator[Object]:
        """A document of text, its title and context before it."""
        head = [text for text in (media.title, media.context) if text]
        if media.text is not None:
            self._notes.mapped(path, "a text document is sent as text")
            yield {"type": "text", "text": "\n\n".join([*head, media.text])}
            return
        self._notes.mapped(path, "a document's parts are sent one by one")
        for text in head:
            yield {"type": "text", "text": text}
        for index, part in enumerate(media.parts or ()):
            yield from self.part(part, f"{path}.content[{index}]", "user")

    def _assistant(self, parts: list[tuple[Part, str]]) -> None:
        last = self.items[-1] if self.items else None
        if not isinstance(last, _Assistant):
            last = _Assistant()
            self.items.append(last)
        for part, path in parts:
            match part:
                case ToolCall():
                    self._note_marks(part, path)
                    last.calls.append(call_of_function(part, self._name(part)))
                case Thinking() if part.origin == SHAPE:
                    last.thinking.append(part)
                case Thinking():
                    self._notes.lost(path, "thinking of another shape: no chat upstream reads it")
                case Refusal(text=text):
                    last.refusals.append(text)
                case Text(text=""):
                    pass
                case _:
                    last.content.extend(self.part(part, path, "assistant"))

    def _name(self, call: ToolCall) -> str:
        known = self._names.get((call.namespace, call.name))
        if known is not None:
            return known
        name = f"{call.namespace}__{call.name}" if call.namespace else call.name
        return short_name(name, MAX_NAME_CHARACTERS)

    def _result(self, result: ToolResult, path: str) -> None:
        self._note_marks(result, path)
        if result.is_error:
            self._notes.lost(f"{path}.is_error", "chat tool messages do not tell errors apart")
        texts: list[Object] = []
        media: list[Object] = []
        for index, part in enumerate(result.content):
            where = path if result.as_text else result_path(path, index)
            role = "user" if isinstance(part, Media) else "tool"
            for made in self.part(part, where, role):
                (texts if made.get("type") == "text" else media).append(made)
        if media:
            self._notes.mapped(path, "media of a tool result follow in a user message")
            media.insert(0, _heading(result.call_id))
        content = _content(texts) if texts else "See the next message." if media else ""
        message: Object = {"role": "tool", "tool_call_id": result.call_id, "content": content}
        self.items.append(_Result(result.call_id, path, message, media))


def _content(parts: list[Object]) -> str | list[Object]:
    """A lone text as a string, which every compatible server reads; else the list of parts."""
    if len(parts) == 1 and parts[0].get("type") == "text":
        return str(parts[0]["text"])
    return parts


def _kind(part: Part) -> str:
    return part.kind if isinstance(part, Opaque | Media) else type(part).__name__.lower()


def _in_order(items: list[_Assistant | _Result | Object], notes: Notes) -> Iterator[Object]:
    """The messages, each call's result moved to right behind the assistant message that made it.

    The API refuses a call without a result and a result without a call: the first gets a result that
    says so, the second is told as the user's text.
    """
    waiting: dict[str, deque[int]] = defaultdict(deque)
    for position, item in enumerate(items):
        if isinstance(item, _Result):
            waiting[item.call_id].append(position)
    moved: set[int] = set()
    called: set[str] = set()
    for position, item in enumerate(items):
        if isinstance(item, _Assistant):
            message = _assistant_message(item)
            if message is None:
                continue
            yield message
            found, silent = _results_of(item, position, waiting)
            moved.update(found)
            called.update(str(call["id"]) for call in item.calls)
            results = [held for place in found if isinstance(held := items[place], _Result)]
            yield from _result_messages([*results, *(_no_result(call, notes) for call in silent)])
        elif isinstance(item, _Result):
            if position in moved:
                continue
            if item.call_id in called:
                notes.lost(item.path, "a second result of one call")
            else:
                notes.mapped(item.path, "the result of an unknown call is sent as the user's text")
                yield {"role": "user", "content": _told(item)}
        else:
            yield item


def _results_of(
    assistant: _Assistant, position: int, waiting: dict[str, deque[int]]
) -> tuple[list[int], list[Object]]:
    """(places of the first results after `position` that answer the calls, in their order; calls without one)."""
    found: list[int] = []
    silent: list[Object] = []
    for call in assistant.calls:
        places = waiting[str(call["id"])]
        while places and places[0] < position:
            places.popleft()
        if places:
            found.append(places.popleft())
        else:
            silent.append(call)
    return sorted(found), silent


def _no_result(call: Object, notes: Notes) -> _Result:
    call_id = str(call["id"])
    notes.edited("messages", "a call without a result gets one that says so")
    message: Object = {"role": "tool", "tool_call_id": call_id, "content": NO_RESULT}
    return _Result(call_id, "", message, [])


def _told(result: _Result) -> list[Object]:
    content: str | list[Object] = result.message["content"]
    said: list[Object] = (
        [{"type": "text", "text": content}] if isinstance(content, str) else content
    )
    return [_heading(result.call_id), *said, *result.media[1:]]


def _heading(call_id: str) -> Object:
    return {"type": "text", "text": f"Output of tool call {call_id}:"}


def _result_messages(results: list[_Result]) -> Iterator[Object]:
    for result in results:
        yield result.message
    media = [part for result in results for part in result.media]
    if media:
        yield {"role": "user", "content": media}


def _assistant_message(assistant: _Assistant) -> Object | None:
    """None where nothing of it is left (thinking alone): an empty assistant message is refused."""
    if not assistant.content and not assistant.calls and not assistant.refusals:
        return None
    out: Object = {"role": "assistant", "content": None}
    if assistant.content:
        out["content"] = _content(assistant.content)
    if assistant.refusals:
        out["refusal"] = "\n".join(assistant.refusals)
    speak(assistant.thinking).into(out)
    if assistant.calls:
        out["tool_calls"] = assistant.calls
    return out
