"""Codex on an upstream of another shape: its tools arrive callable, and calls come home in the form it runs.

Both ends are the real codecs; between them stands a scripted model that calls the tool it was offered.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from tests.unit.wire.openai_responses.reading import context, encode, final_response

from metis.ir.content import Text, Thinking, ToolCall, ToolResult
from metis.ir.request import Request
from metis.ir.response import Response
from metis.ir.stream import unfold
from metis.wire.anthropic_messages import ANTHROPIC_MESSAGES
from metis.wire.codec import ReplyContext, Shape
from metis.wire.effective_tools import reply_tools
from metis.wire.openai_chat import OPENAI_CHAT
from metis.wire.openai_responses import OPENAI_RESPONSES

Json = dict[str, Any]

UPSTREAMS = pytest.mark.parametrize(
    "upstream", [ANTHROPIC_MESSAGES, OPENAI_CHAT], ids=["anthropic", "chat"]
)
MODEL = {"anthropic_messages": "claude-sonnet-4-5", "openai_chat": "gpt-4o"}


def sent_to(upstream: Shape, body: Json) -> tuple[Request, Json]:
    """The client's request as IR, and the body the upstream gets."""
    request = OPENAI_RESPONSES.decode_request(json.dumps(body).encode())
    renamed = msgspec.structs.replace(request, model=MODEL[upstream.name])
    return request, json.loads(upstream.encode_request(renamed).body)


def offered(body: Json) -> list[str]:
    """The names of the tools in an upstream's body."""
    functions = [tool.get("function") or tool.get("custom") or tool for tool in body["tools"]]
    return [function.get("name", function.get("type")) for function in functions]


def answered(upstream: Shape, request: Request, *parts: Any) -> list[Json]:
    """The output items that the client gets when the upstream streams an answer of these parts."""
    answer = Response(
        origin=upstream.name, response_id="up_1", model="m", parts=parts, stop="tool_use"
    )
    encoder = upstream.stream_encoder(ReplyContext(model="m", response_id="up_1", created=1))
    stream = b"".join(encoder.feed(event) for event in unfold(answer))
    decoder = upstream.stream_decoder()
    events = [*decoder.feed(stream), *decoder.finish()]
    custom_tools, namespaces = reply_tools(request)
    ctx = context(custom_tools=custom_tools, namespaces=namespaces, request=request)
    final = final_response(encode(events, ctx))
    assert final is not None
    return final["output"]


@UPSTREAMS
@pytest.mark.parametrize(
    ("capture", "names"),
    [
        (
            "codex-gpt-6.1-sol",
            ["exec", "wait", "request_user_input", "request_user_input_async", "sleep", "followup_task"],
        ),
        (
            "codex-gpt-5.5",
            ["exec_command", "write_stdin", "request_user_input", "apply_patch", "view_image", "get_goal"],
        ),
        ("codex", ["exec_command", "write_stdin", "request_user_input", "view_image", "close_agent", "resume_agent"]),
    ],
)  # fmt: skip
def test_codexs_tools_are_offered_wherever_they_stood(
    upstream: Shape, capture: str, names: list[str], captured: Callable[[str], list[Json]]
) -> None:
    _, body = sent_to(upstream, captured(capture)[0])
    assert offered(body)[:6] == names


@UPSTREAMS
def test_a_call_of_codexs_exec_comes_home_as_free_text(
    upstream: Shape, captured: Callable[[str], list[Json]]
) -> None:
    request, _ = sent_to(upstream, captured("codex-gpt-6.1-sol")[0])
    script = 'text("a")\n'
    call = ToolCall(call_id="call_1", name="exec", arguments=json.dumps({"input": script}))
    spawn = ToolCall(call_id="call_2", name="spawn_agent", arguments='{"message":"x"}')
    custom, function = answered(upstream, request, call, spawn)
    assert {key: custom[key] for key in custom if key != "id"} == {
        "type": "custom_tool_call",
        "call_id": "call_1",
        "name": "exec",
        "input": script,
        "status": "completed",
    }
    assert (function["type"], function["namespace"]) == ("function_call", "collaboration")


@UPSTREAMS
def test_the_second_turn_of_codex_brings_calls_and_results_to_the_upstream(
    upstream: Shape, captured: Callable[[str], list[Json]]
) -> None:
    for capture in ("codex", "codex-gpt-5.5", "codex-gpt-6.1-sol"):
        _, body = sent_to(upstream, captured(capture)[1])
        text = json.dumps(body["messages"])
        assert "TOOL_RAN_OK" in text
        assert "gAAAAAFakeEncryptedReasoning" not in json.dumps(body)
        back = upstream.decode_request(json.dumps(body).encode())
        parts = [part for message in back.messages for part in message.parts]
        calls = [part for part in parts if isinstance(part, ToolCall)]
        results = [part for part in parts if isinstance(part, ToolResult)]
        assert [call.call_id for call in calls] == [result.call_id for result in results]
        assert len(calls) == 1


def test_thinking_of_a_claude_comes_back_to_it_through_codex(
    captured: Callable[[str], list[Json]],
) -> None:
    first = captured("codex-gpt-5.5")[0]
    request, _ = sent_to(ANTHROPIC_MESSAGES, first)
    thinking = Thinking(text="Hm.", signature="SIGNED", origin="anthropic_messages")
    call = ToolCall(call_id="toolu_1", name="exec_command", arguments='{"cmd":"ls"}')
    output = answered(ANTHROPIC_MESSAGES, request, thinking, Text(text="I look."), call)
    result = {"type": "function_call_output", "call_id": "toolu_1", "output": "files"}
    second = {**first, "input": [*first["input"], *output, result]}
    _, body = sent_to(ANTHROPIC_MESSAGES, second)
    *_, assistant, user = body["messages"]
    blocks = [
        {key: block[key] for key in block if key != "cache_control"}
        for block in assistant["content"]
    ]
    assert blocks == [
        {"type": "thinking", "thinking": "Hm.", "signature": "SIGNED"},
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "toolu_1", "name": "exec_command", "input": {"cmd": "ls"}},
    ]
    assert user["content"][0]["tool_use_id"] == "toolu_1"


@pytest.mark.parametrize(
    ("fields", "beginning"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id only works"),
        ({"conversation": {"id": "conv_1"}}, "conversation only works"),
        ({"background": True}, "background only works"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt only works"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0] (item_reference) only works"),
        ({"input": [{"type": "compaction_trigger"}]}, "input[0] (compaction_trigger) only works"),
        ({"input": [{"type": "compaction", "encrypted_content": "g"}]}, "input[0] (compaction) only works"),
        ({"previous_response_id": None, "background": False, "input": "x"}, None),
    ],
)  # fmt: skip
def test_what_cannot_cross_is_named_with_a_remedy(fields: Json, beginning: str | None) -> None:
    request = OPENAI_RESPONSES.decode_request(json.dumps({"model": "m", **fields}).encode())
    sentence = OPENAI_RESPONSES.uncrossable(request)
    if beginning is None:
        assert sentence is None
    else:
        assert sentence is not None
        assert sentence.startswith(beginning)
        assert "; " in sentence


def test_no_request_of_codex_is_refused(captured: Callable[[str], list[Json]]) -> None:
    for capture in ("codex", "codex-gpt-5.5", "codex-gpt-6.1-sol"):
        for body in captured(capture):
            request = OPENAI_RESPONSES.decode_request(json.dumps(body).encode())
            assert OPENAI_RESPONSES.uncrossable(request) is None
