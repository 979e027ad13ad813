"""What a body must say for the embedded model's server, and what its errors become."""

from __future__ import annotations

import json
from typing import Any

import pytest

from metis.errors import BadRequest
from metis.facts.failure import FailureClass
from metis.ir.response import ErrorInfo
from metis.providers.local import LOCAL, at_address, running
from metis.providers.local.errors import LARGER_MODEL, explain
from metis.providers.local.requests import edits
from metis.providers.provider import Origin, build_provider
from metis.providers.settings import ProviderSettings
from metis.wire.splice import top_level

BARE = build_provider("local", LOCAL, ProviderSettings(), None)
PROVIDER = at_address(BARE, "http://127.0.0.1:4711", "s3cret", (2048, 256))
ASK = {"role": "user", "content": "weather?"}
OPENED = {"role": "assistant", "content": "<tool_call>\n"}
MOST = "the embedded model answers in at most 256 tokens"
ONE_CALL = "so that the embedded model calls a tool, and one alone"


def function(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}


def edited(body: dict[str, Any], operation: str = "generate") -> dict[str, tuple[Any, str]]:
    """Field to new value and reason; the output limit is given unless the body has one."""
    found = edits(PROVIDER, operation, top_level(json.dumps(body).encode()), {})
    return {edit.name: (json.loads(edit.value), edit.why) for edit in found}


def test_the_address_of_the_last_start_and_its_limits_are_taken_over() -> None:
    assert PROVIDER.origin == Origin("http", "127.0.0.1", 4711)
    assert PROVIDER.credential == (b"authorization", b"Bearer s3cret")
    assert (PROVIDER.context_window, PROVIDER.max_output_tokens) == (2048, 256)
    assert BARE.origin == Origin("http", "127.0.0.1", 1)


def test_it_speaks_chat_alone_and_has_no_embeddings() -> None:
    assert BARE.shapes == ("openai_chat",)
    paths = {name: BARE.path_for(name) for name in ("embeddings", "count_tokens", "completions")}
    assert paths == {"embeddings": None, "count_tokens": None, "completions": b"/v1/completions"}


def test_weights_of_ones_own_give_the_model_its_name() -> None:
    assert running(PROVIDER, "smollm2-135m") is PROVIDER
    own = running(PROVIDER, "mine-7b")
    assert own.kind.default_model == "mine-7b"
    assert own.claims == (*PROVIDER.claims, "mine-7b")


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, {"max_tokens": (256, MOST)}),
        ({"max_tokens": None}, {"max_tokens": (256, MOST)}),
        ({"max_tokens": 256}, {}),
        ({"max_tokens": 257}, {"max_tokens": (256, MOST)}),
        ({"max_tokens": -1}, {"max_tokens": (256, MOST)}),
        ({"max_completion_tokens": 9000}, {"max_completion_tokens": (256, MOST)}),
        ({"max_tokens": 5, "n_predict": -1}, {"n_predict": (256, MOST)}),
        ({"max_tokens": "many"}, {}),
    ],
)
@pytest.mark.parametrize("operation", ["generate", "completions"])
def test_an_answer_is_limited(
    limits: dict[str, Any], expected: dict[str, Any], operation: str
) -> None:
    assert edited({"messages": [ASK], "prompt": "x", **limits}, operation) == expected


def test_nothing_is_edited_while_the_models_limits_are_not_known() -> None:
    assert edits(BARE, "generate", top_level(b'{"messages":[{"role":"user"}]}'), {}) == ()


@pytest.mark.parametrize(
    ("choice", "kept"),
    [
        ("required", ["a", "b"]),
        ({"type": "function", "function": {"name": "b"}}, ["b"]),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [function("b")]}},
            ["b"],
        ),
    ],
)  # fmt: skip
def test_a_forced_call_is_begun_for_the_model(choice: Any, kept: list[str]) -> None:
    tools = [function("a"), function("b")]
    found = edited({"max_tokens": 9, "messages": [ASK], "tools": tools, "tool_choice": choice})
    expected = {
        "tool_choice": ("required", ONE_CALL),
        "parallel_tool_calls": (False, ONE_CALL),
        "messages": ([ASK, OPENED], ONE_CALL),
    }
    if len(kept) < len(tools):
        expected["tools"] = ([function(n) for n in kept], "only those that the choice allows")
    assert found == expected


@pytest.mark.parametrize(
    ("content", "opened"),
    [
        ("In Paris", "In Paris\n<tool_call>\n"),
        ([{"type": "text", "text": "In "}, {"type": "text", "text": "Paris"}],
         "In Paris\n<tool_call>\n"),
        (None, "<tool_call>\n"),
    ],
)  # fmt: skip
def test_a_begun_answer_goes_on_into_the_forced_call(content: Any, opened: str) -> None:
    messages = [ASK, {"role": "assistant", "content": content}]
    body = {"max_tokens": 9, "messages": messages, "tools": [function("a")]}
    found = edited({**body, "tool_choice": "required"})
    assert found["messages"][0] == [ASK, {"role": "assistant", "content": opened}]


def test_a_forced_call_takes_the_place_of_an_output_format() -> None:
    body = {"max_tokens": 9, "messages": [ASK], "tools": [function("a")]}
    asked = {**body, "tool_choice": "required", "response_format": {"type": "json_object"}}
    assert edited(asked)["response_format"] == ({"type": "text"}, "not beside a forced tool")


@pytest.mark.parametrize("choice", ["auto", "none", None])
def test_tools_that_are_only_offered_stay(choice: str | None) -> None:
    body = {"max_tokens": 9, "messages": [ASK], "tools": [function("a")], "tool_choice": choice}
    assert edited(body) == {}


def test_allowed_tools_leave_the_others_out() -> None:
    allowed = {"mode": "auto", "tools": [function("b")]}
    choice = {"type": "allowed_tools", "allowed_tools": allowed}
    tools = [function("a"), function("b")]
    found = edited({"max_tokens": 9, "messages": [ASK], "tools": tools, "tool_choice": choice})
    assert found == {"tools": ([function("b")], "only those that the choice allows")}


def test_tools_that_are_no_functions_are_left_out() -> None:
    tools = [{"type": "custom", "custom": {"name": "patch"}}, function("a")]
    found = edited({"max_tokens": 9, "messages": [ASK], "tools": tools})
    assert found == {"tools": ([function("a")], "functions alone")}


def test_a_forced_tool_that_is_not_there_is_refused() -> None:
    choice = {"type": "function", "function": {"name": "z"}}
    body = {"messages": [ASK], "tools": [function("a")], "tool_choice": choice}
    with pytest.raises(BadRequest, match="tool_choice names z, which is not in tools"):
        edited(body)


@pytest.mark.parametrize("tools", ["nonsense", [1], {"a": 1}, [{"type": 1}]])
def test_nonsense_for_tools_is_the_servers_to_refuse(tools: Any) -> None:
    assert edited({"max_tokens": 9, "messages": [ASK], "tools": tools}) == {}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("image_url", "an image"),
        ("input_audio", "audio"),
        ("file", "a file"),
        ("video_url", "a video"),
    ],
)
def test_what_is_no_text_is_refused_with_the_remedy(kind: str, name: str) -> None:
    part = {"type": kind, kind: {}}
    messages = [ASK, {"role": "user", "content": [{"type": "text", "text": "see"}, part]}]
    with pytest.raises(BadRequest) as caught:
        edited({"messages": messages})
    assert str(caught.value) == (
        f"messages[1] holds {name}, and the embedded model (local/smollm2-135m) reads text alone: "
        f"leave it out; {LARGER_MODEL}"
    )


def test_words_about_images_are_text() -> None:
    message = {"role": "user", "content": 'a part is {"type": "image_url"}'}
    assert edited({"max_tokens": 9, "messages": [message]}) == {}


@pytest.mark.parametrize("messages", ["[]", "[ ]", "[\n]"])
def test_an_empty_conversation_is_refused(messages: str) -> None:
    with pytest.raises(BadRequest, match="messages is empty"):
        edits(PROVIDER, "generate", top_level(f'{{"messages":{messages}}}'.encode()), {})


def error(message: str, **more: Any) -> ErrorInfo:
    fields: dict[str, Any] = {"status": 400, "kind": "invalid_request", "code": "400", **more}
    return ErrorInfo(message=message, **fields)


def test_a_prompt_over_the_window_names_sizes_and_remedy() -> None:
    original = {"error": {"n_prompt_tokens": 3000, "n_ctx": 2048}}
    told = error("request (3000 tokens) exceeds ...", kind="context_length", original=original)
    assert explain(PROVIDER, told) == error(
        "prompt is too long: 3000 tokens > 2048 maximum; this model's maximum context length is "
        f"2048 tokens (the embedded model, local/smollm2-135m); {LARGER_MODEL}",
        kind="context_length",
        original=original,
        code=None,
    )
    assert PROVIDER.classify(400, "context_length") is FailureClass.CONTEXT_LENGTH


def test_a_prompt_over_the_window_without_counts_names_the_window() -> None:
    found = explain(PROVIDER, error("too long", kind="context_length", status=500))
    assert found.status == 400
    assert found.message.startswith("prompt is too long: over 2048 tokens; ")


def test_a_body_the_server_cannot_parse_is_the_clients_fault() -> None:
    told = error("Failed to parse tool call arguments as JSON: x", status=500, kind="api")
    assert explain(PROVIDER, told) == error("Failed to parse tool call arguments as JSON: x", code=None)  # fmt: skip


def test_other_errors_keep_their_words() -> None:
    assert explain(PROVIDER, error("n must be 1")) == error("n must be 1", code=None)
    same = error("broken", status=500, kind="api", code=None)
    assert explain(PROVIDER, same) is same
