"""Anthropic's error objects, both ways: HTTP bodies and the stream's `error` event.

Source: platform.claude.com/docs/en/api/errors. Which failure class an error has is decided elsewhere.
"""

from __future__ import annotations

import html
import re

import msgspec

from metis.ir.response import ErrorInfo, ErrorKind
from metis.wire.fields import Json, as_object, dump_json
from metis.wire.sse import encode_event

MAX_TEXT = 2_000  # characters kept of an error body that is no JSON (a proxy's HTML page)

TYPE_TO_KIND: dict[str, ErrorKind] = {
    "invalid_request_error": "invalid_request",
    "authentication_error": "authentication",
    "billing_error": "billing",
    "permission_error": "permission",
    "not_found_error": "not_found",
    "request_too_large": "request_too_large",
    "rate_limit_error": "rate_limit",
    "timeout_error": "timeout",
    "api_error": "api",
    "overloaded_error": "overloaded",
}

KIND_TO_TYPE: dict[ErrorKind, str] = {
    **{kind: name for name, kind in TYPE_TO_KIND.items()},
    "context_length": "invalid_request_error",
}

STATUS_TO_KIND: dict[int, ErrorKind] = {
    400: "invalid_request",
    401: "authentication",
    402: "billing",
    403: "permission",
    404: "not_found",
    408: "timeout",
    413: "request_too_large",
    422: "invalid_request",
    429: "rate_limit",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}

KIND_TO_STATUS: dict[ErrorKind, int] = {
    "invalid_request": 400,
    "context_length": 400,
    "authentication": 401,
    "billing": 402,
    "permission": 403,
    "not_found": 404,
    "timeout": 408,
    "request_too_large": 413,
    "rate_limit": 429,
    "api": 500,
    "overloaded": 529,
}

_PASSING: frozenset[ErrorKind] = frozenset({"api", "timeout"})

# Claude Code and other agents compact the conversation when they read these words.
TOO_LONG = "prompt is too long"
_CONTEXT_WORDS = (TOO_LONG, "exceed context limit", "context window")

_TAGS = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)


def decode_error(status: int, body: bytes) -> ErrorInfo:
    """Read an error body. Whatever it holds gives an ErrorInfo: bodies that are no JSON become its message."""
    try:
        value = as_object(msgspec.json.decode(body))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        value = None
    if value is None:
        text = _plain(body)
        return ErrorInfo(
            status=status,
            kind=_kind_of_status(status),
            message=text or f"the upstream answered {status} without a body",
            original={"text": text} if text else None,
        )
    return error_of(value, status=status)


def error_of(value: Json, *, status: int = 0) -> ErrorInfo:
    """Read a decoded error object; with `status` 0 (a stream's event) the status comes from its type."""
    error = as_object(value.get("error")) or value
    name = error.get("type")
    message = error.get("message")
    kind = TYPE_TO_KIND.get(name) if isinstance(name, str) else None
    if kind is None:
        kind = _kind_of_status(status) if status else "api"
    text = message if isinstance(message, str) else dump_json(value).decode()[:MAX_TEXT]
    if kind in ("invalid_request", "request_too_large") and is_context_message(text):
        kind = "context_length"
    details = as_object(error.get("details"))
    code = (details or {}).get("error_code")
    request_id = value.get("request_id")
    return ErrorInfo(
        status=status or KIND_TO_STATUS[kind],
        kind=kind,
        message=text,
        code=code if isinstance(code, str) else None,
        request_id=request_id if isinstance(request_id, str) else None,
        details=details,
        original=value,
    )


def is_context_message(message: str) -> bool:
    lowered = message.lower()
    return any(words in lowered for words in _CONTEXT_WORDS)


def encode_error(error: ErrorInfo) -> bytes:
    """Write `{"type":"error","error":{"type","message","details"?},"request_id"?}`.

    An error that came in this shape goes out as it came. One of another shape keeps the upstream's
    sentence as its message and carries the upstream's whole object as `error.details.upstream`; where
    it means that the prompt is too long, the message begins with Anthropic's words for that.
    """
    return dump_json(error_body(error))


def encode_stream_error(error: ErrorInfo) -> bytes:
    """Write the `error` event. What broke a stream off is passing trouble, and is called `overloaded_error`.

    On that word OpenCode, pi and Continue send the turn again; `api_error` inside a stream ends their run. An
    error that came in this shape keeps its own.
    """
    if error.kind in _PASSING:
        error = msgspec.structs.replace(error, kind="overloaded")
    return encode_event(dump_json(error_body(error)), "error")


def error_body(error: ErrorInfo) -> Json:
    original = error.original
    if original is not None and _is_own(original, error.message):
        return original
    message = error.message
    if error.kind == "context_length" and TOO_LONG not in message.lower():
        message = f"{TOO_LONG}: {message}"
    body: Json = {"type": KIND_TO_TYPE[error.kind], "message": message}
    details: Json = dict(error.details or {})
    if original is not None:
        details["upstream"] = original
    if error.code is not None:
        details.setdefault("error_code", error.code)
    if details:
        body["details"] = details
    whole: Json = {"type": "error", "error": body}
    if error.request_id is not None:
        whole["request_id"] = error.request_id
    return whole


def _is_own(original: Json, message: str) -> bool:
    if original.get("type") != "error":
        return False
    error = as_object(original.get("error"))
    return error is not None and error.get("message") == message


def _kind_of_status(status: int) -> ErrorKind:
    found = STATUS_TO_KIND.get(status)
    if found is not None:
        return found
    return "invalid_request" if 400 <= status < 500 else "api"


def _plain(body: bytes) -> str:
    text = body.decode("utf-8", "replace").strip()
    if text.startswith("<"):
        text = " ".join(html.unescape(_TAGS.sub(" ", text)).split())
    return text[:MAX_TEXT]
