"""Errors of Metis's own as shape-neutral values, and the upstream's where the client must see another."""

from __future__ import annotations

from typing import Final

from metis.accounts.admission import Refusal
from metis.errors import CodecError, MetisError, RequestError
from metis.facts.failure import CallFailure, FailureCause, FailureClass
from metis.ir.response import BROKEN_OFF, ErrorInfo, ErrorKind

_KIND_BY_STATUS: Final[dict[int, ErrorKind]] = {
    400: "invalid_request",
    401: "authentication",
    402: "billing",
    403: "permission",
    404: "not_found",
    405: "invalid_request",
    408: "timeout",
    413: "request_too_large",
    415: "invalid_request",
    426: "invalid_request",
    429: "rate_limit",
    431: "request_too_large",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}


OWN_FAILURE: Final = ErrorInfo(status=500, kind="api", message="the gateway failed on this request")


def kind_of(status: int) -> ErrorKind:
    """The neutral kind of an HTTP status."""
    return _KIND_BY_STATUS.get(status, "api" if status >= 500 else "invalid_request")


def refusal(error: MetisError) -> ErrorInfo:
    """What to answer for an error raised while a request was read or routed."""
    match error:
        case RequestError():
            return ErrorInfo(
                status=error.http_status,
                kind=kind_of(error.http_status),
                message=str(error),
                code=error.code,
                details=error.details,
            )
        case CodecError():
            return ErrorInfo(status=400, kind="invalid_request", message=str(error))
        case _:
            return ErrorInfo(status=500, kind="api", message="the gateway failed on this request")


def of_failure(failure: CallFailure, provider: str) -> ErrorInfo:
    """What to answer when an upstream call gave no usable answer."""
    if failure.cause is FailureCause.LEDGER:
        return ErrorInfo(
            status=503,
            kind="overloaded",
            message="the ledger is full, so nothing may be spent; see 'metis doctor'",
            retry_after_s=5,
        )
    if failure.failure is FailureClass.TIMEOUT:
        return ErrorInfo(
            status=504,
            kind="timeout",
            message=f"response timeout: {provider} did not answer in time: {failure.message}",
        )
    if failure.cause is FailureCause.CUT:
        message = f"{BROKEN_OFF}: {provider} {failure.message}; send the request again"
        return ErrorInfo(status=502, kind="api", message=message)
    return ErrorInfo(
        status=502,
        kind="api",
        message=f"{provider} could not be reached: {failure.message}; see 'metis doctor'",
    )


def over_limit(refused: Refusal) -> ErrorInfo:
    """What to answer when admission let no call be made."""
    return ErrorInfo(
        status=429,
        kind="rate_limit",
        message=refused.message,
        code=refused.limit,
        retry_after_s=refused.retry_after_s,
    )


def nonsense(provider: str, detail: str) -> ErrorInfo:
    """What to answer when a 2xx answer is not what its shape says."""
    message = f"{provider} answered with nonsense: {detail}"
    return ErrorInfo(status=502, kind="api", message=message)


def credential_refused(provider: str, status: int) -> ErrorInfo:
    """The exception of promise P3: the gateway's own credential was turned down upstream.

    A client that saw this 401 would throw its own, perfectly good, Metis key away.
    """
    return ErrorInfo(
        status=502,
        kind="api",
        message=(
            f"{provider} refused the gateway's credential (HTTP {status}); "
            "its operator should run 'metis doctor'"
        ),
        code="upstream_credential_refused",
    )


THREAD_REFUSAL: Final = ErrorInfo(
    status=400,
    kind="invalid_request",
    message="thread is not supported by this gateway; send the whole conversation",
    # Anthropic's SDK looks for exactly this code and then resends the conversation unthreaded.
    details={"error_code": "thread_unsupported_request", "unsupported": ["thread"]},
)
