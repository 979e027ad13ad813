"""The OpenAI SDK's Responses through the gateway, to upstreams of all three shapes; its parsers judge."""

from __future__ import annotations

import base64
import json
from typing import Any

import pydantic
import pytest
from openai.types.responses import Response
from tests.e2e.stage import USAGE, Stage, ledger_row

from metis.wire.codec import FOREIGN_SIGNATURE

Json = dict[str, Any]
SHAPE = "openai_responses"
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
        {"when": {"user": f"[stop:{stop}]"}, "text": "until here", "stop": stop, "usage": USAGE}
        for stop in ("end_turn", "max_tokens", "stop_sequence", "content_filter")
    ),
]
TOOLS: Any = [
    {
        "type": "function",
        "name": "weather",
        "description": "The weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
        "strict": False,
    },
    {"type": "function", "name": "clock", "parameters": {"type": "object", "properties": {}}},
]


def ask(stage: Stage, model: str, given: Any, *, stream: bool, **fields: Any) -> Response:
    """One turn; a stream is gathered by the SDK's own accumulator."""
    asked: Any = {"model": model, "input": given, "store": False, **fields}
    if not stream:
        return stage.openai.responses.create(**asked)
    with stage.openai.responses.stream(**asked) as events:
        return events.get_final_response()


def usage_of(response: Response) -> Json:
    """The SDK's usage in the ledger's words."""
    usage = response.usage
    assert usage is not None
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    cached = usage.input_tokens_details.cached_tokens
    written = usage.input_tokens_details.model_dump().get("cache_write_tokens") or 0
    return {
        "input_tokens": usage.input_tokens - cached - written,
        "cache_read_tokens": cached,
        "cache_write_5m_tokens": written,
        "output_tokens": usage.output_tokens,
        "reasoning_tokens": usage.output_tokens_details.reasoning_tokens,
    }


def replayed(response: Response) -> list[Json]:
    """The output as the next turn's input."""
    return [item.model_dump(exclude_none=True) for item in response.output]


def output_of(call_id: str, output: Any) -> Json:
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def test_a_text_answer_is_whole_with_usage_and_a_ledger_row(
    stage: Stage, upstream: str, stream: bool
) -> None:
    model = stage.model(upstream)
    response = ask(stage, model, "[text]", stream=stream)
    assert [item.type for item in response.output] == ["message"]
    assert (response.output_text, response.status) == (TEXT, "completed")
    assert usage_of(response) == USAGE
    assert (response.model, bool(response.id)) == (model.partition("/")[2], True)
    ledger_row(stage.call(model), SHAPE, upstream, stream=stream)


def test_the_events_are_numbered_and_in_order(stage: Stage, upstream: str) -> None:
    asked: Any = {"model": stage.model(upstream), "input": "[text]", "stream": True}
    events = list(stage.openai.responses.create(**asked))
    kinds = [event.type for event in events]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [kind for kind in kinds if kind != "response.output_text.delta"] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert kinds.count("response.output_text.delta") > 3


def test_parallel_tools_are_called_and_their_results_come_back(
    stage: Stage, upstream: str, stream: bool
) -> None:
    model = stage.model(upstream)
    question: Json = {"role": "user", "content": "[tools]"}
    first = ask(stage, model, [question], stream=stream, tools=TOOLS)
    message, *calls = first.output
    assert message.type == "message"
    assert first.output_text == "I will look."
    found: list[Json] = []
    for call in calls:
        assert call.type == "function_call"
        found.append(
            {
                "name": call.name,
                "arguments": json.loads(call.arguments),
                "call_id": call.call_id,
            }
        )
    assert found == LOOK
    conversation = [
        question,
        *replayed(first),
        output_of("call_oslo", "4 degrees"),
        output_of("call_rome", [{"type": "input_text", "text": "rain"}]),
        output_of("call_clock", "noon"),
    ]
    second = ask(stage, model, conversation, stream=stream, tools=TOOLS)
    assert second.output_text == "The tools said: 4 degrees; rain; noon"
    called, answered = stage.calls(model, 2)
    ledger_row(called, SHAPE, upstream, stream=stream, stop="tool_use", tool_calls=3)
    assert (answered["outcome"], answered["stop"], answered["tool_calls"]) == ("ok", "end_turn", 0)
    assert answered["session_id"] == called["session_id"]


@pytest.mark.parametrize("choice", ["required", {"type": "function", "name": "weather"}])
def test_a_forced_tool_is_called_with_arguments_of_its_schema(
    stage: Stage, upstream: str, stream: bool, choice: Any
) -> None:
    model = stage.model(upstream)
    response = ask(stage, model, "weather?", stream=stream, tools=TOOLS, tool_choice=choice)
    (call,) = response.output
    assert call.type == "function_call"
    assert (call.name, json.loads(call.arguments)) == ("weather", {"city": "scripted"})
    assert stage.call(model)["tool_calls"] == 1


def test_a_custom_tool_is_called_with_free_text_and_answered(
    stage: Stage, upstream: str, stream: bool
) -> None:
    model = stage.model(upstream)
    tools: Any = [{"type": "custom", "name": "patch", "description": "Apply a patch"}]
    question: Json = {"role": "user", "content": "patch it"}
    first = ask(stage, model, [question], stream=stream, tools=tools, tool_choice="required")
    (call,) = first.output
    assert call.type == "custom_tool_call"
    assert (call.name, call.input) == ("patch", "scripted")
    output = {"type": "custom_tool_call_output", "call_id": call.call_id, "output": "patched"}
    conversation = [question, *replayed(first), output]
    second = ask(stage, model, conversation, stream=stream, tools=tools)
    assert second.output_text == "The tools said: patched"


def test_a_tool_in_a_namespace_is_called_there(stage: Stage, upstream: str, stream: bool) -> None:
    """Codex groups the tools of an MCP server so."""
    model = stage.model(upstream)
    member = {
        "type": "function",
        "name": "weather",
        "parameters": {"type": "object", "properties": {}},
    }
    space: Any = {"type": "namespace", "name": "sky", "description": "The sky", "tools": [member]}
    response = ask(stage, model, "weather?", stream=False, tools=[space], tool_choice="required")
    (call,) = replayed(response)
    assert (call["type"], call["name"], call["namespace"]) == ("function_call", "weather", "sky")


def test_images_of_the_user_and_of_a_tool_arrive(stage: Stage, upstream: str) -> None:
    model = stage.model(upstream)
    shown = {"type": "input_image", "image_url": f"data:image/png;base64,{USER_IMAGE}"}
    content = [{"type": "input_text", "text": "What is this?"}, {**shown, "detail": "auto"}]
    seen = ask(stage, model, [{"role": "user", "content": content}], stream=False)
    assert seen.output_text == "the picture came"
    call = {"type": "function_call", "call_id": "call_1", "name": "clock", "arguments": "{}"}
    made = {"type": "input_image", "image_url": f"data:image/png;base64,{TOOL_IMAGE}"}
    conversation = [
        {"role": "user", "content": "What does the clock look like?"},
        call,
        output_of("call_1", [{"type": "input_text", "text": "a clock"}, made]),
    ]
    seen = ask(stage, model, conversation, stream=False, tools=TOOLS)
    assert seen.output_text == "the tool's picture came"


def test_reasoning_is_shown_and_its_proof_comes_back(
    stage: Stage, upstream: str, stream: bool
) -> None:
    model = stage.model(upstream)
    fields: Json = {
        "tools": TOOLS,
        "reasoning": {"effort": "high", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
    }
    question: Json = {"role": "user", "content": "[think]"}
    first = ask(stage, model, [question], stream=stream, **fields)
    reasoning, message, call = first.output
    assert (reasoning.type, message.type, call.type) == ("reasoning", "message", "function_call")
    assert [part.text for part in reasoning.summary] == [
        "Let me think about this for more than one chunk."
    ]
    assert reasoning.encrypted_content
    conversation = [question, *replayed(first), output_of(call.call_id, "noon")]
    second = ask(stage, model, conversation, stream=stream, **fields)
    assert second.output_text == "the signature came back"


def test_instructions_and_developer_messages_arrive(
    stage: Stage, upstream: str, stream: bool
) -> None:
    model = stage.model(upstream)
    answer = ask(stage, model, "hello", stream=stream, instructions="SYSTEM-7f3a")
    assert answer.output_text == "system seen"
    conversation: list[Json] = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "Hello."},
        {"role": "developer", "content": "MIDWAY-8a1c"},
        {"role": "user", "content": "go on"},
    ]
    answer = ask(stage, model, conversation, stream=stream)
    assert answer.output_text == "midway seen"


class Forecast(pydantic.BaseModel):
    city: str
    degrees: int
    sky: list[str]


def test_structured_output_is_parsed_by_the_sdk(stage: Stage, upstream: str, stream: bool) -> None:
    asked: Any = {
        "model": stage.model(upstream),
        "input": "the forecast, please",
        "text_format": Forecast,
    }
    if stream:
        with stage.openai.responses.stream(**asked) as events:
            parsed = events.get_final_response()
    else:
        parsed = stage.openai.responses.parse(**asked)
    assert parsed.output_parsed == Forecast(city="scripted", degrees=1, sky=[])


@pytest.mark.parametrize(
    ("stop", "status", "reason"),
    [
        ("end_turn", "completed", None),
        ("max_tokens", "incomplete", "max_output_tokens"),
        ("stop_sequence", "completed", None),
        ("content_filter", "incomplete", "content_filter"),
    ],
)
def test_stop_reasons_keep_their_meaning(
    stage: Stage, upstream: str, stop: str, status: str, reason: str | None
) -> None:
    model = stage.model(upstream)
    response = ask(stage, model, f"[stop:{stop}]", stream=False)
    details = response.incomplete_details
    assert (response.status, details and details.reason) == (status, reason)
    asked: Any = {"model": model, "input": f"[stop:{stop}]", "stream": True}
    *_, last = stage.openai.responses.create(**asked)
    assert last.type == f"response.{status}"
    whole, streamed = stage.calls(model, 2)
    ledger_row(whole, SHAPE, upstream, stream=False, stop=whole["stop"])
    ledger_row(streamed, SHAPE, upstream, stream=True, stop=whole["stop"])


def test_a_client_that_leaves_cancels_the_call(stage: Stage, upstream: str) -> None:
    model = stage.model(upstream)
    asked: Any = {"model": model, "input": "[slow]", "stream": True}
    with stage.openai.responses.create(**asked) as events:
        for event in events:
            if event.type == "response.output_text.delta":
                break
    row = stage.call(model)
    assert (row["outcome"], row["usage_source"], row["state"]) == ("aborted", "estimated", "closed")
    assert 0 < row["output_tokens"] < 400
    assert row["cost_nano_usd"] > 0
