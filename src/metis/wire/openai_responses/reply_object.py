"""The response object around an answer for a client of this shape, whatever shape the answer came from.

Source: https://platform.openai.com/docs/api-reference/responses/object; which fields must be there is what the
openai SDK's `Response` type asks for.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from metis.ir.content import Part, Text
from metis.ir.request import OutputFormat, Request
from metis.wire.codec import ReplyContext
from metis.wire.openai_responses.fields import SHAPE, Json
from metis.wire.openai_responses.request_own import encode_format, encode_reasoning_wish
from metis.wire.openai_responses.tools import encode_tool, encode_tool_choice


def item_id(prefix: str, response_id: str, place: int) -> str:
    """An item id: the same for the same answer and place, and within the 64 characters that OpenAI takes back."""
    digest = hashlib.blake2b(f"{response_id}:{place}".encode(), digest_size=24).hexdigest()
    return f"{prefix}_{digest}"


def response_object(ctx: ReplyContext, response_id: str, created: int, model: str) -> Json:
    """A response in progress: no output, no usage, the request's own fields echoed.

    Tools are echoed as one encoded slice: the object is written three times in a stream.
    """
    request = ctx.request if ctx.request is not None and ctx.request.origin == SHAPE else None
    return {
        "id": response_id,
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        **_echo(request),
        "model": model,
        "output": [],
        "previous_response_id": None,
        "store": False,
        "usage": None,
    }


def _echo(request: Request | None) -> Json:
    if request is None:
        request = Request(origin=SHAPE, model="", messages=())
    extras = request.extras
    choice = request.tool_choice
    text: Json = extras.get("text") or {}
    output_format = request.output_format or OutputFormat(kind="text")
    wish = {} if request.reasoning is None else encode_reasoning_wish(request.reasoning)
    return {
        "instructions": _instructions(request.system),
        "max_output_tokens": request.max_tokens,
        "max_tool_calls": extras.get("max_tool_calls"),
        "metadata": request.metadata or {},
        "parallel_tool_calls": request.parallel_tool_calls is not False,
        "prompt_cache_key": request.prompt_cache_key,
        "reasoning": {"effort": None, "summary": None, **wish},
        "safety_identifier": extras.get("safety_identifier"),
        "service_tier": request.service_tier or "default",
        "temperature": 1.0 if request.temperature is None else request.temperature,
        "text": {"format": encode_format(output_format), **text},
        "tool_choice": "auto" if choice is None else encode_tool_choice(choice),
        "tools": msgspec.Raw(msgspec.json.encode([encode_tool(tool) for tool in request.tools])),
        "top_logprobs": extras.get("top_logprobs") or 0,
        "top_p": 1.0 if request.top_p is None else request.top_p,
        "truncation": extras.get("truncation") or "disabled",
        "user": request.user,
    }


def _instructions(system: tuple[Part, ...]) -> Any:
    first = system[0] if system else None
    return first.text if isinstance(first, Text) else None
