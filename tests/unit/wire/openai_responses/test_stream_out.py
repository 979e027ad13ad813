"""Answers of every origin as a client of this shape gets them, judged by the openai SDK's own parser and types."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.wire.openai_responses import sdk
from tests.unit.wire.openai_responses.reading import (
    context,
    decode,
    encode,
    events_in,
    final_response,
    fold,
)

from metis.facts.usage import Usage
from metis.ir.content import Opaque, Refusal, Text, Thinking, ToolCall
from metis.ir.request import Request, Tool
from metis.ir.response import ErrorInfo, Response
from metis.ir.stream import (
    ArgumentsDelta,
    BlockStart,
    BlockStop,
    CitationDelta,
    End,
    Finish,
    Heartbeat,
    SignatureDelta,
    Start,
    StreamEvent,
    StreamFailure,
    TextDelta,
    ThinkingDelta,
    UsageReport,
    unfold,
)
from metis.wire.codec import Note
from metis.wire.effective_tools import reply_tools
from metis.wire.openai_responses import OPENAI_RESPONSES

Json = dict[str, Any]
SHAPE = OPENAI_RESPONSES

START = Start(origin="anthropic_messages", response_id="msg_1", model="claude-x")
USAGE = Usage(
    input_tokens=10,
    cache_read_tokens=100,
    cache_write_5m_tokens=5,
    output_tokens=7,
    reasoning_tokens=3,
)
USAGE_OBJECT = {
    "input_tokens": 115,
    "input_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 5},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 3},
    "total_tokens": 122,
}


def ended(stop: Any = "end_turn", usage: Usage | None = USAGE) -> list[StreamEvent]:
    return [Finish(stop=stop, usage=usage), End()]


def text_block(index: int, *pieces: str) -> list[StreamEvent]:
    deltas = [TextDelta(index, piece) for piece in pieces]
    return [BlockStart(index=index, part=Text(text="")), *deltas, BlockStop(index)]


def call_block(index: int, name: str, *pieces: str, call_id: str = "") -> list[StreamEvent]:
    call = ToolCall(call_id=call_id or f"toolu_{index}", name=name, arguments="")
    deltas = [ArgumentsDelta(index, piece) for piece in pieces]
    return [BlockStart(index=index, part=call), *deltas, BlockStop(index)]


THINKING: list[StreamEvent] = [
    BlockStart(index=0, part=Thinking(origin="anthropic_messages")),
    ThinkingDelta(0, "Let me "),
    ThinkingDelta(0, "see."),
    SignatureDelta(0, "SIG"),
    BlockStop(0),
]


def check_grammar(events: list[Json]) -> None:
    """What OpenAI's streams keep to: numbers without gaps, one item at a time, each whole at its end."""
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    told = [event for event in events if event["type"] != "keepalive"]
    assert [event["type"] for event in told[:2]] == ["response.created", "response.in_progress"]
    open_item: tuple[int, str] | None = None
    next_index = 0
    for event in told[2:-1]:
        match event["type"]:
            case "response.output_item.added":
                assert open_item is None
                assert event["output_index"] == next_index
                open_item = (next_index, event["item"]["id"])
                next_index += 1
            case "response.output_item.done":
                assert (event["output_index"], event["item"]["id"]) == open_item
                open_item = None
            case _:
                assert (event["output_index"], event["item_id"]) == open_item
    assert open_item is None or told[-1]["type"] == "response.failed"
    final = told[-1]
    assert final["type"] in ("response.completed", "response.incomplete", "response.failed")
    done = [e["item"] for e in told if e["type"] == "response.output_item.done"]
    assert final["response"]["output"] == done
    assert final["response"]["usage"] is not None
    for event in events:
        sdk.check_event(event)


def test_a_text_comes_in_openais_order() -> None:
    stream = encode([START, *text_block(0, "Hel", "lo"), *ended()])
    events = events_in(stream)
    check_grammar(events)
    assert [event["type"] for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert all(f"event: {event['type']}\n".encode() in stream for event in events)
    fired, final = sdk.streamed(stream)
    assert final.output_text == "Hello"
    assert [e.snapshot for e in fired if e.type == "response.output_text.delta"] == ["Hel", "Hello"]
    assert final.usage is not None
    assert final.usage.model_dump(exclude_unset=True) == USAGE_OBJECT


def test_all_kinds_of_blocks_pass_the_sdk() -> None:
    citation = {
        "type": "web_search_result_location",
        "url": "https://x",
        "title": "X",
        "cited_text": "c",
    }
    stream = encode(
        [
            START,
            *THINKING,
            Heartbeat(),
            BlockStart(index=1, part=Text(text="")),
            TextDelta(1, "cited"),
            CitationDelta(1, citation),
            BlockStop(1),
            *text_block(2, " and not"),
            *call_block(3, "weather", '{"city":', '"Rome"}'),
            *call_block(4, "no_arguments"),
            BlockStart(index=5, part=Refusal(text="")),
            TextDelta(5, "I won't"),
            BlockStop(5),
            *ended("tool_use"),
        ]
    )
    check_grammar(events_in(stream))
    _, final = sdk.streamed(stream)
    sdk.check_response(final.model_dump(mode="json"))
    output = [item.model_dump(mode="json", exclude_none=True) for item in final.output]
    ids = [item.pop("id") for item in output]
    assert [name.split("_")[0] for name in ids] == ["rs", "msg", "fc", "fc", "msg"]
    assert all(len(name) <= 64 for name in ids)
    annotation = {
        "type": "url_citation",
        "url": "https://x",
        "title": "X",
        "start_index": 0,
        "end_index": 5,
    }
    assert output == [
        {
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "Let me see."}],
            "encrypted_content": output[0]["encrypted_content"],
        },
        {
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [
                {
                    "type": "output_text",
                    "text": "cited",
                    "annotations": [annotation],
                    "logprobs": [],
                },
                {"type": "output_text", "text": " and not", "annotations": [], "logprobs": []},
            ],
        },
        {
            "type": "function_call",
            "call_id": "toolu_3",
            "name": "weather",
            "arguments": '{"city":"Rome"}',
            "status": "completed",
        },
        {
            "type": "function_call",
            "call_id": "toolu_4",
            "name": "no_arguments",
            "arguments": "{}",
            "status": "completed",
        },
        {
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "refusal", "refusal": "I won't"}],
        },
    ]


def test_thinking_of_another_shape_comes_back_when_the_client_replays_it() -> None:
    stream = encode([START, *THINKING, *text_block(1, "x"), *ended()])
    final = final_response(stream)
    assert final is not None
    request = SHAPE.decode_request(json.dumps({"model": "m", "input": final["output"]}).encode())
    item_id = None
    assert request.messages[0].parts == (
        Thinking(
            text="Let me see.",
            signature="SIG",
            origin="anthropic_messages",
            item_id=item_id,
            summary=True,
            summary_parts=("Let me see.",),
        ),
    )


def test_interleaved_calls_of_a_chat_stream_come_one_after_the_other() -> None:
    def call(index: int) -> BlockStart:
        return BlockStart(
            index=index, part=ToolCall(call_id=f"call_{index}", name=f"f{index}", arguments="")
        )

    stream = encode(
        [
            Start(origin="openai_chat", response_id="chatcmpl-1", model="m"),
            BlockStart(index=0, part=Text(text="")),
            TextDelta(0, "I call."),
            call(1),
            ArgumentsDelta(1, '{"a"'),
            call(2),
            ArgumentsDelta(2, '{"b"'),
            ArgumentsDelta(1, ":1}"),
            ArgumentsDelta(2, ":2}"),
            TextDelta(0, " Done."),
            BlockStop(0),
            BlockStop(1),
            BlockStop(2),
            Finish(stop="tool_use"),
            UsageReport(USAGE),
            End(),
        ]
    )
    check_grammar(events_in(stream))
    fired, final = sdk.streamed(stream)
    assert [getattr(item, "arguments", None) for item in final.output] == [
        None,
        '{"a":1}',
        '{"b":2}',
        None,
    ]
    assert final.output_text == "I call. Done."
    assert final.usage is not None
    assert final.usage.total_tokens == 122
    assert [e.snapshot for e in fired if e.type == "response.function_call_arguments.delta"] == [
        '{"a"', '{"a":1}', '{"b"', '{"b":2}',
    ]  # fmt: skip


def test_blocks_that_never_stop_are_whole_at_the_end() -> None:
    events: list[StreamEvent] = [
        START,
        *call_block(0, "f", "{}")[:-1],
        *call_block(1, "g", "{}")[:-1],
        *text_block(2, "t")[:-1],
        *ended("tool_use"),
    ]
    stream = encode(events)
    check_grammar(events_in(stream))
    final = final_response(stream)
    assert final is not None
    assert [item["type"] for item in final["output"]] == [
        "function_call",
        "function_call",
        "message",
    ]


def test_a_block_told_only_at_its_stop_is_told_all_the_same() -> None:
    stream = encode(
        [
            START,
            BlockStart(index=0, part=Thinking(origin="anthropic_messages")),
            BlockStop(0, Thinking(text="all", signature="S", origin="anthropic_messages")),
            BlockStart(index=1, part=Text(text="")),
            BlockStop(1, Text(text="text")),
            BlockStart(index=2, part=ToolCall(call_id="c", name="f", arguments="")),
            BlockStop(2, ToolCall(call_id="c", name="f", arguments='{"x":1}')),
            *ended(),
        ]
    )
    check_grammar(events_in(stream))
    _, final = sdk.streamed(stream)
    assert final.output_text == "text"
    assert [e["delta"] for e in events_in(stream) if "delta" in e] == ["all", "text", '{"x":1}']


def codex_context(captured: Callable[[str], list[Json]], capture: str) -> Any:
    request = SHAPE.decode_request(json.dumps(captured(capture)[0]).encode())
    custom_tools, namespaces = reply_tools(request)
    return context(custom_tools=custom_tools, namespaces=namespaces, request=request)


def items_of(stream: bytes) -> list[Json]:
    final = final_response(stream)
    assert final is not None
    return [{k: v for k, v in item.items() if k != "id"} for item in final["output"]]


def test_codexs_calls_come_back_in_the_form_it_knows_them_by(
    captured: Callable[[str], list[Json]],
) -> None:
    ctx = codex_context(captured, "codex-gpt-6.1-sol")
    stream = encode(
        [
            START,
            *call_block(0, "exec", '{"inp', 'ut": "text(\\"a\\")"}'),
            *call_block(1, "spawn_agent", '{"message":"go"}'),
            *call_block(2, "wait", '{"cell_id":"1"}'),
            *ended("tool_use"),
        ],
        ctx,
    )
    check_grammar(events_in(stream))
    assert items_of(stream) == [
        # Members of `functions` come without a namespace, as OpenAI sends them.
        {
            "type": "custom_tool_call",
            "call_id": "toolu_0",
            "name": "exec",
            "input": 'text("a")',
            "status": "completed",
        },
        {
            "type": "function_call",
            "call_id": "toolu_1",
            "name": "spawn_agent",
            "namespace": "collaboration",
            "arguments": '{"message":"go"}',
            "status": "completed",
        },
        {
            "type": "function_call",
            "call_id": "toolu_2",
            "name": "wait",
            "arguments": '{"cell_id":"1"}',
            "status": "completed",
        },
    ]


def test_codexs_tool_search_is_called_as_one(captured: Callable[[str], list[Json]]) -> None:
    ctx = codex_context(captured, "codex-gpt-5.5")
    patch = "*** Begin Patch\n*** End Patch"
    stream = encode(
        [
            START,
            *call_block(0, "tool_search", '{"query":"agents"}'),
            *call_block(1, "apply_patch", json.dumps({"input": patch})),
            *call_block(2, "exec_command", '{"cmd":"ls"}'),
            *ended("tool_use"),
        ],
        ctx,
    )
    check_grammar(events_in(stream))
    assert items_of(stream) == [
        {
            "type": "tool_search_call",
            "execution": "client",
            "call_id": "toolu_0",
            "arguments": {"query": "agents"},
            "status": "completed",
        },
        {
            "type": "custom_tool_call",
            "call_id": "toolu_1",
            "name": "apply_patch",
            "input": patch,
            "status": "completed",
        },
        {
            "type": "function_call",
            "call_id": "toolu_2",
            "name": "exec_command",
            "arguments": '{"cmd":"ls"}',
            "status": "completed",
        },
    ]


def test_a_member_that_had_to_be_renamed_gets_its_own_name_back() -> None:
    twins = tuple(
        Tool(kind="namespace", name=name, tools=(Tool(kind="function", name="open"),))
        for name in ("crm", "shop")
    )
    request = Request(origin="openai_responses", model="m", messages=(), tools=twins)
    assert reply_tools(request) == (frozenset(), {"crm__open": "crm", "shop__open": "shop"})
    for ctx in (context(request=request), context(namespaces=reply_tools(request)[1])):
        stream = encode([START, *call_block(0, "shop__open", "{}"), *ended("tool_use")], ctx)
        assert [(i["name"], i["namespace"]) for i in items_of(stream)] == [("open", "shop")]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"input":"the text"}', "the text"),
        ('{"input":""}', ""),
        ('{"code":"only one"}', "only one"),
        ('{"a":"two","b":"texts"}', '{"a":"two","b":"texts"}'),
        ('{"input":7}', '{"input":7}'),
        ("no json at all", "no json at all"),
        ("", ""),
    ],
)
def test_the_text_for_a_custom_tool_is_found_in_what_the_model_wrote(
    arguments: str, text: str
) -> None:
    ctx = context(custom_tools=frozenset({"exec"}))
    stream = encode([START, *call_block(0, "exec", arguments), *ended()], ctx)
    check_grammar(events_in(stream))
    assert items_of(stream)[0]["input"] == text


def test_a_custom_call_that_is_free_text_already_streams_as_it_comes() -> None:
    call = ToolCall(call_id="c", name="exec", arguments="", kind="custom")
    stream = encode(
        [
            START,
            BlockStart(index=0, part=call),
            ArgumentsDelta(0, "a"),
            ArgumentsDelta(0, "b"),
            BlockStop(0),
            *ended(),
        ],
    )
    check_grammar(events_in(stream))
    assert [e["delta"] for e in events_in(stream) if "delta" in e] == ["a", "b"]


STOPS: list[tuple[str, str, str | None]] = [
    ("end_turn", "completed", None),
    ("stop_sequence", "completed", None),
    ("tool_use", "completed", None),
    ("pause_turn", "completed", None),
    ("other", "completed", None),
    ("max_tokens", "incomplete", "max_output_tokens"),
    ("context_window", "incomplete", "max_output_tokens"),
    ("content_filter", "incomplete", "content_filter"),
    ("refusal", "incomplete", "content_filter"),
    ("error", "failed", None),
]


@pytest.mark.parametrize(("stop", "status", "reason"), STOPS)
def test_every_stop_has_its_status(stop: str, status: str, reason: str | None) -> None:
    events = events_in(encode([START, *text_block(0, "x"), *ended(stop)]))
    check_grammar(events)
    final = events[-1]
    assert final["type"] == f"response.{status}"
    assert final["response"]["status"] == status
    assert final["response"]["incomplete_details"] == (reason and {"reason": reason})
    assert (final["response"]["error"] is None) == (status != "failed")


def test_a_refusal_in_words_is_a_completed_answer() -> None:
    refusal: list[StreamEvent] = [BlockStart(index=0, part=Refusal(text="no")), BlockStop(0)]
    events = events_in(encode([START, *refusal, *ended("refusal")]))
    check_grammar(events)
    assert events[-1]["type"] == "response.completed"


def test_usage_is_there_even_when_nobody_told_it() -> None:
    for events in ([START, *ended(usage=None)], [START, End()], [End()]):
        final = final_response(encode(events))
        assert final is not None
        zeros = final["usage"]
        assert (zeros["input_tokens"], zeros["output_tokens"], zeros["total_tokens"]) == (0, 0, 0)
        sdk.check_response(final)


def test_a_failure_ends_the_stream_and_leaves_half_told_calls_undone() -> None:
    error = ErrorInfo(status=529, kind="overloaded", message="Overloaded")
    half: list[StreamEvent] = [*text_block(0, "x"), *call_block(1, "f", '{"half')[:-1]]
    events = events_in(encode([START, *half, StreamFailure(error), TextDelta(0, "late"), End()]))
    check_grammar(events)
    final = events[-1]
    assert final["type"] == "response.failed"
    assert final["response"]["error"] == {"code": "server_error", "message": "Overloaded"}
    assert [item["type"] for item in final["response"]["output"]] == ["message"]
    assert not [e for e in events if e["type"] == "response.function_call_arguments.done"]


def test_a_failure_before_anything_else_is_a_whole_stream() -> None:
    error = ErrorInfo(status=429, kind="rate_limit", message="slow")
    events = events_in(encode([StreamFailure(error)]))
    check_grammar(events)
    assert [e["type"] for e in events] == [
        "response.created",
        "response.in_progress",
        "response.failed",
    ]


def test_heartbeats_are_counted_events_that_the_sdk_passes_over() -> None:
    stream = encode([START, Heartbeat(), *text_block(0, "a"), Heartbeat(), *ended()])
    events = events_in(stream)
    check_grammar(events)
    assert [e["sequence_number"] for e in events if e["type"] == "keepalive"] == [2, 8]
    fired, final = sdk.streamed(stream)
    assert final.output_text == "a"
    assert len(fired) == len(events)
    assert [event.type for event in sdk.raw_events(stream)] == [e["type"] for e in events]


def test_the_constant_keepalive_may_stand_between_any_two_events(
    streams: list[tuple[str, bytes]],
) -> None:
    stream = next(
        s for _, s in streams if b"response.function_call_arguments.delta" in s and len(s) < 60_000
    )
    _, plain = sdk.streamed(stream)
    beaten = stream.replace(b"\n\n", b"\n\n" + SHAPE.keepalive)
    _, final = sdk.streamed(beaten)
    assert final == plain
    assert fold(decode([beaten])).result() == fold(decode([stream])).result()


def test_opaque_blocks_of_other_shapes_are_lost_and_said_so() -> None:
    foreign = Opaque(
        shape="anthropic_messages", kind="server_tool_use", value={"type": "server_tool_use"}
    )
    own = Opaque(
        shape="openai_responses",
        kind="web_search_call",
        value={
            "type": "web_search_call",
            "id": "ws_1",
            "status": "completed",
            "action": {"type": "search", "query": "q"},
        },
    )
    encoder = SHAPE.stream_encoder(context())
    events: list[StreamEvent] = [
        START,
        BlockStart(index=0, part=foreign),
        ArgumentsDelta(0, "{}"),
        BlockStop(0),
        BlockStart(index=1, part=own),
        BlockStop(1),
        *text_block(2, "t"),
        *ended(),
    ]
    stream = b"".join(encoder.feed(event) for event in events)
    check_grammar(events_in(stream))
    assert [item["type"] for item in items_of(stream)] == ["web_search_call", "message"]
    assert encoder.notes == [
        Note("lost", "content[0]", "server_tool_use has no counterpart in this API")
    ]


def test_a_citation_without_an_address_is_lost_and_said_so() -> None:
    place = {"type": "page_location", "document_index": 0, "cited_text": "c"}
    chat = {
        "type": "url_citation",
        "url_citation": {"url": "https://y", "title": "Y", "start_index": 1, "end_index": 2},
    }
    part = Text(text="ab", citations=(place, chat))
    response = Response(
        origin="openai_chat", response_id="r", model="m", parts=(part,), stop="end_turn"
    )
    encoded = SHAPE.encode_response(response, context())
    content = json.loads(encoded.body)["output"][0]["content"][0]
    assert content["annotations"] == [
        {"type": "url_citation", "url": "https://y", "title": "Y", "start_index": 1, "end_index": 2}
    ]
    assert [(n.verb, n.path) for n in encoded.notes] == [
        ("lost", "choices[0].message.content[0].annotations[0]")
    ]


def test_the_requests_fields_are_echoed(captured: Callable[[str], list[Json]]) -> None:
    body = {
        "model": "asked",
        "input": "x",
        "instructions": "be brief",
        "temperature": 0.5,
        "max_output_tokens": 99,
        "metadata": {"k": "v"},
        "tools": [
            {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": False}
        ],
        "tool_choice": {"type": "function", "name": "f"},
        "parallel_tool_calls": False,
        "reasoning": {"effort": "low"},
        "text": {"format": {"type": "json_object"}, "verbosity": "low"},
        "user": "u",
    }
    request = SHAPE.decode_request(json.dumps(body).encode())
    response = Response(
        origin="anthropic_messages", response_id="msg_9", model="claude", created=0,
        parts=(Text(text="hi"),), stop="end_turn", usage=USAGE,
    )  # fmt: skip
    encoded = SHAPE.encode_response(response, context(request=request, model="asked"))
    made = json.loads(encoded.body)
    echoed = {key: made[key] for key in body if key != "input"}
    assert echoed == {
        **{key: value for key, value in body.items() if key != "input"},
        "reasoning": {"effort": "low", "summary": None},
    }
    assert (made["id"], made["created_at"], made["status"], made["object"]) == (
        "msg_9",
        7,
        "completed",
        "response",
    )
    assert sdk.created(encoded.body).output_text == "hi"
    sdk.check_response(made)


def test_a_whole_answer_and_its_stream_say_the_same() -> None:
    response = Response(
        origin="anthropic_messages",
        response_id="msg_1",
        model="claude",
        parts=(
            Thinking(text="t", signature="S", origin="anthropic_messages"),
            Thinking(signature="R", redacted=True, origin="anthropic_messages"),
            Text(text="hello"),
            ToolCall(call_id="c", name="f", arguments='{"a":1}'),
        ),
        stop="tool_use",
        usage=USAGE,
    )
    whole = json.loads(SHAPE.encode_response(response, context()).body)
    assert whole == final_response(encode(unfold(response)))
    assert whole["output"][1] == {
        "type": "reasoning",
        "id": whole["output"][1]["id"],
        "summary": [],
        "encrypted_content": whole["output"][1]["encrypted_content"],
    }


def test_recorded_streams_pass_through_the_ir_and_stay_valid(
    streams: list[tuple[str, bytes]],
) -> None:
    """Own origin through the IR: what comes out is a stream that means the same as what went in."""
    tried = 0
    for name, stream in streams[::4]:
        if final_response(stream) is None or b"reasoning_text" in stream:
            continue
        events = decode([stream])
        again = encode(events)
        numbers = [event["sequence_number"] for event in events_in(again)]
        assert numbers == list(range(len(numbers))), name
        was, now = fold(events).result(), fold(decode([again])).result()
        assert [type(part) for part in now.parts] == [type(part) for part in was.parts], name
        assert [getattr(p, "text", None) for p in now.parts] == [
            getattr(p, "text", None) for p in was.parts
        ], name
        assert [p.arguments for p in now.parts if isinstance(p, ToolCall)] == [
            p.arguments for p in was.parts if isinstance(p, ToolCall)
        ], name
        assert (now.stop, now.response_id) == (was.stop, was.response_id), name
        if was.usage is not None:
            plain = msgspec.structs.replace(was.usage, server_tools={})
            assert now.usage == plain, name
        tried += 1
    assert tried > 40


blocks = st.sampled_from(["text", "thinking", "call", "custom", "refusal", "opaque"])
PARTS: dict[str, Any] = {
    "text": Text(text=""),
    "thinking": Thinking(origin="anthropic_messages"),
    "call": ToolCall(call_id="c", name="f", arguments=""),
    "custom": ToolCall(call_id="d", name="exec", arguments=""),
    "refusal": Refusal(text=""),
    "opaque": Opaque(shape="openai_chat", kind="x", value={}),
}


@st.composite
def tangled(draw: st.DrawFn) -> list[StreamEvent]:
    """Blocks of all kinds, started, told and stopped in any order that gives each its start first."""
    kinds = draw(st.lists(blocks, max_size=6))
    scripts: list[list[StreamEvent]] = []
    for index, kind in enumerate(kinds):
        delta = {"thinking": ThinkingDelta, "call": ArgumentsDelta, "custom": ArgumentsDelta}.get(
            kind, TextDelta
        )
        pieces = draw(st.lists(st.sampled_from(["a", "{}", ""]), max_size=3))
        script: list[StreamEvent] = [BlockStart(index=index, part=PARTS[kind])]
        script += [delta(index, piece) for piece in pieces]
        if draw(st.booleans()):
            script.append(BlockStop(index))
        scripts.append(script)
    events: list[StreamEvent] = [START]
    while any(scripts):
        script = draw(st.sampled_from([s for s in scripts if s]))
        events.append(script.pop(0))
        if draw(st.integers(0, 9)) == 0:
            events.append(Heartbeat())
    failure = StreamFailure(ErrorInfo(status=500, kind="api", message="m"))
    return [*events, *draw(st.sampled_from([ended(), [failure], [End()]]))]


@settings(max_examples=120, deadline=None)
@given(events=tangled())
def test_however_blocks_are_tangled_the_stream_is_valid_and_nothing_said_is_lost(
    events: list[StreamEvent],
) -> None:
    stream = encode(events, context(custom_tools=frozenset({"exec"})))
    told = events_in(stream)
    check_grammar(told)
    if told[-1]["type"] != "response.completed":
        return
    said = "".join(
        sorted(
            e.text
            for e in events
            if isinstance(e, TextDelta) and _kind(events, e.index) != "opaque"
        )
    )
    shown = "".join(
        sorted(
            part.get("text", part.get("refusal"))
            for item in told[-1]["response"]["output"]
            if item["type"] == "message"
            for part in item["content"]
        )
    )
    assert sorted(shown) == sorted(said)


def _kind(events: list[StreamEvent], index: int) -> str:
    start = next(e for e in events if isinstance(e, BlockStart) and e.index == index)
    return "opaque" if isinstance(start.part, Opaque) else ""
