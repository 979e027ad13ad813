"""The parts of another shape's answer as one chat message. Its stream counterpart is `stream_out`.

Thinking goes out twice, as other servers do: its text as `reasoning_content`, and whole, with what
its model needs back, as `reasoning_details`, which clients replay untouched.
"""

from __future__ import annotations

from collections.abc import Sequence

from metis.ir.content import Opaque, Part, Refusal, Text, Thinking, ToolCall
from metis.wire.codec import ReplyContext
from metis.wire.losses import (
    citation_path,
    lost_of_citation,
    lost_of_part,
    part_path,
    says_something,
)
from metis.wire.openai_chat.citations import annotation_of
from metis.wire.openai_chat.fields import Object
from metis.wire.openai_chat.functions import free_text, plain_call
from metis.wire.openai_chat.notes import Notes
from metis.wire.openai_chat.reasoning import speak

CARRIED = "the proof of private reasoning rides in reasoning_details"


# What a Responses answer repeats of its request, or says of itself as an object: nothing is lost with it.
_ECHOED = frozenset(
    {
        "object",
        "status",
        "background",
        "billing",
        "completed_at",
        "error",
        "frequency_penalty",
        "incomplete_details",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "parallel_tool_calls",
        "presence_penalty",
        "previous_response_id",
        "prompt",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning",
        "safety_identifier",
        "service_tier",
        "store",
        "temperature",
        "text",
        "tool_choice",
        "tool_usage",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "user",
    }
)


def lost_fields(origin: str, extras: Object) -> list[str]:
    """The names of an answer's own fields that a chat answer has no place for."""
    echoed: frozenset[str] = _ECHOED if origin == "openai_responses" else frozenset()
    return [key for key, value in extras.items() if key not in echoed and says_something(value)]


def foreign_message(
    origin: str, parts: Sequence[Part], context: ReplyContext, notes: Notes
) -> Object:
    """The message object; what it cannot say is noted with its place in the answer's content."""
    text = ""
    refusals: list[str] = []
    annotations: list[Object] = []
    calls: list[Object] = []
    thinking: list[Thinking] = []
    for index, part in enumerate(parts):
        path = part_path(origin, index)
        for lost in lost_of_part(part, path):
            notes.lost(lost, "has no place in a chat answer")
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
            notes.lost(citation_path(path, index), "chat answers cite web pages only")
        else:
            found.append(annotation)
            for lost in lost_of_citation(citation, citation_path(path, index)):
                notes.lost(lost, "has no place in a chat answer")
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
