"""A Request of this shape's origin back to its body: equal JSON, field for field. Crossings are in `request_out.py`."""

from __future__ import annotations

from metis.ir.content import Text, Thinking
from metis.ir.request import Message, OutputFormat, Reasoning, Request
from metis.wire.openai_responses.fields import SHAPE, Json
from metis.wire.openai_responses.items import encode_item
from metis.wire.openai_responses.tools import encode_tool, encode_tool_choice


def encode_own(request: Request) -> Json:
    """The body as it came. Writes no defaults: what the client left out stays out (see `fields.leftover`)."""
    body: Json = {"model": request.model} if request.model else {}
    first = request.messages[0] if request.messages else None
    if request.input_text_form and first is not None and isinstance(first.parts[0], Text):
        body["input"] = first.parts[0].text
    elif request.messages:
        body["input"] = [
            encode_item(message) for message in request.messages if not is_foreign(message)
        ]
    if request.system and isinstance(request.system[0], Text):
        body["instructions"] = request.system[0].text
    if request.tools:
        body["tools"] = [encode_tool(tool) for tool in request.tools]
    if request.tool_choice is not None:
        body["tool_choice"] = encode_tool_choice(request.tool_choice)
    if request.reasoning is not None:
        body["reasoning"] = encode_reasoning_wish(request.reasoning)
    if request.output_format is not None:
        rest: Json = request.extras.get("text") or {}
        body["text"] = {**rest, "format": encode_format(request.output_format)}
    plain = {
        "parallel_tool_calls": request.parallel_tool_calls,
        "max_output_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "stream": request.stream,
        "user": request.user,
        "metadata": request.metadata,
        "service_tier": request.service_tier,
        "prompt_cache_key": request.prompt_cache_key,
        "store": request.store,
    }
    body.update({key: value for key, value in plain.items() if value is not None})
    kept = request.extras
    if request.output_format is not None:
        kept = {key: value for key, value in kept.items() if key != "text"}
    return {**body, **kept}


def is_foreign(message: Message) -> bool:
    """Whether a message is another shape's reasoning, which its own upstream alone can read."""
    return any(isinstance(part, Thinking) and part.origin != SHAPE for part in message.parts)


def encode_reasoning_wish(reasoning: Reasoning) -> Json:
    encoded: Json = {}
    if reasoning.effort:
        encoded["effort"] = reasoning.effort
    if reasoning.summary:
        encoded["summary"] = reasoning.summary
    return {**encoded, **reasoning.extras}


def encode_format(output_format: OutputFormat) -> Json:
    encoded: Json = {"type": output_format.kind}
    if output_format.name:
        encoded["name"] = output_format.name
    if output_format.schema is not None:
        encoded["schema"] = output_format.schema
    if output_format.strict is not None:
        encoded["strict"] = output_format.strict
    if output_format.description is not None:
        encoded["description"] = output_format.description
    return {**encoded, **output_format.extras}
