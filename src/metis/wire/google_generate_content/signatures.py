"""Signatures on their way back: out of the thinking they rode in through a client, onto the parts they stand on.

Clients and their APIs keep a message's thinking before its text and calls, if in order then not in place; so each
signature says what it stood on (`parts_in`), and finds it again in the same turn of the assistant.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final

import msgspec

from metis.ir.content import Opaque, Part, Text, Thinking, ToolCall
from metis.ir.request import Message, Request
from metis.wire.fields import Json
from metis.wire.google_generate_content.name import NAME, SIGNATURE
from metis.wire.google_generate_content.parts_in import ON_CALL, ON_EMPTY, ON_TEXT
from metis.wire.turns import Role

# Gemini 3 answers 400 where the first call of a step has no signature, and documents this word for calls that it did
# not make itself, or whose signature a client lost: ai.google.dev/gemini-api/docs/thought-signatures.
UNSIGNED: Final = "skip_thought_signature_validator"

Signatures = dict[str, list[str]]
# Stands for a signature that was taken from its place, so that the places of others stay what they were.
_TAKEN: Final = Thinking(origin=NAME)


def signed(request: Request) -> tuple[Request, Signatures]:
    """The request with texts signed (among their extras), and the signatures of calls by the calls' ids.

    A signature on an empty text becomes that part again, as does one whose text is gone. One whose call is gone stays.
    """
    calls: Signatures = defaultdict(list)
    messages = list(request.messages)
    start = 0
    while start < len(messages):
        end = start
        while end < len(messages) and messages[end].role == "assistant":
            end += 1
        messages[start:end] = _signed_turn(messages[start:end], calls)
        start = end + 1
    return msgspec.structs.replace(request, messages=tuple(messages)), calls


def _rides(part: Part) -> bool:
    return isinstance(part, Thinking) and part.origin == NAME and part.item_id is not None


def _signed_turn(messages: list[Message], calls: Signatures) -> list[Message]:
    """The neighbouring messages of one turn, since some shapes have a message for every part."""
    if not any(_rides(part) for message in messages for part in message.parts):
        return messages
    made = {
        part.call_id for message in messages for part in message.parts if isinstance(part, ToolCall)
    }
    turn = [list(message.parts) for message in messages]
    ends: list[Part] = []  # Gemini says these last; chat clients keep all thinking first
    waiting: list[
        tuple[list[Part], int, str]
    ] = []  # signatures of texts: where they stand, and they
    for parts in turn:
        for index, part in enumerate(parts):
            match part:
                case Thinking(item_id=str(place), signature=str(signature)) if _rides(part):
                    called = place.removeprefix(ON_CALL)
                    if place == ON_TEXT:
                        waiting.append((parts, index, signature))
                    elif place == ON_EMPTY:
                        ends.append(_empty_text(signature))
                        parts[index] = _TAKEN
                    elif called in made:
                        calls[called].append(signature)
                        parts[index] = _TAKEN
                case Text(text=str(said)) if said and waiting:
                    held, place, signature = waiting.pop(0)
                    held[place] = _TAKEN
                    extras = {**part.extras, SIGNATURE: signature}
                    parts[index] = msgspec.structs.replace(part, extras=extras)
                case _:
                    pass
    for held, place, signature in waiting:
        held[place] = _empty_text(signature)
    turn[-1] += ends
    return [
        msgspec.structs.replace(message, parts=tuple(parts))
        for message, parts in zip(messages, turn, strict=True)
    ]


def _empty_text(signature: str) -> Opaque:
    return Opaque(shape=NAME, kind="text", value={"text": "", SIGNATURE: signature})


def vouch_for_unsigned(messages: list[tuple[Role, list[Json]]]) -> int:
    """Say of each step's first call that it needs no signature, where it has none; gives their number."""
    count = 0
    for role, parts in messages:
        first = next((part for part in parts if "functionCall" in part), None)
        if role == "assistant" and first is not None and SIGNATURE not in first:
            first[SIGNATURE] = UNSIGNED
            count += 1
    return count
