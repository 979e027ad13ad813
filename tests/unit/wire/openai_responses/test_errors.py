"""Errors both ways: envelopes, failed streams, and what other clients' codes mean here."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.wire.openai_responses import sdk
from tests.unit.wire.openai_responses.reading import decode, events_in, fold

from metis.ir.response import ErrorInfo, ErrorKind
from metis.ir.stream import Start, StreamFailure
from metis.wire.openai_responses import OPENAI_RESPONSES

Json = dict[str, Any]
SHAPE = OPENAI_RESPONSES


def test_recorded_errors_keep_their_words(error_bodies: list[tuple[int, Json]]) -> None:
    assert len(error_bodies) > 10
    for status, body in error_bodies:
        error = SHAPE.decode_error(status, json.dumps(body).encode())
        told = body["error"]
        assert (error.status, error.message) == (status, told["message"])
        assert (error.code, error.param) == (told["code"], told["param"])
        assert error.original == body
        again = json.loads(SHAPE.encode_error(error))["error"]
        assert {key: again[key] for key in ("message", "param", "code")} == {
            key: told[key] for key in ("message", "param", "code")
        }


KINDS: list[tuple[int, Json, ErrorKind]] = [
    (400, {"type": "invalid_request_error", "code": None}, "invalid_request"),
    (400, {"code": "context_length_exceeded"}, "context_length"),
    (400, {"type": "exceed_context_size_error"}, "context_length"),
    (400, {"message": "Your input exceeds the context window of this model."}, "context_length"),
    (400, {"code": "model_not_found"}, "not_found"),
    (401, {"code": "invalid_api_key"}, "authentication"),
    (402, {}, "billing"),
    (403, {}, "permission"),
    (404, {}, "not_found"),
    (408, {}, "timeout"),
    (413, {}, "request_too_large"),
    (429, {"code": "rate_limit_exceeded"}, "rate_limit"),
    (429, {"code": "insufficient_quota", "type": "insufficient_quota"}, "billing"),
    (429, {"type": "tokens"}, "rate_limit"),
    (500, {"type": "server_error"}, "api"),
    (502, {}, "api"),
    (503, {}, "overloaded"),
    (504, {}, "timeout"),
    (529, {}, "overloaded"),
    (418, {}, "invalid_request"),
]


@pytest.mark.parametrize(("status", "fields", "kind"), KINDS)
def test_every_status_and_code_has_its_kind(status: int, fields: Json, kind: ErrorKind) -> None:
    body = json.dumps({"error": {"message": "m", **fields}}).encode()
    assert SHAPE.decode_error(status, body).kind == kind


@pytest.mark.parametrize(
    ("body", "message", "original"),
    [
        (
            b"<html>Bad Gateway</html>",
            "<html>Bad Gateway</html>",
            {"text": "<html>Bad Gateway</html>"},
        ),
        (b"", "the upstream answered 502 with no body", {"text": ""}),
        (b"\xff\xfe", "\ufffd\ufffd", {"text": "\ufffd\ufffd"}),
        (b"[1]", "[1]", {"text": "[1]"}),
        (b'{"error":"plain words"}', "plain words", {"error": "plain words"}),
        (b'{"detail":"other"}', '{"detail":"other"}', {"detail": "other"}),
        (b'{"message":"flat"}', "flat", {"message": "flat"}),
    ],
)
def test_a_body_of_no_shape_still_becomes_an_error(
    body: bytes, message: str, original: Json
) -> None:
    assert SHAPE.decode_error(502, body) == ErrorInfo(
        status=502, kind="api", message=message, original=original
    )


def test_an_error_of_another_shape_is_told_in_this_ones_words_with_the_original_inside() -> None:
    theirs = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    error = ErrorInfo(
        status=529, kind="overloaded", message="Overloaded", original=theirs, request_id="req_1"
    )
    assert json.loads(SHAPE.encode_error(error)) == {
        "error": {
            "message": "Overloaded",
            "type": "server_error",
            "param": None,
            "code": None,
            "metadata": {"upstream": theirs},
            "request_id": "req_1",
        }
    }


STREAM_CODES: list[tuple[ErrorKind, str]] = [
    ("rate_limit", "rate_limit_exceeded"),
    ("context_length", "context_length_exceeded"),
    ("billing", "insufficient_quota"),
    ("invalid_request", "invalid_prompt"),
    ("overloaded", "server_error"),
    ("api", "server_error"),
    ("timeout", "server_error"),
]


@pytest.mark.parametrize(("kind", "code"), STREAM_CODES)
def test_a_stream_error_stands_by_itself(kind: ErrorKind, code: str) -> None:
    stream = SHAPE.encode_stream_error(ErrorInfo(status=500, kind=kind, message="m"))
    assert stream.startswith(b"event: response.failed\ndata: ")
    (event,) = events_in(stream)
    assert event["response"]["error"] == {"code": code, "message": "m"}
    (received,) = sdk.raw_events(stream)
    assert (received.type, received.response.error.code) == ("response.failed", code)
    # The SDK's list of codes lacks some that OpenAI sends and Codex looks for.
    event["response"]["error"]["code"] = "server_error"
    sdk.check_event(event)
    failure = fold(decode([stream])).failure
    assert failure is not None
    assert failure.message == "m"


def test_an_error_event_is_a_failure_in_either_of_its_forms() -> None:
    nested = b'data: {"type":"error","error":{"code":"rate_limit_exceeded","message":"m","type":"tokens"}}\n\n'
    flat = b'data: {"type":"error","code":"rate_limit_exceeded","message":"m","param":null,"sequence_number":3}\n\n'
    bare = b'data: {"error":{"code":"rate_limit_exceeded","message":"m"}}\n\n'
    for stream in (nested, flat, bare):
        start, failure = decode([stream])
        assert start == Start(origin="openai_responses", response_id="", model="")
        assert isinstance(failure, StreamFailure)
        assert (failure.error.kind, failure.error.status, failure.error.message) == (
            "rate_limit",
            429,
            "m",
        )


CREATED = b'data: {"type":"response.created","response":{"id":"r"}}\n\n'


@pytest.mark.parametrize("stream", [b"", b"data: [DONE]\n\n", CREATED])
def test_a_stream_that_ends_without_its_end_is_a_failure(stream: bytes) -> None:
    events = decode([stream])
    assert isinstance(events[-1], StreamFailure)
    assert (
        events[-1].error.message
        == "connection lost (premature close): the upstream's stream ended before response.completed"
    )
