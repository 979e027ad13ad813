"""Gemini, asked by the real SDKs of other APIs; the fake one refuses a call that comes back without its signature."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import anthropic
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam
from tests.gemini import CALLS, KEY, SIGNED_TEXT, TOKEN, gemini
from tests.inprocess import InProcessGateway
from tests.upstream import FakeUpstream

MODEL = "gemini-2.5-flash"
CONFIG = """
[providers.google]
base_url = "{url}"
[providers.vertex-gemini]
base_url = "{url}"
region = "europe-west1"
project = "acme-1"
[providers.wrong]
kind = "google"
base_url = "{url}"
api_key_env = "WRONG_KEY"
models = ["wrong"]
[providers.older]
kind = "google"
base_url = "{url}"
models = ["busy", "late", "cut"]
"""
SCHEMA = {"type": "object", "properties": {"at": {"type": "string"}}}
RESULTS = {"Oslo": "2 degrees", "Rome": "20 degrees"}
ANSWERED = [
    {"functionResponse": {"name": "look", "response": {"output": "2 degrees"}}},
    {"functionResponse": {"name": "look", "response": {"output": "20 degrees"}}},
]


class Stage:
    def __init__(self, gateway: InProcessGateway, upstream: FakeUpstream) -> None:
        self.gateway, self.upstream = gateway, upstream
        url, key = gateway.url, gateway.key
        self.anthropic = anthropic.Anthropic(base_url=url, api_key=key, max_retries=0)
        self.openai = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)

    def contents(self) -> list[dict[str, Any]]:
        return self.upstream.seen[-1].json["contents"]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    upstream = FakeUpstream(gemini)
    secrets = {"GEMINI_API_KEY": KEY, "VERTEX_ACCESS_TOKEN": TOKEN, "WRONG_KEY": "other"}
    config = CONFIG.format(url=upstream.url)
    gateway = InProcessGateway(tmp_path_factory.mktemp("gemini"), config, environment=secrets)
    yield Stage(gateway, upstream)
    gateway.stop()
    upstream.close()


def check_replay(stage: Stage) -> None:
    """The signature is on its call again, and results are paired by order as Gemini's calls without ids are."""
    _, said, answered = stage.contents()
    assert said["parts"][-2:] == CALLS
    assert answered == {"role": "user", "parts": ANSWERED}


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_loop_of_the_anthropic_sdk(stage: Stage, stream: bool):
    messages: list[Any] = [{"role": "user", "content": "Is it cold?"}]
    tools: list[Any] = [{"name": "look", "input_schema": SCHEMA}]

    def ask() -> anthropic.types.Message:
        wish: Any = {"model": MODEL, "max_tokens": 4_096, "messages": messages, "tools": tools}
        wish["thinking"] = {"type": "enabled", "budget_tokens": 1_024}
        if not stream:
            return stage.anthropic.messages.create(**wish)
        with stage.anthropic.messages.stream(**wish) as events:
            return events.get_final_message()

    answer = ask()
    assert [block.type for block in answer.content] == [
        *("thinking", "thinking", "tool_use", "tool_use")
    ]
    assert (answer.stop_reason, answer.model) == ("tool_use", MODEL)
    assert answer.content[0].thinking == "I had better look."  # type: ignore[union-attr]
    seen = stage.upstream.seen[-1]
    verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
    assert seen.path == f"/v1beta/models/{MODEL}:{verb}"
    assert seen.json == {
        "contents": [{"role": "user", "parts": [{"text": "Is it cold?"}]}],
        "tools": [{"functionDeclarations": [{"name": "look", "parametersJsonSchema": SCHEMA}]}],
        "generationConfig": {
            "maxOutputTokens": 4_096,
            "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 1_024},
        },
    }
    assert not [name for name, _ in seen.headers if name.startswith(("anthropic-", "x-stainless"))]
    assert stage.gateway.key not in str(seen.headers)
    calls = [block for block in answer.content if block.type == "tool_use"]
    results = [
        {"type": "tool_result", "tool_use_id": call.id, "content": RESULTS[call.input["at"]]}  # type: ignore[index]
        for call in calls
    ]
    messages += [
        {"role": "assistant", "content": answer.content},
        {"role": "user", "content": results},
    ]
    last = ask()
    check_replay(stage)
    assert "".join(block.text for block in last.content if block.type == "text") == "Grüße, kalt."
    assert (last.usage.input_tokens, last.usage.cache_read_input_tokens) == (400, 600)
    assert last.usage.output_tokens == 42
    messages += [{"role": "assistant", "content": last.content}, messages[0]]
    ask()
    assert stage.contents()[3]["parts"][-1] == {"text": "", "thoughtSignature": SIGNED_TEXT}


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_loop_of_the_openai_sdk(stage: Stage, stream: bool):
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Is it cold?"}]
    tools: list[Any] = [{"type": "function", "function": {"name": "look", "parameters": SCHEMA}}]

    def ask() -> Any:
        wish: Any = {"model": MODEL, "messages": messages, "tools": tools}
        if not stream:
            return stage.openai.chat.completions.create(**wish)
        with stage.openai.chat.completions.stream(**wish) as events:
            return events.get_final_completion()

    choice = ask().choices[0]
    assert choice.finish_reason == "tool_calls"
    calls = choice.message.tool_calls
    said = choice.message.model_dump(exclude_none=True, exclude={"parsed"})
    for call in said["tool_calls"]:
        call.pop("index", None)
        call["function"].pop("parsed_arguments", None)
    messages += [
        said,
        *(
            {
                "role": "tool",
                "tool_call_id": call.id,
                "content": RESULTS[json.loads(call.function.arguments)["at"]],
            }
            for call in calls
        ),
    ]  # type: ignore[list-item]
    last = ask()
    check_replay(stage)
    assert last.choices[0].message.content == "Grüße, kalt."
    if not stream:
        assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (1_000, 42)
        assert last.usage.prompt_tokens_details.cached_tokens == 600
        assert last.usage.completion_tokens_details.reasoning_tokens == 12


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_loop_of_the_openai_sdks_responses(stage: Stage, stream: bool):
    turns: list[Any] = [{"role": "user", "content": "Is it cold?"}]
    tools: list[Any] = [{"type": "function", "name": "look", "parameters": SCHEMA, "strict": False}]

    def ask() -> Any:
        wish: Any = {"model": MODEL, "input": turns, "tools": tools, "store": False}
        wish["include"] = ["reasoning.encrypted_content"]
        if not stream:
            return stage.openai.responses.create(**wish)
        with stage.openai.responses.stream(**wish) as events:
            return events.get_final_response()

    answer = ask()
    turns += [
        item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in answer.output
    ]
    turns += [
        {
            "type": "function_call_output",
            "call_id": item.call_id,
            "output": RESULTS[json.loads(item.arguments)["at"]],
        }
        for item in answer.output
        if item.type == "function_call"
    ]
    last = ask()
    check_replay(stage)
    assert last.output_text == "Grüße, kalt."
    assert last.usage.output_tokens_details.reasoning_tokens == 12


def test_stream_and_whole_answer_cost_the_same_to_the_nano_dollar(stage: Stage):
    before = len(stage.gateway.rows("SELECT id FROM calls"))
    for stream in (False, True):
        answer = stage.openai.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "hi"}], stream=stream
        )
        if stream:
            assert "".join(
                piece.choices[0].delta.content or "" for piece in answer if piece.choices  # type: ignore[union-attr]
            ) == "Grüße, kalt."  # fmt: skip
    rows = stage.gateway.rows("SELECT * FROM calls ORDER BY id DESC LIMIT 2")
    assert len(stage.gateway.rows("SELECT id FROM calls")) == before + 2
    # Gemini 2.5 Flash: 0.30 fresh, 0.03 cached, 2.50 out, thoughts among it; USD per million.
    prices = {"0.30": 400, "0.03": 600, "2.50": 30 + 12}
    by_hand = sum(Decimal(price) * count * 1_000 for price, count in prices.items())
    assert int(by_hand) == 243_000
    assert [row["cost_nano_usd"] for row in rows] == [243_000, 243_000]
    assert {row["upstream_shape"] for row in rows} == {"google_generate_content"}
    assert {(row["reasoning_tokens"], row["usage_source"]) for row in rows} == {(12, "reported")}


def test_several_choices_are_several_candidates(stage: Stage):
    answer = stage.openai.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "hi"}], n=2
    )
    said = [choice.message.content for choice in answer.choices]
    assert said == ["Grüße, kalt.", "Kühl."]


def test_gemini_on_vertex_has_project_and_region_in_its_path(stage: Stage):
    ask: Any = {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    for stream, verb in ((False, "generateContent"), (True, "streamGenerateContent?alt=sse")):
        answer = stage.anthropic.messages.create(
            model=f"vertex-gemini/{MODEL}",
            stream=stream,
            extra_headers={"x-goog-api-key": "a client's own"},
            **ask,
        )
        if stream:
            assert [event.type for event in answer][-1] == "message_stop"  # type: ignore[union-attr]
        seen = stage.upstream.seen[-1]
        start = "/v1/projects/acme-1/locations/europe-west1/publishers/google/models"
        assert seen.path == f"{start}/{MODEL}:{verb}"
        assert seen.header("x-goog-api-key") is None


def test_errors_come_in_the_clients_shape_with_googles_words(stage: Stage):
    ask: Any = {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    with pytest.raises(anthropic.APIStatusError, match="The model is overloaded") as caught:
        stage.anthropic.messages.create(model="busy", **ask)
    assert caught.value.status_code == 503
    body: Any = caught.value.body
    assert body["error"]["type"] == "overloaded_error"
    assert body["error"]["details"]["upstream"]["error"]["status"] == "UNAVAILABLE"
    with pytest.raises(anthropic.APIStatusError, match="Resource exhausted"):
        list(stage.anthropic.messages.create(model="late", stream=True, **ask))
    with pytest.raises(anthropic.APIStatusError, match="premature close"):
        list(stage.anthropic.messages.create(model="cut", stream=True, **ask))


def test_a_key_that_google_does_not_know_is_the_gateways_to_mend(stage: Stage):
    with pytest.raises(openai.InternalServerError, match="metis doctor") as caught:
        stage.openai.chat.completions.create(
            model="wrong", messages=[{"role": "user", "content": "hi"}]
        )
    assert caught.value.status_code == 502


def test_a_call_of_another_model_is_refused_by_this_one_alone(stage: Stage):
    """What Gemini 3 says of a lost signature reaches the client; 2.5 is not vouched for, so the fake refuses."""
    call: Any = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    messages: list[Any] = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "2 degrees"},
    ]
    with pytest.raises(openai.BadRequestError, match="missing a thought_signature"):
        stage.openai.chat.completions.create(model=MODEL, messages=messages)
