"""What a row of the usage tables is, and the objects it is made of, in few words."""

from __future__ import annotations

from typing import Any, NamedTuple

from metis.facts.usage import Usage

Json = dict[str, Any]
MESSAGES, CHAT, RESPONSES = "anthropic_messages", "openai_chat", "openai_responses"


class Row(NamedTuple):
    """`prompt` and `total`: what the other shapes' totals must be."""

    name: str
    shape: str
    raw: Json
    usage: Usage
    prompt: int
    total: int


def message(i: object, o: object, **more: Any) -> Json:
    return {"input_tokens": i, "output_tokens": o, **more}


def chat(p: object, c: object, t: object, **more: Any) -> Json:
    return {"prompt_tokens": p, "completion_tokens": c, "total_tokens": t, **more}


def details(prompt: Json | None = None, completion: Json | None = None) -> Json:
    return {"prompt_tokens_details": prompt, "completion_tokens_details": completion}


def response(i: object, o: object, t: object, **more: Any) -> Json:
    return {"input_tokens": i, "output_tokens": o, "total_tokens": t, **more}


def item_details(i: Json | None = None, o: Json | None = None) -> Json:
    return {"input_tokens_details": i, "output_tokens_details": o}


def split(short: int, long: int) -> Json:
    return {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long}


def iteration(kind: str, i: int, o: int, **more: Any) -> Json:
    none = {"cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}
    return {"type": kind, "input_tokens": i, "output_tokens": o, **none, **more}
