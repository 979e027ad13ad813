"""Errors in Anthropic's words, both ways."""

from __future__ import annotations

import json

import pytest

from metis.ir.response import ErrorInfo, ErrorKind
from metis.wire.anthropic_messages import ANTHROPIC_MESSAGES


@pytest.mark.parametrize(
    ("name", "status", "kind"),
    [
        ("invalid_request_error", 400, "invalid_request"),
        ("authentication_error", 401, "authentication"),
        ("billing_error", 402, "billing"),
        ("permission_error", 403, "permission"),
        ("not_found_error", 404, "not_found"),
        ("request_too_large", 413, "request_too_large"),
        ("rate_limit_error", 429, "rate_limit"),
        ("timeout_error", 504, "timeout"),
        ("api_error", 500, "api"),
        ("overloaded_error", 529, "overloaded"),
    ],
)
def test_types_are_kinds_and_go_back(name: str, status: int, kind: ErrorKind) -> None:
    body = {
        "type": "error",
        "error": {"type": name, "message": "why", "details": {"error_code": "c"}},
        "request_id": "req_1",
    }
    error = ANTHROPIC_MESSAGES.decode_error(status, json.dumps(body).encode())
    assert error == ErrorInfo(
        status=status,
        kind=kind,
        message="why",
        code="c",
        request_id="req_1",
        details={"error_code": "c"},
        original=body,
    )
    assert json.loads(ANTHROPIC_MESSAGES.encode_error(error)) == body
    made = ErrorInfo(status=status, kind=kind, message="why")
    assert json.loads(ANTHROPIC_MESSAGES.encode_error(made)) == {
        "type": "error",
        "error": {"type": name, "message": "why"},
    }


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request"), (401, "authentication"), (402, "billing"), (403, "permission"),
        (404, "not_found"), (408, "timeout"), (413, "request_too_large"), (418, "invalid_request"),
        (429, "rate_limit"), (500, "api"), (502, "api"), (503, "overloaded"), (504, "timeout"),
        (529, "overloaded"),
    ],
)  # fmt: skip
def test_a_type_nobody_knows_is_told_by_its_status(status: int, kind: ErrorKind) -> None:
    body = b'{"type":"error","error":{"type":"conflict_error","message":"m"}}'
    assert ANTHROPIC_MESSAGES.decode_error(status, body).kind == kind


@pytest.mark.parametrize(
    "message",
    [
        "prompt is too long: 210000 tokens > 200000 maximum",
        "input length and `max_tokens` exceed context limit: 180000 + 32000 > 200000",
    ],
)
def test_a_prompt_over_the_window_is_told_by_its_words(message: str) -> None:
    body = {"type": "error", "error": {"type": "invalid_request_error", "message": message}}
    error = ANTHROPIC_MESSAGES.decode_error(400, json.dumps(body).encode())
    assert error.kind == "context_length"
    assert json.loads(ANTHROPIC_MESSAGES.encode_error(error)) == body


def test_a_body_that_is_no_json_becomes_the_message() -> None:
    page = (
        b"<html><head><style>p{}</style><title>502 Bad Gateway</title></head><body>"
        b"<p>nginx &amp; co</p></body></html>"
    )
    assert ANTHROPIC_MESSAGES.decode_error(502, page) == ErrorInfo(
        status=502,
        kind="api",
        message="502 Bad Gateway nginx & co",
        original={"text": "502 Bad Gateway nginx & co"},
    )
    assert (
        ANTHROPIC_MESSAGES.decode_error(503, b"").message
        == "the upstream answered 503 without a body"
    )
    assert len(ANTHROPIC_MESSAGES.decode_error(500, b"\xff" * 100_000).message) == 2_000
    assert ANTHROPIC_MESSAGES.decode_error(500, b"[1]").message == "[1]"
    assert ANTHROPIC_MESSAGES.decode_error(500, b'{"detail":"x"}').message == '{"detail":"x"}'


def test_an_error_of_another_shape_carries_the_upstream_s_object_and_anthropic_s_words() -> None:
    original = {
        "error": {"message": "maximum context length is 8192", "code": "context_length_exceeded"}
    }
    error = ErrorInfo(
        status=400,
        kind="context_length",
        message="maximum context length is 8192",
        code="context_length_exceeded",
        request_id="req_9",
        original=original,
    )
    expected = {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "message": "prompt is too long: maximum context length is 8192",
            "details": {"upstream": original, "error_code": "context_length_exceeded"},
        },
        "request_id": "req_9",
    }
    assert json.loads(ANTHROPIC_MESSAGES.encode_error(error)) == expected
    event = ANTHROPIC_MESSAGES.encode_stream_error(error)
    assert event == b"event: error\ndata: " + ANTHROPIC_MESSAGES.encode_error(error) + b"\n\n"


@pytest.mark.parametrize("kind", ["api", "timeout"])
def test_what_breaks_a_stream_off_is_said_with_the_word_that_clients_repeat_a_turn_on(
    kind: ErrorKind,
) -> None:
    original = {"error": {"message": "the server had an error", "type": "server_error"}}
    error = ErrorInfo(status=500, kind=kind, message="the server had an error", original=original)
    said = {
        "type": "error",
        "error": {
            "type": "overloaded_error",
            "message": "the server had an error",
            "details": {"upstream": original},
        },
    }
    event = ANTHROPIC_MESSAGES.encode_stream_error(error)
    assert json.loads(event.removeprefix(b"event: error\ndata: ")) == said


def test_an_upstream_s_own_stream_error_keeps_its_word() -> None:
    own = {"type": "error", "error": {"type": "api_error", "message": "internal"}}
    error = ErrorInfo(status=500, kind="api", message="internal", original=own)
    event = ANTHROPIC_MESSAGES.encode_stream_error(error)
    assert json.loads(event.removeprefix(b"event: error\ndata: ")) == own


def test_details_of_the_gateway_s_own_errors_ride_along() -> None:
    error = ErrorInfo(
        status=400,
        kind="invalid_request",
        message="no threads",
        details={"error_code": "thread_unsupported_request"},
    )
    assert json.loads(ANTHROPIC_MESSAGES.encode_error(error))["error"]["details"] == {
        "error_code": "thread_unsupported_request"
    }
