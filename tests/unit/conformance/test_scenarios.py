"""Scenarios pass on an honest relay, and each fails on a relay that commits the defect it is about."""

from __future__ import annotations

import copy
import itertools
import json
import socket
from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.conformance.faulty import Fault, Relay

from metis.conformance.dialects.dialect import Name
from metis.conformance.runner import chosen, run
from metis.conformance.scenario import SHAPES, Verdict
from metis.conformance.scenarios import SCENARIOS
from metis.conformance.stage import Target

MODELS: dict[Name, str] = {"anthropic": "claude-x", "openai": "gpt-x", "responses": "gpt-y"}
# Nobody pings in a relay, and loads take seconds.
SLOW = ("silence-first", "silence-within", "large-bodies")


async def play(fault: Fault, shape: Name, *only: str) -> list[Verdict]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    async with Relay(port, fault) as relay:
        target = Target(url=relay.url, key="k", models=MODELS, alias="house", timeout_s=20)
        cases = [c for c in chosen([shape], only) if c.upstream == shape]
        cases = [c for c in cases if c.scenario.id not in SLOW]
        return await run(target, cases, host="127.0.0.1", port=port, told=lambda _one: None)


@pytest.mark.parametrize("shape", SHAPES)
async def test_an_honest_relay_passes_all_of_its_own_shape(shape: Name) -> None:
    verdicts = await play(Fault(), shape)
    wrong = [(one.case.id, one.why) for one in verdicts if one.outcome in ("fail", "error")]
    assert wrong == []
    assert sum(one.outcome == "pass" for one in verdicts) > 30


def changed(change: Callable[[dict[str, Any]], object]) -> Callable[[dict[str, Any]], Any]:
    """A change that works on a copy in place."""

    def changing(body: dict[str, Any]) -> dict[str, Any]:
        mine = copy.deepcopy(body)
        change(mine)
        return mine

    return changing


def without(*names: str) -> Callable[[dict[str, Any]], Any]:
    return changed(lambda body: [body.pop(name, None) for name in names])


def each_block(change: Callable[[dict[str, Any]], object]) -> Callable[[dict[str, Any]], Any]:
    def every(body: dict[str, Any]) -> None:
        for message in body.get("messages", []):
            for block in message["content"] if isinstance(message["content"], list) else ():
                change(block)

    return changed(every)


def emptied(kind: str) -> Callable[[dict[str, Any]], Any]:
    """Blocks of a kind without text are lost."""

    def drop(body: dict[str, Any]) -> None:
        for message in body.get("messages", []):
            if isinstance(message["content"], list):
                message["content"] = [
                    b for b in message["content"] if b["type"] != kind or b.get("thinking")
                ]

    return changed(drop)


def answered(change: Callable[[dict[str, Any]], object]) -> Callable[[int, bytes], Any]:
    """A change of good whole answers."""

    def changing(status: int, body: bytes) -> tuple[int, bytes]:
        value = json.loads(body)
        if status == 200:
            change(value)
        return status, json.dumps(value).encode()

    return changing


def rewrapped(status: int, body: bytes) -> tuple[int, bytes]:
    if status < 400:
        return status, body
    said = {"type": "error", "error": {"type": "api_error", "message": f"Oops: {body.decode()}"}}
    return 500 if status == 529 else status, json.dumps(said).encode()


def thinking_as_text(body: dict[str, Any]) -> None:
    for number, item in enumerate(body["input"]):
        if item["type"] == "reasoning":
            part = {"type": "output_text", "text": item["summary"][0]["text"]}
            body["input"][number] = {"type": "message", "role": "assistant", "content": [part]}


def apart(body: dict[str, Any]) -> None:
    """Of several blocks in the last message, the last comes after a text of the assistant's."""
    last = body["messages"][-1]["content"]
    if isinstance(last, list) and len(last) > 1:
        said = {"role": "assistant", "content": [{"type": "text", "text": "And?"}]}
        body["messages"] += [said, {"role": "user", "content": [last.pop()]}]


def strict(status: int, body: bytes) -> tuple[int, bytes]:
    """Arguments that are no JSON are taken for a failure."""
    try:
        for call in json.loads(body)["choices"][0]["message"].get("tool_calls", []):
            json.loads(call["function"]["arguments"])
    except ValueError:
        return 500, b'{"error":{"message":"bad arguments"}}'
    return status, body


NUMBERS = itertools.count()
DONE = 'event: message_stop\ndata: {"type":"message_stop"}\n\n'
DELTA = (
    'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},'
    '"usage":{"output_tokens":1}}\n\n'
)
STOP = 'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
FAULTS: list[tuple[str, Name, Fault]] = [
    ("new-fields", "anthropic", Fault(request=without("field_of_next_year"))),
    ("known-fields", "openai", Fault(request=without("prompt_cache_key"))),
    ("known-fields", "responses", Fault(request=without("truncation"))),
    ("beta-headers", "anthropic", Fault(dropped=("anthropic-beta",))),
    ("key-order", "anthropic", Fault(request=lambda b: json.loads(json.dumps(b, sort_keys=True)))),
    (
        "same-twice",
        "openai",
        Fault(request=changed(lambda b: b["messages"][0].update(name=f"n{next(NUMBERS)}"))),
    ),
    (
        "stable-prefix",
        "anthropic",
        Fault(request=changed(lambda b: b.update(system=f"Turn {len(b['messages'])}."))),
    ),
    (
        "thinking-display",
        "anthropic",
        Fault(request=changed(lambda b: b.get("thinking", {}).update(display="omitted"))),
    ),
    ("answer-fields", "openai", Fault(answer=answered(lambda b: b.pop("service_tier", 0)))),
    ("answer-blocks", "anthropic", Fault(answer=answered(lambda b: b["content"].pop(0)))),
    ("response-id", "anthropic", Fault(answer=answered(lambda b: b.update(id="msg_other")))),
    ("line-separators", "openai", Fault(stream=lambda text: text.replace("\u2028", "\n"))),
    (
        "tool-arguments",
        "anthropic",
        Fault(answer=answered(lambda b: [c.update(input={}) for c in b["content"][1:]])),
    ),
    (
        "tool-arguments-stream",
        "openai",
        Fault(stream=lambda text: text.replace('"arguments":"{"', '"arguments":""')),
    ),
    (
        "stop-for-tool",
        "openai",
        Fault(stream=lambda text: text.replace('"tool_calls"}', '"stop"}')),
    ),
    ("thinking-stays-private", "responses", Fault(request=changed(thinking_as_text))),
    ("image", "anthropic", Fault(request=each_block(lambda b: b.pop("source", None)))),
    ("empty-thinking", "anthropic", Fault(request=emptied("thinking"))),
    ("redacted-thinking", "anthropic", Fault(request=emptied("redacted_thinking"))),
    (
        "signed-thinking",
        "anthropic",
        Fault(request=each_block(lambda b: b.update(signature="") if "signature" in b else None)),
    ),
    (
        "reasoning-round-trip",
        "responses",
        Fault(request=changed(lambda b: [i.pop("encrypted_content", 0) for i in b["input"]])),
    ),
    (
        "refused-signature",
        "anthropic",
        Fault(retry=without("thinking")),
    ),
    (
        "marker-every-block",
        "anthropic",
        Fault(
            request=each_block(
                lambda b: b.pop("cache_control", 0) if b["type"] == "tool_result" else 0
            )
        ),
    ),
    (
        "marker-limit",
        "anthropic",
        Fault(
            request=each_block(lambda b: b.setdefault("cache_control", {"type": "ephemeral"})),
        ),
    ),
    ("stop-sequences", "openai", Fault(request=without("stop"))),
    ("output-limit", "anthropic", Fault(request=changed(lambda b: b.update(max_tokens=4096)))),
    (
        "stream-text",
        "anthropic",
        Fault(stream=lambda text: text[: text.index("event: content")] + text),
    ),
    ("stream-text", "openai", Fault(stream=lambda text: text.replace('"role":"assistant",', ""))),
    (
        "stream-text",
        "responses",
        Fault(stream=lambda text: text.replace('"sequence_number":4', '"sequence_number":1')),
    ),
    ("structured-output", "openai", Fault(request=without("response_format"))),
    ("one-call-at-a-time", "responses", Fault(request=without("parallel_tool_calls"))),
    (
        "image-in-result",
        "anthropic",
        Fault(request=each_block(lambda b: b.update(content="[image]") if "content" in b else 0)),
    ),
    ("results-together", "anthropic", Fault(request=changed(apart))),
    (
        "interleaved-calls",
        "openai",
        Fault(stream=lambda text: text.replace('"index":1,"f', '"index":0,"f')),
    ),
    ("cut-arguments", "openai", Fault(answer=strict)),
    ("steady-pace", "responses", Fault(stream=lambda text: text)),
    (
        "usage-stream-as-whole",
        "openai",
        Fault(stream=lambda text: text.replace('"cached_tokens":400', '"cached_tokens":0')),
    ),
    ("usage-details", "anthropic", Fault(answer=answered(lambda b: b["usage"].popitem()))),
    ("hang-up-while-waiting", "anthropic", Fault(deaf=True)),
    ("error-verbatim", "anthropic", Fault(answer=rewrapped)),
    ("error-overloaded", "anthropic", Fault(answer=rewrapped)),
    ("retry-after", "openai", Fault(dropped=("retry-after",))),
    ("stream-cut", "anthropic", Fault(stream=lambda text: text + STOP + DELTA + DONE)),
    ("bounded-attempts", "responses", Fault(attempts=40)),
    ("no-retry-of-invalid", "openai", Fault(attempts=2)),
]


@pytest.mark.parametrize(
    ("scenario", "shape", "fault"), FAULTS, ids=[f"{name}-{shape}" for name, shape, _ in FAULTS]
)
async def test_a_scenario_fails_on_its_defect(scenario: str, shape: Name, fault: Fault) -> None:
    (verdict,) = await play(fault, shape, scenario)
    assert verdict.outcome == "fail", verdict
    assert "expected" in verdict.why


# What research among users' reports named, by tracker. Each must have a scenario, also where the wire cannot show it.
REPORTED = {
    "LiteLLM": """
        27512 27469 26916 24985 26625 20418 20485 15601 26937 42550 41361 32357 33224 25321 33075 36197 34819 26102
        35958 37140 23546 11789 36083 36168 42663 31069 36091 28562 38816 26672 34732 36926 27735 40291 12685 25219
        27954 21908 29342 13546 21046 24518
    """,
    "LiteLLM PR": "36008 36148 29466",
    "Bifrost": "3638 6123 1742 3362 6406 1935 5185 3451 3547 2873 5673",
    "Portkey": "1000",
    "Portkey PR": "1537",
    "TensorZero PR": "5746",
    "Helicone": "5501 4695 3549",
}


def test_every_reported_defect_has_a_scenario() -> None:
    wanted = {f"{who} #{n}" for who, numbers in REPORTED.items() for n in numbers.split()}
    assert wanted - {issue for one in SCENARIOS for issue in one.issues} == set()


def test_scenarios_have_ids_of_their_own_and_titles() -> None:
    ids = [one.id for one in SCENARIOS]
    assert sorted(set(ids)) == sorted(ids)
    assert [one.id for one in SCENARIOS if not one.title or not one.group] == []
    cases = [(shape, c.id) for shape in SHAPES for one in SCENARIOS for c in one.cases(shape)]
    assert len(set(cases)) == len(cases)
