"""IR into a Messages API request: as it came for requests of this shape, translated and noted for others.

What a crossing decides here, beside the tables of `generation` and `reasoning`:

- `max_tokens` is required; where the client named none the generation's default is sent and noted.
- `temperature` above 1 becomes 1. Sampling is dropped where the model refuses it or reasons.
- `json_object`, and a schema on a model without structured output, become a sentence in `system`.
"""

from __future__ import annotations

from metis.ir.content import Part, Thinking
from metis.ir.request import Message, OutputFormat, Request, Tool
from metis.wire.anthropic_messages.blocks_of_turns import AnthropicBlocks
from metis.wire.anthropic_messages.blocks_out import cache_out, own_block
from metis.wire.anthropic_messages.name import NAME
from metis.wire.anthropic_messages.tools_out import tool_choice_out, tools_out
from metis.wire.claude.generation import Generation, generation_of
from metis.wire.claude.reasoning import Plan, plan_reasoning
from metis.wire.claude.schema import constrain
from metis.wire.codec import Encoded
from metis.wire.fields import Json, dump_json
from metis.wire.hints import json_hint
from metis.wire.notes import Notes
from metis.wire.turns import Conversation, conversation_out

# OpenAI's tiers by what they ask of capacity; Anthropic has only these two.
SERVICE_TIERS = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}
_REASONING_PATHS = {"openai_chat": "reasoning_effort", "openai_responses": "reasoning"}
_FORMAT_PATHS = {"openai_chat": "response_format", "openai_responses": "text.format"}
# Wishes that are met anyway, so nothing is lost with them: one answer, reasoning that can be replayed.
_MET_ANYWAY: dict[str, object] = {"n": 1, "include": ["reasoning.encrypted_content"]}


def encode_request(request: Request) -> Encoded:
    """Encode for an Anthropic upstream. The same Request always gives the same bytes."""
    notes = Notes("the Messages API")
    body = _own(request, notes) if request.origin == NAME else _foreign(request, notes)
    return Encoded(dump_json(body), notes.all())


def _own(request: Request, notes: Notes) -> Json:
    """The body as it was decoded. Only reasoning that belongs to another shape is left out: Anthropic refuses it."""
    body: Json = {}
    _put(body, "model", request.model or None)
    _put(body, "max_tokens", request.max_tokens)
    if request.system:
        body["system"] = _own_content(request.system, text_form=request.system_text_form)
    body["messages"] = [
        {"role": message.role, "content": content, **message.extras}
        for index, message in enumerate(request.messages)
        if (content := _own_message(message, f"messages[{index}].content", notes)) is not None
    ]
    if request.tools:
        body["tools"] = [_own_tool(tool) for tool in request.tools]
    if request.tool_choice is not None:
        choice: Json = {"type": request.tool_choice.kind}
        if request.tool_choice.kind == "tool":
            choice["name"] = request.tool_choice.name
        if request.parallel_tool_calls is not None:
            choice["disable_parallel_tool_use"] = not request.parallel_tool_calls
        body["tool_choice"] = {**choice, **request.tool_choice.extras}
    _put(body, "temperature", request.temperature)
    _put(body, "top_p", request.top_p)
    _put(body, "top_k", request.top_k)
    if request.stop:
        body["stop_sequences"] = list(request.stop)
    _own_output(body, request)
    if request.user is not None or request.metadata is not None:
        user = {} if request.user is None else {"user_id": request.user}
        body["metadata"] = {**user, **(request.metadata or {})}
    _put(body, "service_tier", request.service_tier)
    _put(body, "stream", request.stream)
    if request.cache is not None:
        body["cache_control"] = cache_out(request.cache)
    config = request.extras.get("output_config")
    if isinstance(config, dict):
        body["output_config"] = {**body.get("output_config", {}), **config}
    return {**request.extras, **body}


def _put(body: Json, key: str, value: object) -> None:
    if value is not None:
        body[key] = value


def _own_message(message: Message, path: str, notes: Notes) -> str | list[Json] | None:
    kept: list[Part] = []
    for index, part in enumerate(message.parts):
        if isinstance(part, Thinking) and part.origin != NAME:
            why = f"reasoning of {part.origin or 'unknown origin'} is not Anthropic's"
            notes.lost(f"{path}[{index}]", why)
        else:
            kept.append(part)
    if message.parts and not kept:
        return None
    return _own_content(tuple(kept), text_form=message.text_form)


def _own_content(parts: tuple[Part, ...], *, text_form: bool) -> str | list[Json]:
    blocks = [own_block(part) for part in parts]
    if text_form and len(blocks) == 1:
        return str(blocks[0]["text"])
    return blocks


def _own_tool(tool: Tool) -> Json:
    if tool.kind == "server":
        return dict(tool.raw or {})
    block: Json = {"type": "custom"} if tool.type_given else {}
    block["name"] = tool.name
    _put(block, "description", tool.description)
    _put(block, "input_schema", tool.input_schema)
    _put(block, "strict", tool.strict)
    if tool.cache is not None:
        block["cache_control"] = cache_out(tool.cache)
    return {**block, **tool.extras}


def _own_output(body: Json, request: Request) -> None:
    reasoning, output_format = request.reasoning, request.output_format
    config: Json = {}
    if reasoning is not None:
        if reasoning.mode:
            thinking: Json = {"type": reasoning.mode}
            _put(thinking, "budget_tokens", reasoning.budget_tokens)
            _put(thinking, "display", reasoning.display or None)
            body["thinking"] = {**thinking, **reasoning.extras}
        _put(config, "effort", reasoning.effort or None)
    if output_format is not None:
        written = {
            "type": "json_schema",
            "schema": output_format.schema,
            **output_format.extras,
        }
        if output_format.field:
            body[output_format.field] = written
        else:
            config["format"] = written
    if config:
        body["output_config"] = config


def _foreign(request: Request, notes: Notes) -> Json:
    generation = generation_of(request.model)
    tools = tools_out(request, generation, notes)
    choice = tool_choice_out(request, tools, notes)
    blocks = AnthropicBlocks(tools, notes)
    conversation = conversation_out(request, blocks, notes, prefill=generation.prefill)
    max_tokens = request.max_tokens
    if max_tokens is None:
        max_tokens = generation.max_tokens
        why = f"Anthropic needs a limit and the client named none; {max_tokens} is sent"
        notes.add("edited", "max_tokens", why)
    plan = _plan(request, generation, max_tokens, choice, conversation, notes)
    config: Json = {} if plan.effort is None else {"effort": plan.effort}
    _format_out(request, generation, config, conversation, notes)
    body: Json = {"model": request.model, "max_tokens": max_tokens}
    if conversation.system:
        body["system"] = conversation.system
    body["messages"] = [{"role": role, "content": blocks} for role, blocks in conversation.messages]
    if tools.tools:
        body["tools"] = tools.tools
    _put(body, "tool_choice", choice)
    _put(body, "thinking", plan.thinking)
    if config:
        body["output_config"] = config
    _sampling(body, request, generation, plan, notes)
    _stop(body, request, notes)
    if request.user is not None:
        body["metadata"] = {"user_id": request.user}
    _put(body, "stream", request.stream)
    if request.cache is not None:
        body["cache_control"] = cache_out(request.cache)
    _rest(body, request, notes)
    return body


def _plan(
    request: Request,
    generation: Generation,
    max_tokens: int,
    choice: Json | None,
    conversation: Conversation,
    notes: Notes,
) -> Plan:
    path = _REASONING_PATHS.get(request.origin, "reasoning")
    if request.reasoning is not None:
        if request.reasoning.budget_tokens is not None:
            path = "reasoning"  # chat clients name budgets as OpenRouter does
        notes.lost_fields(request.reasoning.extras, path)
    plan = plan_reasoning(request.reasoning, generation, max_tokens, path, notes)
    if not plan.thinks:
        return plan
    if choice is not None and choice.get("type") in ("any", "tool"):
        # The API answers 400: "Thinking may not be enabled when tool_choice forces tool use."
        notes.lost(path, "Anthropic does not reason where a tool call is forced")
        return Plan(None, plan.effort)
    if "budget_tokens" in (plan.thinking or {}) and _unsigned_loop(conversation):
        # The API answers 400: "Expected `thinking` ... but found `tool_use`".
        notes.lost(path, "the tool loop under way has no reasoning of Anthropic to go on from")
        return Plan(None, plan.effort)
    return plan


def _unsigned_loop(conversation: Conversation) -> bool:
    """Whether the conversation ends in tool results whose calls come from a turn that begins without reasoning."""
    messages = conversation.messages
    if len(messages) < 2 or not any(
        block.get("type") == "tool_result" for block in messages[-1][1]
    ):
        return False
    first = messages[-2][1][0]
    return first.get("type") not in ("thinking", "redacted_thinking")


def _format_out(
    request: Request,
    generation: Generation,
    config: Json,
    conversation: Conversation,
    notes: Notes,
) -> None:
    wanted = request.output_format
    if wanted is None or wanted.kind == "text":
        return
    path = _FORMAT_PATHS.get(request.origin, "output_format")
    inner = f"{path}.json_schema" if request.origin == "openai_chat" else path
    notes.lost_fields(wanted.extras, path)
    if wanted.kind == "json_schema" and wanted.schema is not None and generation.schema_output:
        schema, changed = constrain(wanted.schema)
        if changed:
            why = f"Anthropic's structured output takes no other {', '.join(changed)}"
            notes.add("edited", f"{inner}.schema", why)
        config["format"] = {"type": "json_schema", "schema": schema}
        for name, said in (("name", wanted.name), ("description", wanted.description)):
            if said:
                notes.lost(f"{inner}.{name}", "has no place in the Messages API")
        return
    notes.add("mapped", path, "asked for by a sentence in the system prompt")
    conversation.system.append({"type": "text", "text": _hint(wanted)})


def _hint(wanted: OutputFormat) -> str:
    return json_hint(wanted.schema if wanted.kind == "json_schema" else None)


def _sampling(
    body: Json, request: Request, generation: Generation, plan: Plan, notes: Notes
) -> None:
    wishes: Json = {}
    _put(wishes, "temperature", request.temperature)
    _put(wishes, "top_p", request.top_p)
    _put(wishes, "top_k", request.top_k)
    if generation.sampling == "refused" or plan.thinks:
        why = "is refused by this model" if not plan.thinks else "does not go with reasoning"
        for name in wishes:
            notes.lost(name, why)
        return
    if request.temperature is not None and request.temperature > 1:
        wishes["temperature"] = 1.0
        notes.add(
            "mapped", "temperature", f"{request.temperature} is sent as 1, Anthropic's highest"
        )
    if generation.sampling == "one" and "temperature" in wishes and "top_p" in wishes:
        # The API answers 400: "`temperature` and `top_p` cannot both be specified for this model."
        del wishes["top_p"]
        notes.lost("top_p", "this model takes temperature or top_p, not both")
    body.update(wishes)


def _stop(body: Json, request: Request, notes: Notes) -> None:
    kept = [text for text in request.stop if text.strip()]
    if len(kept) < len(request.stop):
        notes.lost("stop", "Anthropic refuses a stop sequence of only white space")
    if kept:
        body["stop_sequences"] = kept


def _rest(body: Json, request: Request, notes: Notes) -> None:
    tier = request.service_tier
    if tier is not None:
        if tier in SERVICE_TIERS:
            sent = body["service_tier"] = SERVICE_TIERS[tier]
            if sent != tier:
                notes.add("mapped", "service_tier", f"{tier} is sent as {sent}")
        else:
            notes.lost("service_tier", f"Anthropic has no tier {tier}")
    if request.seed is not None:
        notes.lost("seed", "Anthropic takes no seed")
    if request.prompt_cache_key is not None:
        notes.lost("prompt_cache_key", "Anthropic caches by cache_control marks")
    if request.store:
        notes.lost("store", "Anthropic stores no answers")
    if request.metadata:
        notes.lost("metadata", "Anthropic takes only a user id")
    extras = {
        key: value
        for key, value in request.extras.items()
        # What a stream tells at its end is the reply encoder's business.
        if key != "stream_options" and _MET_ANYWAY.get(key) != value
    }
    notes.lost_fields(extras, "")
