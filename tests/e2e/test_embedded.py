"""The embedded model behind a gateway without provider keys, as Anthropic's and OpenAI's SDKs see it.

What is judged is form: parsing, usage, a forced tool's schema, errors with a remedy. Not wit.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import anthropic
import openai
import pytest
from tests.client import PATHS, request_for, send
from tests.gateway import Gateway

Json = dict[str, Any]

WINDOW = 2048
MOST_OUTPUT = 80
CONFIG = f"""
[embedded]
slots = 2
threads = 1
context_window = {WINDOW}
max_output_tokens = {MOST_OUTPUT}
"""
QUESTION = "What is the weather in Paris for the next 3 days?"
SCHEMA: Json = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "days": {"type": "integer"},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
    },
    "required": ["city", "days", "unit"],
    "additionalProperties": False,
}
TOO_LONG = "word " * (WINDOW + 100)
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@dataclass(frozen=True)
class Said:
    """What an SDK read, in no shape's words. `input_tokens` are all the prompt's, cached or not."""

    text: str
    calls: list[tuple[str, Json]]
    stop: str
    input_tokens: int
    output_tokens: int


class Sdk(Protocol):
    """One API as its SDK speaks it. `refused` is what it raises for a status of 400."""

    shape: str
    refused: type[Exception]

    def ask(self, text: str, limit: int, *, stream: bool, forced: bool = False) -> Said: ...

    def ask_with_picture(self) -> Said: ...

    def hang_up_after_some_text(self) -> None: ...


class MessagesSdk:
    shape: ClassVar = "anthropic_messages"
    refused: ClassVar = anthropic.BadRequestError

    def __init__(self, gateway: Gateway) -> None:
        self.client = anthropic.Anthropic(
            base_url=gateway.url, api_key=gateway.key, max_retries=0, timeout=60
        )

    def ask(self, text: str, limit: int, *, stream: bool, forced: bool = False) -> Said:
        asked: Any = {
            "model": "claude-sonnet-5",
            "max_tokens": limit,
            "messages": [{"role": "user", "content": text}],
        }
        if forced:
            asked["tools"] = [
                {"name": "get_time", "input_schema": {"type": "object", "properties": {}}},
                {"name": "get_weather", "input_schema": SCHEMA},
            ]
            asked["tool_choice"] = {"type": "tool", "name": "get_weather"}
        if stream:
            with self.client.messages.stream(**asked) as events:
                message = events.get_final_message()
        else:
            message = self.client.messages.create(**asked)
        usage = message.usage
        return Said(
            text="".join(block.text for block in message.content if block.type == "text"),
            calls=[(b.name, dict(b.input)) for b in message.content if b.type == "tool_use"],
            stop=str(message.stop_reason),
            input_tokens=usage.input_tokens + (usage.cache_read_input_tokens or 0),
            output_tokens=usage.output_tokens,
        )

    def ask_with_picture(self) -> Said:
        source = {"type": "base64", "media_type": "image/png", "data": PICTURE}
        asked: Any = [{"role": "user", "content": [{"type": "image", "source": source}]}]
        self.client.messages.create(model="claude", max_tokens=5, messages=asked)
        raise AssertionError("a picture was read")

    def hang_up_after_some_text(self) -> None:
        asked: Any = [{"role": "user", "content": "Count from 1 to 100."}]
        with self.client.messages.stream(
            model="claude-haiku-4-5", max_tokens=MOST_OUTPUT, messages=asked
        ) as events:
            assert next(iter(events.text_stream))


class ChatSdk:
    shape: ClassVar = "openai_chat"
    refused: ClassVar = openai.BadRequestError

    def __init__(self, gateway: Gateway) -> None:
        self.client = openai.OpenAI(
            base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0, timeout=60
        )

    def ask(self, text: str, limit: int, *, stream: bool, forced: bool = False) -> Said:
        asked: Any = {
            "model": "gpt-5.2",
            "max_completion_tokens": limit,
            "messages": [{"role": "user", "content": text}],
        }
        if forced:
            asked["tools"] = [
                {"type": "function", "function": {"name": "get_time"}},
                {"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}},
            ]
            asked["tool_choice"] = {"type": "function", "function": {"name": "get_weather"}}
        if stream:
            asked["stream_options"] = {"include_usage": True}
            with self.client.chat.completions.stream(**asked) as events:
                # get_final_completion() refuses to give an answer that was cut.
                answer: Any = events.until_done().current_completion_snapshot
        else:
            answer = self.client.chat.completions.create(**asked)
        (choice,) = answer.choices
        calls = choice.message.tool_calls or []
        return Said(
            text=choice.message.content or "",
            calls=[(c.function.name, json.loads(c.function.arguments)) for c in calls],
            stop=choice.finish_reason,
            input_tokens=answer.usage.prompt_tokens,
            output_tokens=answer.usage.completion_tokens,
        )

    def ask_with_picture(self) -> Said:
        picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}}
        asked: Any = [{"role": "user", "content": [picture]}]
        self.client.chat.completions.create(model="gpt-5.2", messages=asked)
        raise AssertionError("a picture was read")

    def hang_up_after_some_text(self) -> None:
        asked: Any = [{"role": "user", "content": "Count from 1 to 100."}]
        with self.client.chat.completions.stream(model="gpt-5-mini", messages=asked) as events:
            assert next(event for event in events if event.type == "content.delta")


class ResponsesSdk:
    shape: ClassVar = "openai_responses"
    refused: ClassVar = openai.BadRequestError

    def __init__(self, gateway: Gateway) -> None:
        self.client = openai.OpenAI(
            base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0, timeout=60
        )

    def ask(self, text: str, limit: int, *, stream: bool, forced: bool = False) -> Said:
        asked: Any = {"model": "gpt-5.2", "max_output_tokens": limit, "input": text}
        if forced:
            asked["tools"] = [
                {"type": "function", "name": "get_time", "parameters": None, "strict": None},
                {"type": "function", "name": "get_weather", "parameters": SCHEMA, "strict": True},
            ]
            asked["tool_choice"] = {"type": "function", "name": "get_weather"}
        if stream:
            with self.client.responses.stream(**asked) as events:
                # get_final_response() knows no response.incomplete.
                *_, last = events
            answer: Any = last.response
        else:
            answer = self.client.responses.create(**asked)
        calls = [item for item in answer.output if item.type == "function_call"]
        cut = answer.incomplete_details.reason if answer.incomplete_details else ""
        return Said(
            text=answer.output_text,
            calls=[(call.name, json.loads(call.arguments)) for call in calls],
            stop=f"{answer.status} {cut}".strip(),
            input_tokens=answer.usage.input_tokens,
            output_tokens=answer.usage.output_tokens,
        )

    def ask_with_picture(self) -> Said:
        picture = {"type": "input_image", "image_url": f"data:image/png;base64,{PICTURE}"}
        asked: Any = [{"role": "user", "content": [picture]}]
        self.client.responses.create(model="gpt-5.2", input=asked)
        raise AssertionError("a picture was read")

    def hang_up_after_some_text(self) -> None:
        with self.client.responses.stream(
            model="gpt-5-mini", input="Count from 1 to 100."
        ) as events:
            assert next(event for event in events if event.type == "response.output_text.delta")


slow = pytest.mark.slow
SDKS = {"messages": MessagesSdk, "chat": ChatSdk, "responses": ResponsesSdk}
CALLED = {"messages": "tool_use", "chat": "tool_calls", "responses": "completed"}
CUT = {"messages": "max_tokens", "chat": "length", "responses": "incomplete max_output_tokens"}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    running = Gateway(tmp_path_factory.mktemp("embedded"), CONFIG)
    yield running
    running.stop()


@pytest.fixture(params=list(SDKS))
def api(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def sdk(api: str, gateway: Gateway) -> Sdk:
    return SDKS[api](gateway)


@pytest.fixture(params=[False, True], ids=["whole", "stream"])
def stream(request: pytest.FixtureRequest) -> bool:
    return request.param


def newest_call(gateway: Gateway, count_before: int) -> Json:
    """The call recorded after `count_before` closed ones."""
    query = "select * from calls where state = 'closed' order by id"
    return gateway.wait_for_rows(query, count_before + 1)[-1]


def closed_calls(gateway: Gateway) -> int:
    """How many calls are recorded, none being under way: the recorder looks five times a second."""
    deadline, since, count = time.monotonic() + 10, time.monotonic(), -1
    while True:
        states = [row["state"] for row in gateway.rows("select state from calls")]
        now = time.monotonic()
        if len(states) != count or set(states) - {"closed"}:
            assert now < deadline
            since, count = now, len(states)
        elif now - since > 0.5:
            return count
        time.sleep(0.02)


def test_any_model_is_answered_and_the_answer_says_by_which(gateway: Gateway, api: str) -> None:
    shape = SDKS[api].shape
    body = request_for(shape, "some-model-nobody-knows", "Say hello.")
    reply = send(gateway.port, PATHS[shape], body, {"x-api-key": gateway.key})
    assert (reply.status, reply.json["model"]) == (200, "smollm2-135m")
    assert reply.headers["x-metis-model"] == "local/smollm2-135m"
    assert reply.headers["x-metis-route"] == (
        "global; the only configured model is forced; named provider 'local'; "
        "embedded model, no provider key is configured"
    )


@slow
def test_an_answer_is_parsed_with_its_usage(sdk: Sdk, api: str, *, stream: bool) -> None:
    said = sdk.ask("Tell me about the sea.", 5, stream=stream)
    assert said.text
    assert (said.calls, said.stop, said.output_tokens) == ([], CUT[api], 5)
    assert said.input_tokens > 20


@slow
def test_a_call_is_in_the_ledger_as_free(gateway: Gateway, sdk: Sdk, *, stream: bool) -> None:
    before = closed_calls(gateway)
    said = sdk.ask("Tell me about the sea.", 5, stream=stream)
    row = newest_call(gateway, before)
    expected = {
        "provider": "local",
        "model": "smollm2-135m",
        "shape": sdk.shape,
        "upstream_shape": "openai_chat",
        "operation": "generate",
        "stream": int(stream),
        "outcome": "ok",
        "http_status": 200,
        "usage_source": "reported",
        "cost_nano_usd": 0,
        "price_unknown": 0,
        "output_tokens": said.output_tokens,
    }
    assert {name: row[name] for name in expected} == expected
    assert row["input_tokens"] + row["cache_read_tokens"] == said.input_tokens


@slow
def test_a_forced_tool_is_called_once_with_arguments_of_its_schema(
    sdk: Sdk, api: str, *, stream: bool
) -> None:
    said = sdk.ask(QUESTION, 120, stream=stream, forced=True)
    ((name, arguments),) = said.calls
    assert (said.text, name, said.stop) == ("", "get_weather", CALLED[api])
    types = {key: type(value) for key, value in arguments.items()}
    assert types == {"city": str, "days": int, "unit": str}
    assert arguments["unit"] in SCHEMA["properties"]["unit"]["enum"]


@slow
def test_a_limit_over_the_models_own_is_lowered_to_it(sdk: Sdk, api: str) -> None:
    said = sdk.ask("Tell me about the sea.", 100_000, stream=False)
    assert (said.stop, said.output_tokens) == (CUT[api], MOST_OUTPUT)


def test_a_prompt_over_the_window_is_refused_with_the_remedy(sdk: Sdk, *, stream: bool) -> None:
    with pytest.raises(sdk.refused) as caught:
        sdk.ask(TOO_LONG, 5, stream=stream)
    told: Any = caught.value
    assert told.status_code == 400
    message = told.body["error"]["message"] if sdk.shape == "anthropic_messages" else told.message
    assert f"prompt is too long: {WINDOW + 131} tokens > {WINDOW} maximum" in message
    assert f"maximum context length is {WINDOW} tokens" in message
    assert "set ANTHROPIC_API_KEY, OPENAI_API_KEY or OPENROUTER_API_KEY" in message
    assert "[providers.*]" in message
    assert "'metis doctor'" in message
    if sdk.shape != "anthropic_messages":
        assert told.code == "context_length_exceeded"


def test_a_picture_is_refused_with_the_remedy(sdk: Sdk) -> None:
    with pytest.raises(sdk.refused, match=r"an image.*reads text alone.*ANTHROPIC_API_KEY"):
        sdk.ask_with_picture()


@slow
def test_a_client_that_hangs_up_ends_the_call(gateway: Gateway, sdk: Sdk) -> None:
    before = closed_calls(gateway)
    sdk.hang_up_after_some_text()
    row = newest_call(gateway, before)
    assert (row["outcome"], row["usage_source"], row["cost_nano_usd"]) == (
        "aborted",
        "estimated",
        0,
    )
    assert 0 < row["output_tokens"] < MOST_OUTPUT
    assert sdk.ask("Hello.", 3, stream=False).output_tokens == 3


@slow
def test_two_requests_are_answered_side_by_side(gateway: Gateway) -> None:
    sdk = MessagesSdk(gateway)

    def one(text: str) -> tuple[str, float, float]:
        began = time.monotonic()
        return sdk.ask(text, 40, stream=True).text, began, time.monotonic()

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(one, ("Count from 1 to 50.", "Tell me about the sea."))
    assert first[0]
    assert second[0]
    assert first[0] != second[0]
    assert max(first[1], second[1]) < min(first[2], second[2])


CONVERSATION: list[Json] = [
    {"role": "user", "content": QUESTION},
    {
        "role": "assistant",
        "content": [
            {"type": "text", "text": "I will look."},
            {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Paris"}},
        ],
    },
    {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny"}],
    },
]  # fmt: skip


@pytest.mark.parametrize(
    "choice", [None, {"type": "tool", "name": "get_weather"}, {"type": "none"}]
)
def test_a_count_of_tokens_is_what_the_prompt_then_takes(
    gateway: Gateway, choice: Json | None
) -> None:
    client = MessagesSdk(gateway).client
    asked: Any = {
        "model": "claude-sonnet-5",
        "system": [{"type": "text", "text": "You are terse."}],
        "messages": CONVERSATION,
        "tools": [{"name": "get_weather", "description": "The weather", "input_schema": SCHEMA}],
    }
    if choice is not None:
        asked["tool_choice"] = choice
    count = client.messages.count_tokens(**asked)
    usage = client.messages.create(**asked, max_tokens=1).usage
    assert count.input_tokens == usage.input_tokens + (usage.cache_read_input_tokens or 0)


def test_the_local_model_is_listed_in_both_shapes(gateway: Gateway) -> None:
    claude, chat = MessagesSdk(gateway).client, ChatSdk(gateway).client
    assert "smollm2-135m" in [model.id for model in claude.models.list()]
    assert "smollm2-135m" in [model.id for model in chat.models.list()]
    assert chat.models.retrieve("smollm2-135m").owned_by == "local"
    assert claude.models.retrieve("local/smollm2-135m").id == "local/smollm2-135m"


def test_embeddings_are_not_to_be_had(gateway: Gateway) -> None:
    with pytest.raises(openai.NotFoundError, match="no embeddings endpoint"):
        ChatSdk(gateway).client.embeddings.create(model="text-embedding-3-small", input="sea")


@slow
def test_completions_are_answered_within_the_limit(gateway: Gateway, *, stream: bool) -> None:
    client = ChatSdk(gateway).client
    asked: Any = {"model": "davinci-002", "prompt": "The sea is", "max_tokens": 4}
    if stream:
        chunks = list(client.completions.create(**asked, stream=True))
        text = "".join(choice.text for chunk in chunks for choice in chunk.choices)
    else:
        answer = client.completions.create(**asked)
        assert answer.usage is not None
        assert answer.usage.completion_tokens == 4
        text = answer.choices[0].text
    assert text
