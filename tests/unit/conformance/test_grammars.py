"""The grammars accept what providers send and what the suite's own upstream says, and name what is wrong elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from metis.conformance.dialects import DIALECTS
from metis.conformance.dialects.dialect import Name
from metis.conformance.neutral import Answer, Call, Usage
from metis.conformance.scenario import SHAPES
from metis.conformance.sse import Event, read_events

ANSWER = Answer(
    text="Two files, then.",
    thinking="Both are needed.",
    signature="c2ln",
    calls=(Call("read", '{"path":"/a"}', "call_1"), Call("read", '{"path":"/b"}', "call_2")),
    stop="tool",
    usage=Usage(fresh=12, cache_read=400, output=7),
)
REQUEST = {
    "model": "m",
    "stream_options": {"include_usage": True},
    "include": ["reasoning.encrypted_content"],
}
FILES: dict[Name, str] = {
    "anthropic": "anthropic.messages",
    "openai": "openai.chat",
    "responses": "openai.responses",
}
UNSOUND = {"truncated_stream", "stream_error_event", "long_stream"}


def said(shape: Name, answer: Answer = ANSWER) -> list[Event]:
    return read_events(b"".join(DIALECTS[shape].events(answer, REQUEST)))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_suites_own_streams_are_well_formed(shape: Name, size: int) -> None:
    answer = Answer(
        ANSWER.text, ANSWER.thinking, ANSWER.signature, ANSWER.calls, "tool", piece_characters=size
    )
    assert DIALECTS[shape].stream_faults(said(shape, answer)) == []
    assert DIALECTS[shape].stream_faults(said(shape, Answer())) == []


@pytest.mark.parametrize("shape", SHAPES)
def test_a_joined_stream_says_what_the_whole_answer_says(shape: Name) -> None:
    dialect = DIALECTS[shape]
    whole, joined = dialect.whole(ANSWER, REQUEST), dialect.fold(said(shape))
    assert dialect.understand(joined) == dialect.understand(whole)
    assert dialect.whole_faults(whole) == dialect.whole_faults(
        joined | {"object": whole.get("object")}
    )
    understood = dialect.understand(whole)
    assert (understood.visible, understood.hidden) == (ANSWER.text, ANSWER.thinking)
    assert [json.loads(c.arguments) for c in understood.calls] == [{"path": "/a"}, {"path": "/b"}]
    assert (understood.stop, understood.usage) == ("tool", ANSWER.usage)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_the_makers_of_an_api_stream_is_well_formed(shape: Name, corpus: Path) -> None:
    """Recorded from Anthropic and OpenAI themselves."""
    tried, faulty = 0, list[tuple[str, list[str]]]()
    with (corpus / f"{FILES[shape]}.jsonl").open(encoding="utf-8") as lines:
        for record in map(json.loads, lines):
            response = record["response"]
            made = record["provider"] in ("anthropic", "openai") and record["kind"] == "wire"
            if not made or "sse" not in response or response["status"] != 200:
                continue
            if UNSOUND & set(record["features"]):
                continue
            tried += 1
            faults = DIALECTS[shape].stream_faults(read_events(response["sse"].encode()))
            faulty += [(record["id"], faults)] if faults else []
    assert faulty == []
    assert tried > 100


def swapped(events: list[Event], first: int, second: int) -> list[Event]:
    other = list(events)
    other[first], other[second] = other[second], other[first]
    return other


def altered(events: list[Event], old: str, new: str) -> list[Event]:
    """The first event that holds `old`, changed."""
    at = next(n for n, one in enumerate(events) if old in one.data)
    other = list(events)
    other[at] = Event(other[at].name, other[at].data.replace(old, new))
    return other


A, C, R = (said(shape) for shape in ("anthropic", "openai", "responses"))
BAD: list[tuple[Name, list[Event], str]] = [
    ("anthropic", [], "no message_start"),
    ("anthropic", [A[0], *A], "a second message_start"),
    ("anthropic", A[1:], "before message_start"),
    ("anthropic", A[:-1], "no message_stop"),
    ("anthropic", [*A, A[-1]], "after message_stop"),
    ("anthropic", altered(A, '"thinking_delta"', '"text_delta"'), "text_delta inside a thinking"),
    ("anthropic", altered(A, '"index":0', '"index":9'), "expected the next one"),
    ("anthropic", altered(A, '"stop_reason":"tool_use"', '"stop_reason":null'), "stop_reason"),
    ("anthropic", altered(A, '{\\"path\\"', '{\\"pa'), "no JSON object"),
    ("anthropic", [Event("", A[0].data), *A[1:]], "carries data of type"),
    ("anthropic", [*A[:-1], Event("error", '{"type":"error"}')], "an error event"),
    ("openai", [], "no chunk"),
    ("openai", C[:-1], "no [DONE]"),
    ("openai", [*C, C[0]], "after [DONE]"),
    ("openai", C[1:], "role: assistant"),
    ("openai", [e for e in C if '"tool_calls"}' not in e.data], "no finish_reason"),
    ("openai", altered(C, "chatcmpl-", "other-"), "the id changes"),
    ("openai", altered(C, '"index":1,"id"', '"index":5,"id"'), "expected index 1"),
    ("openai", altered(C, '"id":"call_2"', '"id":"call_1"'), "two indices"),
    ("openai", [*C[:-2], Event("", "oops"), *C[-2:]], "no object"),
    ("responses", [], "no response.created"),
    ("responses", R[:-1], "no response.completed"),
    ("responses", R[1:], "before response.created"),
    ("responses", swapped(R, 3, 4), "sequence_number"),
    ("responses", [e for e in R if "content_part.added" not in e.name], "before its content_part"),
    ("responses", altered(R, '"delta":"Two', '"delta":"Too'), "differs from its deltas"),
    ("responses", [e for e in R if e.name != "response.output_item.done"], "an item is open"),
    ("responses", [*R, Event("", '{"type":"response.created"}')], "after the end"),
]


@pytest.mark.parametrize(("shape", "events", "fault"), BAD, ids=[f"{s}-{f}" for s, _, f in BAD])
def test_what_is_wrong_with_a_stream_is_named(shape: Name, events: list[Event], fault: str) -> None:
    assert any(fault in one for one in DIALECTS[shape].stream_faults(events))


def test_events_are_read_as_the_specification_says() -> None:
    raw = ": comment\r\n\r\nevent: a\r\ndata:one\rdata: two\n\nid: 1\n\nevent: b\n\ndata: {}\n\ndata: cut"
    assert read_events(raw.encode()) == [Event("a", "one\ntwo"), Event("", "{}")]
    assert Event("", "[1]").object is None
    assert Event("", '{"a":1}').object == {"a": 1}
