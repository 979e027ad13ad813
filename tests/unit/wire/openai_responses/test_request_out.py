"""Requests of the other shapes as bodies of this one: what crosses, and what is said to be lost."""

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
from metis.wire.openai_responses import OPENAI_RESPONSES

Json = dict[str, Any]

MARK = CacheMark(ttl="1h")


def asked(origin: str = "anthropic_messages", **fields: Any) -> Request:
    return Request(**{"origin": origin, "model": "gpt-test", "messages": (), **fields})


def crossed(request: Request) -> tuple[Json, list[tuple[str, str]]]:
    encoded = OPENAI_RESPONSES.encode_request(request)
    return json.loads(encoded.body), [(note.verb, note.path) for note in encoded.notes]


def said(*parts: Part, role: Any = "user", **fields: Any) -> Message:
    return Message(role=role, parts=parts, **fields)


def test_a_whole_conversation_crosses() -> None:
    request = asked(
        system=(Text(text="Be brief."), Text(text="Be kind.", cache=MARK)),
        max_tokens=4096,
        stream=True,
        temperature=0.5,
        tools=(
            Tool(kind="function", name="weather", description="d", input_schema={"type": "object"}),
        ),
        tool_choice=ToolChoice(kind="any"),
        parallel_tool_calls=False,
        messages=(
            said(Text(text="Weather?"), text_form=True),
            said(
                Text(text="I look."),
                ToolCall(call_id="toolu_1", name="weather", arguments='{"city":"Rome"}'),
                ToolCall(call_id="toolu_2", name="weather", arguments=""),
                role="assistant",
            ),
            said(
                ToolResult(call_id="toolu_1", content=(Text(text="sunny"),), as_text=True),
                ToolResult(call_id="toolu_2", content=(Text(text="a"), Text(text="b"))),
                Text(text="And now?"),
            ),
            said(Text(text="A reminder."), role="system"),
        ),
    )
    body, notes = crossed(request)
    assert body == {
        "model": "gpt-test",
        "instructions": "Be brief.\n\nBe kind.",
        "input": [
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "Weather?"}],
            },
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "I look."}],
            },
            {
                "type": "function_call",
                "call_id": "toolu_1",
                "name": "weather",
                "arguments": '{"city":"Rome"}',
            },
            {"type": "function_call", "call_id": "toolu_2", "name": "weather", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "toolu_1", "output": "sunny"},
            {
                "type": "function_call_output",
                "call_id": "toolu_2",
                "output": [
                    {"type": "input_text", "text": "a"},
                    {"type": "input_text", "text": "b"},
                ],
            },
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "And now?"}],
            },
            {
                "type": "message",
                "role": "system",
                "content": [{"type": "input_text", "text": "A reminder."}],
            },
        ],
        "tools": [
            {
                "type": "function",
                "name": "weather",
                "description": "d",
                "parameters": {"type": "object"},
                "strict": False,
            }
        ],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "max_output_tokens": 4096,
        "temperature": 0.5,
        "store": False,
        "stream": True,
    }
    assert notes == [("lost", "system[1].cache_control")]


def test_only_reasoning_of_this_shape_goes_back_and_none_becomes_text() -> None:
    request = asked(
        messages=(
            said(
                Thinking(text="secret", signature="A", origin="anthropic_messages"),
                Thinking(
                    text="one\n\ntwo", signature="gAAA", origin="openai_responses", item_id="rs_1",
                    summary=True, summary_parts=("one", "two"),
                ),
                Thinking(text="carried", signature="gBBB", origin="openai_responses", item_id="rs_2", summary=True),
                Thinking(text="plain", origin="openai_chat"),
                Text(text="answer"),
                role="assistant",
            ),
        )
    )  # fmt: skip
    body, notes = crossed(request)
    assert body["input"] == [
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [
                {"type": "summary_text", "text": "one"},
                {"type": "summary_text", "text": "two"},
            ],
            "encrypted_content": "gAAA",
        },
        {
            "type": "reasoning",
            "id": "rs_2",
            "summary": [{"type": "summary_text", "text": "carried"}],
            "encrypted_content": "gBBB",
        },
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "answer"}],
        },
    ]
    assert "secret" not in json.dumps(body)
    assert "plain" not in json.dumps(body)
    assert notes == [("lost", "messages[0].content[0]")]


MEDIA: list[tuple[Media, list[Json], list[tuple[str, str]]]] = [
    (
        Media(kind="image", media_type="image/png", data="AAAA"),
        [{"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"}],
        [],
    ),
    (
        Media(kind="image", url="https://x/y.png", detail="low"),
        [{"type": "input_image", "image_url": "https://x/y.png", "detail": "low"}],
        [],
    ),
    (
        Media(kind="document", media_type="application/pdf", data="QUJD"),
        [{"type": "input_file", "file_data": "data:application/pdf;base64,QUJD", "filename": "document.pdf"}],
        [],
    ),
    (
        Media(kind="document", url="https://x/y.pdf", title="Y", citations_enabled=True),
        [{"type": "input_file", "file_url": "https://x/y.pdf", "filename": "Y"}],
        [("lost", "messages[0].content[0].citations_enabled")],
    ),
    (
        Media(kind="document", media_type="text/plain", text="body", title="Title"),
        [{"type": "input_text", "text": "Title\n\nbody"}],
        [("mapped", "messages[0].content[0]")],
    ),
    (
        Media(kind="document", parts=(Text(text="a"), Media(kind="image", url="https://x"))),
        [
            {"type": "input_text", "text": "a"},
            {"type": "input_image", "image_url": "https://x", "detail": "auto"},
        ],
        [("mapped", "messages[0].content[0]")],
    ),
    (
        Media(kind="audio", media_type="audio/wav", data="AA"),
        [{"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}],
        [],
    ),
    (Media(kind="image", file_id="file_1"), [], [("lost", "messages[0].content[0]")]),
    (Media(kind="video", url="https://x"), [], [("lost", "messages[0].content[0]")]),
]  # fmt: skip


@pytest.mark.parametrize(("media", "content", "notes"), MEDIA)
def test_media_cross_or_are_said_to_be_lost(
    media: Media, content: list[Json], notes: list[tuple[str, str]]
) -> None:
    body, noted = crossed(asked(messages=(said(media, Text(text="?")),)))
    assert body["input"][0]["content"] == [*content, {"type": "input_text", "text": "?"}]
    assert noted == notes


def test_a_result_keeps_its_images_and_says_what_no_field_can() -> None:
    reference = Opaque(
        shape="anthropic_messages",
        kind="tool_reference",
        value={"type": "tool_reference", "tool_name": "x"},
    )
    body, notes = crossed(
        asked(
            messages=(
                said(
                    ToolResult(
                        call_id="a",
                        content=(Text(text="see"), Media(kind="image", url="https://x")),
                        is_error=True,
                    ),
                    ToolResult(call_id="b", content=(reference,)),
                    ToolResult(call_id="c", content=()),
                ),
            )
        )
    )
    assert [item["output"] for item in body["input"]] == [
        [
            {"type": "input_text", "text": "see"},
            {"type": "input_image", "image_url": "https://x", "detail": "auto"},
        ],
        '{"type":"tool_reference","tool_name":"x"}',
        "",
    ]
    assert notes == [
        ("lost", "messages[0].content[0].is_error"),
        ("mapped", "messages[0].content[1].content[0]"),
    ]


def test_custom_tools_of_chat_cross_as_custom_tools() -> None:
    grammar = {"syntax": "lark", "definition": "start: A"}
    request = asked(
        "openai_chat",
        tools=(Tool(kind="custom", name="exec", format={"type": "grammar", "grammar": grammar}),),
        tool_choice=ToolChoice(kind="tool", name="exec", tool_kind="custom"),
        messages=(
            said(
                ToolCall(call_id="c", name="exec", arguments="ls", kind="custom"), role="assistant"
            ),
            said(ToolResult(call_id="c", content=(Text(text="out"),), as_text=True), role="tool"),
        ),
    )
    body, notes = crossed(request)
    assert body["tools"] == [
        {"type": "custom", "name": "exec", "format": {"type": "grammar", **grammar}}
    ]
    assert body["tool_choice"] == {"type": "custom", "name": "exec"}
    assert body["input"] == [
        {"type": "custom_tool_call", "call_id": "c", "name": "exec", "input": "ls"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "out"},
    ]
    assert notes == []


def test_long_call_ids_are_shortened_alike_for_call_and_result() -> None:
    long = "toolu_" + "x" * 80
    body, _ = crossed(
        asked(
            messages=(
                said(ToolCall(call_id=long, name="f", arguments="{}"), role="assistant"),
                said(ToolResult(call_id=long, content=()), role="tool"),
            )
        )
    )
    first, second = (item["call_id"] for item in body["input"])
    assert first == second
    assert len(first) <= 64


def test_anthropics_web_search_is_openais_and_other_server_tools_are_lost() -> None:
    search = {
        "type": "web_search_20250305",
        "name": "web_search",
        "max_uses": 8,
        "allowed_domains": ["a.org"],
        "user_location": {"type": "approximate", "city": "Rome"},
    }
    run = {"type": "code_execution_20250522", "name": "code_execution"}
    tools = tuple(
        Tool(kind="server", name=raw["name"], raw=raw, shape="anthropic_messages")
        for raw in (search, run)
    )
    body, notes = crossed(
        asked(tools=tools, tool_choice=ToolChoice(kind="tool", name="web_search"))
    )
    assert body["tools"] == [
        {
            "type": "web_search",
            "filters": {"allowed_domains": ["a.org"]},
            "user_location": {"type": "approximate", "city": "Rome"},
        }
    ]
    assert body["tool_choice"] == "required"
    assert notes == [
        ("mapped", "tools[0]"),
        ("lost", "tools[0].max_uses"),
        ("lost", "tools[1]"),
        ("mapped", "tool_choice"),
    ]


REASONING: list[tuple[Reasoning, Json | None, list[tuple[str, str]]]] = [
    (Reasoning(effort="high"), {"effort": "high"}, []),
    (Reasoning(effort="minimal", summary="detailed"), {"effort": "minimal", "summary": "detailed"}, []),
    (
        Reasoning(mode="enabled", budget_tokens=4_096),
        {"effort": "low", "summary": "auto"},
        [("mapped", "thinking.budget_tokens")],
    ),
    (
        Reasoning(mode="enabled", budget_tokens=4_097),
        {"effort": "medium", "summary": "auto"},
        [("mapped", "thinking.budget_tokens")],
    ),
    (
        Reasoning(mode="enabled", budget_tokens=31_999, display="omitted"),
        {"effort": "high"},
        [("mapped", "thinking.budget_tokens")],
    ),
    (Reasoning(mode="adaptive", effort="max"), {"effort": "max", "summary": "auto"}, []),
    (Reasoning(mode="adaptive"), {"summary": "auto"}, []),
    (Reasoning(effort="extreme"), {}, [("lost", "reasoning.effort")]),
    (Reasoning(mode="disabled"), None, [("lost", "thinking")]),
]  # fmt: skip


@pytest.mark.parametrize(("wish", "expected", "notes"), REASONING)
def test_a_wish_for_reasoning_becomes_effort_and_summary(
    wish: Reasoning, expected: Json | None, notes: list[tuple[str, str]]
) -> None:
    body, noted = crossed(asked(reasoning=wish))
    assert body.get("reasoning") == expected
    assert body.get("include") == (None if expected is None else ["reasoning.encrypted_content"])
    assert noted == notes


def test_fields_without_a_counterpart_are_listed_under_their_own_names() -> None:
    request = asked(
        max_tokens=5,
        top_k=3,
        seed=1,
        stop=("END",),
        cache=MARK,
        user="u" * 65,
        metadata={"team": "a", "nested": {"x": 1}},
        service_tier="standard_only",
        prompt_cache_key="key",
        output_format=OutputFormat(kind="json_schema", schema={"type": "object"}),
        extras={"context_management": {"edits": []}, "safety_identifier": "s", "nothing": None},
    )
    body, notes = crossed(request)
    assert body == {
        "model": "gpt-test",
        "input": [],
        "text": {
            "format": {"type": "json_schema", "name": "response", "schema": {"type": "object"}}
        },
        "max_output_tokens": 16,
        "store": False,
        "metadata": {"team": "a"},
        "service_tier": "default",
        "prompt_cache_key": "key",
        "safety_identifier": "s",
    }
    assert notes == [
        ("mapped", "max_tokens"),
        ("lost", "top_k"),
        ("lost", "seed"),
        ("lost", "stop_sequences"),
        ("lost", "cache_control"),
        ("lost", "metadata.user_id"),
        ("lost", "metadata.nested"),
        ("lost", "context_management"),
    ]


def test_a_loss_that_repeats_itself_is_one_note() -> None:
    messages = tuple(said(Text(text="x", cache=MARK)) for _ in range(30))
    encoded = OPENAI_RESPONSES.encode_request(asked(messages=messages))
    assert encoded.notes == (
        Note(
            "lost",
            "messages[0].content[0].cache_control",
            "this API caches by itself (and 29 more)",
        ),
    )


def test_an_assistants_refusal_and_what_it_cannot_say() -> None:
    image = Media(kind="image", url="https://x")
    foreign = Opaque(shape="anthropic_messages", kind="server_tool_use", value={})
    body, notes = crossed(
        asked(messages=(said(Refusal(text="no"), image, foreign, role="assistant"),))
    )
    assert body["input"] == [
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "refusal", "refusal": "no"}],
        }
    ]
    assert notes == [("lost", "messages[0].content[1]"), ("lost", "messages[0].content[2]")]


def test_tools_that_messages_bring_are_offered_and_their_blocks_left_out() -> None:
    added = Tool(kind="function", name="late", input_schema={"type": "object"})
    block = Opaque(
        shape="anthropic_messages", kind="tool_addition", value={"type": "tool_addition"}
    )
    body, notes = crossed(asked(messages=(said(block, role="system", tools=(added,)),)))
    assert [tool["name"] for tool in body["tools"]] == ["late"]
    assert (body["input"], notes) == ([], [])


def test_the_same_request_gives_the_same_bytes() -> None:
    request = asked(messages=(said(Text(text="x")),), metadata={"b": "1", "a": "2"})
    first = OPENAI_RESPONSES.encode_request(request)
    assert first == OPENAI_RESPONSES.encode_request(request)
