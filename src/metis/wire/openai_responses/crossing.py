"""Messages of another shape's IR as input items. The request around them is made in `request_out.py`.

Source: https://platform.openai.com/docs/api-reference/responses/create (input). What an item can't say is listed
with its path in the body that came in.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final

import msgspec

from metis.ir.content import Media, Opaque, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from metis.ir.request import Message
from metis.wire.codec import Note
from metis.wire.openai_responses.fields import SHAPE, Json
from metis.wire.openai_responses.items import summary_of
from metis.wire.openai_responses.parts import INPUT_TEXT, OUTPUT_TEXT, encode_media

_MAX_CALL_ID: Final = 64
_INDEX: Final = re.compile(r"\[\d+\]")
_PARAGRAPH: Final = "\n\n"
_DEFAULT_FILENAMES: Final = {"application/pdf": "document.pdf", "text/plain": "document.txt"}


def cross_messages(messages: tuple[Message, ...], notes: list[Note]) -> list[Json]:
    """The input items that say what `messages` say; what can't be said is added to `notes`."""
    crossing = _Crossing(notes)
    for index, message in enumerate(messages):
        crossing.take(message, f"messages[{index}]")
    return crossing.items


def call_id_of(call_id: str) -> str:
    """A call id within the API's 64 characters; the same for a call and its result, and from turn to turn."""
    if len(call_id) <= _MAX_CALL_ID:
        return call_id
    return f"call_{hashlib.sha256(call_id.encode()).hexdigest()[:48]}"


def note_extras(part: Any, path: str, notes: list[Note]) -> None:
    """List a node's leftover fields and its cache mark as lost."""
    notes.extend(
        Note("lost", f"{path}.{key}", "no counterpart in this API")
        for key, value in part.extras.items()
        if value not in (None, "", [], {})
    )
    if getattr(part, "cache", None) is not None:
        notes.append(Note("lost", f"{path}.cache_control", "this API caches by itself"))


def condensed(notes: list[Note]) -> tuple[Note, ...]:
    """One note for each kind of thing, with its first place and how many more there are."""
    counts: dict[tuple[str, str, str], int] = {}
    first: dict[tuple[str, str, str], Note] = {}
    for note in notes:
        key = (note.verb, _INDEX.sub("[]", note.path), note.why)
        counts[key] = counts.get(key, 0) + 1
        first.setdefault(key, note)
    return tuple(
        note
        if counts[key] == 1
        else Note(note.verb, note.path, f"{note.why} (and {counts[key] - 1} more)")
        for key, note in first.items()
    )


class _Crossing:
    """Items so far, and the message item that content still goes into."""

    def __init__(self, notes: list[Note]) -> None:
        self.items: list[Json] = []
        self._notes = notes
        self._content: list[Json] | None = None
        self._custom_calls: set[str] = set()

    def take(self, message: Message, path: str) -> None:
        self._content = None
        note_extras(message, path, self._notes)
        for index, part in enumerate(message.parts):
            # A tool's message of chat is its result.
            is_entry = message.text_form or message.role == "tool"
            where = path if is_entry else f"{path}.content[{index}]"
            if message.tools and isinstance(part, Opaque):
                continue  # what it says stands among the tools
            note_extras(part, where, self._notes)
            match part:
                case ToolCall():
                    self._call(part)
                case ToolResult():
                    self._result(part, where)
                case Thinking():
                    self._thinking(part, where)
                case Opaque() if part.shape == SHAPE:
                    self._lone(part.value)
                case Opaque():
                    self._lose(where, f"{part.kind} can only be read where it came from")
                case _:
                    self._say(message.role, part, where)

    def _say(self, role: str, part: Text | Refusal | Media, where: str) -> None:
        contents = self._contents(part, where, assistant=role == "assistant")
        if not contents:
            return
        if self._content is None:
            self._content = []
            told = "user" if role == "tool" else role
            self.items.append({"type": "message", "role": told, "content": self._content})
        self._content.extend(contents)

    def _contents(self, part: Part, where: str, *, assistant: bool) -> list[Json]:
        match part:
            case Text(text=text):
                if part.citations:
                    self._lose(f"{where}.citations", "input text carries no citations")
                return [{"type": OUTPUT_TEXT if assistant else INPUT_TEXT, "text": text}]
            case Refusal(text=text):
                if assistant:
                    return [{"type": "refusal", "refusal": text}]
                return [{"type": INPUT_TEXT, "text": text}]
            case Media() if assistant:
                self._lose(where, f"an assistant's {part.kind} cannot be sent back")
                return []
            case Media():
                return self._media(part, where)
            case _:
                self._lose(where, "no counterpart in this API")
                return []

    def _media(self, part: Media, where: str) -> list[Json]:
        if part.file_id is not None:
            self._lose(where, "a file id is only known to the provider it was uploaded to")
            return []
        if part.kind == "video" or (part.kind == "audio" and part.data is None):
            self._lose(where, f"this API takes no {part.kind}")
            return []
        for field in ("context", "citations_enabled"):
            if getattr(part, field):
                self._lose(f"{where}.{field}", "no counterpart in this API")
        if part.text is not None or part.parts is not None:
            return self._text_document(part, where)
        if part.kind == "image":
            return [
                encode_media(msgspec.structs.replace(part, extras={}, detail=part.detail or "auto"))
            ]
        if part.kind == "document" and part.data is not None and part.title is None:
            # The API refuses file data that has no name.
            name = _DEFAULT_FILENAMES.get(part.media_type, "document")
            part = msgspec.structs.replace(part, title=name)
        return [encode_media(part)]

    def _text_document(self, part: Media, where: str) -> list[Json]:
        """A document that is text: said as text, under its title."""
        texts: list[str] = [part.text] if part.text is not None else []
        others: list[Json] = []
        for index, inner in enumerate(part.parts or ()):
            if isinstance(inner, Text):
                texts.append(inner.text)
            else:
                place = f"{where}.source.content[{index}]"
                others.extend(self._contents(inner, place, assistant=False))
        heading = [part.title] if part.title else []
        self._notes.append(Note("mapped", where, "a text document is sent as plain text"))
        return [{"type": INPUT_TEXT, "text": _PARAGRAPH.join([*heading, *texts])}, *others]

    def _call(self, call: ToolCall) -> None:
        item: Json = {"type": "function_call", "call_id": call_id_of(call.call_id)}
        item["name"] = call.name
        if call.kind == "custom":
            self._custom_calls.add(call.call_id)
            item |= {"type": "custom_tool_call", "input": call.arguments}
        else:
            item["arguments"] = call.arguments or "{}"
        self._lone(item)

    def _result(self, result: ToolResult, where: str) -> None:
        custom = result.kind == "custom" or result.call_id in self._custom_calls
        if result.is_error:
            self._lose(f"{where}.is_error", "a result cannot be marked as an error")
        self._lone(
            {
                "type": "custom_tool_call_output" if custom else "function_call_output",
                "call_id": call_id_of(result.call_id),
                "output": self._output(result, where),
            }
        )

    def _output(self, result: ToolResult, where: str) -> str | list[Json]:
        """One string where there is one text, as every server of this API takes it; else a list."""
        contents: list[Json] = []
        for index, part in enumerate(result.content):
            path = where if result.as_text else f"{where}.content[{index}]"
            note_extras(part, path, self._notes)
            if isinstance(part, Opaque):
                # The model has to know what the tool answered, and there is no secret in it.
                said = msgspec.json.encode(part.value).decode()
                contents.append({"type": INPUT_TEXT, "text": said})
                self._notes.append(Note("mapped", path, f"{part.kind} is sent as JSON text"))
            else:
                contents.extend(self._contents(part, path, assistant=False))
        if not contents:
            return ""
        if len(contents) == 1 and contents[0]["type"] == INPUT_TEXT:
            return str(contents[0]["text"])
        return contents

    def _thinking(self, thinking: Thinking, where: str) -> None:
        if thinking.origin != SHAPE:
            self._lose(where, "reasoning can only be read by the model it came from")
            return
        item: Json = {"type": "reasoning", "summary": []}
        if thinking.item_id is not None:
            item["id"] = thinking.item_id
        if thinking.signature is not None:
            item["encrypted_content"] = thinking.signature
        if thinking.text and thinking.summary:
            item["summary"] = summary_of(thinking.summary_parts or (thinking.text,))
        elif thinking.text and thinking.signature is None:
            item["content"] = [{"type": "reasoning_text", "text": thinking.text}]
        self._lone(item)

    def _lone(self, item: Json) -> None:
        self._content = None
        self.items.append(item)

    def _lose(self, path: str, why: str) -> None:
        self._notes.append(Note("lost", path, why))
