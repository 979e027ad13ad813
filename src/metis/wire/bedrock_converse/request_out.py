"""IR into a Converse request: as it came for requests of this shape, translated and noted for others.

Reasoning and `top_k` are the models' own fields. A request that comes from another shape has them only for Claude,
by its name or because an Anthropic client asks: then the model behind an alias or an inference profile must be Claude.
"""

from __future__ import annotations

from typing import Final

from metis.ir.content import Part, Thinking
from metis.ir.request import Message, OutputFormat, Request, Tool
from metis.wire.bedrock_converse.blocks_out import cache_point, own_blocks
from metis.wire.bedrock_converse.foreign import ConverseBlocks
from metis.wire.bedrock_converse.name import API, CLAUDE, NAME
from metis.wire.bedrock_converse.tools_out import ToolsOut, tool_config_out, tools_out
from metis.wire.claude.generation import Generation, generation_of
from metis.wire.claude.reasoning import plan_reasoning
from metis.wire.codec import Encoded
from metis.wire.fields import Json, as_object, dump_json
from metis.wire.hints import json_hint
from metis.wire.notes import Notes
from metis.wire.turns import Conversation, conversation_out

# Anthropic's and OpenAI's tiers by what they ask of capacity; "auto" asks for nothing.
_TIERS: Final = {
    "default": "default",
    "standard_only": "default",
    "flex": "flex",
    "priority": "priority",
}
_REASONING_PATHS: Final = {"openai_chat": "reasoning_effort", "openai_responses": "reasoning"}
_FORMAT_PATHS: Final = {"openai_chat": "response_format", "openai_responses": "text.format"}
_USER_PATHS: Final = {"anthropic_messages": "metadata.user_id"}
_MET_ANYWAY: Final[dict[str, object]] = {"n": 1, "include": ["reasoning.encrypted_content"]}


def encode_request(request: Request) -> Encoded:
    """Encode for Bedrock. Model and stream go into the path. The same Request always gives the same bytes."""
    notes = Notes(API)
    if request.origin == NAME:
        return Encoded(dump_json(_own(request, notes)), notes.all())
    tools = tools_out(request, notes)
    body = _foreign(request, tools, notes)
    return Encoded(dump_json(body), notes.all(), tools.renamed)


def _own(request: Request, notes: Notes) -> Json:
    made: Json = {}
    if request.system:
        made["system"] = own_blocks(request.system)
    made["messages"] = [
        {"role": message.role, "content": own_blocks(parts), **message.extras}
        for index, message in enumerate(request.messages)
        if (parts := _own_parts(message, f"messages[{index}].content", notes)) or not message.parts
    ]
    extras = dict(request.extras)
    _merge(made, extras, "inferenceConfig", _inference(request, request.stop))
    _merge(made, extras, "additionalModelRequestFields", _own_more(request))
    _merge(made, extras, "toolConfig", _own_tool_config(request))
    if request.output_format is not None:
        made["outputConfig"] = _output_config(request.output_format)
    if request.metadata is not None:
        made["requestMetadata"] = request.metadata
    if request.service_tier is not None:
        made["serviceTier"] = {"type": request.service_tier}
    return {**extras, **made}


def _merge(body: Json, extras: Json, key: str, made: Json) -> None:
    """An object of which part is known: what was made, and what nobody took of it."""
    left = as_object(extras.get(key))
    if made or left is not None:
        body[key] = {**made, **(left or {})}


def _own_parts(message: Message, path: str, notes: Notes) -> list[Part]:
    """Reasoning that belongs to another shape is left out: no model here takes it."""
    kept: list[Part] = []
    for index, part in enumerate(message.parts):
        if isinstance(part, Thinking) and part.origin not in (NAME, CLAUDE):
            why = f"reasoning of {part.origin or 'unknown origin'} is not its own"
            notes.lost(f"{path}[{index}]", why)
        else:
            kept.append(part)
    return kept


def _inference(request: Request, stop: tuple[str, ...]) -> Json:
    wishes: Json = {
        "maxTokens": request.max_tokens,
        "temperature": request.temperature,
        "topP": request.top_p,
        "stopSequences": list(stop) or None,
    }
    return {name: value for name, value in wishes.items() if value is not None}


def _own_more(request: Request) -> Json:
    more: Json = {}
    reasoning = request.reasoning
    if reasoning is not None:
        thinking: Json = {"type": reasoning.mode}
        if reasoning.budget_tokens is not None:
            thinking["budget_tokens"] = reasoning.budget_tokens
        if reasoning.display:
            thinking["display"] = reasoning.display
        more["thinking"] = {**thinking, **reasoning.extras}
    if request.top_k is not None:
        more["top_k"] = request.top_k
    return more


def _own_tool_config(request: Request) -> Json:
    config: Json = {}
    tools: list[Json] = []
    for tool in request.tools:
        tools.append(_own_tool(tool))
        if tool.cache is not None:
            tools.append(cache_point(tool.cache))
    if tools:
        config["tools"] = tools
    choice = request.tool_choice
    if choice is not None:
        config["toolChoice"] = {choice.kind: {"name": choice.name} if choice.name else {}}
    return config


def _own_tool(tool: Tool) -> Json:
    if tool.kind == "server":
        return dict(tool.raw or {})
    spec: Json = {"name": tool.name}
    if tool.description is not None:
        spec["description"] = tool.description
    if tool.input_schema is not None:
        spec["inputSchema"] = {"json": tool.input_schema}
    if tool.strict is not None:
        spec["strict"] = tool.strict
    return {"toolSpec": {**spec, **tool.extras}}


def _output_config(wanted: OutputFormat) -> Json:
    schema: Json = {"schema": wanted.schema_text or dump_json(wanted.schema).decode()}
    if wanted.name:
        schema["name"] = wanted.name
    if wanted.description is not None:
        schema["description"] = wanted.description
    structure = {"jsonSchema": {**schema, **wanted.extras}}
    return {"textFormat": {"type": "json_schema", "structure": structure}}


def _foreign(request: Request, tools: ToolsOut, notes: Notes) -> Json:
    generation = generation_of(request.model)
    is_claude = "claude" in request.model.lower() or request.origin == CLAUDE
    prefill = generation.prefill if is_claude else False
    conversation = conversation_out(
        request, ConverseBlocks(tools, notes, request.origin), notes, prefill=prefill
    )
    body: Json = {}
    output = _format_out(request, generation if is_claude else None, conversation, notes)
    if conversation.system:
        body["system"] = conversation.system
    if request.cache is not None and conversation.messages:
        conversation.messages[-1][1].append(cache_point(request.cache))
        notes.add("mapped", "cache_control", "a cache point at the end of the conversation")
    body["messages"] = [{"role": role, "content": blocks} for role, blocks in conversation.messages]
    config = tool_config_out(request, tools, notes)
    more = _claude_fields(request, generation, config, notes) if is_claude else {}
    if not is_claude:
        _lose_model_fields(request, notes)
    inference = _sampling(request, generation if is_claude else None, more, notes)
    for name, value in (
        ("inferenceConfig", inference),
        ("toolConfig", config),
        ("additionalModelRequestFields", more),
        ("outputConfig", output),
    ):
        if value:
            body[name] = value
    _rest(body, request, notes)
    return body


def _claude_fields(
    request: Request, generation: Generation, config: Json | None, notes: Notes
) -> Json:
    more: Json = {}
    if request.origin == CLAUDE:
        return _as_asked(request)
    path = _reasoning_path(request)
    if request.reasoning is not None:
        notes.lost_fields(request.reasoning.extras, path)
    plan = plan_reasoning(
        request.reasoning, generation, request.max_tokens or generation.max_tokens, path, notes
    )
    forced = not {"any", "tool"}.isdisjoint((config or {}).get("toolChoice", {}))
    if plan.thinks and forced:
        notes.lost(path, "Claude does not reason where a tool call is forced")
    elif plan.thinking is not None:
        more["thinking"] = plan.thinking
    if plan.effort is not None:
        more["output_config"] = {"effort": plan.effort}
    if request.top_k is not None:
        more["top_k"] = request.top_k
    return more


def _reasoning_path(request: Request) -> str:
    """Where the client asked; chat clients name budgets as OpenRouter does."""
    if request.reasoning is not None and request.reasoning.budget_tokens is not None:
        return "reasoning"
    return _REASONING_PATHS.get(request.origin, "reasoning")


def _as_asked(request: Request) -> Json:
    """An Anthropic client asks for what its model takes, so it is taken at its word."""
    more = {name: value for name, value in _own_more(request).items() if name != "thinking"}
    reasoning = request.reasoning
    if reasoning is not None and reasoning.mode:
        more["thinking"] = _own_more(request)["thinking"]
    if reasoning is not None and reasoning.effort:
        more["output_config"] = {"effort": reasoning.effort}
    return more


def _lose_model_fields(request: Request, notes: Notes) -> None:
    reasoning = request.reasoning
    if reasoning is not None:
        path = _reasoning_path(request)
        if reasoning.effort or reasoning.mode or reasoning.budget_tokens or reasoning.summary:
            notes.lost(path, "each model on Bedrock has its own field for reasoning")
        notes.lost_fields(reasoning.extras, path)
    if request.top_k is not None:
        notes.lost("top_k", "each model on Bedrock has its own field for it")


def _sampling(request: Request, generation: Generation | None, more: Json, notes: Notes) -> Json:
    stop = tuple(text for text in request.stop if text.strip())
    if len(stop) < len(request.stop):
        notes.lost("stop", "a stop sequence of only white space is refused")
    wishes = _inference(request, stop)
    if generation is None or request.origin == CLAUDE:
        return wishes
    thinks = (as_object(more.get("thinking")) or {"type": "disabled"}).get("type") != "disabled"
    if generation.sampling == "refused" or thinks:
        why = "does not go with reasoning" if thinks else "is refused by this model"
        for name, path in (("temperature", "temperature"), ("topP", "top_p")):
            if wishes.pop(name, None) is not None:
                notes.lost(path, why)
        return wishes
    if request.temperature is not None and request.temperature > 1:
        wishes["temperature"] = 1.0
        notes.add("mapped", "temperature", f"{request.temperature} is sent as 1, Claude's highest")
    if generation.sampling == "one" and "temperature" in wishes and "topP" in wishes:
        del wishes["topP"]
        notes.lost("top_p", "this model takes temperature or top_p, not both")
    return wishes


def _format_out(
    request: Request, generation: Generation | None, conversation: Conversation, notes: Notes
) -> Json | None:
    wanted = request.output_format
    if wanted is None or wanted.kind == "text":
        return None
    path = _FORMAT_PATHS.get(request.origin, "output_format")
    notes.lost_fields(wanted.extras, path)
    takes_schema = generation is not None and generation.schema_output
    if wanted.kind == "json_schema" and wanted.schema is not None and takes_schema:
        kept = OutputFormat(
            kind="json_schema",
            schema=wanted.schema,
            name=wanted.name,
            description=wanted.description,
        )
        return _output_config(kept)
    notes.add("mapped", path, "asked for by a sentence in the system prompt")
    schema = wanted.schema if wanted.kind == "json_schema" else None
    conversation.system.append({"text": json_hint(schema)})
    return None


def _rest(body: Json, request: Request, notes: Notes) -> None:
    tier = request.service_tier
    if tier in _TIERS:
        body["serviceTier"] = {"type": _TIERS[tier]}
        if _TIERS[tier] != tier:
            notes.add("mapped", "service_tier", f"{tier} is sent as {_TIERS[tier]}")
    elif tier == "auto":
        notes.add("mapped", "service_tier", "auto is what Bedrock does where nothing is said")
    elif tier is not None:
        notes.lost("service_tier", f"Bedrock has no tier {tier}")
    for name, value, why in (
        ("seed", request.seed, f"{API} takes no seed"),
        ("prompt_cache_key", request.prompt_cache_key, "Bedrock caches by cache points"),
        ("store", request.store or None, "Bedrock stores no answers"),
        (_USER_PATHS.get(request.origin, "user"), request.user, f"{API} takes no user"),
        ("metadata", request.metadata or None, "its values are for the client's own provider"),
    ):
        if value is not None:
            notes.lost(name, why)
    extras = {
        key: value
        for key, value in request.extras.items()
        # What a stream tells at its end is the reply encoder's business.
        if key != "stream_options" and _MET_ANYWAY.get(key) != value
    }
    notes.lost_fields(extras, "")
