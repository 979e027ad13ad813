"""Thinking that a model of another API signed, for chat servers that stand before such models (OpenRouter).

Most chat servers refuse fields they do not know, so it is left out for them (`conversation`). One that
gives such proofs in its `reasoning_details` takes them back there, whatever API the client speaks.
"""

from __future__ import annotations

import msgspec

from metis.ir.content import Part, Thinking
from metis.ir.request import Message, Request
from metis.wire.openai_chat.fields import Object, dump_text
from metis.wire.openai_chat.reasoning import ANTHROPIC, RESPONSES, TEXT_KEYS, details_of


def adopt_proofs(request: Request) -> Request:
    """The request with such thinking made the shape's own, so that it is sent."""
    if not any(_is_foreign(part) for message in request.messages for part in message.parts):
        return request
    messages = tuple(_adopted(message) for message in request.messages)
    return msgspec.structs.replace(request, messages=messages)


def _is_foreign(part: Part) -> bool:
    return isinstance(part, Thinking) and part.origin in (ANTHROPIC, RESPONSES)


def _adopted(message: Message) -> Message:
    if not any(map(_is_foreign, message.parts)):
        return message
    parts: list[Part] = []
    count = 0
    for part in message.parts:
        if isinstance(part, Thinking) and _is_foreign(part):
            parts += [_as_own(detail) for detail in details_of(part, count)]
            count += 1
        else:
            parts.append(part)
    return msgspec.structs.replace(message, parts=tuple(parts))


def _as_own(detail: Object) -> Thinking:
    """One detail as Thinking whose proof is all that stands beside its text."""
    key = TEXT_KEYS.get(str(detail["type"]), "")
    text = detail.get(key)
    beside = {name: value for name, value in detail.items() if name != key}
    return Thinking(
        text=text if isinstance(text, str) else "",
        signature=dump_text(beside),
        origin="openai_chat",
    )
