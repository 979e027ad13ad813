"""What the SDKs ask beside generations: token counts, model lists, embeddings, legacy completions."""

from __future__ import annotations

from typing import Any

import anthropic
import openai
import pytest
from tests.e2e.stage import Stage

Json = dict[str, Any]
CONFIG = """
[providers.openai]
base_url = "http://127.0.0.1:9"  # never called here: it is asked for what it cannot count

[providers.anthropic]
base_url = "http://127.0.0.1:9"

[catalog.aliases]
claude-fast = "a/priced-fast"
"""
SCRIPT: list[Json] = [
    {"when": {"operation": "count_tokens"}, "usage": {"input_tokens": 77}},
    {"when": {"operation": "embeddings"}, "usage": {"input_tokens": 12}},
    {
        "when": {"operation": "completions"},
        "text": "once upon a time there was a gateway",
        "usage": {"input_tokens": 100, "output_tokens": 20},
    },
]
QUESTION: Any = [{"role": "user", "content": "How many tokens is this?"}]


def test_tokens_are_counted_upstream_and_are_no_turn(stage: Stage) -> None:
    model = stage.model("a")
    counted = stage.anthropic.messages.count_tokens(model=model, messages=QUESTION)
    assert counted.input_tokens == 77
    row = stage.call(model)
    assert (row["operation"], row["role"], row["cost_nano_usd"]) == ("count_tokens", "auxiliary", 0)
    assert (row["outcome"], row["input_tokens"]) == ("ok", 0)
    assert stage.gateway.rows("select * from turns where model = ?", model.partition("/")[2]) == []


def test_tokens_are_estimated_where_no_upstream_counts(stage: Stage) -> None:
    raw = stage.anthropic.messages.with_raw_response.count_tokens(
        model="openai/gpt-5.2", messages=QUESTION
    )
    assert raw.headers["x-metis-estimated"] == "true"
    assert 5 < raw.parse().input_tokens < 50


def test_models_are_listed_in_the_shape_of_each_sdk(stage: Stage) -> None:
    ours = stage.anthropic.models.list(limit=1000)
    names = [model.id for model in ours.data]
    assert {"claude-fast", "claude-metis-auto", "auto"} <= set(names)
    assert ours.has_more is False
    theirs = stage.openai.models.list()
    assert [model.id for model in theirs.data] == names
    assert {model.object for model in theirs.data} == {"model"}
    assert [model.id for model in stage.anthropic.models.list()] == names  # the SDK's own paging


def test_one_model_is_retrieved_and_an_unknown_one_is_not_found(stage: Stage) -> None:
    assert stage.anthropic.models.retrieve("claude-fast").id == "claude-fast"
    assert stage.openai.models.retrieve("claude-fast").owned_by == "metis"
    with pytest.raises(anthropic.NotFoundError, match="nobody-knows"):
        stage.anthropic.models.retrieve("nobody-knows")
    with pytest.raises(openai.NotFoundError, match="nobody-knows"):
        stage.openai.models.retrieve("nobody-knows")


def test_embeddings_arrive_as_floats_and_as_base64(stage: Stage) -> None:
    model = stage.model("c")
    texts = ["one", "two", "three"]
    # By default the SDK asks for base64 and decodes it.
    decoded = stage.openai.embeddings.create(model=model, input=texts, dimensions=32)
    floats = stage.openai.embeddings.create(
        model=model, input=texts, dimensions=32, encoding_format="float"
    )
    assert [len(one.embedding) for one in decoded.data] == [32, 32, 32]
    for one, other in zip(decoded.data, floats.data, strict=True):
        assert one.embedding == pytest.approx(other.embedding, abs=1e-6)
    assert decoded.usage.prompt_tokens == 12
    rows = stage.calls(model, 2)
    kept = (
        "operation",
        "input_tokens",
        "output_tokens",
        "cost_nano_usd",
        "usage_source",
        "outcome",
    )
    assert [[row[name] for name in kept] for row in rows] == [
        ["embeddings", 12, 0, 12 * 3000, "reported", "ok"]
    ] * 2


def test_legacy_completions_are_whole_and_stream(stage: Stage) -> None:
    model = stage.model("c")
    whole = stage.openai.completions.create(model=model, prompt="tell a story")
    assert whole.choices[0].text == "once upon a time there was a gateway"
    assert whole.usage is not None
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (100, 20)
    chunks = list(stage.openai.completions.create(model=model, prompt="a story", stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == whole.choices[0].text
    assert [chunk.usage for chunk in chunks] == [None] * len(chunks)
    rows = stage.calls(model, 2)
    kept = ("operation", "input_tokens", "output_tokens", "cost_nano_usd", "usage_source", "stream")
    assert [[row[name] for name in kept] for row in rows] == [
        ["completions", 100, 20, 100 * 3000 + 20 * 15000, "reported", stream] for stream in (0, 1)
    ]


def test_an_alias_is_answered_by_what_it_stands_for(stage: Stage) -> None:
    message = stage.anthropic.messages.create(
        model="claude-fast", max_tokens=99, messages=[{"role": "user", "content": "hello"}]
    )
    assert message.content[0].type == "text"
    assert message.content[0].text == "You said: hello"
    assert stage.call("a/priced-fast")["requested_model"] == "claude-fast"


def test_a_provider_without_the_endpoint_says_so(stage: Stage) -> None:
    with pytest.raises(openai.NotFoundError, match="embeddings"):
        stage.openai.embeddings.create(model="claude-sonnet-4-5", input="x")
