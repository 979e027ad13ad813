"""Tools and tool choices of other shapes as the Messages API has them."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.wire.anthropic_messages.crossed import (
    block,
    call,
    encoded,
    message,
    messages_of,
    request,
    result,
    said,
    used,
)

from metis.ir.content import (
    Opaque,
)
from metis.ir.request import Tool, ToolChoice


def test_tools_of_every_kind_are_mapped() -> None:
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: WORD"}
    body, notes = encoded(
        request(
            origin="openai_responses",
            tools=(
                Tool(kind="function", name="f", description="d", input_schema=None, strict=False),
                Tool(kind="custom", name="apply_patch", description="p", format=grammar),
                Tool(
                    kind="namespace",
                    name="git",
                    description="for history",
                    tools=(Tool(kind="function", name="f"), Tool(kind="function", name="log")),
                ),
                Tool(
                    kind="server",
                    name="web_search",
                    shape="openai_responses",
                    raw={
                        "type": "web_search",
                        "search_context_size": "low",
                        "filters": {"allowed_domains": ["a.example"]},
                        "user_location": {"type": "approximate", "city": "Bern", "region": None},
                    },
                ),
                Tool(kind="server", name="image_generation", raw={"type": "image_generation"}),
                Tool(kind="function", name="log"),
            ),
        )
    )
    empty = {"type": "object", "properties": {}}
    assert body["tools"] == [
        {"name": "f", "description": "d", "input_schema": empty},
        {
            "name": "apply_patch",
            "description": "p\n\nThe property `input` must be text that follows this lark grammar:\n"
            "start: WORD",
            "input_schema": {
                "type": "object",
                "properties": {"input": {"type": "string"}},
                "required": ["input"],
            },
        },
        {"name": "git__f", "input_schema": empty},
        {"name": "git__log", "input_schema": empty},
        {
            "type": "web_search_20250305",
            "name": "web_search",
            "allowed_domains": ["a.example"],
            "user_location": {"type": "approximate", "city": "Bern"},
        },
        {"name": "log", "input_schema": empty},
    ]
    assert notes == [
        ("lost", "tools[2].description"),
        ("mapped", "tools[1]"),
        ("mapped", "tools[2].tools[0]"),
        ("mapped", "tools[2].tools[1]"),
        ("mapped", "tools[3]"),
        ("lost", "tools[3].search_context_size"),
        ("lost", "tools[4]"),
    ]


def test_calls_to_members_of_a_namespace_carry_the_flat_name() -> None:
    space = Tool(kind="namespace", name="git", tools=(Tool(kind="function", name="f"),))
    (_, assistant, _) = messages_of(
        said("go"),
        message("assistant", call("a", namespace="git"), call("b")),
        message("tool", result("a"), result("b")),
        tools=(Tool(kind="function", name="f"), space),
    )
    assert assistant["content"] == [used("a", name="git__f"), used("b")]


def test_tools_that_messages_bring_are_offered_and_their_items_are_no_loss() -> None:
    brought = message(
        "user",
        Opaque(shape="openai_responses", kind="additional_tools", value={}),
        tools=(Tool(kind="custom", name="exec"),),
    )
    body, notes = encoded(
        request(brought, said("dev", "developer"), said("go"), origin="openai_responses")
    )
    assert [tool["name"] for tool in body["tools"]] == ["exec"]
    assert body["system"] == [block("dev")]
    assert body["messages"] == [{"role": "user", "content": [block("go")]}]
    assert notes == [("mapped", "tools[0]"), ("mapped", "input[0]")]


def test_strict_tools_stay_strict_where_their_schema_allows_it() -> None:
    closed = {"type": "object", "properties": {}, "additionalProperties": False}
    bounded = {**closed, "properties": {"n": {"type": "integer", "minimum": 1}}}
    tools = (
        Tool(kind="function", name="a", input_schema=closed, strict=True),
        Tool(kind="function", name="b", input_schema=bounded, strict=True),
        Tool(kind="function", name="c", input_schema={"anyOf": [closed]}, strict=False),
    )
    body, notes = encoded(request(tools=tools))
    assert body["tools"] == [
        {"name": "a", "input_schema": closed, "strict": True},
        {"name": "b", "input_schema": bounded},
        {"name": "c", "input_schema": {"type": "object"}},
    ]
    assert notes == [("lost", "tools[1].strict"), ("edited", "tools[2].parameters")]
    old, _ = encoded(request(tools=tools[:1], model="claude-sonnet-4"))
    assert old["tools"] == [{"name": "a", "input_schema": closed}]


@pytest.mark.parametrize(
    ("choice", "parallel", "sent"),
    [
        (None, None, None),
        (None, True, None),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice(kind="auto"), None, {"type": "auto"}),
        (ToolChoice(kind="none"), False, {"type": "none"}),
        (ToolChoice(kind="any"), False, {"type": "any", "disable_parallel_tool_use": True}),
        (ToolChoice(kind="tool", name="f"), None, {"type": "tool", "name": "f"}),
        (
            ToolChoice(kind="tool", name="p", tool_kind="custom"),
            None,
            {"type": "tool", "name": "p"},
        ),
        (
            ToolChoice(kind="tool", name="web_search_preview", tool_kind="server"),
            None,
            {"type": "tool", "name": "web_search"},
        ),
        (ToolChoice(kind="tool", name="gone"), None, {"type": "any"}),
    ],
)
def test_tool_choices_are_mapped(choice: Any, parallel: bool | None, sent: Any) -> None:
    tools = (
        Tool(kind="function", name="f"),
        Tool(kind="custom", name="p"),
        Tool(kind="server", name="web_search_preview", raw={"type": "web_search_preview"}),
    )
    body, _ = encoded(request(tools=tools, tool_choice=choice, parallel_tool_calls=parallel))
    assert body.get("tool_choice") == sent


def test_a_choice_without_tools_is_not_sent() -> None:
    for kind, notes in (("any", [("lost", "tool_choice")]), ("none", []), ("auto", [])):
        body, found = encoded(request(tool_choice=ToolChoice(kind=kind), parallel_tool_calls=False))  # type: ignore[arg-type]
        assert "tool_choice" not in body
        assert found == notes


def test_calls_in_the_history_need_no_tools() -> None:
    body, notes = encoded(
        request(said("a"), message("assistant", call("a")), message("tool", result("a")))
    )
    assert "tools" not in body
    assert notes == []
