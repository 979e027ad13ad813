"""The classes a failed call can have, and which of them another attempt can cure. No exception types here."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class FailureClass(StrEnum):
    NETWORK = "network"
    TIMEOUT = "timeout"
    OVERLOADED = "overloaded"
    RATE_LIMITED = "rate_limited"
    AUTH = "auth"
    INVALID_REQUEST = "invalid_request"
    CONTEXT_LENGTH = "context_length"
    UPSTREAM = "upstream"


class FailureCause(StrEnum):
    """What exactly went wrong on the network, for classes NETWORK and TIMEOUT."""

    NONE = ""
    DNS = "dns"
    REFUSED = "refused"
    RESET = "reset"
    TLS = "tls"
    PROTOCOL = "protocol"  # the upstream did not speak HTTP
    STALE = "stale"  # a pooled connection was closed before one byte of the answer
    CUT = "cut"  # the answer ended before its end
    CONNECT_TIMEOUT = "connect_timeout"
    FIRST_BYTE_TIMEOUT = "first_byte_timeout"
    IDLE_TIMEOUT = "idle_timeout"
    LEDGER = "ledger"  # the spool refused the record, so the call was never made
    TOO_LARGE = "too_large"


class CallFailure:
    """Why a call gave no usable answer. `sent` is False when not one byte of the request left."""

    __slots__ = ("cause", "failure", "message", "sent")

    def __init__(
        self, failure: FailureClass, cause: FailureCause, message: str, *, sent: bool
    ) -> None:
        self.failure = failure
        self.cause = cause
        self.message = message
        self.sent = sent


CURABLE: Final = frozenset(
    {
        FailureClass.NETWORK,
        FailureClass.TIMEOUT,
        FailureClass.OVERLOADED,
        FailureClass.RATE_LIMITED,
        FailureClass.UPSTREAM,
    }
)

_BY_STATUS: Final = {
    400: FailureClass.INVALID_REQUEST,
    401: FailureClass.AUTH,
    403: FailureClass.AUTH,
    404: FailureClass.INVALID_REQUEST,
    408: FailureClass.TIMEOUT,
    413: FailureClass.CONTEXT_LENGTH,
    429: FailureClass.RATE_LIMITED,
    503: FailureClass.OVERLOADED,
    504: FailureClass.TIMEOUT,
    529: FailureClass.OVERLOADED,
}


def classify_status(status: int) -> FailureClass:
    """Class an HTTP error status; provider error tables refine this by the body's error type."""
    found = _BY_STATUS.get(status)
    if found is not None:
        return found
    return FailureClass.UPSTREAM if status >= 500 else FailureClass.INVALID_REQUEST
