"""Ways to cut a stream, and a second, plain reading of one to hold the decoder against."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from metis.ir.content import Refusal, Text, Thinking, ToolCall
from metis.ir.response import Response
from metis.ir.stream import Fold, StreamEvent
from metis.wire.openai_chat import OPENAI_CHAT


def whole(data: bytes) -> list[bytes]:
    return [data]


def bytewise(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def eventwise(data: bytes) -> list[bytes]:
    return [piece for piece in re.split(rb"(?<=\n\n)", data) if piece]


def cut_at_random(data: bytes, *, seed: int = 7, longest: int = 400) -> list[bytes]:
    rng = random.Random(seed)
    pieces: list[bytes] = []
    position = 0
    while position < len(data):
        step = rng.randint(1, longest)
        pieces.append(data[position : position + step])
        position += step
    return pieces


def events_of(pieces: Iterable[bytes]) -> list[StreamEvent]:
    decoder = OPENAI_CHAT.stream_decoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.finish()


def folded(events: Iterable[StreamEvent]) -> Fold:
    fold = Fold()
    for event in events:
        fold.feed(event)
    return fold


class Content(NamedTuple):
    text: str
    thinking: str
    refusal: str
    calls: list[tuple[str, str]]
    finish: str
    usage: dict[str, Any] | None


def content_of(response: Response) -> Content:
    parts = response.parts
    return Content(
        "".join(part.text for part in parts if isinstance(part, Text)),
        "".join(part.text for part in parts if isinstance(part, Thinking)),
        "".join(part.text for part in parts if isinstance(part, Refusal)),
        [(part.name, part.arguments) for part in parts if isinstance(part, ToolCall)],
        response.stop_raw,
        response.usage_raw,
    )


def plainly_read(stream: str) -> Content:
    """What choice 0 of a stream says, read line by line without the code under test."""
    text = thinking = refusal = finish = ""
    usage: dict[str, Any] | None = None
    calls: dict[object, list[str]] = {}
    for line in stream.replace("\r\n", "\n").split("\n"):
        if not line.startswith("data:") or line[5:].strip() == "[DONE]":
            continue
        chunk = json.loads(line[5:])
        if chunk.get("error"):
            break
        usage = chunk.get("usage") or (chunk.get("x_groq") or {}).get("usage") or usage
        for choice in chunk.get("choices") or []:
            if choice.get("index"):
                continue
            delta = choice.get("delta") or {}
            content = delta.get("content") or ""
            if isinstance(content, list):
                for block in content:
                    if block["type"] == "thinking":
                        thinking += "".join(piece["text"] for piece in block["thinking"])
                    else:
                        text += block["text"]
            else:
                text += content
            details = "".join(
                item.get("text") or item.get("summary") or ""
                for item in delta.get("reasoning_details") or []
            )
            thinking += details or delta.get("reasoning_content") or delta.get("reasoning") or ""
            refusal += delta.get("refusal") or ""
            for call in delta.get("tool_calls") or []:
                key = call.get("index", call.get("id"))
                held = calls.setdefault(key, ["", ""])
                held[0] = held[0] or call["function"].get("name") or ""
                held[1] += call["function"].get("arguments") or ""
            if legacy := delta.get("function_call"):
                held = calls.setdefault("legacy", ["", ""])
                held[0] = held[0] or legacy.get("name") or ""
                held[1] += legacy.get("arguments") or ""
            finish = choice.get("finish_reason") or finish
    return Content(text, thinking, refusal, [(n, a) for n, a in calls.values()], finish, usage)


def without_usage_chunk(data: bytes) -> bytes:
    """The stream with exactly the events left out whose choices are empty and that tell usage."""
    kept: list[bytes] = []
    for event in re.findall(rb".*?(?:\r\n\r\n|\n\n|\Z)", data, re.DOTALL):
        payloads = [line[5:].strip() for line in event.splitlines() if line.startswith(b"data:")]
        if payloads and payloads[0] not in (b"", b"[DONE]"):
            chunk = json.loads(payloads[0])
            if chunk.get("choices") == [] and chunk.get("usage"):
                continue
        kept.append(event)
    return b"".join(kept)
