"""A whole chat answer to IR and back. Streams live in `stream_in` and `stream_out`, errors in `errors`.

https://platform.openai.com/docs/api-reference/chat/object. In `Response.extras` the fields of the
first choice and its message that the IR has no place for stand as `choices[0]` and its `message`.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec

from metis.errors import CodecError
from metis.ir.content import Part, Refusal, ToolCall
from metis.ir.response import Response
from metis.wire.codec import Encoded, ReplyContext
from metis.wire.losses import choice_path
from metis.wire.openai_chat.assistant import decode_assistant, own_assistant
from metis.wire.openai_chat.fields import Fields, Object, dump, kind_of, load_object
from metis.wire.openai_chat.finish import finish_of, stop_of
from metis.wire.openai_chat.functions import made_call_id
from metis.wire.openai_chat.message_out import foreign_message, lost_fields
from metis.wire.openai_chat.notes import Notes
from metis.wire.openai_chat.parts import SHAPE
from metis.wire.openai_chat.usage import usage_object, usage_of

OBJECT = "chat.completion"


def decode_response(body: bytes) -> Response:
    """Raises CodecError when the body is no chat answer: not JSON, no object, or without choices."""
    fields = Fields(load_object(body, "the answer"), strict=False)
    raw_choices = fields.rest.pop("choices", None)
    if not isinstance(raw_choices, list) or not raw_choices:
        raise CodecError("an answer needs a list of choices", where="choices")
    if fields.rest.get("object") == OBJECT:
        del fields.rest["object"]
    else:
        fields.rest.setdefault("object", None)  # absent: it stays so
    usage_raw = fields.mapping("usage")
    first, *others = (
        _choice(value, index) for index, value in enumerate(cast(list[Any], raw_choices))
    )
    seed = str(fields.rest.get("id")) + str(fields.rest.get("created"))
    response = msgspec.structs.replace(
        first,
        parts=_with_call_ids(first.parts, seed),
        response_id=fields.filled_text("id") or "",
        model=fields.text("model") or "",
        created=fields.integer("created") or 0,
        service_tier=fields.filled_text("service_tier"),
        usage=usage_of(usage_raw) if usage_raw is not None else None,
        usage_raw=usage_raw,
        choices=tuple(others),
    )
    extras = {**fields.rest, "choices": [first.extras]} if first.extras else fields.rest
    return msgspec.structs.replace(response, extras=extras)


def _choice(value: object, index: int) -> Response:
    """One choice as a Response of its own; its leftovers are its extras."""
    where = f"choices[{index}]"
    if not isinstance(value, dict):
        raise CodecError(f"expected an object, got {kind_of(value)}", where=where)
    fields = Fields(cast(Object, value), where, strict=False)
    if fields.rest.get("index") == index:
        del fields.rest["index"]
    else:
        fields.rest.setdefault("index", None)
    message = fields.mapping("message")
    if message is None:
        raise CodecError("a choice needs a message", where=f"{where}.message")
    inner = Fields(message, f"{where}.message", strict=False)
    if inner.rest.get("role") == "assistant":
        del inner.rest["role"]
    else:
        inner.rest.setdefault("role", None)
    content_was_null = "content" in message and message["content"] is None
    parts, text_form = decode_assistant(inner, strict=False)
    if content_was_null:
        inner.rest["content"] = None
    elif not text_form and "content" not in inner.rest:
        inner.rest["content"] = []  # tells that the content stood as a list
    finish = fields.filled_text("finish_reason") or ""
    if inner.rest:
        fields.rest["message"] = inner.rest
    return Response(
        origin=SHAPE,
        response_id="",
        model="",
        parts=parts,
        stop=stop_of(finish, called_tools=_calls(parts), refused=_refuses(parts)),
        stop_raw=finish,
        extras=fields.rest,
    )


def _with_call_ids(parts: tuple[Part, ...], seed: str) -> tuple[Part, ...]:
    """Other shapes cannot do without call ids; what stood there stays among the extras."""
    return tuple(
        msgspec.structs.replace(part, call_id=made_call_id(seed, number))
        if isinstance(part, ToolCall) and not part.call_id
        else part
        for number, part in enumerate(parts)
    )


def _calls(parts: tuple[Part, ...]) -> bool:
    return any(isinstance(part, ToolCall) for part in parts)


def _refuses(parts: tuple[Part, ...]) -> bool:
    return any(isinstance(part, Refusal) for part in parts)


def encode_response(response: Response, context: ReplyContext) -> Encoded:
    """Raises CodecError only where the IR holds what JSON cannot."""
    notes = Notes()
    own = response.origin == SHAPE
    if own:
        body = _own_body(response, context)
    else:
        body = _foreign_body(response, context, notes)
    return Encoded(dump(body), notes.result())


def _own_body(response: Response, context: ReplyContext) -> Object:
    extras = dict(response.extras)
    held = cast("list[Object]", extras.pop("choices", None) or [{}])
    choices = [
        _own_choice(choice, leftovers, index)
        for index, (choice, leftovers) in enumerate(
            [(response, held[0]), *((choice, choice.extras) for choice in response.choices)]
        )
    ]
    body: Object = {
        "id": response.response_id or context.response_id,
        "object": OBJECT,
        "created": response.created or context.created,
        "model": context.model or response.model,
        "choices": choices,
    }
    if response.service_tier is not None:
        body["service_tier"] = response.service_tier
    usage = _usage(response)
    if usage is not None:
        body["usage"] = usage
    return _over(body, extras)


def _over(out: Object, extras: Object) -> Object:
    """The object with its leftovers; `object`, `index` and `role` noted as None were absent or null."""
    merged = {**out, **extras}
    for name in ("object", "index", "role"):
        if name in extras and extras[name] is None:
            del merged[name]
    return merged


def _own_choice(choice: Response, leftovers: Object, index: int) -> Object:
    leftovers = dict(leftovers)
    kept = dict(cast(Object, leftovers.pop("message", None) or {}))
    text_form = kept.get("content", True) is True or isinstance(kept["content"], str)
    if "content" in kept and (kept["content"] is None or kept["content"] == []):
        marker = kept.pop("content")
    else:
        marker = ...
    message = own_assistant(choice.parts, text_form=text_form, extras=kept)
    if (marker == [] and "content" not in message) or (marker == [] and message["content"] is None):
        message["content"] = []
    out: Object = {"index": index, "message": _over({"role": "assistant", **message}, kept)}
    if choice.stop_raw:
        out["finish_reason"] = choice.stop_raw
    return _over(out, leftovers)


def _foreign_body(response: Response, context: ReplyContext, notes: Notes) -> Object:
    for key in lost_fields(response.origin, response.extras):
        notes.lost(key, "has no place in a chat answer")
    if response.stop_sequence is not None:
        notes.lost("stop_sequence", "chat answers do not name it")
    body: Object = {
        "id": response.response_id or context.response_id,
        "object": OBJECT,
        "created": response.created or context.created,
        "model": context.model or response.model,
        "choices": [
            _foreign_choice(choice, index, context, notes)
            for index, choice in enumerate((response, *response.choices))
        ],
    }
    tier = response.service_tier or response.extras.get("service_tier")
    if response.origin == "openai_responses" and isinstance(tier, str):
        body["service_tier"] = tier  # the two have the same words for it
    usage = _usage(response)
    if usage is not None:
        body["usage"] = usage
    return body


def _foreign_choice(choice: Response, index: int, context: ReplyContext, notes: Notes) -> Object:
    """One of several answers; a further one's own leftovers are lost, and noted by their place in the list."""
    finish = finish_of(
        choice.stop, called_tools=_calls(choice.parts), refused=_refuses(choice.parts)
    )
    if index:
        for key in lost_fields(choice.origin, choice.extras):
            notes.lost(
                f"{choice_path(choice.origin, index)}.{key}", "has no place in a chat answer"
            )
    return {
        "index": index,
        "message": foreign_message(choice.origin, choice.parts, context, notes),
        "logprobs": None,
        "finish_reason": finish,
    }


def _usage(response: Response) -> Object | None:
    if response.usage_raw is not None and response.origin == SHAPE:
        return response.usage_raw
    return usage_object(response.usage) if response.usage is not None else None
