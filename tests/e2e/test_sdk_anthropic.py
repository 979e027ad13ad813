"""The Anthropic SDK through the gateway, to upstreams of all three shapes; its own parsers are the judges."""

from __future__ import annotations

import base64
from typing import Any

import pydantic
import pytest
from anthropic.types import Message, ParsedMessage
from tests.e2e.stage import USAGE, Stage, ledger_row

from metis.wire.codec import FOREIGN_SIGNATURE

Json = dict[str, Any]
SHAPE = "anthropic_messages"
SIGNATURE = "c2lnbmVkLWJ5LXRoZS1zY3JpcHQ="
USER_IMAGE = base64.b64encode(b"a picture that the user sent").decode()
TOOL_IMAGE = base64.b64encode(b"a picture that a tool made").decode()
TEXT = "Hello from the script: thirty words would be more than one chunk. ✓ Grüße"
LOOK = [
    {"name": "weather", "arguments": {"city": "Oslo"}, "call_id": "call_oslo"},
    {"name": "weather", "arguments": {"city": "Rome", "days": 2}, "call_id": "call_rome"},
    {"name": "clock", "arguments": {}, "call_id": "call_clock"},
]
SCRIPT: list[Json] = [
    {"when": {"user": "[text]"}, "text": TEXT, "usage": USAGE},
    {"when": {"body": USER_IMAGE}, "text": "the picture came", "usage": USAGE},
    {"when": {"body": TOOL_IMAGE}, "text": "the tool's picture came", "usage": USAGE},
    {
        "when": {"user": "[tools]", "tool_result": False},
        "text": "I will look.",
        "tool_calls": LOOK,
        "usage": USAGE,
    },
    {"when": {"body": FOREIGN_SIGNATURE}, "text": "a wrapped signature came"},
    {"when": {"body": SIGNATURE}, "text": "the signature came back", "usage": USAGE},
    {
        "when": {"user": "[think]", "tool_result": False},
        "thinking": "Let me think about this for more than one chunk.",
        "signature": SIGNATURE,
        "text": "I thought.",
        "tool_calls": [{"name": "clock", "call_id": "call_1"}],
        "usage": USAGE,
    },
    {"when": {"body": "SYSTEM-7f3a"}, "text": "system seen", "usage": USAGE},
    {"when": {"body": "MIDWAY-8a1c"}, "text": "midway seen", "usage": USAGE},
    {"when": {"user": "[slow]"}, "text": "word " * 400, "chunk_delay_ms": 15, "usage": USAGE},
    *(
        {
            "when": {"user": f"[stop:{stop}]"},
            "text": "until here",
            "stop": stop,
            "usage": USAGE,
            "stop_sequence": "END" if stop == "stop_sequence" else None,
        }
        for stop in ("end_turn", "max_tokens", "stop_sequence", "refusal")
    ),
]
TOOLS: Any = [
    {
        "name": "weather",
        "description": "The weather of a city",
        "input_schema": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
    {"name": "clock", "input_schema": {"type": "object", "properties": {}}},
]


def ask(stage: Stage, model: str, messages: Any, *, stream: bool, **fields: Any) -> Message:
    """One turn; a stream is gathered by the SDK's own accumulator."""
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    asked: Any = {"model": model, "max_tokens": 200, "messages": messages, **fields}
    if not stream:
        return stage.anthropic.messages.create(**asked)
    with stage.anthropic.messages.stream(**asked) as events:
        return events.get_final_message()


def usage_of(message: Message) -> Json:
    usage = message.usage
    return {
        "input_tokens": usage.input_tokens,
        "cache_read_tokens": usage.cache_read_input_tokens,
        "cache_write_5m_tokens": usage.cache_creation_input_tokens,
        "output_tokens": usage.output_tokens,
        "reasoning_tokens": (
            usage.output_tokens_details and usage.output_tokens_details.thinking_tokens
        ),
    }


def said(message: Message) -> list[Any]:
    """Content blocks, without the fields that are empty."""
    return [block.model_dump(exclude_none=True) for block in message.content]


def test_a_text_answer_is_whole_with_usage_and_a_ledger_row(
    stage: Stage, upstream: str, stream: bool
) -> None:
    model = stage.model(upstream)
    message = ask(stage, model, "[text]", stream=stream)
    assert said(message) == [{"type": "text", "text": TEXT}]
    assert (message.role, message.stop_reason, message.type) == ("assistant", "end_turn", "message")
    assert usage_of(message) == USAGE
    assert message.id
    ledger_row(stage.call(model), SHAPE, upstream, stream=stream)


def test_the_text_streams_piece_by_piece(stage: Stage, upstream: str) -> None:
    asked: Any = {
        "model": stage.model(upstream),
        "max_tokens": 99,
        "messages": [{"role": "user", "content": "[text]"}],
    }
    with stage.anthropic.messages.stream(**asked) as events:
        pieces = list(events.text_stream)
    assert "".join(pieces) == TEXT
    assert len(pieces) > 3


def test_raw_events_follow_the_grammar_of_the_api(stage: Stage, upstream: str) -> None:
    asked: Any = {
        "model": stage.model(upstream),
        "max_tokens": 99,
        "messages": [{"role": "user", "content": "[tools]"}],
        "tools": TOOLS,
        "stream": True,
    }
    kinds = [event.type for event in stage.anthropic.messages.create(**asked)]
    condensed = [
        kind for before, kind in zip([None, *kinds], kinds, strict=False) if kind != before
    ]
    block = ["content_block_start", "content_block_delta", "content_block_stop"]
    # A call without arguments may come without a delta.
    last = condensed[len(["message_start", *block * 3]) : -2]
    assert condensed[: 1 + 9] == ["message_start", *block * 3]
    assert [kind for kind in last if kind != "content_block_delta"] == [block[0], block[2]]
    assert condensed[-2:] == ["message_delta", "message_stop"]


def test_parallel_tools_are_called_and_their_results_come_back(
    stage: Stage, upstream: str, stream: bool
) -> None:
    model = stage.model(upstream)
    question: Json = {"role": "user", "content": "[tools]"}
    first = ask(stage, model, [question], stream=stream, tools=TOOLS)
    assert said(first) == [
        {"type": "text", "text": "I will look."},
        *(
            {"type": "tool_use", "id": call["call_id"], "name": call["name"],
             "input": call["arguments"]}
            for call in LOOK
        ),
    ]  # fmt: skip
    assert first.stop_reason == "tool_use"
    results: list[Json] = [
        {"type": "tool_result", "tool_use_id": "call_oslo", "content": "4 degrees"},
        {
            "type": "tool_result",
            "tool_use_id": "call_rome",
            "content": [{"type": "text", "text": "no such city"}],
            "is_error": True,
        },
        {"type": "tool_result", "tool_use_id": "call_clock", "content": "noon"},
    ]
    conversation = [
        question,
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": results},
    ]
    second = ask(stage, model, conversation, stream=stream, tools=TOOLS)
    (answer,) = second.content
    assert answer.type == "text"
    assert answer.text.startswith("The tools said: 4 degrees; ")
    assert "no such city" in answer.text
    assert answer.text.endswith("; noon")
    called, answered = stage.calls(model, 2)
    ledger_row(called, SHAPE, upstream, stream=stream, stop="tool_use", tool_calls=3)
    assert (answered["outcome"], answered["stop"], answered["tool_calls"]) == ("ok", "end_turn", 0)
    assert answered["session_id"] == called["session_id"]


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "weather"}])
def test_a_forced_tool_is_called_with_input_of_its_schema(
    stage: Stage, upstream: str, stream: bool, choice: Json
) -> None:
    model = stage.model(upstream)
    message = ask(stage, model, "weather?", stream=stream, tools=TOOLS, tool_choice=choice)
    (call,) = message.content
    assert call.type == "tool_use"
    assert (call.name, call.input) == ("weather", {"city": "scripted"})
    assert stage.call(model)["tool_calls"] == 1


def picture(data: str) -> Json:
    source = {"type": "base64", "media_type": "image/png", "data": data}
    return {"type": "image", "source": source}


def test_images_of_the_user_and_of_a_tool_arrive(stage: Stage, upstream: str) -> None:
    model = stage.model(upstream)
    question: Json = {
        "role": "user",
        "content": [picture(USER_IMAGE), {"type": "text", "text": "What is this?"}],
    }
    seen = ask(stage, model, [question], stream=False)
    assert said(seen) == [{"type": "text", "text": "the picture came"}]
    call = {"type": "tool_use", "id": "call_1", "name": "clock", "input": {}}
    result = {
        "type": "tool_result",
        "tool_use_id": "call_1",
        "content": [{"type": "text", "text": "a clock"}, picture(TOOL_IMAGE)],
    }
    conversation: list[Json] = [
        {"role": "user", "content": "What does the clock look like?"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    ]
    seen = ask(stage, model, conversation, stream=False, tools=TOOLS)
    assert said(seen) == [{"type": "text", "text": "the tool's picture came"}]


def test_thinking_is_shown_and_its_signature_comes_back(
    stage: Stage, upstream: str, stream: bool
) -> None:
    model = stage.model(upstream)
    fields = {"tools": TOOLS, "thinking": {"type": "enabled", "budget_tokens": 1024}}
    fields["max_tokens"] = 4096
    question: Json = {"role": "user", "content": "[think]"}
    first = ask(stage, model, [question], stream=stream, **fields)
    thinking, text, call = first.content
    assert (thinking.type, text.type, call.type) == ("thinking", "text", "tool_use")
    assert thinking.thinking == "Let me think about this for more than one chunk."
    assert thinking.signature
    if upstream == "a":
        assert thinking.signature == SIGNATURE
    conversation = [
        question,
        {"role": "assistant", "content": first.content},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "noon"}],
        },
    ]
    second = ask(stage, model, conversation, stream=stream, **fields)
    assert said(second) == [{"type": "text", "text": "the signature came back"}]


def test_a_signature_of_another_shape_is_not_sent_to_claude(stage: Stage, stream: bool) -> None:
    """What an OpenAI model signed is no proof for Claude: it would be refused there with a 400."""
    asked: Json = {"stream": stream, "tools": TOOLS, "max_tokens": 4096}
    question: Json = {"role": "user", "content": "[think]"}
    first = ask(stage, stage.model("r"), [question], **asked)
    conversation = [
        question,
        {"role": "assistant", "content": first.content},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "noon"}],
        },
    ]
    second = ask(stage, stage.model("a"), conversation, **asked)
    assert said(second) == [{"type": "text", "text": "The tools said: noon"}]


def test_system_texts_arrive_from_the_start_and_from_the_middle(
    stage: Stage, upstream: str, stream: bool
) -> None:
    model = stage.model(upstream)
    system: list[Json] = [
        {"type": "text", "text": "You are terse.", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "SYSTEM-7f3a"},
    ]
    answer = ask(stage, model, "hello", stream=stream, system=system)
    assert said(answer) == [{"type": "text", "text": "system seen"}]
    conversation: list[Json] = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "Hello."},
        {"role": "system", "content": "MIDWAY-8a1c"},
        {"role": "user", "content": "go on"},
    ]
    answer = ask(stage, model, conversation, stream=stream)
    assert said(answer) == [{"type": "text", "text": "midway seen"}]


class Forecast(pydantic.BaseModel):
    city: str
    degrees: int
    sky: list[str]


def test_structured_output_is_parsed_by_the_sdk(stage: Stage, upstream: str, stream: bool) -> None:
    asked: Any = {
        "model": stage.model(upstream),
        "max_tokens": 99,
        "messages": [{"role": "user", "content": "the forecast, please"}],
        "output_format": Forecast,
    }
    parsed: ParsedMessage[Forecast]
    if stream:
        with stage.anthropic.messages.stream(**asked) as events:
            parsed = events.get_final_message()
    else:
        parsed = stage.anthropic.messages.parse(**asked)
    assert parsed.parsed_output == Forecast(city="scripted", degrees=1, sky=[])


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        ("end_turn", "end_turn"),
        ("max_tokens", "max_tokens"),
        ("stop_sequence", "stop_sequence"),
        ("refusal", "refusal"),
    ],
)
def test_stop_reasons_keep_their_meaning(
    stage: Stage, upstream: str, stream: bool, stop: str, expected: str
) -> None:
    if stop == "stop_sequence" and upstream != "a":
        expected = "end_turn"  # OpenAI's APIs do not tell the two apart
    model = stage.model(upstream)
    message = ask(stage, model, f"[stop:{stop}]", stream=stream, stop_sequences=["END"])
    sequence = "END" if expected == "stop_sequence" else None
    assert (message.stop_reason, message.stop_sequence) == (expected, sequence)
    ledger_row(stage.call(model), SHAPE, upstream, stream=stream, stop=stage.call(model)["stop"])


def test_a_client_that_leaves_cancels_the_call(stage: Stage, upstream: str) -> None:
    model = stage.model(upstream)
    asked: Any = {
        "model": model,
        "max_tokens": 999,
        "messages": [{"role": "user", "content": "[slow]"}],
    }
    with stage.anthropic.messages.stream(**asked) as events:
        next(iter(events.text_stream))
    row = stage.call(model)
    assert (row["outcome"], row["usage_source"], row["state"]) == ("aborted", "estimated", "closed")
    assert 0 < row["output_tokens"] < 400
    assert row["cost_nano_usd"] > 0
