"""Requests of other shapes as Messages requests: what is mapped, what is lost, and that the result is legal."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.wire.anthropic_messages.crossed import (
    NEW,
    OLD,
    answered,
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
    CacheMark,
    Media,
    Opaque,
    Refusal,
    Text,
    Thinking,
    ToolResult,
)
from metis.ir.request import Message, OutputFormat, Reasoning, Tool, ToolChoice
from metis.wire import carry
from metis.wire.anthropic_messages import ANTHROPIC_MESSAGES

# --- messages


def test_a_plain_chat_becomes_system_and_messages() -> None:
    body, notes = encoded(
        request(
            said("S", "system"),
            said("D", "developer"),
            said("hi"),
            said("yes?", "assistant"),
            said("go on"),
            system=(Text(text="instructions"),),
            stream=True,
            user="u1",
        )
    )
    assert notes == []
    assert body == {
        "model": NEW,
        "max_tokens": 1_000,
        "system": [block("instructions"), block("S"), block("D")],
        "messages": [
            {"role": "user", "content": [block("hi")]},
            {"role": "assistant", "content": [block("yes?")]},
            {"role": "user", "content": [block("go on")]},
        ],
        "metadata": {"user_id": "u1"},
        "stream": True,
    }


def test_neighbours_of_one_role_are_merged_and_later_system_messages_become_the_user_s() -> None:
    body, notes = encoded(
        request(
            said("a"),
            said("b"),
            said("c", "assistant"),
            said("d", "assistant"),
            said("e", "developer"),
        )
    )
    assert body["messages"] == [
        {"role": "user", "content": [block("a"), block("b")]},
        {"role": "assistant", "content": [block("c"), block("d")]},
        {"role": "user", "content": [block("e")]},
    ]
    assert notes == [("mapped", "messages[4]")]


def test_results_stand_first_in_the_message_after_their_calls() -> None:
    assert messages_of(
        said("go"),
        message("assistant", Text(text="ok"), call("a"), call("b", '{"x":1}')),
        said("by the way", "developer"),
        message("tool", result("b", "B", is_error=True)),
        message("tool", result("a", "A", is_error=False)),
        said("and?"),
    ) == [
        {"role": "user", "content": [block("go")]},
        {"role": "assistant", "content": [block("ok"), used("a"), used("b", {"x": 1})]},
        {
            "role": "user",
            "content": [
                answered("a", "A"),
                answered("b", "B", is_error=True),
                block("by the way"),
                block("and?"),
            ],
        },
    ]


def test_calls_one_after_the_other_stay_so() -> None:
    assert messages_of(
        said("go"),
        message("assistant", call("a")),
        message("tool", result("a")),
        message("assistant", call("b")),
        message("tool", result("b")),
    ) == [
        {"role": "user", "content": [block("go")]},
        {"role": "assistant", "content": [used("a")]},
        {"role": "user", "content": [answered("a")]},
        {"role": "assistant", "content": [used("b")]},
        {"role": "user", "content": [answered("b")]},
    ]


def test_responses_items_of_one_turn_are_joined() -> None:
    thought = Thinking(text="hm", signature="sig", origin="anthropic_messages")
    body, notes = encoded(
        request(
            said("go"),
            message("assistant", thought),
            message("assistant", Text(text="doing")),
            message("assistant", call("a")),
            message("assistant", call("b")),
            message("tool", result("a")),
            message("tool", result("b")),
            origin="openai_responses",
        )
    )
    assert notes == []
    assert body["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "sig"},
                block("doing"),
                used("a"),
                used("b"),
            ],
        },
        {"role": "user", "content": [answered("a"), answered("b")]},
    ]


def test_a_call_without_result_gets_one_that_says_so_and_a_late_result_is_fetched() -> None:
    body, notes = encoded(
        request(
            said("go"),
            message("assistant", call("a"), call("b")),
            message("tool", result("a")),
            said("hm", "assistant"),
            message("tool", result("b", "late")),
            message("assistant", call("c")),
        )
    )
    lost = answered("c", "No result of this call was recorded.", is_error=True)
    assert body["messages"][1:] == [
        {"role": "assistant", "content": [used("a"), used("b")]},
        {"role": "user", "content": [answered("a"), answered("b", "late")]},
        {"role": "assistant", "content": [block("hm"), used("c")]},
        {"role": "user", "content": [lost]},
    ]
    assert notes == [("edited", "messages[5]")]


def test_a_result_without_call_is_told_as_text_and_a_second_one_is_dropped() -> None:
    body, notes = encoded(
        request(
            message("tool", result("gone", "text")),
            message("assistant", call("a")),
            message("tool", result("a")),
            message("tool", result("a", "again")),
        )
    )
    assert body["messages"] == [
        {"role": "user", "content": [block("Result of tool call gone:"), block("text")]},
        {"role": "assistant", "content": [used("a")]},
        {"role": "user", "content": [answered("a")]},
    ]
    assert notes == [("mapped", "messages[0]"), ("lost", "messages[3]")]


def test_call_ids_are_made_legal_and_unique() -> None:
    body, notes = encoded(
        request(
            said("go"),
            message("assistant", call("functions.f:0")),
            message("tool", result("functions.f:0", "1")),
            message("assistant", call("functions.f:0")),
            message("tool", result("functions.f:0", "2")),
        )
    )
    assert body["messages"][1:] == [
        {"role": "assistant", "content": [used("functions_f_0")]},
        {"role": "user", "content": [answered("functions_f_0", "1")]},
        {"role": "assistant", "content": [used("functions_f_0_2")]},
        {"role": "user", "content": [answered("functions_f_0_2", "2")]},
    ]
    assert notes == [("mapped", "messages[1]"), ("mapped", "messages[3]")]


def test_text_said_after_a_call_in_one_turn_stands_before_it() -> None:
    body, _ = encoded(
        request(
            said("go"),
            message("assistant", call("a")),
            said("working", "assistant"),
            message("tool", result("a")),
            origin="openai_responses",
        )
    )
    assert body["messages"][1]["content"] == [block("working"), used("a")]


def test_arguments_of_every_kind_become_an_input() -> None:
    body, notes = encoded(
        request(
            message(
                "assistant",
                call("a", ""),
                call("b", "patch", kind="custom"),
                call("c", "{bad"),
                call("d", "[1]"),
            )
        )
    )
    assert body["messages"][1]["content"] == [
        used("a"),
        used("b", {"input": "patch"}),
        used("c", {"invalid_json_arguments": "{bad"}),
        used("d", {"invalid_json_arguments": "[1]"}),
    ]
    assert [note for note in notes if note[0] == "mapped"] == [
        ("mapped", "messages[0].content[2].arguments"),
        ("mapped", "messages[0].content[3].arguments"),
    ]


def test_blank_texts_are_left_out_and_messages_they_empty_with_them() -> None:
    body, notes = encoded(
        request(said("a"), said(" \n", "assistant"), message("user", Text(text=""), Text(text="b")))
    )
    assert body["messages"] == [{"role": "user", "content": [block("a"), block("b")]}]
    assert notes == [("edited", "messages[1]"), ("edited", "messages[2].content[0]")]


def test_a_prompt_of_only_a_system_message_is_sent_as_the_user_s() -> None:
    body, notes = encoded(request(said("one", "system"), said("two", "system")))
    assert body["system"] == [block("one")]
    assert body["messages"] == [{"role": "user", "content": [block("two")]}]
    assert notes == [("mapped", "messages[0]")]


def test_a_conversation_begins_and_ends_with_the_user_where_the_model_asks_for_it() -> None:
    history = (said("Once ", "assistant"),)
    new, new_notes = encoded(request(*history))
    old, old_notes = encoded(request(*history, model=OLD))
    first = {"role": "user", "content": [block("Continue.")]}
    assert new["messages"] == [first, {"role": "assistant", "content": [block("Once ")]}, first]
    assert old["messages"] == [first, {"role": "assistant", "content": [block("Once")]}]
    assert new_notes == old_notes == [("edited", "messages[0]"), ("edited", "messages")]


def test_reasoning_goes_back_only_to_anthropic_and_only_signed() -> None:
    own = "anthropic_messages"
    wrapped = carry.unwrap(
        carry.wrap(Thinking(signature="data", redacted=True, origin=own)), Thinking()
    )
    assert wrapped is not None
    body, notes = encoded(
        request(
            said("go"),
            message(
                "assistant",
                Thinking(text="own", signature="sig", origin=own),
                wrapped,
                Thinking(text="unsigned", origin=own),
                Thinking(text="other", signature="enc", origin="openai_responses"),
                Text(text="so"),
            ),
            said("?"),
        )
    )
    assert body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "own", "signature": "sig"},
        {"type": "redacted_thinking", "data": "data"},
        block("so"),
    ]
    assert notes == [("lost", "messages[1].content[2]"), ("lost", "messages[1].content[3]")]


def test_cache_marks_of_other_shapes_are_kept() -> None:
    mark = CacheMark(ttl="1h")
    cached = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    body, _ = encoded(
        request(
            message("user", Text(text="a", cache=mark)),
            message("assistant", call("a", cache=mark)),
            message("tool", result("a", cache=mark)),
            tools=(Tool(kind="function", name="f", cache=mark),),
            cache=CacheMark(),
        )
    )
    assert body["messages"][0]["content"] == [{**block("a"), **cached}]
    assert body["messages"][1]["content"] == [{**used("a"), **cached}]
    assert body["messages"][2]["content"] == [{**answered("a"), **cached}]
    assert body["tools"][0]["cache_control"] == cached["cache_control"]
    assert body["cache_control"] == {"type": "ephemeral"}


# --- media


@pytest.mark.parametrize(
    ("part", "source"),
    [
        (
            Media(kind="image", media_type="image/jpg", data="zz"),
            {"type": "base64", "media_type": "image/jpeg", "data": "zz"},
        ),
        (
            Media(kind="image", media_type="image/jpeg", data="iVBORw0"),
            {"type": "base64", "media_type": "image/png", "data": "iVBORw0"},
        ),
        (
            Media(kind="image", url="https://x/y.png", detail="auto"),
            {"type": "url", "url": "https://x/y.png"},
        ),
        (
            Media(kind="image", url="data:image/webp;base64,UklGRg=="),
            {"type": "base64", "media_type": "image/webp", "data": "UklGRg=="},
        ),
        (
            Media(kind="document", media_type="application/pdf", data="JVBERi0"),
            {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0"},
        ),
        (
            Media(kind="document", url="https://x/y.pdf"),
            {"type": "url", "url": "https://x/y.pdf"},
        ),
        (
            Media(kind="document", media_type="text/csv", data="YSxi"),
            {"type": "text", "media_type": "text/plain", "data": "a,b"},
        ),
        (
            Media(kind="document", text="plain"),
            {"type": "text", "media_type": "text/plain", "data": "plain"},
        ),
    ],
)
def test_media_are_mapped(part: Media, source: dict[str, Any]) -> None:
    (sent,) = messages_of(message("user", part, Text(text="see")))
    assert sent["content"] == [{"type": part.kind, "source": source}, block("see")]


@pytest.mark.parametrize(
    "part",
    [
        Media(kind="audio", media_type="audio/wav", data="x"),
        Media(kind="video", url="https://x"),
        Media(kind="image", file_id="file-1"),
        Media(kind="image", media_type="image/tiff", data="x"),
        Media(kind="image"),
        Media(kind="document", media_type="application/zip", data="x"),
        Media(kind="document", media_type="text/plain", data="/w=="),
        Opaque(shape="openai_responses", kind="item_reference", value={"id": "x"}),
    ],
)
def test_what_anthropic_cannot_take_is_lost_and_noted(part: Any) -> None:
    body, notes = encoded(request(message("user", part, Text(text="see"))))
    assert body["messages"] == [{"role": "user", "content": [block("see")]}]
    assert notes == [("lost", "messages[0].content[0]")]


def test_media_in_tool_results_are_kept_and_refusals_are_text() -> None:
    image = Media(kind="image", media_type="image/png", data="iVBORw0")
    body, notes = encoded(
        request(
            message("assistant", Refusal(text="no"), call("a")),
            message("tool", ToolResult(call_id="a", content=(Text(text=""), image))),
        )
    )
    assert body["messages"][2]["content"] == [
        answered(
            "a",
            [
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0"},
                }
            ],
        )
    ]
    assert ("mapped", "messages[0].content[0]") in notes


# --- sampling, limits, the rest


@pytest.mark.parametrize(
    ("model", "sent"),
    [
        ("claude-3-opus-20240229", 4_096),
        ("claude-3-5-sonnet-20241022", 8_192),
        ("claude-3-7-sonnet-latest", 32_000),
        ("anthropic/claude-opus-4.1", 32_000),
        ("claude-haiku-5-5", 32_000),
        ("some-model", 8_192),
    ],
)
def test_a_limit_is_sent_where_the_client_named_none(model: str, sent: int) -> None:
    body, notes = encoded(request(model=model, max_tokens=None))
    assert body["max_tokens"] == sent
    assert notes == [("edited", "max_tokens")]


@pytest.mark.parametrize(
    ("model", "sent", "notes"),
    [
        ("claude-sonnet-4", {"temperature": 1.0, "top_p": 0.5, "top_k": 7}, [("mapped", "temperature")]),
        (OLD, {"temperature": 1.0, "top_k": 7}, [("mapped", "temperature"), ("lost", "top_p")]),
        (NEW, {}, [("lost", "temperature"), ("lost", "top_p"), ("lost", "top_k")]),
        ("claude-fable-5", {}, [("lost", "temperature"), ("lost", "top_p"), ("lost", "top_k")]),
        ("local", {"temperature": 1.0, "top_p": 0.5, "top_k": 7}, [("mapped", "temperature")]),
    ],
)  # fmt: skip
def test_sampling_is_what_the_model_takes(model: str, sent: Any, notes: Any) -> None:
    body, found = encoded(request(model=model, temperature=1.5, top_p=0.5, top_k=7))
    assert {key: body[key] for key in ("temperature", "top_p", "top_k") if key in body} == sent
    assert found == notes


def test_sampling_does_not_go_with_reasoning() -> None:
    body, notes = encoded(
        request(model=OLD, max_tokens=20_000, temperature=0.2, reasoning=Reasoning(effort="low"))
    )
    assert "temperature" not in body
    assert ("lost", "temperature") in notes


def test_stop_words_tiers_and_what_has_no_place() -> None:
    body, notes = encoded(
        request(
            stop=("END", "\n\n"),
            service_tier="default",
            seed=1,
            prompt_cache_key="k",
            store=True,
            metadata={"a": "b"},
            include_usage=True,
            extras={
                "n": 1,
                "logprobs": True,
                "stream_options": {"include_usage": True},
                "logit_bias": None,
            },
        )
    )
    assert body["stop_sequences"] == ["END"]
    assert body["service_tier"] == "standard_only"
    assert notes == [
        ("lost", "stop"),
        ("mapped", "service_tier"),
        ("lost", "seed"),
        ("lost", "prompt_cache_key"),
        ("lost", "store"),
        ("lost", "metadata"),
        ("lost", "logprobs"),
    ]
    body, notes = encoded(request(service_tier="flex", store=False))
    assert "service_tier" not in body
    assert notes == [("lost", "service_tier")]


def test_unknown_fields_of_messages_parts_and_tools_are_listed() -> None:
    _, notes = encoded(
        request(
            Message(role="user", parts=(Text(text="a", extras={"x": 1}),), extras={"name": "bob"}),
            tools=(Tool(kind="function", name="f", extras={"y": 1}),),
            origin="openai_responses",
        )
    )
    assert notes == [("lost", "tools[0].y"), ("lost", "input[0].name"), ("lost", "input[0].x")]


def test_notes_are_bounded() -> None:
    long = tuple(
        Message(role="user", parts=(Text(text="a"),), extras={"id": 1}) for _ in range(1_000)
    )
    notes = ANTHROPIC_MESSAGES.encode_request(request(*long)).notes
    assert len(notes) == 257
    assert notes[-1].why == "and 744 more notes"


@pytest.mark.parametrize("kind", ["json_object", "json_schema"])
def test_structured_output_is_asked_for_in_the_model_s_way(kind: Any) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}
    wanted = OutputFormat(kind=kind, name="n", schema=schema if kind == "json_schema" else None)
    new, new_notes = encoded(request(output_format=wanted))
    old, old_notes = encoded(request(output_format=wanted, model="claude-3-5-haiku-latest"))
    assert old_notes == [("mapped", "response_format")]
    if kind == "json_object":
        assert new["system"] == old["system"]
        assert new["system"] == [block("Answer with one valid JSON object and nothing else.")]
        return
    assert new["output_config"]["format"] == {
        "type": "json_schema",
        "schema": {
            "type": "object",
            "properties": {"n": {"type": "integer"}},
            "additionalProperties": False,
        },
    }
    assert new_notes == [
        ("edited", "response_format.json_schema.schema"),
        ("lost", "response_format.json_schema.name"),
    ]
    assert '"minimum":1' in old["system"][0]["text"]


# --- reasoning


@pytest.mark.parametrize(
    ("model", "effort", "thinking", "sent_effort"),
    [
        ("claude-3-5-sonnet", "high", None, None),
        (OLD, "minimal", {"type": "enabled", "budget_tokens": 1_024}, None),
        (OLD, "low", {"type": "enabled", "budget_tokens": 2_048}, None),
        (OLD, "medium", {"type": "enabled", "budget_tokens": 8_192}, None),
        (OLD, "high", {"type": "enabled", "budget_tokens": 16_384}, None),
        (OLD, "xhigh", {"type": "enabled", "budget_tokens": 24_576}, None),
        (OLD, "none", None, None),
        ("claude-opus-4-6", "xhigh", {"type": "adaptive"}, "high"),
        ("claude-opus-4-6", "max", {"type": "adaptive"}, "max"),
        (NEW, "minimal", {"type": "adaptive"}, "low"),
        (NEW, "medium", {"type": "adaptive"}, "medium"),
        (NEW, "xhigh", {"type": "adaptive"}, "xhigh"),
        (NEW, "none", None, None),
        (NEW, "made_up", {"type": "adaptive"}, None),
        ("claude-sonnet-5", "none", {"type": "disabled"}, None),
        ("claude-mythos-preview", "high", {"type": "adaptive"}, "high"),
        ("claude-fable-5-1", "none", None, "low"),
        ("local", "high", {"type": "adaptive"}, "high"),
        ("local", "none", None, None),
        ("local", "", None, None),
    ],
)
def test_efforts_are_put_as_the_generation_takes_them(
    model: str, effort: str, thinking: Any, sent_effort: str | None
) -> None:
    body, _ = encoded(request(model=model, max_tokens=32_000, reasoning=Reasoning(effort=effort)))
    assert body.get("thinking") == thinking
    assert body.get("output_config", {}).get("effort") == sent_effort


@pytest.mark.parametrize(
    ("max_tokens", "budget"),
    [(32_000, 16_384), (10_000, 5_904), (4_000, 2_000), (2_048, 1_024), (2_000, None), (1, None)],
)
def test_a_budget_leaves_room_for_the_answer(max_tokens: int, budget: int | None) -> None:
    body, notes = encoded(
        request(model=OLD, max_tokens=max_tokens, reasoning=Reasoning(effort="high"))
    )
    expected = None if budget is None else {"type": "enabled", "budget_tokens": budget}
    assert body.get("thinking") == expected
    assert notes == [("lost" if budget is None else "mapped", "reasoning_effort")]


def test_budgets_summaries_and_switches_of_other_shapes_are_understood() -> None:
    def thinking(model: str, **wish: Any) -> Any:
        body, _ = encoded(request(model=model, max_tokens=32_000, reasoning=Reasoning(**wish)))
        return body.get("thinking"), body.get("output_config")

    assert thinking(OLD, budget_tokens=3_000) == ({"type": "enabled", "budget_tokens": 3_000}, None)
    assert thinking(NEW, budget_tokens=3_000) == ({"type": "adaptive"}, {"effort": "medium"})
    assert thinking(NEW, effort="low", summary="auto") == (
        {"type": "adaptive", "display": "summarized"},
        {"effort": "low"},
    )
    assert thinking(NEW, mode="disabled") == (None, None)
    assert thinking(NEW, summary="auto") == (None, None)


def test_no_reasoning_where_a_call_is_forced() -> None:
    body, notes = encoded(
        request(
            tools=(Tool(kind="function", name="f"),),
            tool_choice=ToolChoice(kind="any"),
            reasoning=Reasoning(effort="high"),
        )
    )
    assert "thinking" not in body
    assert body["output_config"] == {"effort": "high"}
    assert notes == [("lost", "reasoning_effort")]


def test_a_tool_loop_that_began_without_anthropic_s_reasoning_goes_on_without() -> None:
    loop = (said("go"), message("assistant", call("a")), message("tool", result("a")))
    wish = {"reasoning": Reasoning(effort="low"), "max_tokens": 9_000}
    assert "thinking" not in encoded(request(*loop, model=OLD, **wish))[0]
    assert encoded(request(*loop, model=NEW, **wish))[0]["thinking"] == {"type": "adaptive"}
    signed = Thinking(text="t", signature="s", origin="anthropic_messages")
    begun = (said("go"), message("assistant", signed, call("a")), message("tool", result("a")))
    assert encoded(request(*begun, model=OLD, **wish))[0]["thinking"]["type"] == "enabled"
