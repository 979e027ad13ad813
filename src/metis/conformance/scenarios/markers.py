"""Cache markers: each `cache_control` a client sets arrives where it was set, and never more than four."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from metis.conformance.json_values import Json, dicts, list_in, object_in
from metis.conformance.judging import NotApplicable, check, equal
from metis.conformance.scenario import Scenario
from metis.conformance.stage import Stage

_MARK: Final[Json] = {"type": "ephemeral"}
_HOUR: Final[Json] = {"type": "ephemeral", "ttl": "1h"}
_MOST: Final = 4
_PIXEL: Final = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def _body(stage: Stage) -> Json:
    """A request that holds every kind of block once, with no marker yet."""
    words = f"Look at all of it. ({stage.word})"
    image = {"type": "base64", "media_type": "image/png", "data": _PIXEL}
    document = {"type": "text", "media_type": "text/plain", "data": "A page."}
    return {
        "model": stage.model,
        "max_tokens": 256,
        "tools": [
            {"name": "look", "description": "Look.", "input_schema": {"type": "object"}},
            {"name": "hear", "description": "Hear.", "input_schema": {"type": "object"}},
        ],
        "system": [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind."}],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "image", "source": image},
                    {"type": "document", "source": document},
                    {"type": "text", "text": words},
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "Looking."},
                    {"type": "tool_use", "id": "toolu_look", "name": "look", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "toolu_look", "content": "A wall."}
                ],
            },
        ],
    }


def _places(body: Json) -> Iterator[tuple[str, Json]]:
    """Every block that can hold a marker, under a name that says which it is."""
    for name in ("tools", "system"):
        for number, block in enumerate(dicts(body.get(name))):
            yield f"{name} {number}", block
    for message in dicts(body.get("messages")):
        for block in dicts(message.get("content")):
            yield f"{message.get('role')} {block.get('type')}", block


def _marked(body: Json) -> dict[str, Any]:
    return {n: block["cache_control"] for n, block in _places(body) if "cache_control" in block}


async def _sent_marks(stage: Stage, marks: dict[str, Json]) -> dict[str, Any]:
    body = _body(stage)
    for name, block in _places(body):
        if name in marks:
            block["cache_control"] = marks[name]
    await stage.post(body)
    return _marked(stage.sent())


async def _every_block(stage: Stage) -> None:
    names = [name for name, _ in _places(_body(stage))]
    for at in range(0, len(names), _MOST):
        marks = dict.fromkeys(names[at : at + _MOST], _MARK)
        equal("the markers where the client set them", await _sent_marks(stage, marks), marks)


async def _last_message(stage: Stage) -> None:
    last = "user tool_result"
    marks = {"tools 1": _MARK, "system 1": _MARK, last: _MARK}
    sent = await _sent_marks(stage, marks)
    check(last in sent, "the last message's marker", sorted(sent))
    check(len(sent) <= _MOST, f"{_MOST} markers at most", sorted(sent))


async def _at_most_four(stage: Stage) -> None:
    names = ("tools 1", "system 0", "system 1", "user tool_result")
    await _sent_marks(stage, dict.fromkeys(names, _MARK))
    count = _count(stage.sent())
    check(count <= _MOST, f"{_MOST} cache_control fields at most", count)


def _count(value: Any) -> int:
    if isinstance(value, dict):
        fields = object_in(value)
        own = fields.get("cache_control") is not None
        return int(own) + sum(_count(one) for one in fields.values())
    return sum(_count(one) for one in list_in(value))


async def _hour(stage: Stage) -> None:
    marks = {"tools 1": _HOUR, "system 1": _HOUR, "user tool_result": _MARK}
    equal("the markers with their lifetimes", await _sent_marks(stage, marks), marks)


async def _alias(stage: Stage) -> None:
    alias = stage.target.alias
    if alias is None:
        raise NotApplicable("no --alias names the Anthropic model without its maker's name")
    models = {**stage.target.models, stage.behind.name: alias}
    stage.target = replace(stage.target, models=models)
    marks = {"tools 1": _MARK, "system 1": _MARK, "user tool_result": _MARK}
    equal("the markers where the client set them", await _sent_marks(stage, marks), marks)


_ONLY: Final = ("anthropic",)
MARKERS: Final = (
    Scenario(
        "marker-every-block",
        "A marker on any kind of block arrives on that block",
        "markers",
        _every_block,
        ("Bifrost #1935",),
        shapes=_ONLY,
    ),
    Scenario(
        "marker-last-message",
        "The last message keeps its marker",
        "markers",
        _last_message,
        ("LiteLLM #20418",),
        shapes=_ONLY,
    ),
    Scenario(
        "marker-limit",
        "A client's four markers stay four",
        "markers",
        _at_most_four,
        ("LiteLLM #20485",),
        shapes=_ONLY,
        behind="any",
    ),
    Scenario(
        "marker-lifetime",
        "A marker's lifetime of an hour is kept",
        "markers",
        _hour,
        ("Bifrost #3451",),
        shapes=_ONLY,
    ),
    Scenario(
        "marker-alias",
        "Markers survive a model name that does not say whose it is",
        "markers",
        _alias,
        ("LiteLLM #26625",),
        shapes=_ONLY,
    ),
)
