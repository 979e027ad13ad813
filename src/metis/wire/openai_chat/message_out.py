"""The parts of another shape's answer as one chat message. Its stream counterpart is `stream_out`.

Thinking goes out twice, as other servers do: its text as `reasoning_content`, and whole, with what
its model needs back, as `reasoning_details`, which clients replay untouched.
"""

from __future__ import annotations

from collections.abc import Sequence

from metis.ir.content import Opaque, Part, Refusal, Text, Thinking, ToolCall
from metis.wire.codec import ReplyContext
from metis.wire.openai_chat.citations import annotation_of
from metis.wire.openai_chat.fields import Object
from metis.wire.openai_chat.functions import free_text, plain_call
from metis.wire.openai_chat.notes import Notes
from metis.wire.openai_chat.reasoning import speak

CARRIED = "the proof of private reasoning rides in reasoning_details"


def foreign_message(parts: Sequence[Part], context: ReplyContext, notes: Notes) -> Object:
    """The message object; what it cannot say is noted with its place in the answer's content."""
    text = ""
    refusals: list[str] = []
    annotations: list[Object] = []
    calls: list[Object] = []
    thinking: list[Thinking] = []
    for index, part in enumerate(parts):
        path = f"content[{index}]"
        match part:
            case Text():
                annotations += _annotations(part, len(text), path, notes)
                text += part.text
            case Refusal():
                refusals.append(part.text)
            case Thinking():
                thinking.append(part)
                if part.signature is not None:
                    notes.carried(path, CARRIED)
            case ToolCall():
                calls.append(call_out(part, context))
            case Opaque(kind=kind):
                notes.lost(path, f"a {kind} block has no place in a chat answer")
            case _:
                notes.lost(path, f"{type(part).__name__} has no place in a chat answer")
    has_text = any(isinstance(part, Text) for part in parts)
    out: Object = {"role": "assistant", "content": text if has_text else None}
    out["refusal"] = "\n".join(refusals) if refusals else None
    spoken = speak(thinking)
    if spoken.details:
        spoken.content = [part.text for part in thinking if part.text]
        spoken.reasoning = []
    spoken.into(out)
    if annotations:
        out["annotations"] = annotations
    if calls:
        out["tool_calls"] = calls
    return out


def _annotations(part: Text, start: int, path: str, notes: Notes) -> list[Object]:
    found: list[Object] = []
    for index, citation in enumerate(part.citations):
        annotation = annotation_of(citation, start, len(part.text))
        if annotation is None:
            notes.lost(f"{path}.citations[{index}]", "chat answers cite web pages only")
        else:
            found.append(annotation)
    return found


def is_free_text(call: ToolCall, context: ReplyContext) -> bool:
    """Whether the client knows the tool as a custom one."""
    return call.kind == "custom" or call.name in context.custom_tools


def call_out(call: ToolCall, context: ReplyContext) -> Object:
    """The call in the form the client gave the tool; a function's empty arguments become an empty object."""
    if is_free_text(call, context):
        text = call.arguments if call.kind == "custom" else free_text(call.arguments)
        custom = {"name": call.name, "input": text}
        return {"id": call.call_id, "type": "custom", "custom": custom}
    out = plain_call(call, call.name)
    out["function"]["arguments"] = call.arguments or "{}"
    return out
