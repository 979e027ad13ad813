"""What a client asks for. Values only; decoding and encoding live in `wire`."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from metis.ir.content import CacheMark, Extras, Part


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the conversation, in order.

    ToolResult parts may stand in messages of role `user` or `tool`: Anthropic's API holds them in user
    messages beside text, and its codec keeps them there so that they encode equal. Encoders of other
    shapes must split ToolResult parts out of user messages.
    A shape whose entries are finer than messages (Responses items) decodes each item to its own
    Message; encoders of other shapes merge neighbours of one role where their API asks for it.
    `text_form` says the origin held a bare string where a list of parts may stand.
    `extras` are the entry's own unknown fields (`id`, `status`, `name`, ...). `tools` are tools that
    this entry brings into the conversation (Responses `additional_tools`): what the entry's Opaque
    parts say is then wholly in `tools`, and `wire.effective_tools` gathers them.
    """

    role: Literal["system", "developer", "user", "assistant", "tool"]
    parts: tuple[Part, ...]
    text_form: bool = False
    untyped: bool = False  # Responses: a message without `type`
    tools: tuple[Tool, ...] = ()
    extras: Extras = {}


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool the model may call.

    `function`: `input_schema` is its JSON schema (None: the origin gave none). `custom`: free-text input, `format` its
    grammar. `server`: run by the provider (web search, code execution, ...): `raw` is the whole
    object, `shape` who understands it. `namespace`: a named group whose members are in `tools`.
    `type_given` says that an Anthropic client spelled out a function's default `type`.
    """

    kind: Literal["function", "custom", "server", "namespace"]
    name: str
    description: str | None = None
    input_schema: dict[str, Any] | None = None
    strict: bool | None = None
    format: dict[str, Any] | None = None
    raw: dict[str, Any] | None = None
    shape: str = ""
    tools: tuple[Tool, ...] = ()
    type_given: bool = False
    cache: CacheMark | None = None
    extras: Extras = {}


class ToolChoice(msgspec.Struct, frozen=True, kw_only=True):
    """`any` means some tool must be called; `tool` names which one in `name`."""

    kind: Literal["auto", "any", "none", "tool"]
    name: str = ""
    tool_kind: Literal["function", "custom", "server"] = "function"
    extras: Extras = {}


class Reasoning(msgspec.Struct, frozen=True, kw_only=True):
    """How much private reasoning is asked for.

    `mode`: Anthropic's enabled, adaptive, disabled; "" where the client only named an effort.
    `budget_tokens` belongs to enabled. `effort` is minimal, low, medium, high, xhigh, max, none, or "".
    `summary` is OpenAI's wish for a visible summary (auto, concise, detailed); `display` Anthropic's.
    """

    mode: Literal["", "enabled", "adaptive", "disabled"] = ""
    budget_tokens: int | None = None
    effort: str = ""
    summary: str = ""
    display: str = ""
    extras: Extras = {}


class OutputFormat(msgspec.Struct, frozen=True, kw_only=True):
    """Structured output: plain `text`, any JSON object, or JSON by a schema.

    `field` keeps the name of the request field where its shape has more than one (Anthropic's older
    `output_format` beside `output_config.format`). `schema_text` is the schema as written, where a
    shape holds it as JSON text (Converse) and not in the form we write.
    """

    kind: Literal["text", "json_object", "json_schema"]
    name: str = ""
    schema: dict[str, Any] | None = None
    strict: bool | None = None
    description: str | None = None
    field: str = ""
    schema_text: str = ""
    extras: Extras = {}


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A generation request.

    `origin` is the shape it was decoded from; `extras` its unknown top-level fields. `system` is
    text that stands outside the conversation (Anthropic `system`, Responses `instructions`);
    `system_text_form` says it was a bare string. `max_tokens_field` keeps the name OpenAI clients
    used (`max_tokens` or `max_completion_tokens`).
    """

    origin: str
    model: str
    messages: tuple[Message, ...]
    system: tuple[Part, ...] = ()
    system_text_form: bool = False
    input_text_form: bool = False  # Responses: `input` was a bare string
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_tokens: int | None = None
    max_tokens_field: str = ""
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    stop_text_form: bool = False
    seed: int | None = None
    reasoning: Reasoning | None = None
    output_format: OutputFormat | None = None
    stream: bool | None = None  # None: the field was absent
    include_usage: bool | None = None  # chat: stream_options.include_usage as the client set it
    user: str | None = None
    metadata: dict[str, Any] | None = None
    service_tier: str | None = None
    prompt_cache_key: str | None = None
    store: bool | None = None
    cache: CacheMark | None = None  # Anthropic's top-level cache_control
    extras: Extras = {}
