"""The events of a Responses stream, made from the whole response they tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from metis.conformance.json_values import Json

Cut = Callable[[str], list[str]]


def events_of(response: Json, cut: Cut) -> list[Json]:
    """All events, numbered; `cut` says how a text is divided into deltas."""
    begun: Json = {**response, "status": "in_progress", "output": [], "usage": None}
    begun["incomplete_details"] = None
    said: list[Json] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
    ]
    for index, item in enumerate(response["output"]):
        said += _item(index, item, cut)
    said.append({"type": f"response.{response['status']}", "response": response})
    return [{**one, "sequence_number": number} for number, one in enumerate(said)]


def _item(index: int, item: Json, cut: Cut) -> Iterator[Json]:
    opened: Json
    place: Json = {"item_id": item["id"], "output_index": index}
    match item["type"]:
        case "reasoning":
            opened = {**item, "summary": []}
            inner = _summary(place, item, cut)
        case "message":
            opened = {**item, "content": [], "status": "in_progress"}
            inner = _text(place, item["content"][0], cut)
        case _:
            opened = {**item, "arguments": "", "status": "in_progress"}
            inner = _arguments(place, item["arguments"], cut)
    yield {"type": "response.output_item.added", "output_index": index, "item": opened}
    yield from inner
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _summary(place: Json, item: Json, cut: Cut) -> Iterator[Json]:
    prefix = "response.reasoning_summary"
    for number, part in enumerate(item["summary"]):
        here = {**place, "summary_index": number}
        empty = {"type": "summary_text", "text": ""}
        yield {"type": f"{prefix}_part.added", **here, "part": empty}
        for piece in cut(part["text"]):
            yield {"type": f"{prefix}_text.delta", **here, "delta": piece}
        yield {"type": f"{prefix}_text.done", **here, "text": part["text"]}
        yield {"type": f"{prefix}_part.done", **here, "part": part}


def _text(place: Json, part: dict[str, Any], cut: Cut) -> Iterator[Json]:
    here = {**place, "content_index": 0}
    yield {"type": "response.content_part.added", **here, "part": {**part, "text": ""}}
    for piece in cut(part["text"]):
        yield {"type": "response.output_text.delta", **here, "delta": piece, "logprobs": []}
    yield {"type": "response.output_text.done", **here, "text": part["text"], "logprobs": []}
    yield {"type": "response.content_part.done", **here, "part": part}


def _arguments(place: Json, arguments: str, cut: Cut) -> Iterator[Json]:
    prefix = "response.function_call_arguments"
    for piece in cut(arguments):
        yield {"type": f"{prefix}.delta", **place, "delta": piece}
    yield {"type": f"{prefix}.done", **place, "arguments": arguments}
