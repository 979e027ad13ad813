"""Bedrock's errors: HTTP bodies, and the exceptions that end a stream.

An HTTP error's kind stands in the head (`x-amzn-errortype`), its body holds the message alone: so the status tells.
Source: docs.aws.amazon.com/bedrock/latest/APIReference: API_runtime_Converse ("Errors") and ConverseStreamOutput.
"""

from __future__ import annotations

from typing import Final

import msgspec

from metis.ir.response import ErrorInfo, ErrorKind
from metis.wire.fields import Json, as_object, dump_json

MAX_TEXT: Final = 2_000  # characters kept of an error body that is no JSON

_BY_NAME: Final[dict[str, tuple[int, ErrorKind]]] = {
    "validationexception": (400, "invalid_request"),
    "accessdeniedexception": (403, "permission"),
    "unrecognizedclientexception": (403, "authentication"),
    "expiredtokenexception": (403, "authentication"),
    "resourcenotfoundexception": (404, "not_found"),
    "modeltimeoutexception": (408, "timeout"),
    "modelerrorexception": (424, "api"),
    "modelstreamerrorexception": (424, "api"),
    "throttlingexception": (429, "rate_limit"),
    "servicequotaexceededexception": (429, "rate_limit"),
    "modelnotreadyexception": (429, "overloaded"),
    "internalserverexception": (500, "api"),
    "serviceunavailableexception": (503, "overloaded"),
}
_BY_STATUS: Final[dict[int, ErrorKind]] = {
    400: "invalid_request",
    401: "authentication",
    403: "permission",
    404: "not_found",
    408: "timeout",
    413: "request_too_large",
    424: "api",
    429: "rate_limit",
    503: "overloaded",
}
_TOO_LONG: Final = ("prompt is too long", "input is too long", "too many input tokens")


def decode_error(status: int, body: bytes) -> ErrorInfo:
    """Read an error body. Whatever it holds gives an ErrorInfo: bodies that are no JSON become its message."""
    try:
        value = as_object(msgspec.json.decode(body))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        value = None
    if value is not None:
        return error_of(value, name=_name_in(value), status=status)
    text = body.decode("utf-8", "replace").strip()[:MAX_TEXT]
    return ErrorInfo(
        status=status,
        kind=_kind_of_status(status),
        message=text or f"the upstream answered {status} without a body",
        original={"text": text} if text else None,
    )


def error_of(value: Json, *, name: str, status: int = 0) -> ErrorInfo:
    """Read a decoded error; `name` is the exception's where it is known, `status` 0 in a stream."""
    known = _BY_NAME.get(name.lower())
    kind = known[1] if known else _kind_of_status(status)
    message = value.get("message", value.get("Message"))
    text = message if isinstance(message, str) else dump_json(value).decode()[:MAX_TEXT]
    if kind == "invalid_request" and any(words in text.lower() for words in _TOO_LONG):
        kind = "context_length"
    return ErrorInfo(
        status=status or (known[0] if known else 500),
        kind=kind,
        message=text,
        code=name or None,
        original=value,
    )


def _name_in(value: Json) -> str:
    """Some of AWS's front ends name the exception in the body, behind a namespace."""
    named = value.get("__type")
    return named.rpartition("#")[2] if isinstance(named, str) else ""


def _kind_of_status(status: int) -> ErrorKind:
    found = _BY_STATUS.get(status)
    if found is not None:
        return found
    return "invalid_request" if 400 <= status < 500 else "api"
