"""Metis's one error tree, as text first. Only exception types live here; what a client reads is made by `wire`.

MetisError
├── ConfigError                 metis.toml does not check: names file, field and remedy
├── RequestError (http_status)  the client's request cannot be served as it came
│   ├── BadRequest 400          malformed JSON, wrong types, missing fields
│   ├── Unauthenticated 401     no key, an unknown or a revoked one
│   ├── Forbidden 403           the key may not do this
│   ├── NotFound 404            no such path or model
│   ├── RequestTimeout 408      the request did not arrive in time
│   ├── TooLarge 413            the body is over the limit
│   ├── UnsupportedMedia 415    a content type or encoding that is not spoken here
│   ├── RateLimited 429         a limit of the gateway itself
│   └── HeadersTooLarge 431
├── RoutingError                no candidate is left (UnknownModel is its NotFound form)
├── CodecError                  bytes that are not what their API shape says
├── UpstreamFailure             a call that failed before or after its first byte
├── LedgerError                 the spool or the database refused a record
│   └── LedgerFull              the spool's disk bound is reached
├── StorageError                the database cannot be read, written or migrated
├── EmbeddedModelError          the embedded model's process did not start or died
├── UsageError                  a command's options are wrong: the command line leaves with 2
└── OutputError                 what had to be shown could not be written
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "BadRequest",
    "CodecError",
    "ConfigError",
    "EmbeddedModelError",
    "Forbidden",
    "HeadersTooLarge",
    "LedgerError",
    "LedgerFull",
    "MetisError",
    "NotFound",
    "OutputError",
    "RateLimited",
    "RequestError",
    "RequestTimeout",
    "RoutingError",
    "StorageError",
    "TooLarge",
    "Unauthenticated",
    "UnsupportedMedia",
    "UpstreamFailure",
    "UsageError",
]


class MetisError(Exception):
    """The root: catching this catches everything Metis raises on purpose."""


class ConfigError(MetisError):
    """Tell which setting is wrong and how to mend it.

    `field` is the dotted path in metis.toml (`providers.mine.kind`), "" when the file itself is wrong.
    """

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class RequestError(MetisError):
    """A request that cannot be served; `http_status` is what the client is answered with.

    `code` is a machine-readable word for the shapes that carry one; `details` rides in the error object.
    """

    http_status: ClassVar[int] = 400

    def __init__(
        self, message: str, *, code: str | None = None, details: dict[str, object] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.details = details


class BadRequest(RequestError):
    http_status = 400


class Unauthenticated(RequestError):
    http_status = 401


class Forbidden(RequestError):
    http_status = 403


class NotFound(RequestError):
    http_status = 404


class RequestTimeout(RequestError):
    http_status = 408


class TooLarge(RequestError):
    http_status = 413


class UnsupportedMedia(RequestError):
    http_status = 415


class RateLimited(RequestError):
    http_status = 429


class HeadersTooLarge(RequestError):
    http_status = 431


class RoutingError(MetisError):
    """No candidate is left after eligibility; the message says which were tried and why each fell."""


class CodecError(MetisError):
    """Bytes are not what their API shape says: `where` is a JSON path such as `messages[3].content`."""

    def __init__(self, message: str, *, where: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.where = where


class UpstreamFailure(MetisError):
    """A call that failed without a usable HTTP answer; `failure` is its `FailureClass` value."""

    def __init__(self, failure: str, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.failure = failure
        self.sent = (
            sent  # False: not one byte of the request left, so the call cannot have been billed
        )


class LedgerError(MetisError):
    """The ledger cannot take a record."""


class LedgerFull(LedgerError):
    """The spool's disk bound is reached and the policy is to refuse."""


class StorageError(MetisError):
    """The database cannot be opened, read, written or migrated."""


class EmbeddedModelError(MetisError):
    """The embedded model's process did not start, or died."""


class UsageError(MetisError):
    """A command's options are wrong; names the option and what it takes."""


class OutputError(MetisError):
    """What had to be shown could not be written, and the message says what became of it."""
