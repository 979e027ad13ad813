"""Amazon Bedrock and Google's Vertex AI as upstreams for tests: they check who asks, and answer as Claude or Nova.

The signature is computed here by the published steps (docs.aws.amazon.com/IAM/latest/UserGuide/
reference_sigv-create-signed-request.html), not by the library that the gateway uses.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any
from urllib.parse import quote

from tests.upstream import Seen, Wire

from metis.wire.event_stream import encode_event_frame, encode_exception_frame

ACCESS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG+bPx"}
REGION = "eu-central-1"
FRAMED = "application/vnd.amazon.eventstream"
USAGE = {
    "input_tokens": 11,
    "cache_read_input_tokens": 100,
    "cache_creation_input_tokens": 30,
    "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
    "output_tokens": 5,
}
CONTENT: list[dict[str, Any]] = [
    {"type": "thinking", "thinking": "hm", "signature": "U0lHTkVE"},
    {"type": "text", "text": "Grüße ✓"},
    {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": "x"}},
]
MESSAGE = {
    "id": "msg_bdrk_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5",
    "content": CONTENT,
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": USAGE,
}
EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "U0lHTkVE"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Grüße ✓"}},
    {"type": "content_block_stop", "index": 1},
    {"type": "content_block_start", "index": 2, "content_block": {**CONTENT[2], "input": {}}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"at": "x"}'}},
    {"type": "content_block_stop", "index": 2},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None}, "usage": USAGE},
    {"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 11, "outputTokenCount": 5}},
]  # fmt: skip
CONVERSED: list[tuple[str, dict[str, Any]]] = [
    ("messageStart", {"role": "assistant", "p": "ab"}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Grüße ✓"}, "p": "abc"}),
    ("contentBlockStop", {"contentBlockIndex": 0}),
    ("messageStop", {"stopReason": "end_turn"}),
    ("metadata", {"usage": {"inputTokens": 11, "outputTokens": 5, "totalTokens": 16}}),
]


def event_text(event: dict[str, Any]) -> bytes:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def invoked(event: dict[str, Any]) -> bytes:
    """A frame of invoke-with-response-stream."""
    chunk = {"bytes": base64.b64encode(event_text(event)).decode(), "p": "abcdef"}
    return encode_event_frame("chunk", json.dumps(chunk).encode())


def signature_of(seen: Seen, secret: str) -> str:
    """The Authorization header that this request must have."""
    head = {name.lower(): value for name, value in seen.headers}
    parts = dict(one.split("=", 1) for one in head["authorization"].split(" ", 1)[1].split(", "))
    signed = parts["SignedHeaders"].split(";")
    canonical = "\n".join(
        [
            seen.method,
            quote(seen.path, safe="/~-_."),
            "",
            *(f"{name}:{head[name]}" for name in signed),
            "",
            ";".join(signed),
            hashlib.sha256(seen.body).hexdigest(),
        ]
    )
    day = head["x-amz-date"][:8]
    scope = f"{day}/{REGION}/bedrock/aws4_request"
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{head['x-amz-date']}\n{scope}\n{hashed}"
    key = b"AWS4" + secret.encode()
    for step in (day, REGION, "bedrock", "aws4_request", text):
        key = hmac.new(key, step.encode(), hashlib.sha256).digest()
    credential = f"{ACCESS['AWS_ACCESS_KEY_ID']}/{scope}"
    return (
        f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={';'.join(signed)}, "
        f"Signature={key.hex()}"
    )


async def bedrock(seen: Seen, wire: Wire) -> None:
    """Answers as Bedrock; a model called `throttled`, `refused` or `cut` does what its name says."""
    told = seen.header("authorization") or ""
    known = "Bearer bedrock-api-key"
    if told != known and told != signature_of(seen, ACCESS["AWS_SECRET_ACCESS_KEY"]):
        await wire.answer(403, b'{"message":"The request signature does not match"}')
    elif "refused" in seen.path:
        ids = ("x-amzn-RequestId", "aws-1"), ("x-amzn-ErrorType", "ValidationException")
        await wire.answer(400, b'{"message":"max_tokens: too large"}', *ids)
    elif seen.path.endswith("/invoke"):
        await wire.answer(200, event_text(MESSAGE), ("x-amzn-RequestId", "aws-1"))
    elif seen.path.endswith("/converse"):
        message = {"role": "assistant", "content": [{"text": "Grüße ✓"}]}
        usage = CONVERSED[-1][1]["usage"]
        answer = {"output": {"message": message}, "stopReason": "end_turn", "usage": usage}
        await wire.answer(200, event_text(answer))
    else:
        await _stream(seen, wire)


async def _stream(seen: Seen, wire: Wire) -> None:
    await wire.raw(
        b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\nx-amzn-requestid: aws-1\r\n"
        b"transfer-encoding: chunked\r\n\r\n" % FRAMED.encode()
    )
    if seen.path.endswith("/converse-stream"):
        data = b"".join(encode_event_frame(name, event_text(event)) for name, event in CONVERSED)
    else:
        data = b"".join(map(invoked, EVENTS))
    if "throttled" in seen.path:
        data = data[: len(invoked(EVENTS[0]))]
        data += encode_exception_frame("throttlingException", b'{"message":"Too many requests"}')
    elif "cut" in seen.path:
        data = data[: len(data) // 2]
    for place in range(0, len(data), 97):
        await wire.chunk(data[place : place + 97])
    await wire.end_stream()


async def vertex(seen: Seen, wire: Wire) -> None:
    """Answers as Vertex AI."""
    if seen.header("authorization") != "Bearer vertex-token":
        await wire.answer(401, b'[{"error":{"code":401,"status":"UNAUTHENTICATED"}}]')
    elif seen.path.endswith("count-tokens:rawPredict"):
        await wire.answer(200, b'{"input_tokens":7}')
    elif seen.path.endswith(":rawPredict"):
        await wire.answer(200, event_text(MESSAGE))
    else:
        await wire.begin_stream()
        for event in EVENTS:
            await wire.chunk(
                b"event: %b\ndata: %b\n\n" % (event["type"].encode(), event_text(event))
            )
        await wire.end_stream()
