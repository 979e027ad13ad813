"""The `llm` family: one upstream call's beginning and end. No prompt or reply text, ever (promise P7)."""

from __future__ import annotations

from typing import Literal

from metis.facts.usage import PaidBy, Usage, UsageSource
from metis.trace.events.event import Event

CallRole = Literal[
    "main", "auxiliary", "judge", "worker", "curator", "shadow", "hedge", "probe", "relay"
]
CallOutcome = Literal["ok", "error", "aborted", "interrupted"]


class LlmCallStarted(Event, frozen=True, kw_only=True, tag="llm.call_started"):
    """An upstream call is about to leave. Spooled before its first byte does (promise P4)."""

    role: CallRole
    provider: str
    model: str
    requested_model: str
    operation: str  # generate, count_tokens, embeddings, completions, relay
    shape: str  # of the client
    upstream_shape: str
    stream: bool = False
    paid_by: PaidBy = PaidBy.GATEWAY
    request_bytes: int = 0


class LlmCallCompleted(Event, frozen=True, kw_only=True, tag="llm.call_completed"):
    """An upstream call is over, well or badly. Spooled before the client's terminator is released.

    `outcome`: ok (a 2xx answer, whole), error (anything else the upstream or network did), aborted
    (the client hung up, or the gateway cancelled), interrupted (the gateway died: written by the
    recorder). `http_status` is 0 when no head came. Durations are milliseconds from the call's
    start; `first_byte_ms` is -1 when no body byte came. `price_unknown`: no price is known
    (`cost_nano_usd` is 0), or none for the parts that `unpriced` names (the cost lacks them).
    """

    role: CallRole
    provider: str
    model: str
    requested_model: str
    operation: str
    shape: str
    upstream_shape: str
    stream: bool = False
    paid_by: PaidBy = PaidBy.GATEWAY
    outcome: CallOutcome
    http_status: int = 0
    failure: str = ""
    failure_cause: str = ""
    error_type: str = ""
    usage: Usage = Usage()
    usage_source: UsageSource = UsageSource.UNKNOWN
    cost_nano_usd: int = 0
    price_unknown: bool = False
    unpriced: tuple[str, ...] = ()
    stop: str = ""
    tool_calls: int = 0
    response_id: str = ""
    response_model: str = ""
    upstream_request_id: str = ""
    request_bytes: int = 0
    response_bytes: int = 0
    first_byte_ms: float = -1.0
    duration_ms: float = 0.0

    is_compliance = True
