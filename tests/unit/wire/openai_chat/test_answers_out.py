"""Answers of other shapes reach chat clients whole and streamed, as the real SDK reads them."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import openai
import pytest
from tests.unit.wire.openai_chat.stream_reading import events_of, folded

from metis.facts.usage import Usage
from metis.ir.content import Media, Opaque, Part, Refusal, Text, Thinking, ToolCall
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
from metis.wire.codec import Note, ReplyContext
from metis.wire.openai_chat import OPENAI_CHAT

Json = dict[str, Any]
CONTEXT = ReplyContext(
    model="told", response_id="chatcmpl-1", created=7, custom_tools=frozenset({"patch"})
)
SIGNED = Thinking(text="hm", signature="SIG", origin="anthropic_messages")
REDACTED = Thinking(signature="DATA", redacted=True, origin="anthropic_messages")
ENCRYPTED = Thinking(
    text="sum",
    signature="ENC",
    origin="openai_responses",
    item_id="rs_1",
    summary=True,
    summary_parts=("sum",),
)
PARTS: tuple[Part, ...] = (
    SIGNED,
    REDACTED,
    Text(text="see "),
    Text(
        text="here",
        citations=({"type": "web_search_result_location", "url": "https://x", "title": "X"},),
    ),
    ToolCall(call_id="toolu_1", name="f", arguments='{"a":1}'),
    ToolCall(call_id="toolu_2", name="g", arguments=""),
    ToolCall(call_id="toolu_3", name="patch", arguments='{"input":"*** Begin"}'),
)
ANSWER = Response(
    origin="anthropic_messages",
    response_id="msg_1",
    model="claude",
    parts=PARTS,
    stop="tool_use",
    stop_raw="tool_use",
    usage=Usage(input_tokens=3, cache_read_tokens=4, output_tokens=5),
)
MESSAGE: Json = {
    "role": "assistant",
    "content": "see here",
    "refusal": None,
    "reasoning_content": "hm",
    "reasoning_details": [
        {
            "type": "reasoning.text",
            "format": "anthropic-claude-v1",
            "index": 0,
            "text": "hm",
            "signature": "SIG",
        },
        {
            "type": "reasoning.encrypted",
            "format": "anthropic-claude-v1",
            "index": 1,
            "data": "DATA",
        },
    ],
    "annotations": [
        {
            "type": "url_citation",
            "url_citation": {"url": "https://x", "title": "X", "start_index": 4, "end_index": 8},
        }
    ],
    "tool_calls": [
        {"id": "toolu_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
        {"id": "toolu_2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
        {"id": "toolu_3", "type": "custom", "custom": {"name": "patch", "input": "*** Begin"}},
    ],
}


def encoded(
    events: list[StreamEvent], context: ReplyContext = CONTEXT
) -> tuple[list[Any], list[Note]]:
    """The chunks of the stream, decoded, and what was noted."""
    encoder = OPENAI_CHAT.stream_encoder(context)
    data = b"".join([encoder.feed(event) for event in events])
    chunks: list[Any] = []
    for event in data.decode().split("\n\n")[:-1]:
        payload = event.removeprefix("data: ")
        chunks.append(json.loads(payload) if payload.startswith("{") else payload)
    return chunks, encoder.notes


def deltas(chunks: list[Any]) -> list[Json]:
    return [c["choices"][0]["delta"] for c in chunks if isinstance(c, dict) and c.get("choices")]


def test_a_whole_answer() -> None:
    made = OPENAI_CHAT.encode_response(ANSWER, CONTEXT)
    assert json.loads(made.body) == {
        "id": "msg_1",
        "object": "chat.completion",
        "created": 7,
        "model": "told",
        "choices": [
            {"index": 0, "message": MESSAGE, "logprobs": None, "finish_reason": "tool_calls"}
        ],
        "usage": {
            "prompt_tokens": 7,
            "completion_tokens": 5,
            "total_tokens": 12,
            "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
    }
    assert [note.verb for note in made.notes] == ["carried"]


def test_the_streamed_answer_adds_up_to_the_whole_one() -> None:
    chunks, notes = encoded(unfold(ANSWER))
    body = json.loads(OPENAI_CHAT.encode_response(ANSWER, CONTEXT).body)
    assert chunks[-1] == "[DONE]"
    assert chunks[-2] == {
        "id": "msg_1",
        "object": "chat.completion.chunk",
        "created": 7,
        "model": "told",
        "choices": [],
        "usage": body["usage"],
    }
    assert chunks[-3]["choices"][0]["finish_reason"] == "tool_calls"
    said = deltas(chunks)
    assert said[0] == {"role": "assistant", "content": ""}
    assert "".join(delta.get("content", "") for delta in said) == "see here"
    assert "".join(delta.get("reasoning_content", "") for delta in said) == "hm"
    calls: dict[int, Json] = {}
    for delta in said:
        for piece in delta.get("tool_calls", []):
            held = calls.setdefault(piece["index"], {"text": "", "first": piece})
            held["text"] += piece.get("function", {}).get("arguments", "")
            held["text"] += piece.get("custom", {}).get("input", "")
    assert [(index, call["first"]["id"], call["text"]) for index, call in calls.items()] == [
        (0, "toolu_1", '{"a":1}'),
        (1, "toolu_2", "{}"),
        (2, "toolu_3", "*** Begin"),
    ]
    assert [note.path for note in notes] == ["content[0]", "content[1]"]


@pytest.mark.parametrize(
    "thinking", [SIGNED, REDACTED, ENCRYPTED, Thinking(text="only text", origin="openai_chat")]
)
@pytest.mark.parametrize("streamed", [False, True])
def test_thinking_comes_back_with_its_proof_when_the_client_replays_it(
    thinking: Thinking, *, streamed: bool
) -> None:
    answer = Response(
        origin=thinking.origin,
        response_id="r",
        model="m",
        parts=(thinking, Text(text="x")),
        stop="end_turn",
    )
    if streamed:
        fold = folded(
            events_of([b"".join(map(OPENAI_CHAT.stream_encoder(CONTEXT).feed, unfold(answer)))])
        )
        assert fold.result().parts == answer.parts
        return
    foreign = Response(
        origin="elsewhere", response_id="r", model="m", parts=answer.parts, stop="end_turn"
    )
    message = json.loads(OPENAI_CHAT.encode_response(foreign, CONTEXT).body)["choices"][0][
        "message"
    ]
    replay = {"model": "m", "messages": [{"role": "user", "content": "?"}, message]}
    request = OPENAI_CHAT.decode_request(json.dumps(replay).encode())
    assert request.messages[1].parts == answer.parts
    assert json.loads(OPENAI_CHAT.encode_request(request).body) == replay


def test_thinking_of_a_shape_chat_knows_no_format_for_is_wrapped() -> None:
    thinking = Thinking(text="t", signature="S", origin="bedrock_converse", item_id="i")
    answer = Response(
        origin="bedrock_converse", response_id="r", model="m", parts=(thinking,), stop="end_turn"
    )
    message = json.loads(OPENAI_CHAT.encode_response(answer, CONTEXT).body)["choices"][0]["message"]
    request = OPENAI_CHAT.decode_request(json.dumps({"messages": [message]}).encode())
    assert request.messages[0].parts == (thinking,)


START = Start(
    origin="anthropic_messages", response_id="msg_1", model="m", usage=Usage(input_tokens=3)
)


def test_parallel_calls_keep_their_indices_while_they_interleave() -> None:
    chunks, _ = encoded(
        [
            START,
            BlockStart(index=4, part=ToolCall(call_id="a", name="f", arguments="")),
            BlockStart(index=9, part=ToolCall(call_id="b", name="g", arguments="")),
            ArgumentsDelta(9, "1"),
            ArgumentsDelta(4, "2"),
            BlockStop(9),
            BlockStop(4, ToolCall(call_id="a", name="f", arguments="23")),
            Finish(stop="tool_use"),
            End(),
        ]
    )
    pieces = [piece for delta in deltas(chunks) for piece in delta.get("tool_calls", [])]
    assert [(p["index"], p.get("id"), p["function"]["arguments"]) for p in pieces] == [
        (0, "a", ""),
        (1, "b", ""),
        (1, None, "1"),
        (0, None, "2"),
        (0, None, "3"),
    ]


def test_usage_is_the_newest_and_only_sent_when_asked_for() -> None:
    events: list[StreamEvent] = [
        START,
        UsageReport(Usage(input_tokens=3, output_tokens=9)),
        Finish(stop="end_turn"),
        End(),
    ]
    chunks, _ = encoded(events)
    assert chunks[-2]["usage"]["completion_tokens"] == 9
    quiet = ReplyContext(model="m", response_id="r", created=1, include_usage=False)
    assert all("usage" not in chunk for chunk in encoded(events, quiet)[0][:-1])


def test_a_failure_ends_the_stream_without_done() -> None:
    error = ErrorInfo(status=529, kind="overloaded", message="Overloaded", original={"a": 1})
    encoder = OPENAI_CHAT.stream_encoder(CONTEXT)
    encoder.feed(START)
    assert encoder.feed(StreamFailure(error)) == OPENAI_CHAT.encode_stream_error(error)
    assert encoder.feed(TextDelta(0, "late")) + encoder.feed(End()) == b""


def test_what_a_responses_answer_says_of_its_request_is_no_loss() -> None:
    answer = Response(
        origin="openai_responses",
        response_id="resp_1",
        model="m",
        parts=(),
        stop="end_turn",
        extras={"temperature": 1, "tools": [1], "service_tier": "flex", "conversation": {"id": 1}},
    )
    made = OPENAI_CHAT.encode_response(answer, CONTEXT)
    assert json.loads(made.body)["service_tier"] == "flex"
    assert [note.path for note in made.notes] == ["conversation"]


def test_heartbeats_are_comments() -> None:
    assert OPENAI_CHAT.stream_encoder(CONTEXT).feed(Heartbeat()) == b": keepalive\n\n"
    assert OPENAI_CHAT.keepalive == b": keepalive\n\n"


def test_refusals_citations_and_foreign_blocks() -> None:
    chunks, notes = encoded(
        [
            START,
            BlockStart(index=0, part=Refusal(text="")),
            TextDelta(0, "no"),
            BlockStop(0),
            BlockStart(
                index=1, part=Opaque(shape="anthropic_messages", kind="server_tool_use", value={})
            ),
            ArgumentsDelta(1, "{}"),
            BlockStop(1),
            BlockStart(index=2, part=Text(text="")),
            TextDelta(2, "abc"),
            CitationDelta(2, {"type": "char_location"}),
            CitationDelta(
                2, {"type": "url_citation", "url": "u", "start_index": 1, "end_index": 2}
            ),
            BlockStop(2),
            BlockStart(index=3, part=Media(kind="image", url="u")),
            Finish(stop="refusal", stop_sequence="X"),
            End(),
        ]
    )
    assert deltas(chunks)[1:] == [
        {"refusal": "no"},
        {"content": "abc"},
        {
            "annotations": [
                {
                    "type": "url_citation",
                    "url_citation": {"url": "u", "title": "", "start_index": 1, "end_index": 2},
                }
            ]
        },
        {},
    ]
    assert chunks[-2]["choices"] == []
    assert chunks[-3]["choices"][0]["finish_reason"] == "stop"
    assert [(note.verb, note.path) for note in notes] == [
        ("lost", "content[1]"),
        ("lost", "content[2].citations[0]"),
        ("lost", "content[3]"),
        ("lost", "stop_sequence"),
    ]


def test_a_stream_with_gaps_is_still_a_valid_one() -> None:
    chunks, _ = encoded(
        [TextDelta(3, "x"), SignatureDelta(3, "s"), ThinkingDelta(3, "t"), BlockStop(3), End()]
    )
    assert [
        chunk if isinstance(chunk, str) else chunk["choices"][0]["finish_reason"]
        for chunk in chunks
    ] == [
        None,
        "stop",
        "[DONE]",
    ]
    assert chunks[0]["id"] == "chatcmpl-1"


def client(content: bytes, media_type: str) -> openai.OpenAI:
    def answer(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=content, headers={"content-type": media_type})

    transport = httpx2.MockTransport(answer)
    return openai.OpenAI(
        api_key="k", base_url="http://x/v1", http_client=httpx2.Client(transport=transport)
    )


def test_the_openai_sdk_reads_the_whole_answer() -> None:
    body = OPENAI_CHAT.encode_response(ANSWER, CONTEXT).body
    completion = client(body, "application/json").chat.completions.create(model="m", messages=[])
    message = completion.choices[0].message
    assert message.content == "see here"
    assert [call.type for call in message.tool_calls or []] == ["function", "function", "custom"]
    assert completion.usage is not None
    assert completion.usage.prompt_tokens == 7


def test_the_openai_sdk_gathers_the_stream() -> None:
    plain = Response(
        origin="anthropic_messages",
        response_id="msg_1",
        model="m",
        parts=PARTS[:6],
        stop="tool_use",
        usage=ANSWER.usage,
    )
    encoder = OPENAI_CHAT.stream_encoder(CONTEXT)
    data = b"".join([encoder.feed(event) for event in unfold(plain)])
    with client(data, "text/event-stream").chat.completions.stream(
        model="m", messages=[]
    ) as stream:
        completion = stream.get_final_completion()
    assert completion.choices[0].finish_reason == "tool_calls"
    assert completion.choices[0].message.content == "see here"
    calls = completion.choices[0].message.tool_calls or []
    assert [(call.id, call.function.name, call.function.arguments) for call in calls] == [
        ("toolu_1", "f", '{"a":1}'),
        ("toolu_2", "g", "{}"),
    ]


def test_the_openai_sdk_raises_on_a_failure_in_the_stream() -> None:
    encoder = OPENAI_CHAT.stream_encoder(CONTEXT)
    error = ErrorInfo(status=529, kind="overloaded", message="Overloaded")
    data = encoder.feed(START) + encoder.feed(StreamFailure(error))
    with pytest.raises(openai.APIError, match="Overloaded"):
        list(
            client(data, "text/event-stream").chat.completions.create(
                model="m", messages=[], stream=True
            )
        )


def test_a_citation_that_comes_before_its_words_spans_them_all() -> None:
    encoder = OPENAI_CHAT.stream_encoder(CONTEXT)
    cited = {
        "type": "web_search_result_location",
        "url": "https://y",
        "title": "Y",
        "cited_text": "q",
    }
    events = [
        Start(origin="anthropic_messages", response_id="r", model="m"),
        BlockStart(index=0, part=Text(text="So: ")),
        BlockStop(0),
        BlockStart(index=1, part=Text(text="")),
        CitationDelta(1, cited),
        TextDelta(1, "as said"),
        BlockStop(1),
        Finish(stop="end_turn"),
        End(),
    ]
    written = b"".join(map(encoder.feed, events)).decode()
    deltas = [
        json.loads(line[6:])["choices"][0]["delta"]
        for line in written.splitlines()
        if line.startswith("data: {") and '"choices":[]' not in line
    ]
    assert [delta["annotations"] for delta in deltas if "annotations" in delta] == [
        [
            {
                "type": "url_citation",
                "url_citation": {
                    "url": "https://y",
                    "title": "Y",
                    "start_index": 4,
                    "end_index": 11,
                },
            }
        ]
    ]
    assert ("lost", "content[1].citations[0].cited_text") in [
        (note.verb, note.path) for note in encoder.notes
    ]
