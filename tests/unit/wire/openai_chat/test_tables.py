"""The tables: usage as each server counts, finish reasons, errors. One golden row for each form."""

from __future__ import annotations

import json
from typing import Any

import pytest

from metis.facts.usage import Usage
from metis.ir.response import ErrorInfo, ErrorKind, StopReason
from metis.wire.openai_chat import OPENAI_CHAT
from metis.wire.openai_chat.finish import finish_of, stop_of
from metis.wire.openai_chat.usage import usage_object

Json = dict[str, Any]


def tokens(p: object, c: object, t: object, **more: Any) -> Json:
    return {"prompt_tokens": p, "completion_tokens": c, "total_tokens": t, **more}


def details(prompt: Json | None = None, completion: Json | None = None) -> Json:
    return {"prompt_tokens_details": prompt, "completion_tokens_details": completion}


# Numbers are recorded ones where the corpus has the form with numbers in it.
USAGE_ROWS: list[tuple[str, Json, Usage]] = [
    ("bare", tokens(57, 17, 74), Usage(input_tokens=57, output_tokens=17)),
    (
        "openai cached",
        tokens(
            4020,
            4,
            4024,
            **details({"cached_tokens": 4012, "cache_write_tokens": 0}, {"reasoning_tokens": 0}),
        ),
        Usage(input_tokens=8, cache_read_tokens=4012, output_tokens=4),
    ),
    (
        "openai cache write",
        tokens(4020, 4, 4024, **details({"cached_tokens": 0, "cache_write_tokens": 4012})),
        Usage(input_tokens=8, cache_write_5m_tokens=4012, output_tokens=4),
    ),
    (
        "openai audio in",
        tokens(
            59, 123, 182, **details({"cached_tokens": 0, "audio_tokens": 43}, {"audio_tokens": 0})
        ),
        Usage(input_tokens=59, input_audio_tokens=43, output_tokens=123),
    ),
    (
        "openai audio out and reasoning",
        tokens(10, 90, 100, **details({}, {"audio_tokens": 60, "reasoning_tokens": 20})),
        Usage(input_tokens=10, output_tokens=90, output_audio_tokens=60, reasoning_tokens=20),
    ),
    (
        "openrouter",
        tokens(
            2572,
            63,
            2635,
            cost=0.01,
            is_byok=False,
            **details({"cached_tokens": 0, "cache_write_tokens": 2569}),
        ),
        Usage(input_tokens=3, cache_write_5m_tokens=2569, output_tokens=63),
    ),
    (
        "openrouter web search",
        tokens(
            2315,
            40,
            2355,
            server_tool_use_details={"web_search_requests": 1, "tool_calls_executed": 1},
        ),
        Usage(input_tokens=2315, output_tokens=40, server_tools={"web_search_requests": 1}),
    ),
    (
        "deepseek",
        tokens(496, 31, 527, prompt_cache_hit_tokens=384, prompt_cache_miss_tokens=112),
        Usage(input_tokens=112, cache_read_tokens=384, output_tokens=31),
    ),
    (
        "deepseek, both names",
        tokens(496, 31, 527, prompt_cache_hit_tokens=384, **details({"cached_tokens": 384})),
        Usage(input_tokens=112, cache_read_tokens=384, output_tokens=31),
    ),
    (
        "xai: reasoning beside the completion",
        tokens(
            429,
            44,
            846,
            **details({"cached_tokens": 192, "text_tokens": 429}, {"reasoning_tokens": 373}),
        ),
        Usage(input_tokens=237, cache_read_tokens=192, output_tokens=417, reasoning_tokens=373),
    ),
    (
        "xai on azure: more cached than there was",
        tokens(377, 69, 446, **details({"cached_tokens": 515})),
        Usage(input_tokens=0, cache_read_tokens=377, output_tokens=69),
    ),
    (
        "google: thinking in the total only",
        tokens(66, 6, 100),
        Usage(input_tokens=66, output_tokens=34, reasoning_tokens=28),
    ),
    (
        "vercel: more reasoning than completion",
        tokens(
            219,
            19,
            238,
            cache_creation_input_tokens=0,
            **details({"cached_tokens": 0}, {"reasoning_tokens": 280}),
        ),
        Usage(input_tokens=219, output_tokens=299, reasoning_tokens=280),
    ),
    (
        "mistral: audio beside the prompt",
        tokens(
            9,
            201,
            585,
            prompt_audio_seconds=4,
            **details({"cached_tokens": 0, "audio_tokens": 375}),
        ),
        Usage(input_tokens=384, input_audio_tokens=375, output_tokens=201),
    ),
    (
        "mistral cached",
        tokens(64, 6, 70, num_cached_tokens=32),
        Usage(input_tokens=32, cache_read_tokens=32, output_tokens=6),
    ),
    (
        "together",
        tokens(40, 6, 46, cached_tokens=32),
        Usage(input_tokens=8, cache_read_tokens=32, output_tokens=6),
    ),
    (
        "databricks, mid-stream",
        tokens(348, None, None, cache_creation_input_tokens=100, cache_read_input_tokens=200),
        Usage(input_tokens=48, cache_read_tokens=200, cache_write_5m_tokens=100),
    ),
    (
        "groq",
        {
            "queue_time": 0.2,
            "prompt_tokens": 93,
            "prompt_time": 0.02,
            "completion_tokens": 32,
            "total_tokens": 125,
        },
        Usage(input_tokens=93, output_tokens=32),
    ),
    (
        "perplexity",
        tokens(25, 18, 43, num_search_queries=2),
        Usage(input_tokens=25, output_tokens=18, server_tools={"web_search_requests": 2}),
    ),
    ("details are null", tokens(5, 2, 7, **details()), Usage(input_tokens=5, output_tokens=2)),
    ("nonsense", tokens("many", -3, True, **details({"cached_tokens": "x"})), Usage()),
    ("floats", tokens(5.0, 2.0, 7.0), Usage(input_tokens=5, output_tokens=2)),
    ("empty", {}, Usage()),
]


@pytest.mark.parametrize(
    ("raw", "usage"), [row[1:] for row in USAGE_ROWS], ids=[r[0] for r in USAGE_ROWS]
)
def test_usage_of_each_server(raw: Json, usage: Usage) -> None:
    assert OPENAI_CHAT.usage_of(raw) == usage


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


def test_usage_goes_out_in_openais_form_and_comes_back() -> None:
    usage = Usage(
        input_tokens=3,
        cache_read_tokens=4,
        cache_write_5m_tokens=5,
        cache_write_1h_tokens=6,
        output_tokens=7,
        reasoning_tokens=2,
        server_tools={"web_search_requests": 1},
    )
    assert usage_object(usage) == {
        "prompt_tokens": 18,
        "completion_tokens": 7,
        "total_tokens": 25,
        "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0, "cache_write_tokens": 11},
        "completion_tokens_details": {
            "reasoning_tokens": 2,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
        "server_tool_use_details": {"web_search_requests": 1},
    }
    plain = Usage(input_tokens=3, cache_read_tokens=4, cache_write_5m_tokens=5, output_tokens=7)
    assert OPENAI_CHAT.usage_of(usage_object(plain)) == plain


@pytest.mark.parametrize(
    ("word", "stop"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("tool_calls", "tool_use"),
        ("function_call", "tool_use"),
        ("content_filter", "content_filter"),
        ("error", "error"),
        ("eos", "end_turn"),
        ("model_length", "context_window"),
        ("sensitive", "content_filter"),
        ("insufficient_system_resource", "error"),
        ("network_error", "error"),
        ("", "end_turn"),
        ("max_tokens", "max_tokens"),
        ("tool_use", "tool_use"),
        ("who knows", "other"),
    ],
)
def test_finish_reasons_come_in(word: str, stop: StopReason) -> None:
    assert stop_of(word, called_tools=False) == stop


@pytest.mark.parametrize(
    ("stop", "word"),
    [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("stop_sequence", "stop"),
        ("tool_use", "tool_calls"),
        ("pause_turn", "stop"),
        ("refusal", "content_filter"),
        ("content_filter", "content_filter"),
        ("context_window", "length"),
        ("error", "length"),
        ("other", "stop"),
    ],
)
def test_finish_reasons_go_out(stop: StopReason, word: str) -> None:
    assert finish_of(stop, called_tools=False) == word


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
