"""What is answered where the script says nothing: the forced tool is called, a schema is filled, a text is repeated."""

from __future__ import annotations

from typing import Final

import msgspec

from metis.facts.usage import Usage
from metis.ir.content import Part, Text, ToolResult
from metis.ir.request import Message, Request, ToolChoice
from metis.providers.scripted.samples import sample
from metis.providers.scripted.script import ScriptedCall, ScriptedReply
from metis.wire.effective_tools import effective_tools
from metis.wire.tools import FlatTool, flatten_tools

_CHARACTERS_PER_TOKEN: Final = 4
_ASIDE: Final = ("system", "developer")


def echoed(reply: ScriptedReply, request: Request) -> ScriptedReply:
    """The reply with the content filled in.

    In order: a forced tool is called with arguments sampled from its schema; structured output is
    sampled likewise; tool results are repeated; the last thing the user said is. `max_tokens` holds.
    """
    forced = _forced_tool(request)
    if forced is not None:
        return msgspec.structs.replace(reply, tool_calls=(_call_of(forced),))
    text = _structured(request) or _repeated(request)
    most = (request.max_tokens or len(text)) * _CHARACTERS_PER_TOKEN
    if len(text) > most:
        return msgspec.structs.replace(reply, text=text[:most], stop=reply.stop or "max_tokens")
    return msgspec.structs.replace(reply, text=text)


def usage_of_lengths(body: bytes, reply: ScriptedReply) -> Usage:
    """Four bytes of the request's body, or characters of the answer, are one token, rounded up."""
    said = sum(len(text) for text in (reply.text, reply.thinking, reply.refusal) if text)
    said += sum(len(call.name) + len(arguments_text(call)) for call in reply.tool_calls)
    return Usage(
        input_tokens=tokens_of(len(body)),
        output_tokens=tokens_of(said),
        reasoning_tokens=tokens_of(len(reply.thinking or "")),
    )


def tokens_of(characters: int) -> int:
    return -(-characters // _CHARACTERS_PER_TOKEN)


def arguments_text(call: ScriptedCall) -> str:
    """Arguments as a model writes them: JSON text, or the script's own text untouched."""
    if isinstance(call.arguments, str):
        return call.arguments
    return msgspec.json.encode(call.arguments).decode()


def last_user_text(request: Request) -> str:
    """What the user said last, tool results aside; "" when nothing."""
    for message in reversed(request.messages):
        if message.role == "user":
            said = _text_of(message.parts)
            if said:
                return said
    return ""


def last_tool_results(request: Request) -> tuple[ToolResult, ...]:
    """The tools' answers that the conversation ends in, in order; empty when it does not."""
    found: list[ToolResult] = []
    for message in reversed(request.messages):
        if message.role in _ASIDE:
            continue
        results = _results_of(message)
        if not results:
            break
        found = [*results, *found]
    return tuple(found)


def _results_of(message: Message) -> list[ToolResult]:
    return [part for part in message.parts if isinstance(part, ToolResult)]


def _text_of(parts: tuple[Part, ...]) -> str:
    return "\n".join(part.text for part in parts if isinstance(part, Text))


def _repeated(request: Request) -> str:
    results = last_tool_results(request)
    if results:
        return "The tools said: " + "; ".join(_text_of(result.content) for result in results)
    return f"You said: {last_user_text(request)}"


def _structured(request: Request) -> str:
    wanted = request.output_format
    if wanted is None or wanted.kind == "text":
        return ""
    if wanted.schema is None:
        return "{}"
    return msgspec.json.encode(sample(wanted.schema)).decode()


def _forced_tool(request: Request) -> FlatTool | None:
    choice = request.tool_choice
    if choice is None:
        return None
    callable_tools = [
        flat
        for flat in flatten_tools(effective_tools(request))
        if flat.tool.kind in ("function", "custom")
    ]
    return next((flat for flat in callable_tools if _is_forced(flat, choice)), None)


def _is_forced(flat: FlatTool, choice: ToolChoice) -> bool:
    if choice.kind == "any":
        return True
    return choice.kind == "tool" and choice.name in (flat.name, flat.tool.name)


def _call_of(flat: FlatTool) -> ScriptedCall:
    if flat.tool.kind == "custom":
        return ScriptedCall(name=flat.name, arguments="scripted")
    return ScriptedCall(name=flat.name, arguments=sample(flat.tool.input_schema or {}) or {})
