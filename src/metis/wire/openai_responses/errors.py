"""Errors: the envelope around an HTTP error and the event that ends a stream. Failure classes: `facts.failure`.

Source: https://platform.openai.com/docs/guides/error-codes.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from metis.ir.response import ErrorInfo, ErrorKind
from metis.wire.openai_responses.fields import Json, object_or_empty
from metis.wire.sse import encode_event

_BY_STATUS: Final[dict[int, ErrorKind]] = {
    400: "invalid_request",
    401: "authentication",
    402: "billing",
    403: "permission",
    404: "not_found",
    408: "timeout",
    409: "invalid_request",
    413: "request_too_large",
    415: "invalid_request",
    422: "invalid_request",
    429: "rate_limit",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}
_BY_CODE: Final[dict[str, ErrorKind]] = {
    "context_length_exceeded": "context_length",
    "string_above_max_length": "context_length",
    "insufficient_quota": "billing",
    "billing_hard_limit_reached": "billing",
    "rate_limit_exceeded": "rate_limit",
    "invalid_api_key": "authentication",
    "model_not_found": "not_found",
    "server_error": "api",
    "server_is_overloaded": "overloaded",
    "slow_down": "overloaded",
    "invalid_prompt": "invalid_request",
}
_BY_TYPE: Final[dict[str, ErrorKind]] = {
    "exceed_context_size_error": "context_length",  # llama.cpp
    "invalid_request_error": "invalid_request",
    "authentication_error": "authentication",
    "permission_error": "permission",
    "not_found_error": "not_found",
    "insufficient_quota": "billing",
    "rate_limit_error": "rate_limit",
    "tokens": "rate_limit",
    "requests": "rate_limit",
    "server_error": "api",
    "overloaded_error": "overloaded",
}
# The type and, where the origin gives none, the code that a client of this shape is told.
_TYPES: Final[dict[ErrorKind, str]] = {
    "invalid_request": "invalid_request_error",
    "authentication": "invalid_request_error",
    "permission": "permission_error",
    "not_found": "invalid_request_error",
    "request_too_large": "invalid_request_error",
    "rate_limit": "rate_limit_error",
    "overloaded": "server_error",
    "timeout": "server_error",
    "context_length": "invalid_request_error",
    "billing": "insufficient_quota",
    "api": "server_error",
}
_CODES: Final[dict[ErrorKind, str]] = {
    "authentication": "invalid_api_key",
    "not_found": "not_found",
    "rate_limit": "rate_limit_exceeded",
    "context_length": "context_length_exceeded",
    "billing": "insufficient_quota",
}
# In a stream the code decides what the client does: Codex retries all but a few, so an overload is a plain
# server error (it gives up on server_is_overloaded), and a rate limit may be tried again.
_STREAM_CODES: Final[dict[ErrorKind, str]] = {
    "rate_limit": "rate_limit_exceeded",
    "context_length": "context_length_exceeded",
    "billing": "insufficient_quota",
    "invalid_request": "invalid_prompt",
    "request_too_large": "invalid_prompt",
}
# How servers say that the prompt is too long where they have no code for it.
_FULL: Final = re.compile(
    r"context (?:length|window|size)|maximum context|prompt is too long|too many (?:input )?tokens",
    re.IGNORECASE,
)
_SERVER_ERROR: Final = "server_error"
_SHOWN_CHARACTERS: Final = 2_000


def decode_error(status: int, body: bytes) -> ErrorInfo:
    """Read an upstream's error body; one that is no JSON of this shape is kept as text. Never raises."""
    try:
        decoded: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = body.decode("utf-8", "replace")
        shown = text.strip()[:_SHOWN_CHARACTERS] or f"the upstream answered {status} with no body"
        return ErrorInfo(
            status=status, kind=_kind(status, "", "", ""), message=shown, original={"text": text}
        )
    if not isinstance(decoded, dict):
        return ErrorInfo(
            status=status,
            kind=_kind(status, "", "", ""),
            message=str(decoded)[:_SHOWN_CHARACTERS],  # pyright: ignore[reportUnknownArgumentType]  # any JSON
            original={"text": body.decode("utf-8", "replace")},
        )
    whole = object_or_empty(decoded)
    inner = whole.get("error")
    if isinstance(inner, str):
        inner = {"message": inner}
    return error_of(object_or_empty(inner) or whole, status, original=whole)


def error_of(raw: Json, status: int = 0, *, original: Json | None = None) -> ErrorInfo:
    """An error object: an envelope's `error`, a failed response's, or an `error` event. Status 0: find one."""
    code, kind_word = raw.get("code"), raw.get("type")
    code_word = code if isinstance(code, str) else ""
    message, param, request_id = raw.get("message"), raw.get("param"), raw.get("request_id")
    words = message if isinstance(message, str) else ""
    kind = _kind(status, code_word, kind_word if isinstance(kind_word, str) else "", words)
    return ErrorInfo(
        status=status or _status(kind),
        kind=kind,
        message=message if isinstance(message, str) else msgspec.json.encode(raw).decode(),
        code=str(code) if isinstance(code, str | int) and not isinstance(code, bool) else None,
        param=param if isinstance(param, str) else None,
        request_id=request_id if isinstance(request_id, str) else None,
        original=raw if original is None else original,
    )


def encode_error(error: ErrorInfo) -> bytes:
    """The body of an HTTP error for a client of this shape, with the origin's own object inside.

    `metadata.upstream`, `details` and `request_id` are extension fields, the same as in chat's errors:
    the SDKs hand them on and read nothing from them.
    """
    body: Json = {
        "message": error.message,
        "type": _TYPES[error.kind],
        "param": error.param,
        "code": error.code or _CODES.get(error.kind),
    }
    if error.details is not None:
        body["details"] = error.details
    if error.original is not None:
        body["metadata"] = {"upstream": error.original}
    if error.request_id is not None:
        body["request_id"] = error.request_id
    return msgspec.json.encode({"error": body})


def stream_error(error: ErrorInfo) -> Json:
    """The `error` object of a failed response: a code from the API's own list wherever the origin gave none."""
    own = error.code if error.code in _BY_CODE else None
    return {
        "code": own or _STREAM_CODES.get(error.kind, _SERVER_ERROR),
        "message": error.message,
    }


def encode_stream_error(error: ErrorInfo) -> bytes:
    """A `response.failed` event that stands by itself, also where nothing was sent before it."""
    response: Json = {
        "id": error.request_id or "resp_failed",
        "object": "response",
        "created_at": 0,
        "status": "failed",
        "error": stream_error(error),
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": "",
        "output": [],
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "usage": None,
    }
    event: Json = {"type": "response.failed", "response": response, "sequence_number": 0}
    return encode_event(msgspec.json.encode(event), "response.failed")


def _kind(status: int, code: str, kind: str, message: str) -> ErrorKind:
    found = _BY_CODE.get(code)
    if found is not None:
        return found
    if _BY_TYPE.get(kind) == "context_length" or (status in (0, 400) and _FULL.search(message)):
        return "context_length"
    found = _BY_STATUS.get(status)
    if found is not None:
        return found
    if status >= 500:
        return "api"
    return "invalid_request" if status >= 400 else _BY_TYPE.get(kind, "api")


def _status(kind: ErrorKind) -> int:
    """The HTTP status an error inside a stream would have had."""
    for status, named in _BY_STATUS.items():
        if named == kind:
            return status
    return 400 if kind == "context_length" else 502
