"""A request body of this shape to IR. The way back is in `request_out.py`.

Source: https://platform.openai.com/docs/api-reference/responses/create.
"""

from __future__ import annotations

from typing import Final

import msgspec

from metis.errors import CodecError
from metis.ir.content import Text
from metis.ir.request import Message, OutputFormat, Reasoning, Request
from metis.wire.openai_responses.fields import (
    SHAPE,
    Json,
    as_list,
    as_object,
    bool_or_none,
    int_or_none,
    kind_of,
    leftover,
    number_or_none,
    object_or_none,
    parse_object,
    text_field,
    text_or_none,
    under,
)
from metis.wire.openai_responses.items import decode_item
from metis.wire.openai_responses.request_own import encode_format, encode_own, encode_reasoning_wish
from metis.wire.openai_responses.tools import decode_tool_choice, decode_tools

_FORMATS: Final = ("text", "json_object", "json_schema")


def decode_request(body: bytes) -> Request:
    """Decode a request body. Raises CodecError, with a JSON path, where it is not of this shape."""
    raw = parse_object(body, "the request body")
    given = raw.get("input")
    reasoning = object_or_none(raw, "reasoning", "")
    text = object_or_none(raw, "text", "")
    choice = raw.get("tool_choice")
    instructions = raw.get("instructions")
    request = Request(
        origin=SHAPE,
        # A stored prompt may name the model itself.
        model=text_field(raw, "model", "")
        if raw.get("prompt") is None
        else text_or_none(raw, "model", "") or "",
        messages=_decode_input(given),
        input_text_form=isinstance(given, str),
        system=(Text(text=instructions),) if isinstance(instructions, str) else (),
        system_text_form=isinstance(instructions, str),
        tools=decode_tools(raw["tools"], "tools") if raw.get("tools") is not None else (),
        tool_choice=None if choice is None else decode_tool_choice(choice, "tool_choice"),
        parallel_tool_calls=bool_or_none(raw, "parallel_tool_calls", ""),
        max_tokens=int_or_none(raw, "max_output_tokens", ""),
        temperature=number_or_none(raw, "temperature", ""),
        top_p=number_or_none(raw, "top_p", ""),
        reasoning=None if reasoning is None else _decode_reasoning_wish(reasoning),
        output_format=None if text is None else _decode_format(text),
        stream=bool_or_none(raw, "stream", ""),
        user=text_or_none(raw, "user", ""),
        metadata=object_or_none(raw, "metadata", ""),
        service_tier=text_or_none(raw, "service_tier", ""),
        prompt_cache_key=text_or_none(raw, "prompt_cache_key", ""),
        store=bool_or_none(raw, "store", ""),
    )
    extras = leftover(raw, encode_own(request))
    if request.messages:  # items say themselves what they keep; other shapes' reasoning is left out
        extras.pop("input", None)
    if text is not None and request.output_format is not None:
        rest = {key: value for key, value in text.items() if key != "format"}
        extras.pop("text", None)
        if rest:
            extras["text"] = rest
    return msgspec.structs.replace(request, extras=extras)


def _decode_input(given: object) -> tuple[Message, ...]:
    if given is None:
        return ()
    if isinstance(given, str):
        return (Message(role="user", parts=(Text(text=given),), text_form=True),)
    if not isinstance(given, list):
        raise CodecError(f"it must be a string or a list, not {kind_of(given)}", where="input")
    return tuple(
        decode_item(as_object(item, f"input[{index}]"), f"input[{index}]")
        for index, item in enumerate(as_list(given, "input"))
    )


def _decode_reasoning_wish(raw: Json) -> Reasoning:
    reasoning = Reasoning(
        effort=text_or_none(raw, "effort", "reasoning") or "",
        summary=text_or_none(raw, "summary", "reasoning") or "",
    )
    return msgspec.structs.replace(
        reasoning, extras=leftover(raw, encode_reasoning_wish(reasoning))
    )


def _decode_format(text: Json) -> OutputFormat | None:
    """`text.format`; None where it is absent or of a kind the IR has no word for (it stays in the extras)."""
    raw = object_or_none(text, "format", "text")
    if raw is None or raw.get("type") not in _FORMATS:
        return None
    where = under("text", "format")
    kind = raw["type"]
    output_format = OutputFormat(
        kind=kind,
        name=text_or_none(raw, "name", where) or "",
        schema=object_or_none(raw, "schema", where),
        strict=bool_or_none(raw, "strict", where),
        description=text_or_none(raw, "description", where),
    )
    return msgspec.structs.replace(
        output_format, extras=leftover(raw, encode_format(output_format))
    )
