"""The OpenAI SDK's Chat Completions through the gateway, to upstreams of all three shapes; its parsers judge."""

from __future__ import annotations

import base64
import json
from typing import Any

import openai
import pydantic
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionMessage
from tests.e2e.stage import USAGE, Stage, ledger_row

from metis.wire.codec import FOREIGN_SIGNATURE

Json = dict[str, Any]
SHAPE = "openai_chat"
SIGNATURE = "c2lnbmVkLWJ5LXRoZS1zY3JpcHQ="
USER_IMAGE = base64.b64encode(b"a picture that the user sent").decode()
TEXT = "Hello from the script: thirty words would be more than one chunk. ✓ Grüße"
LOOK = [
    {"name": "weather", "arguments": {"city": "Oslo"}, "call_id": "call_oslo"},
    {"name": "weather", "arguments": {"city": "Rome", "days": 2}, "call_id": "call_rome"},
    {"name": "clock", "arguments": {}, "call_id": "call_clock"},
]
SCRIPT: list[Json] = [
    {"when": {"user": "[text]"}, "text": TEXT, "usage": USAGE},
    {"when": {"body": USER_IMAGE}, "text": "the picture came", "usage": USAGE},
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
    {"when": {"user": "[refuse]"}, "refusal": "I had rather not.", "usage": USAGE},
    {"when": {"user": "[slow]"}, "text": "word " * 400, "chunk_delay_ms": 15, "usage": USAGE},
    *(
        {"when": {"user": f"[stop:{stop}]"}, "text": "until here", "stop": stop, "usage": USAGE}
        for stop in ("end_turn", "max_tokens", "stop_sequence", "content_filter")
    ),
]
PARAMETERS: Json = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
}
TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather of a city",
            "parameters": PARAMETERS,
        },
    },
    {"type": "function", "function": {"name": "clock"}},
]


def ask(stage: Stage, model: str, messages: Any, *, stream: bool, **fields: Any) -> ChatCompletion:
    """One turn; a stream is gathered by the SDK's own accumulator."""
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    asked: Any = {"model": model, "messages": messages, **fields}
    if not stream:
        return stage.openai.chat.completions.create(**asked)
    usage: Any = {"include_usage": True}
    with stage.openai.chat.completions.stream(**asked, stream_options=usage) as events:
        return events.get_final_completion()


def message_of(completion: ChatCompletion) -> ChatCompletionMessage:
    (choice,) = completion.choices
    return choice.message


def usage_of(completion: ChatCompletion) -> Json:
    """The SDK's usage in the ledger's words."""
    usage = completion.usage
    assert usage is not None
    assert usage.prompt_tokens_details is not None
    assert usage.completion_tokens_details is not None
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    cached = usage.prompt_tokens_details.cached_tokens or 0
    written = usage.prompt_tokens_details.model_dump().get("cache_write_tokens") or 0
    return {
        "input_tokens": usage.prompt_tokens - cached - written,
        "cache_read_tokens": cached,
        "cache_write_5m_tokens": written,
        "output_tokens": usage.completion_tokens,
        "reasoning_tokens": usage.completion_tokens_details.reasoning_tokens,
    }


def calls_of(message: ChatCompletionMessage) -> list[tuple[str, str, Json]]:
    found: list[tuple[str, str, Json]] = []
    for call in message.tool_calls or ():
        assert call.type == "function"
        found.append((call.id, call.function.name, json.loads(call.function.arguments)))
    return found


def test_a_text_answer_is_whole_with_usage_and_a_ledger_row(
    stage: Stage, upstream: str, stream: bool
) -> None:
    model = stage.model(upstream)
    completion = ask(stage, model, "[text]", stream=stream)
    message = message_of(completion)
    assert (message.role, message.content, message.tool_calls) == ("assistant", TEXT, None)
    assert completion.choices[0].finish_reason == "stop"
    assert usage_of(completion) == USAGE
    assert (completion.model, bool(completion.id)) == (model.partition("/")[2], True)
    ledger_row(stage.call(model), SHAPE, upstream, stream=stream)


def test_usage_that_was_not_asked_for_is_not_shown_and_yet_counted(
    stage: Stage, upstream: str
) -> None:
    model = stage.model(upstream)
    asked: Any = {
        "model": model,
        "messages": [{"role": "user", "content": "[text]"}],
        "stream": True,
    }
    chunks = list(stage.openai.chat.completions.create(**asked))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TEXT
    assert [chunk.usage for chunk in chunks] == [None] * len(chunks)
    assert len(chunks) > 4
    ledger_row(stage.call(model), SHAPE, upstream, stream=True)


def test_parallel_tools_are_called_and_their_results_come_back(
    stage: Stage, upstream: str, stream: bool
) -> None:
    model = stage.model(upstream)
    question: Json = {"role": "user", "content": "[tools]"}
    completion = ask(stage, model, [question], stream=stream, tools=TOOLS)
    first = message_of(completion)
    assert first.content == "I will look."
    assert calls_of(first) == [(one["call_id"], one["name"], one["arguments"]) for one in LOOK]
    assert completion.choices[0].finish_reason == "tool_calls"
    conversation = [
        question,
        first.model_dump(exclude_none=True, exclude={"parsed"}),
        {"role": "tool", "tool_call_id": "call_oslo", "content": "4 degrees"},
        {
            "role": "tool",
            "tool_call_id": "call_rome",
            "content": [{"type": "text", "text": "rain"}],
        },
        {"role": "tool", "tool_call_id": "call_clock", "content": "noon"},
    ]
    second = message_of(ask(stage, model, conversation, stream=stream, tools=TOOLS))
    assert second.content == "The tools said: 4 degrees; rain; noon"
    called, answered = stage.calls(model, 2)
    ledger_row(called, SHAPE, upstream, stream=stream, stop="tool_use", tool_calls=3)
    assert (answered["outcome"], answered["stop"], answered["tool_calls"]) == ("ok", "end_turn", 0)
    assert answered["session_id"] == called["session_id"]


@pytest.mark.parametrize(
    "choice", ["required", {"type": "function", "function": {"name": "weather"}}]
)
def test_a_forced_tool_is_called_with_arguments_of_its_schema(
    stage: Stage, upstream: str, stream: bool, choice: Any
) -> None:
    model = stage.model(upstream)
    completion = ask(stage, model, "weather?", stream=stream, tools=TOOLS, tool_choice=choice)
    (call,) = calls_of(message_of(completion))
    assert call[1:] == ("weather", {"city": "scripted"})
    assert stage.call(model)["tool_calls"] == 1


def test_a_custom_tool_is_called_with_free_text(stage: Stage, upstream: str, stream: bool) -> None:
    model = stage.model(upstream)
    tool: Any = {"type": "custom", "custom": {"name": "patch", "description": "Apply a patch"}}
    asked: Any = {
        "model": model,
        "messages": [{"role": "user", "content": "patch it"}],
        "tools": [tool],
        "tool_choice": "required",
    }
    if stream:
        chunks = list(stage.openai.chat.completions.create(**asked, stream=True))
        pieces = [call.model_dump() for chunk in chunks if chunk.choices
                  for call in chunk.choices[0].delta.tool_calls or ()]  # fmt: skip
        text = "".join((piece.get("custom") or {}).get("input") or "" for piece in pieces)
        assert (pieces[0]["type"], pieces[0]["custom"]["name"], text) == (
            "custom",
            "patch",
            "scripted",
        )
        return
    (call,) = message_of(stage.openai.chat.completions.create(**asked)).tool_calls or ()
    assert call.type == "custom"
    assert (call.custom.name, call.custom.input) == ("patch", "scripted")


def test_an_image_of_the_user_arrives(stage: Stage, upstream: str) -> None:
    url = f"data:image/png;base64,{USER_IMAGE}"
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": url, "detail": "low"}},
    ]
    messages = [{"role": "user", "content": content}]
    seen = ask(stage, stage.model(upstream), messages, stream=False)
    assert message_of(seen).content == "the picture came"


def test_reasoning_is_shown_and_its_signature_comes_back(
    stage: Stage, upstream: str, stream: bool
) -> None:
    model = stage.model(upstream)
    fields: Json = {"tools": TOOLS, "reasoning_effort": "high"}
    question: Json = {"role": "user", "content": "[think]"}
    first = message_of(ask(stage, model, [question], stream=stream, **fields)).model_dump(
        exclude_none=True, exclude={"parsed"}
    )
    assert first["content"] == "I thought."
    assert first["reasoning_content"] == "Let me think about this for more than one chunk."
    (call,) = first["tool_calls"]
    answer = {"role": "tool", "tool_call_id": call["id"], "content": "noon"}
    second = ask(stage, model, [question, first, answer], stream=stream, **fields)
    assert message_of(second).content == "the signature came back"


def test_system_texts_arrive_from_the_start_and_from_the_middle(
    stage: Stage, upstream: str, stream: bool
) -> None:
    model = stage.model(upstream)
    conversation: list[Json] = [
        {"role": "system", "content": "SYSTEM-7f3a"},
        {"role": "user", "content": "hello"},
    ]
    answer = ask(stage, model, conversation, stream=stream)
    assert message_of(answer).content == "system seen"
    conversation = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "Hello."},
        {"role": "developer", "content": "MIDWAY-8a1c"},
        {"role": "user", "content": "go on"},
    ]
    answer = ask(stage, model, conversation, stream=stream)
    assert message_of(answer).content == "midway seen"


class Forecast(pydantic.BaseModel):
    city: str
    degrees: int
    sky: list[str]


def test_structured_output_is_parsed_by_the_sdk(stage: Stage, upstream: str, stream: bool) -> None:
    asked: Any = {
        "model": stage.model(upstream),
        "messages": [{"role": "user", "content": "the forecast, please"}],
        "response_format": Forecast,
    }
    if stream:
        with stage.openai.chat.completions.stream(**asked) as events:
            parsed = events.get_final_completion()
    else:
        parsed = stage.openai.chat.completions.parse(**asked)
    assert parsed.choices[0].message.parsed == Forecast(city="scripted", degrees=1, sky=[])


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("stop_sequence", "stop"),
        ("content_filter", "content_filter"),
    ],
)
def test_stop_reasons_keep_their_meaning(
    stage: Stage, upstream: str, stream: bool, stop: str, expected: str
) -> None:
    model = stage.model(upstream)
    asked: Any = {
        "model": model,
        "messages": [{"role": "user", "content": f"[stop:{stop}]"}],
        "stop": ["END"],
    }
    if stream:  # the SDK's accumulator raises on some of these
        chunks = list(stage.openai.chat.completions.create(**asked, stream=True))
        finish = chunks[-1].choices[0].finish_reason
    else:
        finish = stage.openai.chat.completions.create(**asked).choices[0].finish_reason
    assert finish == expected
    ledger_row(stage.call(model), SHAPE, upstream, stream=stream, stop=stage.call(model)["stop"])


def test_a_refusal_is_a_refusal(stage: Stage, upstream: str, stream: bool) -> None:
    if upstream == "a":  # Anthropic's refusals are text and a stop reason, which the SDK raises
        with pytest.raises(openai.ContentFilterFinishReasonError):
            ask(stage, stage.model(upstream), "[refuse]", stream=True)
        return
    completion = ask(stage, stage.model(upstream), "[refuse]", stream=stream)
    assert message_of(completion).refusal == "I had rather not."


def test_a_client_that_leaves_cancels_the_call(stage: Stage, upstream: str) -> None:
    model = stage.model(upstream)
    asked: Any = {
        "model": model,
        "messages": [{"role": "user", "content": "[slow]"}],
        "stream": True,
    }
    with stage.openai.chat.completions.create(**asked) as chunks:
        for chunk in chunks:
            if chunk.choices[0].delta.content:
                break
    row = stage.call(model)
    assert (row["outcome"], row["usage_source"], row["state"]) == ("aborted", "estimated", "closed")
    assert 0 < row["output_tokens"] < 400
    assert row["cost_nano_usd"] > 0
