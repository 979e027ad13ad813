"""Claude and others on Bedrock and Vertex AI, asked by the real SDKs; the fake clouds check every request."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import anthropic
import openai
import pytest
from botocore.eventstream import EventStreamBuffer
from tests.answers import usual
from tests.client import send
from tests.clouds import ACCESS, EVENTS, bedrock, event_text, vertex
from tests.inprocess import InProcessGateway
from tests.upstream import FakeUpstream

CLAUDE = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
ARN = "arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/abc"
CONFIG = """
[providers.bedrock]
base_url = "{bedrock}"
region = "eu-central-1"
[providers.mine]
kind = "bedrock"
base_url = "{bedrock}"
region = "eu-central-1"
models = ["arn:aws:*", "throttled", "refused", "cut"]
[providers.bedrock-converse]
base_url = "{bedrock}"
region = "eu-central-1"
[providers.by-key]
kind = "bedrock"
base_url = "{bedrock}"
region = "eu-central-1"
api_key_env = "BEDROCK_KEY"
models = ["by-key"]
[providers.vertex]
base_url = "{vertex}"
region = "europe-west1"
project = "acme-1"
"""
TOOL = {"name": "look", "input_schema": {"type": "object", "properties": {}}}


class Clouds:
    def __init__(self, gateway: InProcessGateway, aws: FakeUpstream, google: FakeUpstream) -> None:
        self.gateway, self.aws, self.google = gateway, aws, google
        self.anthropic = anthropic.Anthropic(
            base_url=gateway.url, api_key=gateway.key, max_retries=0
        )
        self.openai = openai.OpenAI(
            base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0
        )


@pytest.fixture(scope="module")
def clouds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clouds]:
    aws, google = FakeUpstream(bedrock), FakeUpstream(vertex)
    config = CONFIG.format(bedrock=aws.url, vertex=google.url)
    secrets = {**ACCESS, "BEDROCK_KEY": "bedrock-api-key", "VERTEX_ACCESS_TOKEN": "vertex-token"}
    gateway = InProcessGateway(tmp_path_factory.mktemp("clouds"), config, environment=secrets)
    yield Clouds(gateway, aws, google)
    gateway.stop()
    aws.close()
    google.close()


def ask(clouds: Clouds, model: str, **more: object) -> anthropic.types.Message:
    return clouds.anthropic.messages.create(
        model=model, max_tokens=9, messages=[{"role": "user", "content": "hi"}], **more  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("model", "path"),
    [
        (CLAUDE, "/model/eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke"),
        (ARN, "/model/arn%3Aaws%3Abedrock%3Aeu-central-1%3A123456789012%3Aapplication-inference-profile%2Fabc/invoke"),
    ],
)  # fmt: skip
def test_claudes_body_goes_inside_invoke_model_signed(clouds: Clouds, model: str, path: str):
    answer = ask(clouds, model, extra_headers={"anthropic-beta": "context-1m, interleaved"})
    assert [block.type for block in answer.content] == ["thinking", "text", "tool_use"]
    seen = clouds.aws.seen[-1]
    assert seen.path == path
    assert seen.json == {
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "hi"}],
        "anthropic_version": "bedrock-2023-05-31",
        "anthropic_beta": ["context-1m", "interleaved"],
    }
    assert not [name for name, _ in seen.headers if name.startswith(("anthropic-", "x-stainless"))]
    assert clouds.gateway.key not in str(seen.headers)


def test_the_bytes_between_are_those_that_came(clouds: Clouds):
    body = b'{"max_tokens": 9,  "model":"%b", "messages":[{"role":"user","content":"h\\u0069"}], "z":1.50}'
    headers = {"x-api-key": clouds.gateway.key}
    assert send(clouds.gateway.port, "/v1/messages", body % CLAUDE.encode(), headers).status == 200
    assert clouds.aws.seen[-1].body == (
        b'{"max_tokens": 9, "messages":[{"role":"user","content":"h\\u0069"}], "z":1.50,'
        b'"anthropic_version":"bedrock-2023-05-31"}'
    )


def test_a_framed_stream_reaches_an_anthropic_client_as_its_own_events(clouds: Clouds):
    body = {
        "model": CLAUDE,
        "max_tokens": 9,
        "stream": True,
        "messages": [{"role": "user", "content": "x"}],
    }
    headers = {"x-api-key": clouds.gateway.key}
    reply = send(clouds.gateway.port, "/v1/messages", json.dumps(body).encode(), headers)
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert clouds.aws.seen[-1].path.endswith("/invoke-with-response-stream")
    assert "stream" not in clouds.aws.seen[-1].json
    assert reply.body == b"".join(
        b"event: %b\ndata: %b\n\n" % (event["type"].encode(), event_text(event)) for event in EVENTS
    )
    with clouds.anthropic.messages.stream(
        model=CLAUDE, max_tokens=9, messages=[{"role": "user", "content": "hi"}]
    ) as stream:
        final = stream.get_final_message()
    assert final.stop_reason == "tool_use"
    assert final.content[0].signature == "U0lHTkVE"  # type: ignore[union-attr]


def test_stream_and_whole_answer_cost_the_same_to_the_nano_dollar(clouds: Clouds):
    ask(clouds, CLAUDE)
    ask(clouds, CLAUDE, stream=False)
    for _ in clouds.anthropic.messages.create(
        model=CLAUDE, max_tokens=9, messages=[{"role": "user", "content": "hi"}], stream=True
    ):
        pass
    rows = clouds.gateway.rows("SELECT cost_nano_usd FROM calls ORDER BY id DESC LIMIT 3")
    # Sonnet 4.5 in the EU: 3.30, 0.33 cached, 4.125 and 6.60 written, 16.50 out, USD per million.
    prices = {"3.30": 11, "0.33": 100, "4.125": 10, "6.60": 20, "16.50": 5}
    by_hand = sum(Decimal(price) * count * 1000 for price, count in prices.items())
    assert {row["cost_nano_usd"] for row in rows} == {int(by_hand)}


def test_an_openai_client_is_answered_by_claude_on_bedrock(clouds: Clouds):
    tool = {"type": "function", "function": {"name": "look", "parameters": TOOL["input_schema"]}}
    answer = clouds.openai.chat.completions.create(
        model=CLAUDE, messages=[{"role": "user", "content": "hi"}], tools=[tool]  # type: ignore[list-item]
    )  # fmt: skip
    [choice] = answer.choices
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", "Grüße ✓")
    assert clouds.aws.seen[-1].json["tools"] == [TOOL]
    pieces = clouds.openai.chat.completions.create(
        model=CLAUDE, messages=[{"role": "user", "content": "hi"}], stream=True
    )
    said = "".join(one.choices[0].delta.content or "" for one in pieces if one.choices)
    assert said == "Grüße ✓"


@pytest.mark.parametrize("stream", [False, True])
def test_other_models_are_asked_through_converse(clouds: Clouds, stream: bool):
    messages = [
        {
            "role": "user",
            "content": [{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}],
        }
    ]
    answer = clouds.anthropic.messages.create(
        model="eu.amazon.nova-lite-v1:0", max_tokens=9, messages=messages, stream=stream  # type: ignore[call-overload]
    )  # fmt: skip
    if stream:
        said = "".join(event.delta.text for event in answer if event.type == "content_block_delta")
    else:
        said = answer.content[0].text
        assert (answer.stop_reason, answer.usage.input_tokens) == ("end_turn", 11)
    assert said == "Grüße ✓"
    seen = clouds.aws.seen[-1]
    assert seen.path.endswith("/converse-stream" if stream else "/converse")
    assert seen.json == {
        "messages": [
            {"role": "user", "content": [{"text": "hi"}, {"cachePoint": {"type": "default"}}]}
        ],
        "inferenceConfig": {"maxTokens": 9},
    }


def test_an_error_comes_in_the_clients_shape_with_bedrocks_words(clouds: Clouds):
    with pytest.raises(anthropic.BadRequestError) as caught:
        ask(clouds, "refused")
    assert caught.value.body == {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "message": "max_tokens: too large",
            "details": {"upstream": {"message": "max_tokens: too large"}},
        },
        "request_id": caught.value.body["request_id"],  # type: ignore[index]
    }


def test_an_exception_in_the_stream_is_anthropics_error_event(clouds: Clouds):
    with pytest.raises(anthropic.APIStatusError, match="Too many requests"):
        list(ask(clouds, "throttled", stream=True))  # type: ignore[call-overload]
    with pytest.raises(anthropic.APIStatusError, match="premature close"):
        list(ask(clouds, "cut", stream=True))  # type: ignore[call-overload]


def test_a_bedrock_api_key_goes_without_a_signature(clouds: Clouds):
    ask(clouds, "by-key")
    assert clouds.aws.seen[-1].header("authorization") == "Bearer bedrock-api-key"
    assert clouds.aws.seen[-1].header("x-amz-date") is None


def test_vertex_has_the_model_in_the_path_and_the_stream_in_the_body(clouds: Clouds):
    start = "/v1/projects/acme-1/locations/europe-west1/publishers/anthropic/models"
    model = "claude-sonnet-4-5@20250929"
    ask(clouds, model, extra_headers={"anthropic-beta": "context-1m"})
    seen = clouds.google.seen[-1]
    assert seen.path == f"{start}/claude-sonnet-4-5%4020250929:rawPredict"
    assert seen.json == {
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "hi"}],
        "anthropic_version": "vertex-2023-10-16",
    }
    assert (seen.header("anthropic-beta"), seen.header("anthropic-version")) == ("context-1m", None)
    events = list(ask(clouds, model, stream=True))  # type: ignore[call-overload]
    assert [event.type for event in events] == [event["type"] for event in EVENTS]
    assert clouds.google.seen[-1].path.endswith(":streamRawPredict")
    assert clouds.google.seen[-1].json["stream"] is True
    count = clouds.anthropic.messages.count_tokens(
        model=model, messages=[{"role": "user", "content": "hi"}]
    )
    assert count.input_tokens == 7
    assert clouds.google.seen[-1].json["model"] == model


class Inbound:
    """Clients that speak to a cloud, with Metis in its place."""

    def __init__(self, gateway: InProcessGateway) -> None:
        self.bedrock = anthropic.AnthropicBedrock(
            api_key=gateway.key, aws_region="eu-central-1", base_url=gateway.url, max_retries=0
        )
        self.vertex = anthropic.AnthropicVertex(
            access_token=gateway.key,
            project_id="p",
            region="r",
            base_url=f"{gateway.url}/v1",
            max_retries=0,
        )


@pytest.fixture(scope="module")
def inbound(clouds: Clouds) -> Inbound:
    return Inbound(clouds.gateway)


HI: list[anthropic.types.MessageParam] = [{"role": "user", "content": "hi"}]


def test_a_bedrock_client_is_answered_by_bedrock(clouds: Clouds, inbound: Inbound):
    answer = inbound.bedrock.messages.create(
        model=CLAUDE, max_tokens=9, messages=HI, extra_body={"anthropic_beta": ["context-1m"]}
    )
    assert answer.content[1].text == "Grüße ✓"  # type: ignore[union-attr]
    seen = clouds.aws.seen[-1]
    assert seen.path == "/model/eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke"
    assert seen.json == {
        "max_tokens": 9,
        "messages": HI,
        "anthropic_version": "bedrock-2023-05-31",
        "anthropic_beta": ["context-1m"],
    }
    with inbound.bedrock.messages.stream(model=CLAUDE, max_tokens=9, messages=HI) as stream:
        final = stream.get_final_message()
    assert (final.stop_reason, final.usage.output_tokens) == ("tool_use", 5)
    assert clouds.aws.seen[-1].path.endswith("/invoke-with-response-stream")


def test_what_a_bedrock_client_gets_is_awss_framing_by_awss_own_reader(clouds: Clouds):
    path = f"/model/{CLAUDE}/invoke-with-response-stream"
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": HI}
    headers = {"authorization": f"Bearer {clouds.gateway.key}"}
    reply = send(clouds.gateway.port, path, json.dumps(body).encode(), headers)
    assert reply.headers["content-type"] == "application/vnd.amazon.eventstream"
    assert reply.headers["x-metis-fidelity"].startswith("edited=")
    buffer = EventStreamBuffer()
    buffer.add_data(reply.body)
    chunks = [json.loads(message.payload)["bytes"] for message in buffer]
    assert [base64.b64decode(chunk) for chunk in chunks] == [event_text(one) for one in EVENTS]


def test_errors_of_a_bedrock_client_have_bedrocks_form(clouds: Clouds, inbound: Inbound):
    with pytest.raises(anthropic.BadRequestError, match="max_tokens: too large") as caught:
        inbound.bedrock.messages.create(model="refused", max_tokens=9, messages=HI)
    assert caught.value.response.headers["x-amzn-errortype"] == "ValidationException"
    assert caught.value.body["message"] == "max_tokens: too large"  # type: ignore[index]
    with pytest.raises(Exception, match="Too many requests"):
        list(
            inbound.bedrock.messages.create(
                model="throttled", max_tokens=9, messages=HI, stream=True
            )
        )


def test_a_vertex_client_is_answered_by_vertex_and_by_bedrock(clouds: Clouds, inbound: Inbound):
    model = "claude-sonnet-4-5@20250929"
    answer = inbound.vertex.messages.create(model=model, max_tokens=9, messages=HI)
    assert answer.stop_reason == "tool_use"
    assert clouds.google.seen[-1].path.endswith(f"/{model.replace('@', '%40')}:rawPredict")
    with inbound.vertex.messages.stream(model=CLAUDE, max_tokens=9, messages=HI) as stream:
        assert stream.get_final_message().stop_reason == "tool_use"
    assert clouds.aws.seen[-1].path.endswith("/invoke-with-response-stream")
    count = inbound.vertex.messages.count_tokens(model=model, messages=HI)
    assert count.input_tokens == 7


@pytest.mark.parametrize("model", [CLAUDE, "claude-sonnet-4-5@20250929"])
def test_a_clouds_client_is_answered_by_anthropic_itself(tmp_path: Path, model: str):
    upstream = FakeUpstream(usual)
    config = f'[providers.anthropic]\nbase_url = "{upstream.url}"\napi_key_env = "K"\n'
    gateway = InProcessGateway(tmp_path, config, environment={"K": "sk-ant-x"})
    clients = Inbound(gateway)
    for client in (clients.bedrock, clients.vertex):
        with client.messages.stream(model=model, max_tokens=9, messages=HI) as stream:
            assert stream.get_final_message().content
        seen = upstream.seen[-1]
        assert seen.path == "/v1/messages"
        assert seen.json["model"] == "claude-sonnet-4-5-20250929"
        assert "anthropic_version" not in seen.json
        assert seen.header("anthropic-version") == "2023-06-01"
        assert gateway.key not in str(seen.headers)
    gateway.stop()
    upstream.close()
