"""Google's errors: `{"error": {code, message, status, details}}`, in a list of one where a stream was asked for.

Source: google.aip.dev/193 and ai.google.dev/gemini-api/docs/troubleshooting. A key that is not valid is told with 400.
"""

from __future__ import annotations

from typing import Final

import msgspec

from metis.ir.response import ErrorInfo, ErrorKind
from metis.wire.fields import Json, as_list, as_object, dump_json

MAX_TEXT: Final = 2_000  # characters kept of an error body that is no JSON
BAD_KEY: Final = "API_KEY_INVALID"

_BY_NAME: Final[dict[str, ErrorKind]] = {
    "INVALID_ARGUMENT": "invalid_request",
    "FAILED_PRECONDITION": "invalid_request",
    "OUT_OF_RANGE": "invalid_request",
    "UNAUTHENTICATED": "authentication",
    "PERMISSION_DENIED": "permission",
    "NOT_FOUND": "not_found",
    "RESOURCE_EXHAUSTED": "rate_limit",
    "UNAVAILABLE": "overloaded",
    "DEADLINE_EXCEEDED": "timeout",
    "INTERNAL": "api",
    "UNKNOWN": "api",
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
}
_TOO_LONG: Final = ("exceeds the maximum number of tokens", "input token count")


def decode_error(status: int, body: bytes) -> ErrorInfo:
    """Read an error body. Whatever it holds gives an ErrorInfo: bodies that are no JSON become its message."""
    try:
        value = error_in(msgspec.json.decode(body))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        value = None
    if value is not None:
        return error_of(value, status=status)
    text = body.decode("utf-8", "replace").strip()[:MAX_TEXT]
    return ErrorInfo(
        status=status,
        kind=_kind_of_status(status),
        message=text or f"the upstream answered {status} without a body",
        original={"text": text} if text else None,
    )


def error_in(value: object) -> Json | None:
    """The error object of a decoded body, which may stand in a list; None where there is none."""
    items = as_list(value)
    whole = as_object(items[0] if items else value)
    return as_object(whole.get("error")) if whole is not None else None


def error_of(error: Json, *, status: int = 0) -> ErrorInfo:
    """Read an error object; `status` 0: it came in a stream, so its own code tells."""
    code = error.get("code")
    if not status:
        status = code if isinstance(code, int) and 400 <= code < 600 else 500
    named, message = error.get("status"), error.get("message")
    name = named if isinstance(named, str) else ""
    text = message if isinstance(message, str) else dump_json(error).decode()[:MAX_TEXT]
    kind = _BY_NAME.get(name) or _kind_of_status(status)
    details = as_list(error.get("details")) or []
    if BAD_KEY in [(as_object(one) or {}).get("reason") for one in details]:
        kind, name = "authentication", BAD_KEY
    elif kind == "invalid_request" and any(words in text.lower() for words in _TOO_LONG):
        kind = "context_length"
    return ErrorInfo(
        status=status, kind=kind, message=text, code=name or None, original={"error": error}
    )


def _kind_of_status(status: int) -> ErrorKind:
    found = _BY_STATUS.get(status)
    if found is not None:
        return found
    return "invalid_request" if 400 <= status < 500 else "api"
