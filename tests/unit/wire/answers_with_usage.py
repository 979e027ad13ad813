"""The shortest answers that hold a given usage object or stop reason, whole and as streams, in each shape."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from metis.ir.response import Response
from metis.ir.stream import Fold
from metis.wire import SHAPES
from metis.wire.codec import ReplyContext, ResponseFacts, Shape

Json = dict[str, Any]
BY_NAME: dict[str, Shape] = {shape.name: shape for shape in SHAPES}
CONTEXT = ReplyContext(model="m", response_id="made", created=1)


def packed(value: object) -> bytes:
    return json.dumps(value).encode()


def whole(shape: str, usage: Json | None, *, stop: str | None = None, **more: Any) -> bytes:
    """`stop` is the shape's own word; a Responses status of "incomplete:WORD" carries its reason."""
    match shape:
        case "anthropic_messages":
            said = {"id": "i", "type": "message", "role": "assistant", "model": "m", "content": []}
            return packed(said | {"stop_reason": stop or "end_turn", "usage": usage} | more)
        case "openai_chat":
            message = {"role": "assistant", "content": "x"}
            choice = {"index": 0, "message": message, "finish_reason": stop or "stop"}
            return packed({"id": "i", "model": "m", "choices": [choice], "usage": usage} | more)
        case _:
            return packed(_response(usage, stop) | more)


def stream(shape: str, usage: Json | None, *, stop: str | None = None, **more: Any) -> bytes:
    match shape:
        case "anthropic_messages":
            return _message_stream(usage or {}, stop or "end_turn")
        case "openai_chat":
            choice = {"index": 0, "delta": {"content": "x"}, "finish_reason": None}
            last = {"index": 0, "delta": {}, "finish_reason": stop or "stop"}
            chunks: list[Json] = [{"choices": [choice]}, {"choices": [last]}]
            chunks.append({"choices": [], "usage": usage} | more)
            events = [b"data: " + packed({"id": "i", "model": "m"} | one) for one in chunks]
            return b"\n\n".join([*events, b"data: [DONE]\n\n"])
        case _:
            kind = (stop or "completed").split(":")[0]
            begun = {"id": "i", "object": "response", "model": "m", "output": []}
            return named("response.created", response=begun) + named(
                f"response.{kind}", response=_response(usage, stop) | more
            )


def _response(usage: Json | None, stop: str | None) -> Json:
    status, _, reason = (stop or "completed").partition(":")
    details = {"reason": reason} if reason else None
    said: Json = {"id": "i", "object": "response", "model": "m", "output": [], "status": status}
    return said | {"incomplete_details": details, "usage": usage}


def _message_stream(usage: Json, stop: str) -> bytes:
    """As Anthropic tells usage: input at the start, with the split of cache writes; totals at the end, without."""
    early = {
        key: value for key, value in usage.items() if key not in ("server_tool_use", "iterations")
    }
    late = {key: value for key, value in usage.items() if key != "cache_creation"}
    if isinstance(early.get("output_tokens"), int):
        early["output_tokens"] = 1
    message = {"id": "i", "type": "message", "role": "assistant", "model": "m", "content": []}
    return (
        named("message_start", message=message | {"usage": early})
        + named("message_delta", delta={"stop_reason": stop, "stop_sequence": None}, usage=late)
        + named("message_stop")
    )  # fmt: skip


def named(kind: str, **fields: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), packed({"type": kind} | fields))


def folded(shape: Shape, data: bytes) -> Response:
    decoder, fold = shape.stream_decoder(), Fold()
    for event in (*decoder.feed(data), *decoder.finish()):
        fold.feed(event)
    return fold.result()


def watched(shape: Shape, pieces: Sequence[bytes]) -> ResponseFacts:
    tap = shape.tap(False)
    for piece in pieces:
        tap.feed(piece)
    return tap.facts
