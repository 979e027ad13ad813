"""A request of any origin as a body of this shape. Its messages cross in `crossing.py`.

Sources: https://platform.openai.com/docs/api-reference/responses/create, and for what is mapped from
https://docs.anthropic.com/en/api/messages and https://platform.openai.com/docs/api-reference/chat/create.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from metis.ir.content import Part, Text
from metis.ir.request import OutputFormat, Reasoning, Request, Tool, ToolChoice
from metis.wire.codec import Encoded, Note
from metis.wire.effective_tools import effective_tools
from metis.wire.openai_responses.crossing import condensed, cross_messages, note_extras
from metis.wire.openai_responses.fields import SHAPE, Json, object_or_empty
from metis.wire.openai_responses.request_own import encode_own, is_foreign

_MIN_OUTPUT_TOKENS: Final = 16
_MAX_USER: Final = 64
_MAX_METADATA_PAIRS: Final = 16
_MAX_METADATA_KEY: Final = 64
_MAX_METADATA_VALUE: Final = 512
_ENCRYPTED: Final = "reasoning.encrypted_content"
# A budget of thinking tokens as an effort: up to the first bound low, up to the second medium, else high.
# Claude Code asks for 4,000 tokens (think), 10,000 (think hard) and 31,999 (ultrathink).
LOW_BUDGET_TOKENS: Final = 4_096
MEDIUM_BUDGET_TOKENS: Final = 16_384
_EFFORTS: Final = frozenset({"none", "minimal", "low", "medium", "high", "xhigh", "max"})
# Fields of chat that this API has under the same name and meaning.
_SAME_NAMES: Final = frozenset({"safety_identifier", "prompt_cache_retention"})
_SERVICE_TIERS: Final = {"standard_only": "default", "standard": "default"}


def encode_request(request: Request) -> Encoded:
    """A request body; equal JSON to what came in where it came in this shape, but for other shapes' reasoning."""
    notes: list[Note] = []
    if request.origin == SHAPE:
        notes.extend(
            Note("lost", f"input[{index}]", "reasoning can only be read by the model it came from")
            for index, message in enumerate(request.messages)
            if is_foreign(message)
        )
        return Encoded(msgspec.json.encode(encode_own(request)), tuple(notes))
    body = _cross(request, notes)
    return Encoded(msgspec.json.encode(body), condensed(notes))


def _cross(request: Request, notes: list[Note]) -> Json:
    body: Json = {"model": request.model}
    instructions = _instructions(request.system, notes)
    if instructions is not None:
        body["instructions"] = instructions
    body["input"] = cross_messages(request.messages, notes)
    tools = _tools(effective_tools(request), notes)
    if tools:
        body["tools"] = tools
        if request.tool_choice is not None:
            body["tool_choice"] = _tool_choice(request.tool_choice, tools, notes)
        if request.parallel_tool_calls is not None:
            body["parallel_tool_calls"] = request.parallel_tool_calls
    if request.reasoning is not None:
        _reasoning(request.reasoning, body, notes)
    text = _text(request.output_format, request.extras.get("verbosity"), notes)
    if text:
        body["text"] = text
    _limits(request, body, notes)
    body["store"] = bool(request.store)
    if request.stream is not None:
        body["stream"] = request.stream
    _identity(request, body, notes)
    _extras(request, body, notes)
    return body


def _instructions(system: tuple[Part, ...], notes: list[Note]) -> str | None:
    texts: list[str] = []
    for index, part in enumerate(system):
        note_extras(part, f"system[{index}]", notes)
        if isinstance(part, Text):
            texts.append(part.text)
        else:
            notes.append(Note("lost", f"system[{index}]", "instructions are text"))
    return "\n\n".join(texts) if texts else None


def _tools(tools: tuple[Tool, ...], notes: list[Note]) -> list[Json]:
    made: list[Json] = []
    for index, tool in enumerate(tools):
        path = f"tools[{index}]"
        encoded = _tool(tool, path, notes)
        if encoded is not None:
            made.append(encoded)
    return made


def _tool(tool: Tool, path: str, notes: list[Note]) -> Json | None:
    if tool.kind == "server":
        return _server_tool(tool, path, notes)
    note_extras(tool, path, notes)
    encoded: Json = {"type": tool.kind, "name": tool.name}
    if tool.description is not None:
        encoded["description"] = tool.description
    if tool.kind == "namespace":
        members = [_tool(member, path, notes) for member in tool.tools]
        encoded["tools"] = [member for member in members if member is not None]
    elif tool.kind == "custom":
        if tool.format is not None:
            encoded["format"] = _grammar(tool.format)
    else:
        encoded["parameters"] = tool.input_schema or {"type": "object", "properties": {}}
        # Left out it would mean strict here, and most schemas that were not written for it do not pass.
        encoded["strict"] = bool(tool.strict)
    return encoded


def _grammar(form: Json) -> Json:
    """A custom tool's format: chat nests the grammar in an object of its own."""
    nested = object_or_empty(form.get("grammar"))
    return {"type": form.get("type", "grammar"), **nested} if nested else form


def _server_tool(tool: Tool, path: str, notes: list[Note]) -> Json | None:
    """Anthropic's web search is OpenAI's; no other server tool has a twin."""
    raw = tool.raw or {}
    kind = raw.get("type")
    if not isinstance(kind, str) or not kind.startswith("web_search"):
        notes.append(Note("lost", path, f"{tool.name} is run by the provider it belongs to"))
        return None
    encoded: Json = {"type": "web_search"}
    domains = raw.get("allowed_domains")
    if domains:
        encoded["filters"] = {"allowed_domains": domains}
    if raw.get("user_location"):
        encoded["user_location"] = raw["user_location"]
    notes.append(Note("mapped", path, f"{kind} becomes web_search"))
    said = ("type", "name", "allowed_domains", "user_location")
    notes.extend(
        Note("lost", f"{path}.{key}", "no counterpart in this API")
        for key, value in raw.items()
        if key not in said and value is not None
    )
    return encoded


def _tool_choice(choice: ToolChoice, tools: list[Json], notes: list[Note]) -> str | Json:
    if choice.kind != "tool":
        return {"auto": "auto", "none": "none", "any": "required"}[choice.kind]
    named = next((tool for tool in tools if tool.get("name") == choice.name), None)
    if named is not None:
        return {"type": named["type"], "name": choice.name}
    # A server tool cannot be named by this API's choices under its present type; to require some tool is
    # the same where it stands alone, as in Claude Code's web search.
    notes.append(
        Note("mapped", "tool_choice", f"{choice.name} cannot be named; some tool is required")
    )
    return "required"


def _reasoning(reasoning: Reasoning, body: Json, notes: list[Note]) -> None:
    note_extras(reasoning, "reasoning", notes)
    if reasoning.mode == "disabled" and not reasoning.effort:
        notes.append(
            Note("lost", "thinking", "not every model can leave reasoning; its default stands")
        )
        return
    wish: Json = {}
    effort = reasoning.effort or _effort_of(reasoning.budget_tokens)
    if effort in _EFFORTS:
        wish["effort"] = effort
    elif effort:
        notes.append(Note("lost", "reasoning.effort", f"{effort!r} is no effort of this API"))
    if reasoning.budget_tokens is not None and effort:
        told = f"{reasoning.budget_tokens} tokens of thinking become effort {effort}"
        # Without a mode it is a chat client's, which names budgets as OpenRouter does.
        path = "thinking.budget_tokens" if reasoning.mode else "reasoning.max_tokens"
        notes.append(Note("mapped", path, told))
    if reasoning.summary:
        wish["summary"] = reasoning.summary
    elif reasoning.mode in ("enabled", "adaptive") and reasoning.display != "omitted":
        wish["summary"] = "auto"
    body["reasoning"] = wish
    # Without it the model's reasoning could not come back in the next turn, for nothing is stored.
    body["include"] = [_ENCRYPTED]


def _effort_of(budget_tokens: int | None) -> str:
    if budget_tokens is None:
        return ""
    if budget_tokens <= LOW_BUDGET_TOKENS:
        return "low"
    return "medium" if budget_tokens <= MEDIUM_BUDGET_TOKENS else "high"


def _text(output_format: OutputFormat | None, verbosity: Any, notes: list[Note]) -> Json:
    text: Json = {}
    if output_format is not None:
        note_extras(output_format, "response_format", notes)
        encoded: Json = {"type": output_format.kind}
        if output_format.kind == "json_schema":
            encoded["name"] = output_format.name or "response"
            encoded["schema"] = output_format.schema or {}
            if output_format.strict is not None:
                encoded["strict"] = output_format.strict
            if output_format.description is not None:
                encoded["description"] = output_format.description
        text["format"] = encoded
    if isinstance(verbosity, str):
        text["verbosity"] = verbosity
    return text


def _limits(request: Request, body: Json, notes: list[Note]) -> None:
    if request.max_tokens is not None:
        body["max_output_tokens"] = max(_MIN_OUTPUT_TOKENS, request.max_tokens)
        if request.max_tokens < _MIN_OUTPUT_TOKENS:
            field = request.max_tokens_field or "max_tokens"
            notes.append(Note("mapped", field, f"{_MIN_OUTPUT_TOKENS} is the least this API takes"))
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.top_p is not None:
        body["top_p"] = request.top_p
    for field, value in (("top_k", request.top_k), ("seed", request.seed), ("stop", request.stop)):
        if value is not None and value != ():
            name = "stop_sequences" if field == "stop" and not _is_chat(request) else field
            notes.append(Note("lost", name, "no counterpart in this API"))
    if request.cache is not None:
        notes.append(Note("lost", "cache_control", "this API caches by itself"))


def _identity(request: Request, body: Json, notes: list[Note]) -> None:
    if request.user is not None:
        if len(request.user) <= _MAX_USER:
            body["user"] = request.user
        else:
            field = "user" if _is_chat(request) else "metadata.user_id"
            notes.append(Note("lost", field, f"over the {_MAX_USER} characters this API takes"))
    kept: Json = {}
    for key, value in (request.metadata or {}).items():
        fits = len(key) <= _MAX_METADATA_KEY and len(kept) < _MAX_METADATA_PAIRS
        if isinstance(value, str) and len(value) <= _MAX_METADATA_VALUE and fits:
            kept[key] = value
        else:
            notes.append(Note("lost", f"metadata.{key}", "over what this API takes as metadata"))
    if kept:
        body["metadata"] = kept
    if request.service_tier is not None:
        body["service_tier"] = _SERVICE_TIERS.get(request.service_tier, request.service_tier)
    if request.prompt_cache_key is not None:
        body["prompt_cache_key"] = request.prompt_cache_key


def _extras(request: Request, body: Json, notes: list[Note]) -> None:
    for key, value in request.extras.items():
        if key in _SAME_NAMES:
            body[key] = value
        elif value is not None and not (key == "verbosity" and isinstance(value, str)):
            notes.append(Note("lost", key, "no counterpart in this API"))


def _is_chat(request: Request) -> bool:
    return request.origin == "openai_chat"
