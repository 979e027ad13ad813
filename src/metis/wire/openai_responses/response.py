"""A whole answer: decoding it, encoding it for a client of this shape, and the facts the ledger wants of it.

Source: https://platform.openai.com/docs/api-reference/responses/object.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from metis.ir.content import Part
from metis.ir.response import Response
from metis.ir.stream import Finish
from metis.wire.openai_responses.fields import (
    SHAPE,
    Json,
    as_list,
    leftover,
    list_or_empty,
    number_or_none,
    object_or_empty,
    object_or_none,
    parse_object,
    text_or_none,
)
from metis.wire.openai_responses.items import decode_output_item, encode_output
from metis.wire.openai_responses.outcome import stop_of_parts
from metis.wire.openai_responses.usage import is_billed_search, server_tools_of, usage_of


def decode_response(body: bytes) -> Response:
    """Decode a whole answer. Raises CodecError where it is not of this shape."""
    return response_of(parse_object(body, "the response body"), "")


def response_of(raw: Json, where: str) -> Response:
    found: list[Part] = []
    output = f"{where}.output" if where else "output"
    for index, item in enumerate(as_list(raw.get("output"), output)):
        found += decode_output_item(item, f"{output}[{index}]")
    parts = tuple(found)
    finish = finish_of(raw, parts, where)
    response = Response(
        origin=SHAPE,
        response_id=text_or_none(raw, "id", where) or "",
        model=text_or_none(raw, "model", where) or "",
        parts=parts,
        stop=finish.stop,
        stop_raw=finish.stop_raw,
        usage=finish.usage,
        usage_raw=finish.usage_raw,
        created=created_of(raw, where),
        service_tier=text_or_none(raw, "service_tier", where),
    )
    return msgspec.structs.replace(response, extras=finish.extras)


def finish_of(raw: Json, parts: tuple[Part, ...], where: str) -> Finish:
    """How an answer ended. `extras` are the response object's other fields, its echoes of the request included."""
    usage_raw = object_or_none(raw, "usage", where)
    usage = None
    if usage_raw is not None:
        usage = usage_of(usage_raw)
        billed = server_tools_of(raw.get("tool_usage"), _searches(raw.get("output")))
        if billed and not usage.server_tools:
            usage = msgspec.structs.replace(usage, server_tools=billed)
    stop, stop_raw = stop_of_parts(raw.get("status"), raw.get("incomplete_details"), parts)
    said: Json = {"output": raw.get("output")}
    if usage_raw is not None:
        said["usage"] = usage_raw
    if raw.get("id"):
        said["id"] = raw["id"]
    if raw.get("model"):
        said["model"] = raw["model"]
    if (created := created_of(raw, where)) and isinstance(raw.get("created_at"), int):
        said["created_at"] = created
    return Finish(
        stop=stop, stop_raw=stop_raw, usage=usage, usage_raw=usage_raw, extras=leftover(raw, said)
    )


def encode_own_response(response: Response, model: str) -> Json:
    """An answer of this shape's origin as it came; `model` is what the client is told."""
    encoded: Json = {"output": encode_output(response.parts)}
    if response.response_id:
        encoded["id"] = response.response_id
    if model or response.model:
        encoded["model"] = model or response.model
    if response.created:
        encoded["created_at"] = response.created
    if response.usage_raw is not None:
        encoded["usage"] = response.usage_raw
    return {**encoded, **response.extras}


def created_of(raw: Json, where: str) -> int:
    created = number_or_none(raw, "created_at", where) or 0
    return int(created) if math.isfinite(created) else 0


def _searches(output: Any) -> int:
    items = map(object_or_empty, list_or_empty(output))
    return sum(is_billed_search(item.get("type"), item.get("action")) for item in items)
