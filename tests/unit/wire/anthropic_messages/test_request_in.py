"""Reading requests: every node in its place, and plain complaints with a path for what is malformed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metis.errors import CodecError
from metis.ir.content import CacheMark, Media, Text, Thinking, ToolCall, ToolResult
from metis.ir.request import Message, OutputFormat, Reasoning, Request, Tool, ToolChoice
from metis.wire import carry
from metis.wire.anthropic_messages import ANTHROPIC_MESSAGES
from metis.wire.codec import FOREIGN_SIGNATURE

OWN = "anthropic_messages"


def decode(body: Any) -> Request:
    return ANTHROPIC_MESSAGES.decode_request(json.dumps(body).encode())


def encode(request: Request) -> Any:
    return json.loads(ANTHROPIC_MESSAGES.encode_request(request).body)


def user(*blocks: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": list(blocks)}]}


def test_a_rich_request_is_read_into_its_places_and_encodes_equal() -> None:
    body: dict[str, Any] = {
        "model": "claude-opus-4-8",
        "max_tokens": 64000,
        "system": [
            {"type": "text", "text": "S", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
        ],
        "messages": [
            {"role": "user", "content": "hi"},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "", "signature": "sig"},
                    {
                        "type": "tool_use",
                        "id": "t1",
                        "name": "read",
                        "input": {"p": [1, 2.5, None]},
                    },
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "t1",
                        "content": "out",
                        "is_error": False,
                    },
                    {"type": "text", "text": "and?", "cache_control": {"type": "ephemeral"}},
                ],
            },
            {"role": "system", "content": "be brief"},
        ],
        "tools": [
            {"name": "read", "description": "d", "input_schema": {"type": "object"}},
            {"type": "custom", "name": "w", "input_schema": {}, "defer_loading": True},
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 3},
        ],
        "tool_choice": {"type": "tool", "name": "read", "disable_parallel_tool_use": True},
        "temperature": 1,
        "stop_sequences": ["X"],
        "thinking": {"type": "adaptive", "display": "omitted"},
        "output_config": {
            "effort": "high",
            "format": {"type": "json_schema", "schema": {"type": "object"}},
            "task_budget": {"total": 5},
        },
        "metadata": {"user_id": "u", "more": 1},
        "context_management": {"edits": [{"type": "clear_thinking_20251015"}]},
        "mcp_servers": [{"type": "url", "url": "https://x"}],
        "thread": {"create": True},
        "stream": True,
    }
    request = decode(body)
    assert request == Request(
        origin=OWN,
        model="claude-opus-4-8",
        max_tokens=64000,
        system=(Text(text="S", cache=CacheMark(ttl="1h")),),
        messages=(
            Message(role="user", parts=(Text(text="hi"),), text_form=True),
            Message(
                role="assistant",
                parts=(
                    Thinking(text="", signature="sig", origin=OWN),
                    ToolCall(call_id="t1", name="read", arguments='{"p":[1,2.5,null]}'),
                ),
            ),
            Message(
                role="user",
                parts=(
                    ToolResult(
                        call_id="t1", content=(Text(text="out"),), as_text=True, is_error=False
                    ),
                    Text(text="and?", cache=CacheMark()),
                ),
            ),
            Message(role="system", parts=(Text(text="be brief"),), text_form=True),
        ),
        tools=(
            Tool(kind="function", name="read", description="d", input_schema={"type": "object"}),
            Tool(
                kind="function",
                name="w",
                input_schema={},
                type_given=True,
                extras={"defer_loading": True},
            ),
            Tool(kind="server", name="web_search", raw=body["tools"][2], shape=OWN),
        ),
        tool_choice=ToolChoice(kind="tool", name="read"),
        parallel_tool_calls=False,
        temperature=1,
        stop=("X",),
        reasoning=Reasoning(mode="adaptive", effort="high", display="omitted"),
        output_format=OutputFormat(kind="json_schema", schema={"type": "object"}),
        user="u",
        metadata={"more": 1},
        stream=True,
        extras={
            "output_config": {"task_budget": {"total": 5}},
            "context_management": body["context_management"],
            "mcp_servers": body["mcp_servers"],
            "thread": {"create": True},
        },
    )
    assert encode(request) == body


@pytest.mark.parametrize(
    "body",
    [
        user({"type": "tool_result", "tool_use_id": "t"}),
        user({"type": "tool_result", "tool_use_id": "t", "content": []}),
        user({"type": "tool_result", "tool_use_id": "t", "content": None, "is_error": None}),
        user({"type": "tool_result", "tool_use_id": "t", "content": ""}),
        user({"type": "tool_result", "tool_use_id": "t", "content": [
            {"type": "tool_reference", "tool_name": "x"},
            {"type": "image", "source": {"type": "file", "file_id": "f"}}]}),
        user({"type": "text", "text": "", "citations": []}, {"type": "text", "text": "a", "citations": None}),
        user({"type": "never_heard_of", "deep": {"a": [1]}, "cache_control": {"type": "ephemeral"}}),
        user({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iV", "x": 1}}),
        user({"type": "document", "source": {"type": "content", "content": "text"}, "title": None}),
        user({"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "t"}]},
              "citations": {"enabled": True}, "context": "c"}),
        user({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": ""}}),
        user({"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": ""}}),
        user({"type": "text", "text": "a", "cache_control": None}),
        user({"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "scope": "x"}}),
        user({"type": "tool_use", "id": "t", "name": "n", "input": "not an object"}),
        user({"type": "tool_use", "id": "t", "name": "n", "input": {"n": 12345678901234567890123}}),
        {"messages": []},
        {"model": "", "messages": [], "tools": [], "system": [], "stop_sequences": [], "metadata": {}},
        {"model": "m", "messages": [], "system": "", "thinking": {"type": "between_tools"}},
        {"model": "m", "messages": [], "tool_choice": {"type": "newly_made", "x": 1}, "output_config": {}},
        {"model": "m", "messages": [], "tool_choice": {"type": "auto", "disable_parallel_tool_use": False}},
        {"model": "m", "messages": [], "output_config": {"format": None, "effort": None}},
        {"model": "m", "messages": [], "output_format": {"type": "json_schema", "schema": {}, "x": 1}},
        {"model": "m", "messages": [], "output_format": {"type": "other"}, "cache_control": {"type": "ephemeral"}},
        {"model": "m", "messages": [], "temperature": None, "stream": None, "metadata": {"user_id": None}},
        {"model": "m", "messages": [{"role": "assistant", "content": [], "id": "x"}]},
        {"model": "m", "messages": [{"role": "system", "content": [
            {"type": "tool_addition", "tool": {"name": "n", "input_schema": {}}}]}]},
    ],
)  # fmt: skip
def test_odd_but_legal_forms_encode_equal(body: dict[str, Any]) -> None:
    encoded = encode(decode(body))
    if body.get("model") == "":
        encoded["model"] = ""
    assert encoded == body


def test_a_tool_added_inside_the_conversation_is_known_as_the_message_s_tool() -> None:
    tool = {"name": "n", "input_schema": {"type": "object"}}
    body = user()
    body["messages"] = [
        {"role": "system", "content": [{"type": "tool_addition", "tool": tool}]},
        {"role": "system", "content": [
            {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "n"}}]},
    ]  # fmt: skip
    first, second = decode(body).messages
    assert first.tools == (Tool(kind="function", name="n", input_schema={"type": "object"}),)
    assert second.tools == ()


def test_media_sources_are_read() -> None:
    request = decode(
        user(
            {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
            {
                "type": "document",
                "title": "T",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVB"},
            },
            {"type": "document", "source": {"type": "file", "file_id": "f"}},
        )
    )
    assert request.messages[0].parts == (
        Media(kind="image", url="https://x/y.png"),
        Media(kind="document", media_type="application/pdf", data="JVB", title="T"),
        Media(kind="document", file_id="f"),
    )


def test_reasoning_of_another_shape_is_unwrapped_and_never_sent_to_anthropic() -> None:
    foreign = Thinking(text="why", signature="enc", origin="openai_responses", item_id="rs_1")
    body = user()
    body["messages"] = [
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "why", "signature": carry.wrap(foreign)},
                {"type": "text", "text": "so"},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "", "signature": FOREIGN_SIGNATURE + "broken"}
            ],
        },
    ]
    request = decode(body)
    assert request.messages[0].parts == (foreign, Text(text="so"))
    assert request.messages[1].parts == (Thinking(origin=""),)
    encoded = ANTHROPIC_MESSAGES.encode_request(request)
    assert json.loads(encoded.body)["messages"] == [
        {"role": "assistant", "content": [{"type": "text", "text": "so"}]}
    ]
    assert [(note.verb, note.path) for note in encoded.notes] == [
        ("lost", "messages[0].content[0]"),
        ("lost", "messages[1].content[0]"),
    ]


def test_a_request_on_a_thread_is_uncrossable_and_says_what_to_do() -> None:
    plain = decode(user())
    threaded = decode({**user(), "thread": {"continue": True, "previous_message_id": "msg_1"}})
    assert ANTHROPIC_MESSAGES.uncrossable(plain) is None
    assert "without `thread`" in str(ANTHROPIC_MESSAGES.uncrossable(threaded))


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ([], "must be an object, not a list"),
        ({}, "messages: is missing; it must be a list"),
        ({"messages": None}, "messages: must be a list, not null"),
        ({"messages": {}}, "messages: must be a list, not an object"),
        ({"messages": ["x"]}, "messages[0]: must be an object, not a string"),
        ({"messages": [{"content": "x"}]}, "messages[0].role: is missing; it must be a string"),
        ({"messages": [{"role": "tool", "content": "x"}]},
         "messages[0].role: must be user, assistant or system, not 'tool'"),
        ({"messages": [{"role": "user"}]},
         "messages[0].content: is missing; it must be a string or a list of blocks"),
        ({"messages": [{"role": "user", "content": 5}]},
         "messages[0].content: must be a string or a list of blocks, not a number"),
        (user("x"), "messages[0].content[0]: must be an object, not a string"),
        (user({"text": "x"}), "messages[0].content[0].type: is missing; it must be a string"),
        (user({"type": "text", "text": 1}), "messages[0].content[0].text: must be a string, not a number"),
        (user({"type": "tool_use", "id": "a", "name": "b"}),
         "messages[0].content[0].input: is missing; it must be an object"),
        (user({"type": "image"}), "messages[0].content[0].source: must be an object, not null"),
        ({"messages": [], "model": 4}, "model: must be a string, not a number"),
        ({"messages": [], "max_tokens": True}, "max_tokens: must be a whole number, not a boolean"),
        ({"messages": [], "max_tokens": 1.5}, "max_tokens: must be a whole number, not a number"),
        ({"messages": [], "stream": "yes"}, "stream: must be true or false, not a string"),
        ({"messages": [], "system": 1}, "system: must be a string or a list of blocks, not a number"),
        ({"messages": [], "tools": [{}]}, "tools[0].name: is missing; it must be a string"),
        ({"messages": [], "tools": [{"type": 1}]}, "tools[0].type: must be a string, not a number"),
        ({"messages": [], "stop_sequences": [1]}, "stop_sequences[0]: must be a string, not a number"),
        ({"messages": [], "thinking": {"type": "enabled", "budget_tokens": "1"}},
         "thinking.budget_tokens: must be a whole number, not a string"),
        ({"messages": [], "tool_choice": {"type": "tool"}}, "tool_choice.name: is missing; it must be a string"),
    ],
)  # fmt: skip
def test_malformed_requests_are_refused_with_their_path(body: Any, complaint: str) -> None:
    with pytest.raises(CodecError) as caught:
        decode(body)
    assert str(caught.value) == complaint


@pytest.mark.parametrize("body", [b"", b"{", b'{"a": "\xff"}', b"[" * 100_000, b'"\\ud800"'])
def test_bytes_that_are_no_json_are_refused(body: bytes) -> None:
    with pytest.raises(CodecError):
        ANTHROPIC_MESSAGES.decode_request(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**70) | st.floats(allow_nan=False, width=32)
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip

SEED: dict[str, Any] = {
    "model": "m",
    "max_tokens": 5,
    "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "ttl": "5m"}}],
    "messages": [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "t", "signature": "s"},
            {"type": "redacted_thinking", "data": "d"},
            {"type": "text", "text": "t", "citations": [{"type": "char_location"}]},
            {"type": "tool_use", "id": "i", "name": "n", "input": {"a": 1}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "i", "is_error": True, "content": [
                {"type": "text", "text": "r"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "d"}},
                {"type": "document", "title": "t", "citations": {"enabled": True}, "source": {
                    "type": "content", "content": [{"type": "text", "text": "t"}]}}]}]},
        {"role": "system", "content": [{"type": "tool_addition", "tool": {"name": "n", "input_schema": {}}}]},
    ],
    "tools": [{"name": "n", "description": "d", "input_schema": {}, "strict": True},
              {"type": "web_search_20250305", "name": "w"}],
    "tool_choice": {"type": "tool", "name": "n", "disable_parallel_tool_use": True},
    "temperature": 0.5, "top_p": 0.5, "top_k": 5, "stop_sequences": ["x"],
    "thinking": {"type": "enabled", "budget_tokens": 1024, "display": "omitted"},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {}}},
    "output_format": {"type": "json_schema", "schema": {}},
    "metadata": {"user_id": "u"}, "service_tier": "auto", "cache_control": {"type": "ephemeral"},
}  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            found += places(value[key], (*path, key))
    return found


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


@settings(max_examples=400, deadline=None)
@given(path=st.sampled_from(places(SEED)), value=JSON)
def test_any_value_in_any_place_is_read_or_refused_and_what_is_read_encodes_equal(
    path: tuple[Any, ...], value: Any
) -> None:
    body = json.loads(json.dumps(replaced(SEED, path, value)))
    try:
        request = decode(body)
    except CodecError as error:
        assert str(error)
        return
    encoded = encode(request)
    if body["model"] == "":
        encoded["model"] = ""
    assert encoded == body


@settings(max_examples=200, deadline=None)
@given(value=JSON)
def test_any_json_as_a_body_is_read_or_refused(value: Any) -> None:
    try:
        decode(value)
    except CodecError as error:
        assert str(error)


@settings(max_examples=200, deadline=None)
@given(body=st.binary(max_size=60))
def test_any_bytes_as_a_body_are_refused_or_read(body: bytes) -> None:
    for read in (ANTHROPIC_MESSAGES.decode_request, ANTHROPIC_MESSAGES.decode_response):
        try:
            read(body)
        except CodecError as error:
            assert str(error)
