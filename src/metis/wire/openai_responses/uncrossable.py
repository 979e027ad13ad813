"""What a request of this shape can't do without its own API: state that only OpenAI keeps, and work it does later."""

from __future__ import annotations

from typing import Final

from metis.ir.content import Opaque
from metis.ir.request import Request
from metis.wire.openai_responses.fields import SHAPE

_FIELDS: Final = {
    "previous_response_id": "send the whole conversation in `input` instead",
    "conversation": "send the whole conversation in `input` instead",
    "prompt": "send the prompt's text as `instructions` and `input` instead",
    "background": "leave it out and use `stream` for long answers",
}
_ITEMS: Final = {
    "item_reference": "send the item itself",
    "compaction": "send the messages it stands for",
    "compaction_trigger": "let the client summarise the conversation itself",
}


def uncrossable(request: Request) -> str | None:
    """The sentence to refuse a request with when its upstream speaks another API; None where it can cross.

    It names the field and the remedy.
    """
    if request.origin != SHAPE:
        return None
    for field, remedy in _FIELDS.items():
        if request.extras.get(field) not in (None, False):
            return _sentence(field, remedy)
    for index, message in enumerate(request.messages):
        for part in message.parts:
            if isinstance(part, Opaque) and part.kind in _ITEMS:
                return _sentence(f"input[{index}] ({part.kind})", _ITEMS[part.kind])
    return None


def _sentence(what: str, remedy: str) -> str:
    return f"{what} only works with an upstream that speaks the Responses API itself; {remedy}"
