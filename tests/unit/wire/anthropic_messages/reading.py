"""Reading a Messages stream in tests: the grammar checked strictly, and the message gathered twice.

`gathered` is written from the documentation alone; `by_sdk` is the official SDK's own accumulation.
"""

from __future__ import annotations

import json
from typing import Any

from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import RawMessageStreamEvent
from pydantic import TypeAdapter

_EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)

DELTAS = {
    "text": {"text_delta", "citations_delta"},
    "thinking": {"thinking_delta", "signature_delta"},
    "tool_use": {"input_json_delta"},
    "server_tool_use": {"input_json_delta"},
    "mcp_tool_use": {"input_json_delta"},
}


def events_of(stream: bytes) -> list[dict[str, Any]]:
    """The events, with the framing checked: an event line, one data line, a blank line, names agreeing."""
    found: list[dict[str, Any]] = []
    assert stream.endswith(b"\n\n") or not stream
    for block in stream.decode().split("\n\n")[:-1]:
        name, data = block.split("\n")
        assert name.startswith("event: ")
        assert data.startswith("data: ")
        value = json.loads(data[6:])
        assert value["type"] == name[7:]
        found.append(value)
    return found


def check_grammar(events: list[dict[str, Any]]) -> None:
    """Fail unless the events are one whole, valid stream."""
    spoken = [event for event in events if event["type"] != "ping"]
    if spoken and spoken[-1]["type"] == "error":
        return
    assert spoken[0]["type"] == "message_start"
    assert [e["type"] for e in spoken[-2:]] == ["message_delta", "message_stop"]
    open_block: dict[str, Any] | None = None
    following = 0
    for event in spoken[1:-2]:
        match event["type"]:
            case "content_block_start":
                assert open_block is None
                assert event["index"] == following
                open_block = event["content_block"]
                following += 1
            case "content_block_delta":
                assert open_block is not None
                assert event["index"] == following - 1
                assert event["delta"]["type"] in DELTAS.get(open_block["type"], set())
            case "content_block_stop":
                assert open_block is not None
                assert event["index"] == following - 1
                open_block = None
            case other:
                raise AssertionError(f"{other} has no place here")
    assert open_block is None


def by_sdk(events: list[dict[str, Any]], *, validate: bool = True) -> dict[str, Any]:
    """The message as the official SDK builds it; `validate`: only event forms that its types declare."""
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    for event in events:
        if event["type"] == "ping":
            continue
        snapshot = accumulate_event(
            event=_EVENT.validate_python(event) if validate else event,
            current_snapshot=snapshot,
            json_bufs=buffers,
        )
    return snapshot.to_dict(warnings=False)


def gathered(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The message by the documentation's words: blocks by index, deltas added, totals overwritten."""
    message: dict[str, Any] = {}
    inputs: dict[int, str] = {}
    for event in events:
        match event["type"]:
            case "message_start":
                message = json.loads(json.dumps(event["message"]))
            case "content_block_start":
                message["content"].append(json.loads(json.dumps(event["content_block"])))
            case "content_block_delta":
                _add(message["content"][event["index"]], event, inputs)
            case "message_delta":
                message.update(event["delta"])
                message.update(
                    {k: v for k, v in event.items() if k not in ("type", "delta", "usage")}
                )
                message["usage"].update({k: v for k, v in event["usage"].items() if v is not None})
            case _:
                pass
    for index, text in inputs.items():
        if text:
            message["content"][index]["input"] = _input(text)
    return message


def _input(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:  # cut off by max_tokens
        return {"invalid_json_arguments": text}


def _add(block: dict[str, Any], event: dict[str, Any], inputs: dict[int, str]) -> None:
    delta = event["delta"]
    match delta["type"]:
        case "text_delta":
            block["text"] += delta["text"]
        case "thinking_delta":
            block["thinking"] += delta["thinking"]
        case "signature_delta":
            block["signature"] += delta["signature"]
        case "input_json_delta":
            inputs[event["index"]] = inputs.get(event["index"], "") + delta["partial_json"]
        case "citations_delta":
            block["citations"] = [*(block.get("citations") or []), delta["citation"]]
        case "compaction_delta":
            block["content"] = (block.get("content") or "") + delta["content"]
        case other:
            raise AssertionError(f"unknown delta {other}")
