"""The fixed answers of the benchmark's upstream: whole ones and streams, in the three API shapes.

A stream says `MARK` in each of its `CHUNKS` text deltas, in whatever shape it reaches the client: so a
load generator can count them without reading JSON, and a gateway that loses one is found out.
"""

from __future__ import annotations

import json
from typing import Any, Final, Literal

Shape = Literal["chat", "messages", "responses"]

CHUNKS: Final = 200
MARK: Final = b" tokenly"
# Events that close an answer of the Responses API repeat its text: there only deltas count.
MARKS: Final[dict[Shape, bytes]] = {
    "chat": MARK,
    "messages": MARK,
    "responses": b'"delta":"' + MARK,
}
WORD: Final = "x"
SHAPE_PATHS: Final[dict[Shape, str]] = {
    "chat": "/v1/chat/completions",
    "messages": "/v1/messages",
    "responses": "/v1/responses",
}
_TEXT: Final = WORD * 700


def compact(value: object) -> str:
    """JSON without spaces, as the providers send it."""
    return json.dumps(value, separators=(",", ":"))


_CHAT_USAGE: Final = {"prompt_tokens": 100, "completion_tokens": 200, "total_tokens": 300}
_CHAT: Final[dict[str, Any]] = {
    "id": "chatcmpl-bench",
    "object": "chat.completion",
    "created": 1_700_000_000,
    "model": "gpt-4o",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": _TEXT},
            "finish_reason": "stop",
        }
    ],
    "usage": _CHAT_USAGE,
}
_MESSAGE: Final[dict[str, Any]] = {
    "id": "msg_bench",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5",
    "content": [{"type": "text", "text": _TEXT}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 100, "output_tokens": 200},
}
_ITEM: Final[dict[str, Any]] = {
    "id": "msg_bench",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": _TEXT, "annotations": []}],
}
_RESPONSE: Final[dict[str, Any]] = {
    "id": "resp_bench",
    "object": "response",
    "created_at": 1_700_000_000,
    "status": "completed",
    "model": "gpt-4o",
    "output": [_ITEM],
    "usage": {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 200,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 300,
    },
}
CHAT: Final = compact(_CHAT).encode()
MESSAGES: Final = compact(_MESSAGE).encode()
RESPONSE: Final = compact(_RESPONSE).encode()
WHOLE: Final[dict[Shape, bytes]] = {"chat": CHAT, "messages": MESSAGES, "responses": RESPONSE}


def _deltas(count: int) -> list[str]:
    """The texts of a stream's deltas. They differ, since gateways look for models that repeat themselves."""
    return [f"{MARK.decode()}{n % 10}" for n in range(count)]


def _named(kind: str, **fields: object) -> bytes:
    return f"event: {kind}\ndata: {compact({'type': kind, **fields})}\n\n".encode()


def _chat_events(count: int) -> list[bytes]:
    base = {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "gpt-4o",
    }

    def chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return b"data: " + compact({**base, "choices": [choice]}).encode() + b"\n\n"

    usage = compact({**base, "choices": [], "usage": _CHAT_USAGE}).encode()
    return [
        chunk({"role": "assistant", "content": ""}),
        *(chunk({"content": text}) for text in _deltas(count)),
        chunk({}, "stop") + b"data: " + usage + b"\n\ndata: [DONE]\n\n",
    ]


def _message_events(count: int) -> list[bytes]:
    message = {
        **_MESSAGE,
        "content": [],
        "stop_reason": None,
        "usage": {"input_tokens": 100, "output_tokens": 1},
    }
    return [
        _named("message_start", message=message)
        + _named("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        *(
            _named("content_block_delta", index=0, delta={"type": "text_delta", "text": text})
            for text in _deltas(count)
        ),
        _named("content_block_stop", index=0)
        + _named(
            "message_delta",
            delta={"stop_reason": "end_turn", "stop_sequence": None},
            usage={"output_tokens": 200},
        )
        + _named("message_stop"),
    ]


def _response_events(count: int) -> list[bytes]:
    part = {"type": "output_text", "text": "", "annotations": []}
    place = {"item_id": "msg_bench", "output_index": 0, "content_index": 0}
    begun = {**_RESPONSE, "status": "in_progress", "output": [], "usage": None}
    before = [
        _named("response.created", sequence_number=0, response=begun),
        _named(
            "response.output_item.added",
            sequence_number=1,
            output_index=0,
            item={**_ITEM, "content": [], "status": "in_progress"},
        ),
        _named("response.content_part.added", sequence_number=2, **place, part=part),
    ]
    deltas = [
        _named("response.output_text.delta", sequence_number=3 + n, **place, delta=text)
        for n, text in enumerate(_deltas(count))
    ]
    # The closing events repeat the whole text; a word without the mark stands for it, so that marks count deltas.
    said = {**_ITEM, "content": [{**part, "text": _TEXT}]}
    at = 3 + count
    after = [
        _named("response.output_text.done", sequence_number=at, **place, text=_TEXT),
        _named(
            "response.content_part.done",
            sequence_number=at + 1,
            **place,
            part={**part, "text": _TEXT},
        ),
        _named("response.output_item.done", sequence_number=at + 2, output_index=0, item=said),
        _named(
            "response.completed", sequence_number=at + 3, response={**_RESPONSE, "output": [said]}
        ),
    ]
    return [b"".join(before), *deltas, b"".join(after)]


def stream_events(shape: Shape, count: int = CHUNKS) -> list[bytes]:
    """One stream's server-sent events: an opening, `count` text deltas, a closing with the usage."""
    match shape:
        case "chat":
            return _chat_events(count)
        case "messages":
            return _message_events(count)
        case "responses":
            return _response_events(count)
