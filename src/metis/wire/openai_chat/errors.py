"""Errors of chat servers to the neutral form and back, whole bodies and in-stream ones. Nothing else.

OpenAI's form is `{"error": {"message", "type", "param", "code"}}`
(https://platform.openai.com/docs/guides/error-codes). Others seen: `{"detail": ...}`, `{"message": ...}`,
`{"error": "text"}`, a list with one error in it (Google), plain text and HTML from proxies.

What an error of another shape said stands inside ours as `error.metadata.upstream`, its extra fields
as `error.details`, its request id as `error.request_id`.
"""

from __future__ import annotations

import re
from typing import Any, Final, cast

from metis.errors import CodecError
from metis.ir.response import ErrorInfo, ErrorKind
from metis.wire.openai_chat.fields import Object, dump, dump_text, load

MAX_TEXT = 2_000  # of a body that is no JSON

# kind: (type, code, the status it has where none was given)
_OUT: Final[dict[ErrorKind, tuple[str, str | None, int]]] = {
    "invalid_request": ("invalid_request_error", None, 400),
    "authentication": ("invalid_request_error", "invalid_api_key", 401),
    "permission": ("invalid_request_error", "permission_denied", 403),
    "not_found": ("invalid_request_error", "not_found", 404),
    "request_too_large": ("invalid_request_error", "request_too_large", 413),
    "rate_limit": ("rate_limit_error", "rate_limit_exceeded", 429),
    "overloaded": ("server_error", "server_is_overloaded", 503),
    "timeout": ("server_error", "timeout", 504),
    "context_length": ("invalid_request_error", "context_length_exceeded", 400),
    "billing": ("insufficient_quota", "insufficient_quota", 429),
    "api": ("server_error", None, 500),
}

# Codes and types, both looked up here; the more telling code first.
_WORDS: Final[dict[str, ErrorKind]] = {
    "invalid_api_key": "authentication",
    "account_deactivated": "authentication",
    "authentication_error": "authentication",
    "permission_error": "permission",
    "permission_denied": "permission",
    "unsupported_country_region_territory": "permission",
    "model_not_found": "not_found",
    "deploymentnotfound": "not_found",
    "not_found_error": "not_found",
    "not_found": "not_found",
    "rate_limit_exceeded": "rate_limit",
    "rate_limit_error": "rate_limit",
    "ratelimitreached": "rate_limit",
    "insufficient_quota": "billing",
    "billing_hard_limit_reached": "billing",
    "billing_not_active": "billing",
    "billing_error": "billing",
    "context_length_exceeded": "context_length",
    "string_above_max_length": "context_length",
    "too_many_prompt_tokens": "context_length",  # Perplexity
    "exceed_context_size_error": "context_length",  # llama.cpp
    "request_too_large": "request_too_large",
    "overloaded_error": "overloaded",
    "server_is_overloaded": "overloaded",
    "service_unavailable": "overloaded",
    "slow_down": "overloaded",
    "timeout": "timeout",
    "server_error": "api",
    "internal_server_error": "api",
    "api_error": "api",
}

_BY_STATUS: Final[dict[int, ErrorKind]] = {
    401: "authentication",
    402: "billing",
    403: "permission",
    404: "not_found",
    408: "timeout",
    413: "request_too_large",
    429: "rate_limit",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}

# Servers without a code of their own say it in words.
_CONTEXT_WORDS: Final = re.compile(
    r"maximum context length|max context length|context window|context length|prompt (is )?too long"
    r"|too many (input |prompt )?tokens|exceeds? the available context",
    re.IGNORECASE,
)


def decode_error(status: int, body: bytes) -> ErrorInfo:
    """Read an error body of any form; never raises."""
    try:
        value = load(body, "the error")
    except CodecError:
        text = body.decode("utf-8", "replace").strip()[:MAX_TEXT]
        return ErrorInfo(
            status=status,
            kind=_kind(status, (), text),
            message=text or f"the upstream answered {status} without a body",
            original={"text": text} if text else None,
        )
    return error_of(status, value)


def error_of(status: int, value: object) -> ErrorInfo:
    """The error in a decoded body or chunk. `status` 0: there was no head of its own, the error tells."""
    whole = value
    if isinstance(value, list) and value:
        whole = cast(list[Any], value)[0]
    fields = cast(Object, whole) if isinstance(whole, dict) else {}
    inner: object = fields.get("error", fields)
    error = cast(Object, inner) if isinstance(inner, dict) else {}
    message = _message(fields, error, status)
    words = tuple(
        str(error[name]) for name in ("code", "type", "status") if error.get(name) is not None
    )
    status = status or _told_status(error)
    kind = _kind(status, words, message)
    code = error.get("code")
    param = error.get("param")
    request_id = error.get("request_id") or fields.get("request_id")
    return ErrorInfo(
        status=status or _OUT[kind][2],
        kind=kind,
        message=message,
        code=str(code) if isinstance(code, str | int) and code != "" else None,
        param=param if isinstance(param, str) else None,
        request_id=request_id if isinstance(request_id, str) else None,
        original=fields or {"text": message},
    )


def _message(fields: Object, error: Object, status: int) -> str:
    for holder, name in (
        (fields, "error"),
        (error, "message"),
        (fields, "message"),
        (fields, "detail"),
        (error, "detail"),
    ):
        found = holder.get(name)
        if isinstance(found, str) and found:
            return found
        if found and name != "error":
            return dump_text(found)
    if fields:
        return dump_text(fields)[:MAX_TEXT]
    return f"the upstream answered {status} without a message"


def _told_status(error: Object) -> int:
    """The HTTP status that an in-stream error carries (OpenRouter: code; Groq: status_code), else 0."""
    for name in ("status_code", "code", "status"):
        value = error.get(name)
        if isinstance(value, str) and value.isdigit():
            value = int(value[:4])
        if isinstance(value, int) and 400 <= value <= 599:
            return value
    return 0


def _kind(status: int, words: tuple[str, ...], message: str) -> ErrorKind:
    for word in words:
        found = _WORDS.get(word.lower())
        if found is not None and not (found == "api" and 400 <= status < 500):
            return found
    if status in (0, 400, 413, 422, 500) and _CONTEXT_WORDS.search(message):
        return "context_length"
    found = _BY_STATUS.get(status)
    if found is not None:
        return found
    if status == 0 and "invalid_request_error" not in words:
        return "api"
    return "api" if status >= 500 else "invalid_request"


def error_object(info: ErrorInfo) -> Object:
    """The `{"error": ...}` object for a client."""
    kind, code, _ = _OUT[info.kind]
    error: Object = {
        "message": info.message,
        "type": kind,
        "param": info.param,
        "code": info.code or code,
    }
    if info.details:
        error["details"] = info.details
    if info.original:
        error["metadata"] = {"upstream": info.original}
    if info.request_id:
        error["request_id"] = info.request_id
    return {"error": error}


def encode_error(info: ErrorInfo) -> bytes:
    return dump(error_object(info))


def encode_stream_error(info: ErrorInfo) -> bytes:
    """One event; the stream ends with it, without [DONE], so that no client takes it for a whole answer."""
    return b"data: %b\n\n" % encode_error(info)
