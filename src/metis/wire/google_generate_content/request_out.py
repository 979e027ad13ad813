"""IR into a generateContent request: as it came for requests of this shape, translated and noted for others."""

from __future__ import annotations

from typing import Final

from metis.ir.request import OutputFormat, Request
from metis.wire.codec import Encoded
from metis.wire.fields import Json, dump_json
from metis.wire.google_generate_content.foreign import GoogleBlocks
from metis.wire.google_generate_content.generation import (
    Generation,
    generation_of,
    thinking_config,
)
from metis.wire.google_generate_content.name import API, NAME
from metis.wire.google_generate_content.request_own import generation_config, own_request
from metis.wire.google_generate_content.signatures import signed, vouch_for_unsigned
from metis.wire.google_generate_content.tools_out import tool_config_out, tools_out
from metis.wire.hints import json_hint
from metis.wire.notes import Notes
from metis.wire.turns import Conversation, conversation_out

MAX_STOP_SEQUENCES: Final = 5  # API reference, `stopSequences`
MAX_TEMPERATURE: Final = 2
_ROLES: Final = {"user": "user", "assistant": "model"}
_REASONING_PATHS: Final = {
    "anthropic_messages": "thinking",
    "openai_chat": "reasoning_effort",
    "openai_responses": "reasoning",
}
_FORMAT_PATHS: Final = {
    "anthropic_messages": "output_config.format",
    "openai_chat": "response_format.json_schema",
    "openai_responses": "text.format",
}
_USER_PATHS: Final = {"anthropic_messages": "metadata.user_id"}
# What the API does where nothing is said.
_USUAL_TIERS: Final = ("auto", "default", "standard_only")
_MET_ANYWAY: Final[dict[str, object]] = {"n": 1, "include": ["reasoning.encrypted_content"]}
# Chat's own, under Gemini's names; several choices of a whole answer are several candidates. A penalty of 0, which some
# clients always send, is left out: models without penalties refuse the field.
_CHAT_FIELDS: Final = {
    "n": "candidateCount",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}


def encode_request(request: Request) -> Encoded:
    """Encode for Google. Model and stream go into the path. The same Request always gives the same bytes."""
    notes = Notes(API)
    body = own_request(request, notes) if request.origin == NAME else _foreign(request, notes)
    return Encoded(dump_json(body), notes.all())


def _foreign(request: Request, notes: Notes) -> Json:
    generation = generation_of(request.model)
    tools = tools_out(request, notes)
    request, signatures = signed(request)
    blocks = GoogleBlocks(tools, signatures, notes, files_in_results=generation.mixes_tools)
    conversation = conversation_out(request, blocks, notes, prefill=False)
    if generation.wants_signatures and (count := vouch_for_unsigned(conversation.messages)):
        why = f"{count} calls without a signature are marked as made elsewhere"
        notes.add("edited", "contents", why)
    config = _config(request, generation, notes)
    config |= _format_out(request, generation, conversation, notes, tools=bool(tools.written()))
    body: Json = {}
    if conversation.system:
        body["systemInstruction"] = {"parts": conversation.system}
    body["contents"] = [
        {"role": _ROLES[role], "parts": parts} for role, parts in conversation.messages
    ]
    for name, value in (
        ("tools", tools.written()),
        ("toolConfig", tool_config_out(request, tools, notes)),
        ("generationConfig", config),
    ):
        if value:
            body[name] = value
    _rest(request, notes)
    return body


def _config(request: Request, generation: Generation, notes: Notes) -> Json:
    stop = request.stop[:MAX_STOP_SEQUENCES]
    if len(stop) < len(request.stop):
        name = "stop_sequences" if request.origin == "anthropic_messages" else "stop"
        why = f"{API} takes {MAX_STOP_SEQUENCES} stop sequences"
        for index in range(len(stop), len(request.stop)):
            notes.lost(f"{name}[{index}]", why)
    config = generation_config(request, stop)
    if request.temperature is not None and request.temperature > MAX_TEMPERATURE:
        config["temperature"] = MAX_TEMPERATURE
        notes.add("mapped", "temperature", f"{request.temperature} is sent as {MAX_TEMPERATURE}")
    path = _reasoning_path(request)
    thinking = thinking_config(request.reasoning, generation, path, notes)
    if request.reasoning is not None:
        notes.lost_fields(request.reasoning.extras, path)
    if thinking:
        config["thinkingConfig"] = thinking
    if request.origin == "openai_chat":
        config |= _chat_fields(request, notes)
    return config


def _chat_fields(request: Request, notes: Notes) -> Json:
    found: Json = {}
    for name, its in _CHAT_FIELDS.items():
        value = request.extras.get(name)
        if not isinstance(value, int | float) or isinstance(value, bool) or not value:
            continue
        if name == "n" and (value == 1 or request.stream):
            if value != 1:
                notes.lost(name, "of a stream only the first answer is told, so one is asked for")
            continue
        found[its] = value
    return found


def _reasoning_path(request: Request) -> str:
    """Where the client asked; chat clients name budgets as OpenRouter does."""
    wish = request.reasoning
    if wish is not None and wish.budget_tokens is not None and request.origin == "openai_chat":
        return "reasoning"
    return _REASONING_PATHS.get(request.origin, "reasoning")


def _format_out(
    request: Request,
    generation: Generation,
    conversation: Conversation,
    notes: Notes,
    *,
    tools: bool,
) -> Json:
    wanted = request.output_format
    if wanted is None or wanted.kind == "text":
        return {}
    path = _FORMAT_PATHS.get(request.origin, "output_format")
    notes.lost_fields(wanted.extras, path)
    schema = wanted.schema if wanted.kind == "json_schema" else None
    _note_names(wanted, path, notes)
    if tools and not generation.mixes_tools:
        # The API answers 400: "Function calling with a response mime type: 'application/json' is unsupported".
        notes.add("mapped", path, "beside tools, asked for by a sentence in the system prompt")
        conversation.system.append({"text": json_hint(schema)})
        return {}
    made: Json = {"responseMimeType": "application/json"}
    if schema is not None:
        made["responseJsonSchema"] = schema
    return made


def _note_names(wanted: OutputFormat, path: str, notes: Notes) -> None:
    for name, value in (("name", wanted.name), ("description", wanted.description)):
        if value:
            notes.add("mapped", f"{path}.{name}", "the schema goes alone")


def _rest(request: Request, notes: Notes) -> None:
    if request.cache is not None:
        notes.lost("cache_control", "this API caches by itself")
    tier = request.service_tier
    if tier in _USUAL_TIERS:
        notes.add("mapped", "service_tier", f"{tier} is what Google does where nothing is said")
    elif tier is not None:
        notes.lost("service_tier", f"{API} is asked for no tier")
    for name, value, why in (
        ("prompt_cache_key", request.prompt_cache_key, "this API caches by itself"),
        ("store", request.store or None, f"{API} stores no answers"),
        (_USER_PATHS.get(request.origin, "user"), request.user, f"{API} takes no user"),
        ("metadata", request.metadata or None, "its values are for the client's own provider"),
    ):
        if value is not None:
            notes.lost(name, why)
    chat = request.origin == "openai_chat"
    extras = {
        key: value
        for key, value in request.extras.items()
        # What a stream tells at its end is the reply encoder's business.
        if key != "stream_options"
        and _MET_ANYWAY.get(key) != value
        and not (chat and key in _CHAT_FIELDS)
    }
    notes.lost_fields(extras, "")
