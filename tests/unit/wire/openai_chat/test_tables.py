"""The tables: recorded usage, finish reasons that go by what an answer holds, errors. One golden row for each form."""

from __future__ import annotations

import json
from typing import Any

import pytest

from metis.ir.response import ErrorInfo, ErrorKind
from metis.wire.openai_chat import OPENAI_CHAT
from metis.wire.openai_chat.finish import finish_of, stop_of

Json = dict[str, Any]


def test_recorded_usage_keeps_the_totals_and_is_never_negative(recordings: list[Json]) -> None:
    for record in recordings:
        body = record["response"].get("body")
        raw = body.get("usage") if isinstance(body, dict) else None
        if not raw:
            continue
        usage = OPENAI_CHAT.usage_of(raw)
        assert usage.prompt_tokens >= raw["prompt_tokens"]
        assert usage.total_tokens >= (raw.get("total_tokens") or 0), record["id"]
        assert min(usage.input_tokens, usage.cache_read_tokens, usage.output_tokens) >= 0
        assert usage.reasoning_tokens <= usage.output_tokens, record["id"]


def test_a_stop_with_tool_calls_is_tool_use_both_ways() -> None:
    assert stop_of("stop", called_tools=True) == "tool_use"
    assert stop_of("", called_tools=True) == "tool_use"
    assert stop_of("length", called_tools=True) == "max_tokens"
    assert finish_of("end_turn", called_tools=True) == "tool_calls"
    assert stop_of("stop", called_tools=False, refused=True) == "refusal"
    assert finish_of("refusal", called_tools=False, refused=True) == "stop"


ERROR_ROWS: list[tuple[int, Any, ErrorKind, str, str | None]] = [
    (
        401,
        {
            "error": {
                "message": "Incorrect API key",
                "type": "invalid_request_error",
                "code": "invalid_api_key",
            }
        },
        "authentication",
        "Incorrect API key",
        "invalid_api_key",
    ),
    (
        429,
        {"error": {"message": "quota", "type": "insufficient_quota", "code": "insufficient_quota"}},
        "billing",
        "quota",
        "insufficient_quota",
    ),
    (
        429,
        {"error": {"message": "slow", "type": "requests", "code": "rate_limit_exceeded"}},
        "rate_limit",
        "slow",
        "rate_limit_exceeded",
    ),
    (
        400,
        {
            "error": {
                "message": "long",
                "type": "invalid_request_error",
                "code": "context_length_exceeded",
            }
        },
        "context_length",
        "long",
        "context_length_exceeded",
    ),
    (
        404,
        {
            "error": {
                "message": "no model",
                "type": "invalid_request_error",
                "code": "model_not_found",
            }
        },
        "not_found",
        "no model",
        "model_not_found",
    ),
    (
        404,
        {"error": {"code": "404", "message": "Resource not found"}},
        "not_found",
        "Resource not found",
        "404",
    ),
    (
        400,
        {
            "error": {
                "message": "This endpoint's maximum context length is 200000 tokens",
                "code": 400,
            }
        },
        "context_length",
        "This endpoint's maximum context length is 200000 tokens",
        "400",
    ),
    (
        400,
        {
            "error": {
                "message": "prompt too long; exceeded max",
                "type": "invalid_request_error",
                "code": None,
            }
        },
        "context_length",
        "prompt too long; exceeded max",
        None,
    ),
    (
        400,
        {"error": {"message": "The total length", "type": "too_many_prompt_tokens", "code": 400}},
        "context_length",
        "The total length",
        "400",
    ),
    (
        429,
        {"error": {"code": "RateLimitReached", "message": "m", "details": "m"}},
        "rate_limit",
        "m",
        "RateLimitReached",
    ),
    (
        400,
        {
            "error": {
                "message": "bad",
                "type": "invalid_request_error",
                "param": "messages",
                "code": "x",
            }
        },
        "invalid_request",
        "bad",
        "x",
    ),
    (
        402,
        {"error": {"message": "Insufficient credits", "code": 402}},
        "billing",
        "Insufficient credits",
        "402",
    ),
    (403, {"error": "text only"}, "permission", "text only", None),
    (
        422,
        {"detail": [{"loc": ["body"], "msg": "field required"}]},
        "invalid_request",
        '[{"loc":["body"],"msg":"field required"}]',
        None,
    ),
    (401, {"detail": "Unauthorized"}, "authentication", "Unauthorized", None),
    (500, {"message": "boom", "request_id": "r"}, "api", "boom", None),
    (
        429,
        [{"error": {"code": 429, "message": "Resource exhausted", "status": "RESOURCE_EXHAUSTED"}}],
        "rate_limit",
        "Resource exhausted",
        "429",
    ),
    (
        503,
        {"error": {"message": "Overloaded", "type": "overloaded_error"}},
        "overloaded",
        "Overloaded",
        None,
    ),
    (500, {"error": {"message": "m", "type": "server_error"}}, "api", "m", None),
    (529, {}, "overloaded", "the upstream answered 529 without a message", None),
    (504, 17, "timeout", "the upstream answered 504 without a message", None),
]


@pytest.mark.parametrize(("status", "body", "kind", "message", "code"), ERROR_ROWS)
def test_errors_of_each_form(
    status: int, body: Any, kind: ErrorKind, message: str, code: str | None
) -> None:
    info = OPENAI_CHAT.decode_error(status, json.dumps(body).encode())
    assert (info.status, info.kind, info.message, info.code) == (status, kind, message, code)


def test_a_body_that_is_no_json_is_the_message() -> None:
    page = b"<html><body>502 Bad Gateway</body></html>"
    assert OPENAI_CHAT.decode_error(502, page) == ErrorInfo(
        status=502,
        kind="api",
        message=page.decode(),
        original={"text": page.decode()},
    )
    assert OPENAI_CHAT.decode_error(503, b"").message == "the upstream answered 503 without a body"


def test_recorded_errors_keep_their_words(errors: list[Json]) -> None:
    assert len(errors) >= 30
    for record in errors:
        response = record["response"]
        info = OPENAI_CHAT.decode_error(response["status"], json.dumps(response["body"]).encode())
        assert info.message == response["body"]["error"]["message"]
        assert info.original == response["body"]


def test_an_error_of_another_shape_stands_inside_ours() -> None:
    original = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    info = ErrorInfo(
        status=529,
        kind="overloaded",
        message="Overloaded",
        request_id="req_1",
        details={"retry": True},
        original=original,
    )
    expected = {
        "error": {
            "message": "Overloaded",
            "type": "server_error",
            "param": None,
            "code": "server_is_overloaded",
            "details": {"retry": True},
            "metadata": {"upstream": original},
            "request_id": "req_1",
        }
    }
    assert json.loads(OPENAI_CHAT.encode_error(info)) == expected
    event = OPENAI_CHAT.encode_stream_error(info)
    assert event.startswith(b"data: ")
    assert event.endswith(b"}\n\n")
    assert json.loads(event[6:]) == expected


KINDS: list[ErrorKind] = [
    "invalid_request",
    "authentication",
    "permission",
    "not_found",
    "request_too_large",
    "rate_limit",
    "overloaded",
    "timeout",
    "context_length",
    "billing",
    "api",
]


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_error_comes_back_as_itself(kind: ErrorKind) -> None:
    statuses = dict(
        zip(KINDS, (400, 401, 403, 404, 413, 429, 503, 504, 400, 429, 500), strict=True)
    )
    body = OPENAI_CHAT.encode_error(ErrorInfo(status=statuses[kind], kind=kind, message="m"))
    assert OPENAI_CHAT.decode_error(statuses[kind], body).kind == kind
