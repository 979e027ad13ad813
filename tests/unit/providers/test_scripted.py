"""The scripted provider: which reply a request gets, what its bytes say in each shape, what faults leave of them."""

from __future__ import annotations

import base64
import json
import math
import struct
from typing import Any

import pytest

from metis.errors import CodecError, ConfigError
from metis.facts.failure import FailureCause
from metis.facts.usage import Usage
from metis.ir.content import Text, Thinking, ToolCall
from metis.ir.response import Response
from metis.ir.stream import Fold
from metis.providers.scripted.performance import Broken, Close, Head, Performance, Piece
from metis.providers.scripted.player import Player
from metis.providers.scripted.script import Script, ScriptedCall, ScriptedReply, When, decode_script
from metis.wire import SHAPES

Json = dict[str, Any]
PATHS = {
    "anthropic_messages": "/v1/messages",
    "openai_chat": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
}
BY_NAME = {shape.name: shape for shape in SHAPES}
SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "days": {"type": "integer", "minimum": 2},
        "unit": {"enum": ["C", "F"]},
        "note": {"type": "string"},
    },
    "required": ["city", "days", "unit"],
}


def asking(shape: str, text: str = "hello", **fields: Any) -> bytes:
    if shape == "openai_responses":
        return json.dumps({"model": "m-1", "input": text, **fields}).encode()
    limit = {"max_tokens": 100} if shape == "anthropic_messages" else {}
    messages = [{"role": "user", "content": text}]
    return json.dumps({"model": "m-1", **limit, "messages": messages, **fields}).encode()


def player(*replies: ScriptedReply) -> Player:
    return Player(Script(replies=replies))


def body_of(performance: Performance) -> bytes:
    return b"".join(step.data for step in performance if isinstance(step, Piece))


def status_of(performance: Performance) -> int:
    return next(step.status for step in performance if isinstance(step, Head))


def said(shape: str, performance: Performance, *, stream: bool) -> Response:
    """What the shape's own decoder reads from the performance."""
    codec = BY_NAME[shape]
    if not stream:
        return codec.decode_response(body_of(performance))
    decoder, fold = codec.stream_decoder(), Fold()
    for event in (*decoder.feed(body_of(performance)), *decoder.finish()):
        fold.feed(event)
    assert fold.ended
    return fold.result()


@pytest.fixture(params=sorted(PATHS))
def shape(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=[False, True], ids=["whole", "stream"])
def stream(request: pytest.FixtureRequest) -> bool:
    return request.param


def play(to: Player, shape: str, *, stream: bool, **fields: Any) -> Performance:
    if stream:
        fields["stream"] = True
        if shape == "openai_chat":
            fields["stream_options"] = {"include_usage": True}
    return to.play(PATHS[shape], asking(shape, **fields))


def test_a_reply_says_thinking_text_calls_and_usage_in_every_shape(
    shape: str, stream: bool
) -> None:
    usage = Usage(
        input_tokens=11, cache_read_tokens=7, cache_write_5m_tokens=3, output_tokens=20,
        reasoning_tokens=5,
    )  # fmt: skip
    reply = ScriptedReply(
        thinking="let me think about that for a while",
        signature="c2ln",
        text="two calls, said in more than one piece",
        tool_calls=(
            ScriptedCall(name="weather", arguments={"city": "Oslo"}, call_id="call_a"),
            ScriptedCall(name="weather", arguments='{"city":"Rome"}', call_id="call_b"),
        ),
        usage=usage,
        response_id="resp_1",
    )
    answer = said(shape, play(player(reply), shape, stream=stream), stream=stream)
    thinking, *others = answer.parts
    assert isinstance(thinking, Thinking)
    assert thinking.text == "let me think about that for a while"
    assert thinking.signature == "c2ln"
    texts = "".join(part.text for part in others if isinstance(part, Text))
    calls = [
        (part.call_id, part.name, part.arguments) for part in others if isinstance(part, ToolCall)
    ]
    assert texts == "two calls, said in more than one piece"
    assert calls == [
        ("call_a", "weather", '{"city":"Oslo"}'),
        ("call_b", "weather", '{"city":"Rome"}'),
    ]
    assert (answer.response_id, answer.model, answer.stop) == ("resp_1", "m-1", "tool_use")
    assert answer.usage == usage


def test_the_echo_repeats_the_last_user_text_and_counts_by_length(shape: str, stream: bool) -> None:
    to = player()
    performance = play(to, shape, stream=stream, text="is anybody there?")
    answer = said(shape, performance, stream=stream)
    assert [part.text for part in answer.parts if isinstance(part, Text)] == [
        "You said: is anybody there?"
    ]
    assert answer.usage is not None
    assert answer.usage.output_tokens == math.ceil(len("You said: is anybody there?") / 4)
    assert answer.usage.input_tokens > 10


def test_the_echo_calls_a_forced_tool_with_arguments_of_its_schema(
    shape: str, stream: bool
) -> None:
    function = {"name": "forecast", "parameters": SCHEMA}
    fields: Json = {
        "anthropic_messages": {
            "tools": [
                {"name": "other", "input_schema": {}},
                {"name": "forecast", "input_schema": SCHEMA},
            ],
            "tool_choice": {"type": "tool", "name": "forecast"},
        },
        "openai_chat": {
            "tools": [{"type": "function", "function": function}],
            "tool_choice": {"type": "function", "function": {"name": "forecast"}},
        },
        "openai_responses": {
            "tools": [{"type": "function", **function}],
            "tool_choice": "required",
        },
    }[shape]
    answer = said(shape, play(player(), shape, stream=stream, **fields), stream=stream)
    (call,) = answer.parts
    assert isinstance(call, ToolCall)
    assert (call.name, json.loads(call.arguments)) == (
        "forecast",
        {"city": "scripted", "days": 2, "unit": "C"},
    )


def test_the_echo_fills_a_schema_that_refers_to_itself() -> None:
    schema = {
        "type": "object",
        "properties": {"child": {"$ref": "#/$defs/node"}},
        "required": ["child"],
        "$defs": {
            "node": {
                "type": "object",
                "properties": {"next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
                "required": ["next"],
            }
        },
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    performance = player().play(PATHS["openai_chat"], asking("openai_chat", response_format=wanted))
    text = json.loads(body_of(performance))["choices"][0]["message"]["content"]
    assert set(json.loads(text)) == {"child"}


def test_the_echo_repeats_what_the_tools_answered() -> None:
    messages = [
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "w", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "rain"}]},
    ]  # fmt: skip
    body = json.dumps({"model": "m", "max_tokens": 99, "messages": messages}).encode()
    answer = json.loads(body_of(player().play("/v1/messages", body)))
    assert answer["content"] == [{"type": "text", "text": "The tools said: rain"}]


def test_the_echo_keeps_to_the_output_limit() -> None:
    body = asking("anthropic_messages", "a long question", max_tokens=2)
    answer = json.loads(body_of(player().play("/v1/messages", body)))
    assert (answer["content"][0]["text"], answer["stop_reason"]) == ("You said", "max_tokens")


def test_replies_are_used_in_order_and_the_last_repeats() -> None:
    to = player(ScriptedReply(text="one"), ScriptedReply(text="two"))
    texts = [
        json.loads(body_of(to.play("/v1/messages", asking("anthropic_messages"))))["content"]
        for _ in range(3)
    ]
    assert [content[0]["text"] for content in texts] == ["one", "two", "two"]


@pytest.mark.parametrize(
    ("when", "fitting"),
    [
        (When(model="m-*"), True),
        (When(model="n-*"), False),
        (When(user="lost"), True),
        (When(user="found"), False),
        (When(body='"metadata"'), True),
        (When(body='"nothing"'), False),
        (When(tools=True), False),
        (When(tools=False, tool_result=False, stream=False, shape="anthropic_messages"), True),
        (When(stream=True), False),
        (When(tool_result=True), False),
        (When(shape="openai_chat"), False),
        (When(operation="count_tokens"), False),
    ],
)
def test_a_reply_is_for_the_requests_that_its_when_names(when: When, fitting: bool) -> None:
    body = asking("anthropic_messages", "lost and alone", metadata={"user_id": "u"})
    performance = player(ScriptedReply(when=when, text="chosen")).play("/v1/messages", body)
    text = json.loads(body_of(performance))["content"][0]["text"]
    assert (text == "chosen") is fitting


def test_a_mid_conversation_instruction_does_not_hide_the_tool_result() -> None:
    messages = [
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": None,
         "tool_calls": [{"id": "a", "type": "function", "function": {"name": "w", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "a", "content": "rain"},
        {"role": "system", "content": "be brief"},
    ]  # fmt: skip
    body = json.dumps({"model": "m", "messages": messages}).encode()
    to = player(ScriptedReply(when=When(tool_result=True), text="after"))
    answer = json.loads(body_of(to.play("/v1/chat/completions", body)))
    assert answer["choices"][0]["message"]["content"] == "after"


def test_an_error_is_said_in_the_shape_with_status_and_headers(shape: str) -> None:
    reply = ScriptedReply(status=529, text="too busy", headers={"retry-after": "3"})
    performance = player(reply).play(PATHS[shape], asking(shape, stream=True))
    error = BY_NAME[shape].decode_error(529, body_of(performance))
    head = performance[0]
    assert isinstance(head, Head)
    assert (head.status, error.kind, error.message) == (529, "overloaded", "too busy")
    assert (b"retry-after", b"3") in head.headers


def test_a_body_of_the_scripts_own_is_sent_as_it_is() -> None:
    reply = ScriptedReply(status=400, body={"odd": ["one", 2]})
    performance = player(reply).play("/v1/messages", asking("anthropic_messages"))
    assert json.loads(body_of(performance)) == {"odd": ["one", 2]}


def test_nonsense_in_a_request_is_answered_with_400_in_the_shape(shape: str) -> None:
    performance = player().play(PATHS[shape], b'{"model": "m", "messages": 7, "input": 7}')
    assert status_of(performance) == 400
    assert BY_NAME[shape].decode_error(400, body_of(performance)).kind == "invalid_request"


def test_an_unknown_path_is_answered_with_404() -> None:
    assert status_of(player().play("/v1/else", b"{}")) == 404


# Time and faults


def test_delays_stand_before_the_head_and_between_pieces() -> None:
    reply = ScriptedReply(text="abcd", chunk_characters=2, delay_ms=50, chunk_delay_ms=9)
    performance = player(reply).play("/v1/messages", asking("anthropic_messages", stream=True))
    assert [step.after_ms for step in performance] == [50, 0, *[9] * (len(performance) - 3), 0]


def test_a_stream_has_as_many_deltas_as_its_text_has_chunks(shape: str) -> None:
    reply = ScriptedReply(text="abcdefghij", chunk_characters=3)
    performance = player(reply).play(PATHS[shape], asking(shape, stream=True))
    deltas = [body for body in body_of(performance).split(b"\n\n") if b'"delta":' in body]
    pieces = [one for one in (b"abc", b"def", b"ghi", b"j") if any(one in body for body in deltas)]
    assert len(pieces) == 4
    assert all(step.data.endswith(b"\n\n") for step in performance if isinstance(step, Piece))


def with_fault(shape: str, stream: bool, **fields: Any) -> Performance:
    reply = ScriptedReply(text="some text that takes more than a chunk", **fields)
    return play(player(reply), shape, stream=stream)


@pytest.mark.parametrize(
    ("fault", "cause"), [("refused", FailureCause.REFUSED), ("reset", FailureCause.RESET)]
)
def test_a_connection_that_fails_says_nothing(fault: Any, cause: FailureCause, shape: str) -> None:
    (step,) = with_fault(shape, False, fault=fault)
    assert isinstance(step, Broken)
    assert (step.failure.cause, step.failure.sent) == (cause, fault == "reset")


def test_a_cut_falls_inside_the_body(shape: str, stream: bool) -> None:
    whole = body_of(with_fault(shape, stream))
    performance = with_fault(shape, stream, fault="cut")
    last = performance[-1]
    assert isinstance(last, Broken)
    assert last.failure.cause is FailureCause.CUT
    assert whole.startswith(body_of(performance))
    assert 0 < len(body_of(performance)) < len(whole)


def test_a_hang_never_ends(shape: str) -> None:
    assert with_fault(shape, True, fault="hang") == (Close(math.inf),)
    head, piece, close = with_fault(shape, True, fault="hang", fault_after=1)
    assert (type(head), type(piece), close) == (Head, Piece, Close(math.inf))


def test_an_empty_answer_is_a_head_without_a_body(shape: str, stream: bool) -> None:
    head, close = with_fault(shape, stream, fault="empty")
    assert isinstance(head, Head)
    assert (head.status, close) == (200, Close(0.0))


def test_nonsense_is_of_no_shape(shape: str, stream: bool) -> None:
    performance = with_fault(shape, stream, fault="nonsense")
    codec = BY_NAME[shape]
    with pytest.raises(CodecError):
        if stream:
            codec.stream_decoder().feed(body_of(performance))
        else:
            codec.decode_response(body_of(performance))


def test_an_error_event_ends_the_stream_in_the_shapes_own_way(shape: str) -> None:
    performance = with_fault(shape, True, fault="error_event", fault_after=2, status=500)
    codec = BY_NAME[shape]
    decoder, fold = codec.stream_decoder(), Fold()
    for event in (*decoder.feed(body_of(performance)), *decoder.finish()):
        fold.feed(event)
    assert fold.failure is not None
    assert fold.failure.message == "some text that takes more than a chunk"
    assert status_of(performance) == 200


def test_an_error_event_of_an_answer_that_is_no_stream_is_an_error(shape: str) -> None:
    assert status_of(with_fault(shape, False, fault="error_event")) == 529


def test_without_its_terminator_a_stream_is_one_event_short(shape: str) -> None:
    whole = [step for step in with_fault(shape, True) if isinstance(step, Piece)]
    short = [
        step for step in with_fault(shape, True, fault="no_terminator") if isinstance(step, Piece)
    ]
    assert short == whole[:-1]


# The other operations


def test_token_counts_are_told_or_counted() -> None:
    body = asking("anthropic_messages")
    counted = json.loads(body_of(player().play("/v1/messages/count_tokens", body)))
    assert counted == {"input_tokens": math.ceil(len(body) / 4)}
    told = ScriptedReply(when=When(operation="count_tokens"), usage=Usage(input_tokens=42))
    answer = json.loads(body_of(player(told).play("/v1/messages/count_tokens", body)))
    assert answer == {"input_tokens": 42}


def test_embeddings_are_unit_vectors_and_the_same_in_both_encodings() -> None:
    def ask(**fields: Any) -> Json:
        body = json.dumps({"model": "e", "input": ["one", "two"], **fields}).encode()
        return json.loads(body_of(player().play("/v1/embeddings", body)))

    floats = [entry["embedding"] for entry in ask(dimensions=40)["data"]]
    packed = ask(dimensions=40, encoding_format="base64")["data"]
    unpacked = [struct.unpack("<40f", base64.b64decode(entry["embedding"])) for entry in packed]
    assert [pytest.approx(list(vector), abs=1e-6) for vector in unpacked] == floats
    assert [sum(number**2 for number in vector) for vector in floats] == pytest.approx([1, 1])
    assert floats[0] != floats[1]
    assert ask()["usage"] == {"prompt_tokens": 4, "total_tokens": 4}


def test_completions_stream_their_text_and_the_usage_that_was_asked_for() -> None:
    fields = {"model": "c", "prompt": "once", "stream": True}
    body = json.dumps({**fields, "stream_options": {"include_usage": True}}).encode()
    events = body_of(player().play("/v1/completions", body)).split(b"\n\n")
    chunks = [json.loads(event.removeprefix(b"data: ")) for event in events[:-2]]
    text = "".join(choice["text"] for chunk in chunks for choice in chunk["choices"])
    assert (text, events[-2]) == ("You said: once", b"data: [DONE]")
    assert chunks[-1]["usage"]["completion_tokens"] == 4
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"


# Reading scripts


def test_a_script_reads_from_toml_and_json_alike() -> None:
    toml = b'[[replies]]\ntext = "hi"\nwhen = { model = "m*" }\ntool_calls = [{ name = "f" }]\n'
    data = {"replies": [{"text": "hi", "when": {"model": "m*"}, "tool_calls": [{"name": "f"}]}]}
    from_json = decode_script(json.dumps(data).encode(), toml=False, field="providers.x.script")
    assert decode_script(toml, toml=True, field="providers.x.script") == from_json


@pytest.mark.parametrize(
    "text",
    [
        '{"replies": [{"txt": "hi"}]}',
        '{"replies": [{"status": 99}]}',
        '{"replies": [{"chunk_characters": 0}]}',
        '{"replies": [{"delay_ms": -1}]}',
        '{"replies": [{"fault": "earthquake"}]}',
        "not json",
    ],
)
def test_a_script_that_cannot_be_played_is_refused_with_its_setting(text: str) -> None:
    with pytest.raises(ConfigError, match="script") as caught:
        decode_script(text.encode(), toml=False, field="providers.x.script")
    assert caught.value.field == "providers.x.script"
