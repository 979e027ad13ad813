"""Requests of other shapes become chat requests that OpenAI's endpoint takes, and each loss has a note."""

from __future__ import annotations

import json
from typing import Any

import pytest

from metis.ir.content import (
    CacheMark,
    Media,
    Opaque,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from metis.ir.request import Message, OutputFormat, Reasoning, Request, Tool, ToolChoice
from metis.wire.codec import Note
from metis.wire.openai_chat import OPENAI_CHAT

Json = dict[str, Any]
HI = Message(role="user", parts=(Text(text="hi"),), text_form=True)


def crossed(
    *messages: Message, origin: str = "anthropic_messages", **fields: Any
) -> tuple[Json, tuple[Note, ...]]:
    request = Request(origin=origin, model="m", messages=messages or (HI,), **fields)
    encoded = OPENAI_CHAT.encode_request(request)
    return json.loads(encoded.body), encoded.notes


def messages_of(*messages: Message, **fields: Any) -> list[Json]:
    return crossed(*messages, **fields)[0]["messages"]


def user(*parts: Part) -> Message:
    return Message(role="user", parts=parts)


def assistant(*parts: Part) -> Message:
    return Message(role="assistant", parts=parts)


def call(call_id: str, name: str = "f", **more: Any) -> ToolCall:
    return ToolCall(call_id=call_id, name=name, arguments="{}", **more)


def result(call_id: str, *parts: Part, **more: Any) -> ToolResult:
    return ToolResult(call_id=call_id, content=parts or (Text(text=f"r{call_id}"),), **more)


def said(call_id: str, name: str = "f") -> Json:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": "{}"}}


def test_a_plain_request_says_only_what_was_asked() -> None:
    body, notes = crossed()
    assert body == {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    assert notes == ()


def test_system_text_comes_first_and_system_messages_stay_in_their_place() -> None:
    late = Message(role="system", parts=(Text(text="late"),))
    assert messages_of(HI, late, system=(Text(text="a"), Text(text="b"))) == [
        {
            "role": "system",
            "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        },
        {"role": "user", "content": "hi"},
        {"role": "system", "content": "late"},
    ]


def test_developer_messages_stay_developers() -> None:
    message = Message(role="developer", parts=(Text(text="d"),))
    assert messages_of(message, origin="openai_responses") == [
        {"role": "developer", "content": "d"}
    ]


def test_results_follow_their_calls_at_once_and_neighbours_are_one_message() -> None:
    """As Responses items arrive: one message each, results late and in another order."""
    out = messages_of(
        HI,
        assistant(Thinking(text="t", signature="s", origin="openai_responses")),
        assistant(Text(text="I look")),
        assistant(call("1")),
        assistant(call("2")),
        Message(role="developer", parts=(Text(text="note"),)),
        Message(role="tool", parts=(result("2"),)),
        Message(role="tool", parts=(result("1"),)),
        assistant(Text(text="done")),
        origin="openai_responses",
    )
    assert out == [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "I look", "tool_calls": [said("1"), said("2")]},
        {"role": "tool", "tool_call_id": "2", "content": "r2"},
        {"role": "tool", "tool_call_id": "1", "content": "r1"},
        {"role": "developer", "content": "note"},
        {"role": "assistant", "content": "done"},
    ]


def test_results_in_a_user_message_are_split_out_of_it() -> None:
    """As Anthropic's API holds them."""
    out = messages_of(assistant(call("1")), user(result("1"), Text(text="go on")))
    assert out == [
        {"role": "assistant", "content": None, "tool_calls": [said("1")]},
        {"role": "tool", "tool_call_id": "1", "content": "r1"},
        {"role": "user", "content": "go on"},
    ]


def test_one_call_id_used_twice_answers_each_call_in_turn() -> None:
    out = messages_of(
        assistant(call("1")),
        user(result("1", Text(text="first"))),
        assistant(call("1")),
        user(result("1", Text(text="second"))),
    )
    assert [m.get("content") for m in out] == [None, "first", None, "second"]


def test_images_of_results_follow_behind_all_results() -> None:
    image = Media(kind="image", media_type="image/png", data="AA==")
    body, notes = crossed(
        assistant(call("1"), call("2")),
        user(result("1", Text(text="see"), image), result("2", image)),
    )
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    assert body["messages"][1:] == [
        {"role": "tool", "tool_call_id": "1", "content": "see"},
        {"role": "tool", "tool_call_id": "2", "content": "See the next message."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Output of tool call 1:"},
                picture,
                {"type": "text", "text": "Output of tool call 2:"},
                picture,
            ],
        },
    ]
    assert notes == (
        Note(
            "mapped",
            "messages[1].content[0]",
            "media of a tool result follow in a user message (and 1 more)",
        ),
    )


def test_calls_and_results_without_each_other_are_mended() -> None:
    body, notes = crossed(
        user(result("lost"), Text(text="hi")),
        assistant(call("1")),
        user(result("1"), result("1", Text(text="again"))),
        assistant(call("2")),
    )
    assert body["messages"] == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Output of tool call lost:"},
                {"type": "text", "text": "rlost"},
            ],
        },
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "tool_calls": [said("1")]},
        {"role": "tool", "tool_call_id": "1", "content": "r1"},
        {"role": "assistant", "content": None, "tool_calls": [said("2")]},
        {"role": "tool", "tool_call_id": "2", "content": "No result of this call was recorded."},
    ]
    assert [(note.verb, note.path) for note in notes] == [
        ("mapped", "messages[0].content[0]"),
        ("lost", "messages[2].content[1]"),
        ("edited", "messages"),
    ]


def test_a_failed_result_keeps_its_text_and_loses_its_mark() -> None:
    body, notes = crossed(assistant(call("1")), user(result("1", is_error=True)))
    assert body["messages"][1]["content"] == "r1"
    assert notes == (
        Note("lost", "messages[1].is_error", "chat tool messages do not tell errors apart"),
    )


def test_thinking_of_another_shape_is_dropped_and_never_becomes_text() -> None:
    body, notes = crossed(
        assistant(
            Thinking(text="secret", signature="s", origin="anthropic_messages"), Text(text="x")
        ),
        assistant(Thinking(text="more", signature="s", origin="anthropic_messages")),
    )
    assert body["messages"] == [{"role": "assistant", "content": "x"}]
    assert "secret" not in json.dumps(body)
    assert [note.verb for note in notes] == ["lost", "lost"]


@pytest.mark.parametrize(
    ("signature", "fields"),
    [
        (None, {"reasoning_content": "why"}),
        ('{"field":"reasoning"}', {"reasoning": "why"}),
        (
            '{"type":"reasoning.text","format":"google-gemini-v1","signature":"S"}',
            {
                "reasoning_details": [
                    {
                        "type": "reasoning.text",
                        "format": "google-gemini-v1",
                        "signature": "S",
                        "text": "why",
                    }
                ]
            },
        ),
        ("no JSON", {"reasoning_content": "why"}),
    ],
)
def test_thinking_of_a_chat_upstream_goes_back_as_it_came(
    signature: str | None, fields: Json
) -> None:
    thinking = Thinking(text="why", signature=signature, origin="openai_chat")
    assert messages_of(assistant(thinking, Text(text="x"))) == [
        {"role": "assistant", "content": "x", **fields}
    ]


def part_of(part: Part, origin: str = "anthropic_messages") -> Any:
    out = messages_of(user(part, Text(text="?")), origin=origin)
    return out[0]["content"] if isinstance(out[0]["content"], str) else out[0]["content"][0]


@pytest.mark.parametrize(
    ("part", "made"),
    [
        (
            Media(kind="image", media_type="image/png", data="AA==", detail="high"),
            {
                "type": "image_url",
                "image_url": {"url": "data:image/png;base64,AA==", "detail": "high"},
            },
        ),
        (
            Media(kind="image", url="https://x/y.png"),
            {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
        ),
        (
            Media(kind="document", media_type="application/pdf", data="AA=="),
            {
                "type": "file",
                "file": {
                    "file_data": "data:application/pdf;base64,AA==",
                    "filename": "document.pdf",
                },
            },
        ),
        (
            Media(kind="document", media_type="application/pdf", data="AA==", title="a.pdf"),
            {
                "type": "file",
                "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"},
            },
        ),
        (
            Media(kind="document", url="https://x/y.pdf"),
            {"type": "text", "text": "Document: https://x/y.pdf"},
        ),
        (
            Media(kind="document", text="words", title="T", context="C"),
            {"type": "text", "text": "T\n\nC\n\nwords"},
        ),
        (Media(kind="document", parts=(Text(text="inner"),)), {"type": "text", "text": "inner"}),
        (
            Media(kind="audio", media_type="audio/mpeg", data="AA=="),
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}},
        ),
        (Media(kind="document", file_id="file_1"), "?"),
        (Media(kind="video", url="https://x/y.mp4"), "?"),
        (Opaque(shape="anthropic_messages", kind="container_upload", value={}), "?"),
    ],
)
def test_media_take_the_forms_chat_has(part: Part, made: Any) -> None:
    assert part_of(part) == made


def test_an_openai_file_id_stays_good_between_openais_shapes() -> None:
    part = Media(kind="document", file_id="file-1")
    assert part_of(part, "openai_responses") == {"type": "file", "file": {"file_id": "file-1"}}


def test_tools_of_every_kind() -> None:
    tools = (
        Tool(kind="function", name="bare"),
        Tool(
            kind="function",
            name="f",
            description="d",
            input_schema={"type": "object"},
            strict=True,
            cache=CacheMark(),
        ),
        Tool(
            kind="custom",
            name="patch",
            format={"type": "grammar", "syntax": "lark", "definition": "s"},
        ),
        Tool(
            kind="server",
            name="web",
            raw={"type": "web_search_20250305"},
            shape="anthropic_messages",
        ),
        Tool(
            kind="namespace",
            name="ns",
            tools=(Tool(kind="function", name="f"), Tool(kind="function", name="g")),
        ),
    )
    body, notes = crossed(
        assistant(
            call("1", "f", namespace="ns"),
            call("2", "gone", namespace="old"),
            ToolCall(call_id="3", name="patch", arguments='say "hi"', kind="custom"),
        ),
        tools=tools,
        tool_choice=ToolChoice(kind="tool", name="patch", tool_kind="custom"),
        parallel_tool_calls=False,
        origin="openai_responses",
    )
    empty = {"type": "object", "properties": {}}
    assert body["tools"] == [
        {"type": "function", "function": {"name": "bare", "parameters": empty}},
        {
            "type": "function",
            "function": {
                "name": "f",
                "description": "d",
                "parameters": {"type": "object"},
                "strict": True,
            },
        },
        {
            "type": "function",
            "function": {
                "name": "patch",
                "description": "The property `input` must be text that follows this lark grammar:\ns",
                "parameters": {
                    "type": "object",
                    "properties": {"input": {"type": "string"}},
                    "required": ["input"],
                },
            },
        },
        {"type": "function", "function": {"name": "ns__f", "parameters": empty}},
        {"type": "function", "function": {"name": "g", "parameters": empty}},
    ]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "patch"}}
    assert body["parallel_tool_calls"] is False
    assert body["messages"][0]["tool_calls"] == [
        said("1", "ns__f"),
        said("2", "old__gone"),
        {
            "id": "3",
            "type": "function",
            "function": {"name": "patch", "arguments": '{"input":"say \\"hi\\""}'},
        },
    ]
    assert [(note.verb, note.path) for note in notes] == [
        ("edited", "messages"),
        ("lost", "tools[1].cache_control"),
        ("mapped", "tools[2]"),
        ("lost", "tools[3]"),
        ("mapped", "tools[4]"),
    ]


def test_tools_that_the_conversation_brings_count() -> None:
    brought = Message(
        role="developer",
        parts=(
            Opaque(
                shape="openai_responses",
                kind="additional_tools",
                value={"type": "additional_tools"},
            ),
        ),
        tools=(Tool(kind="function", name="f"),),
    )
    body, notes = crossed(brought, HI, origin="openai_responses")
    assert [tool["function"]["name"] for tool in body["tools"]] == ["f"]
    assert body["messages"] == [{"role": "user", "content": "hi"}]
    assert notes == (Note("mapped", "input[0]", "the tools it brings stand with the request's"),)


@pytest.mark.parametrize(
    ("choice", "made"),
    [
        (ToolChoice(kind="auto"), "auto"),
        (ToolChoice(kind="any"), "required"),
        (ToolChoice(kind="none"), "none"),
        (ToolChoice(kind="tool", name="f"), {"type": "function", "function": {"name": "f"}}),
        (ToolChoice(kind="tool", name="web_search"), "required"),
    ],
)
def test_tool_choice(choice: ToolChoice, made: Any) -> None:
    body, _ = crossed(tools=(Tool(kind="function", name="f"),), tool_choice=choice)
    assert body["tool_choice"] == made


def test_choice_and_parallelism_are_left_out_without_tools() -> None:
    body, notes = crossed(tool_choice=ToolChoice(kind="any"), parallel_tool_calls=True)
    assert set(body) == {"model", "messages"}
    assert notes == (Note("lost", "tool_choice", "there is no tool to choose"),)


@pytest.mark.parametrize(
    ("wish", "effort", "verbs"),
    [
        (Reasoning(mode="enabled", budget_tokens=1024), "low", ["mapped"]),
        (Reasoning(mode="enabled", budget_tokens=4096), "low", ["mapped"]),
        (Reasoning(mode="enabled", budget_tokens=10_000), "medium", ["mapped"]),
        (Reasoning(mode="enabled", budget_tokens=31_999), "high", ["mapped"]),
        (Reasoning(mode="adaptive"), None, []),
        (Reasoning(mode="adaptive", effort="max", display="omitted"), "high", ["mapped", "lost"]),
        (Reasoning(mode="disabled", effort="high"), None, []),
        (Reasoning(effort="minimal", summary="auto"), "minimal", ["lost"]),
        (Reasoning(effort="xhigh"), "high", ["mapped"]),
        (Reasoning(effort="none"), "none", []),
    ],
)
def test_wishes_for_reasoning(wish: Reasoning, effort: str | None, verbs: list[str]) -> None:
    body, notes = crossed(reasoning=wish)
    assert body.get("reasoning_effort") == effort
    assert [note.verb for note in notes] == verbs


def test_limits_sampling_and_the_rest() -> None:
    body, notes = crossed(
        max_tokens=9,
        temperature=0.5,
        top_p=0.9,
        top_k=5,
        stop=("a", "b", "c", "d", "e"),
        stream=True,
        user="u1",
        service_tier="standard_only",
        prompt_cache_key="k",
        metadata={"a": "b"},
        output_format=OutputFormat(kind="json_schema", schema={"type": "object"}, strict=True),
        cache=CacheMark(),
        extras={"context_management": {"edits": [1]}, "mcp_servers": [], "container": None},
    )
    del body["messages"]
    assert body == {
        "model": "m",
        "max_completion_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["a", "b", "c", "d"],
        "stream": True,
        "stream_options": {"include_usage": True},
        "user": "u1",
        "service_tier": "default",
        "prompt_cache_key": "k",
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "response", "schema": {"type": "object"}, "strict": True},
        },
    }
    assert [(note.verb, note.path) for note in notes] == [
        ("lost", "top_k"),
        ("lost", "stop_sequences[4]"),
        ("lost", "metadata"),
        ("lost", "cache_control"),
        ("lost", "context_management"),
    ]


def test_what_is_stored_keeps_its_metadata() -> None:
    body, notes = crossed(store=True, metadata={"a": "b"}, origin="openai_responses")
    assert (body["store"], body["metadata"], notes) == (True, {"a": "b"}, ())
    assert "store" not in crossed(store=False)[0]


def test_a_user_word_longer_than_the_api_takes_is_lost() -> None:
    """Claude Code's is a JSON text of three ids."""
    body, notes = crossed(user="x" * 65)
    assert "user" not in body
    assert [(note.verb, note.path) for note in notes] == [("lost", "user")]


def test_cache_markers_refusals_and_citations() -> None:
    body, notes = crossed(
        user(Text(text="a", cache=CacheMark()), Text(text="b", cache=CacheMark(ttl="1h"))),
        assistant(Text(text="x", citations=({"type": "page"},)), Refusal(text="no")),
    )
    assert body["messages"][1] == {"role": "assistant", "content": "x", "refusal": "no"}
    assert notes == (
        Note("lost", "messages[0].content[0].cache_control", "cache marker (and 1 more)"),
        Note("lost", "messages[1].content[0].citations", "chat messages cite nothing"),
    )


def test_the_same_request_gives_the_same_bytes() -> None:
    request = Request(origin="anthropic_messages", model="m", messages=(HI,), extras={"x": 1})
    assert OPENAI_CHAT.encode_request(request) == OPENAI_CHAT.encode_request(request)


def test_a_tool_whose_name_chat_refuses_has_a_shorter_one_everywhere() -> None:
    long = "mcp__server__" + "x" * 90
    request = Request(
        origin="anthropic_messages",
        model="m",
        messages=(HI, assistant(call("1", long)), user(result("1"))),
        tools=(Tool(kind="function", name=long), Tool(kind="function", name="f")),
        tool_choice=ToolChoice(kind="tool", name=long),
    )
    encoded = OPENAI_CHAT.encode_request(request)
    body = json.loads(encoded.body)
    (short,) = encoded.renamed
    assert encoded.renamed == {short: long}
    assert len(short) == 64
    assert [tool["function"]["name"] for tool in body["tools"]] == [short, "f"]
    assert body["messages"][1]["tool_calls"] == [said("1", short)]
    assert body["tool_choice"] == {"type": "function", "function": {"name": short}}
    assert Note("mapped", "tools[0].name", f"the tool is called {short}") in encoded.notes


def test_a_replayed_call_of_a_tool_no_longer_offered_is_within_the_limit_too() -> None:
    (_, told, _) = messages_of(HI, assistant(call("1", "y" * 80)), user(result("1")))
    assert len(told["tool_calls"][0]["function"]["name"]) == 64
