"""What came in this shape goes out again as equal JSON, whatever it holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.wire.openai_responses.cases import FIELDS, ITEMS
from tests.unit.wire.openai_responses.reading import (
    context,
    decode,
    final_response,
    fold,
    split_at_every_byte,
    split_at_random,
)

from metis.errors import CodecError
from metis.ir.content import Opaque, Text, Thinking, ToolCall, ToolResult
from metis.ir.request import Message, Tool
from metis.wire import carry
from metis.wire.effective_tools import effective_tools
from metis.wire.openai_responses import OPENAI_RESPONSES

Json = dict[str, Any]
SHAPE = OPENAI_RESPONSES


def there_and_back(body: Json) -> Json:
    encoded = SHAPE.encode_request(SHAPE.decode_request(json.dumps(body).encode()))
    assert encoded.notes == ()
    return json.loads(encoded.body)


def test_every_recorded_request_comes_back_equal(request_bodies: list[tuple[str, Json]]) -> None:
    assert len(request_bodies) > 700
    for name, body in request_bodies:
        assert there_and_back(body) == body, name


@pytest.mark.parametrize(
    "capture",
    ["codex", "codex-gpt-5.5", "codex-gpt-6.1-sol", "codex-oabase", "jssdk", "pysdk-openai"],
)
def test_every_request_a_client_was_seen_to_send_comes_back_equal(
    capture: str, captured: Callable[[str], list[Json]]
) -> None:
    bodies = captured(capture)
    assert bodies
    for body in bodies:
        assert there_and_back(body) == body


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: str(item.get("type")))
def test_an_item_of_any_kind_comes_back_equal(item: Json) -> None:
    body = {"model": "m", "input": [item]}
    assert there_and_back(body) == body


@pytest.mark.parametrize("fields", FIELDS, ids=lambda fields: "+".join(fields) or "nothing")
def test_a_field_of_any_form_comes_back_equal(fields: Json) -> None:
    body = {"model": "m", **fields}
    assert there_and_back(body) == body


def test_each_item_becomes_a_message_of_its_own() -> None:
    body = {
        "model": "m",
        "input": [
            {"role": "user", "content": "hi"},
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": "s"}],
                "encrypted_content": "E",
            },
            {
                "type": "function_call",
                "id": "fc_1",
                "call_id": "c1",
                "name": "f",
                "namespace": "n",
                "arguments": "{}",
            },
            {
                "type": "custom_tool_call_output",
                "call_id": "c2",
                "output": [{"type": "input_text", "text": "out"}],
            },
            {"type": "web_search_call", "id": "ws_1"},
        ],
    }
    assert SHAPE.decode_request(json.dumps(body).encode()).messages == (
        Message(role="user", parts=(Text(text="hi"),), text_form=True, untyped=True),
        Message(
            role="assistant",
            parts=(
                Thinking(
                    text="s",
                    signature="E",
                    origin="openai_responses",
                    item_id="rs_1",
                    summary=True,
                    summary_parts=("s",),
                ),
            ),
        ),
        Message(
            role="assistant",
            parts=(
                ToolCall(call_id="c1", name="f", arguments="{}", namespace="n", item_id="fc_1"),
            ),
        ),
        Message(
            role="tool",
            parts=(ToolResult(call_id="c2", content=(Text(text="out"),), kind="custom"),),
        ),
        Message(
            role="assistant",
            parts=(
                Opaque(
                    shape="openai_responses",
                    kind="web_search_call",
                    value={"type": "web_search_call", "id": "ws_1"},
                ),
            ),
        ),
    )


def test_tools_that_stand_in_items_are_offered_like_any_other(
    captured: Callable[[str], list[Json]],
) -> None:
    body = captured("codex-gpt-6.1-sol")[0]
    request = SHAPE.decode_request(json.dumps(body).encode())
    assert request.tools == ()
    namespaces = {tool.name: tool for tool in effective_tools(request)}
    assert list(namespaces) == ["functions", "clock", "collaboration"]
    executes = namespaces["functions"].tools[0]
    assert (executes.kind, executes.name) == ("custom", "exec")


def test_what_a_tool_search_found_is_both_a_result_and_a_tool() -> None:
    found = {"type": "function", "name": "found", "parameters": {"type": "object"}}
    item = {"type": "tool_search_output", "call_id": "c", "execution": "client", "tools": [found]}
    body = json.dumps({"model": "m", "input": [item]}).encode()
    request = SHAPE.decode_request(body)
    assert request.messages[0].parts[0] == ToolResult(
        call_id="c", content=(Text(text="Tools found: found"),), as_text=True, name="tool_search"
    )
    assert effective_tools(request) == (
        Tool(kind="function", name="found", input_schema={"type": "object"}),
    )


def test_reasoning_of_another_shape_is_left_out_of_this_shapes_request() -> None:
    wrapped = Thinking(text="t", signature="S", origin="anthropic_messages")
    from_elsewhere = {
        "type": "reasoning",
        "id": "rs_x",
        "summary": [{"type": "summary_text", "text": "t"}],
    }
    from_elsewhere["encrypted_content"] = carry.wrap(wrapped)
    body = {"model": "m", "input": [{"role": "user", "content": "q"}, from_elsewhere]}
    request = SHAPE.decode_request(json.dumps(body).encode())
    thinking = request.messages[1].parts[0]
    assert isinstance(thinking, Thinking)
    assert (thinking.origin, thinking.signature, thinking.text) == ("anthropic_messages", "S", "t")
    encoded = SHAPE.encode_request(request)
    assert json.loads(encoded.body) == {"model": "m", "input": [{"role": "user", "content": "q"}]}
    assert [(note.verb, note.path) for note in encoded.notes] == [("lost", "input[1]")]


def test_every_recorded_answer_comes_back_equal(response_bodies: list[tuple[str, Json]]) -> None:
    assert len(response_bodies) > 500
    for name, body in response_bodies:
        response = SHAPE.decode_response(json.dumps(body).encode())
        encoded = SHAPE.encode_response(response, context(model=response.model))
        assert json.loads(encoded.body) == body, name


def without_ciphertext(value: Any) -> Any:
    """OpenAI encrypts reasoning anew for the last event, so that it differs from the item's own."""
    match value:
        case dict():
            hidden = ("signature", "fingerprint")
            return {k: without_ciphertext(v) for k, v in value.items() if k not in hidden}
        case list() | tuple():
            return [without_ciphertext(item) for item in value]
        case _:
            return value


def test_every_recorded_stream_folds_to_its_last_event(streams: list[tuple[str, bytes]]) -> None:
    assert len(streams) > 200
    for name, stream in streams:
        events = decode([stream])
        final = final_response(stream)
        if final is None:
            assert fold(events).failure is not None, name
            continue
        expected = SHAPE.decode_response(json.dumps(final).encode())
        # A stream's fold has no place for the tier; it is among the extras of both.
        expected = msgspec.structs.replace(expected, service_tier=None)
        got = without_ciphertext(msgspec.to_builtins(fold(events).result()))
        assert got == without_ciphertext(msgspec.to_builtins(expected)), name


def test_a_stream_means_the_same_however_it_is_cut(streams: list[tuple[str, bytes]]) -> None:
    for number, (name, stream) in enumerate(streams):
        whole = decode([stream])
        assert decode(split_at_random(stream, number)) == whole, name
    small = [stream for _, stream in streams if len(stream) < 12_000][:12]
    assert len(small) == 12
    for stream in small:
        whole = decode([stream])
        assert decode(split_at_every_byte(stream)) == whole
        assert decode([stream.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")]) == whole


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5) | st.just(1e300),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
seeds = st.sampled_from(
    [{"model": "m", "input": [item]} for item in ITEMS] + [{"model": "m", **f} for f in FIELDS]
)


@st.composite
def spoiled(draw: st.DrawFn) -> Json:
    """A valid body with something put in the place of one of its nodes, or one of its nodes gone."""
    body: Any = json.loads(json.dumps(draw(seeds)))
    node = body
    for _ in range(draw(st.integers(0, 5))):
        keys: list[Any] = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            break
        key = draw(st.sampled_from(keys))
        if isinstance(node[key], dict | list) and draw(st.booleans()):
            node = node[key]
        elif draw(st.booleans()):
            node[key] = draw(json_values)
        elif isinstance(node, dict):
            del node[key]
    return body


@settings(max_examples=600, deadline=None)
@given(body=spoiled())
def test_a_spoiled_request_is_refused_in_words_or_comes_back_equal(body: Json) -> None:
    raw = json.dumps(body).encode()
    try:
        request = SHAPE.decode_request(raw)
    except CodecError:
        return
    assert json.loads(SHAPE.encode_request(request).body) == body


@settings(max_examples=200, deadline=None)
@given(raw=st.binary(max_size=60) | json_values.map(lambda value: json.dumps(value).encode()))
def test_bytes_that_are_no_request_or_answer_are_refused_in_words(raw: bytes) -> None:
    for decode_body in (SHAPE.decode_request, SHAPE.decode_response, SHAPE.facts_of):
        try:
            decode_body(raw)
        except CodecError as refusal:
            assert str(refusal)
    assert SHAPE.decode_error(500, raw).status == 500


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "model: a required field is missing"),
        ({"model": 7}, "model: it must be a string, not a number"),
        ({"model": "m", "input": 7}, "input: it must be a string or a list, not a number"),
        ({"model": "m", "input": [7]}, "input[0]: it must be an object, not a number"),
        ({"model": "m", "input": [{}]}, "input[0]: an input item needs a type or a role"),
        (
            {"model": "m", "input": [{"type": "function_call", "call_id": "c", "name": "f"}]},
            "input[0].arguments: a required field is missing",
        ),
        (
            {"model": "m", "input": [{"role": "user", "content": [{"text": "x"}]}]},
            "input[0].content[0].type: a required field is missing",
        ),
        (
            {"model": "m", "tools": [{"type": "function"}]},
            "tools[0].name: a required field is missing",
        ),
        (
            {"model": "m", "tool_choice": "maybe"},
            "tool_choice: unknown choice 'maybe'; it must be auto, none, required or an object",
        ),
        ({"model": "m", "temperature": "hot"}, "temperature: it must be a number, not a string"),
    ],
)
def test_a_malformed_request_is_refused_with_its_path(body: Json, message: str) -> None:
    with pytest.raises(CodecError) as caught:
        SHAPE.decode_request(json.dumps(body).encode())
    assert str(caught.value) == message


def test_deep_nesting_is_refused_and_not_a_crash() -> None:
    with pytest.raises(CodecError):
        SHAPE.decode_request(b'{"model":"m","input":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
