"""The port through which reports read the ledger, and the values it answers with. Implementations live in `storage`.

Conventions of all values: money is integer nano-dollars (`_nano_usd`), a time is epoch microseconds UTC
(`_ts`), a duration integer microseconds (`_us`). "" means "does not apply".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal, Protocol

import msgspec

from metis.analytics.window import EVER, Window
from metis.facts.decision import RouteDecision
from metis.facts.usage import PaidBy, Usage, UsageSource
from metis.trace.events.turn import FidelityNote, TurnFeatures

Dimension = Literal[
    "org", "team", "user", "project", "key", "session", "client", "provider", "model"
]

# A session id is the client's own word, so it means a session only together with the key; a model's
# name means a model only together with the provider.
COLUMNS: Final[Mapping[Dimension, tuple[str, ...]]] = MappingProxyType(
    {
        "org": ("org_id",),
        "team": ("team_id",),
        "user": ("user_id",),
        "project": ("project_id",),
        "key": ("key_id",),
        "session": ("key_id", "session_id"),
        "client": ("client",),
        "provider": ("provider",),
        "model": ("provider", "model"),
    }
)


class LedgerFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of the ledger is meant: every field given must hold; `turn_ids` empty means all.

    A call belongs to the time it started, a turn to the time it ended.
    """

    window: Window = EVER
    org_id: str | None = None
    team_id: str | None = None
    user_id: str | None = None
    project_id: str | None = None
    key_id: str | None = None
    session_id: str | None = None
    client: str | None = None
    provider: str | None = None
    model: str | None = None
    turn_ids: tuple[str, ...] = ()


class SpendCell(msgspec.Struct, frozen=True, kw_only=True):
    """The sums over finished calls that are alike in all the fields before `calls`.

    `group` holds the grouping's column values in the order of `columns_of`; `bucket` counts the
    windows asked for, from 0. `day_ts` is the UTC day's start when days were asked apart, else 0.
    """

    bucket: int
    group: tuple[str, ...]
    day_ts: int
    provider: str
    model: str
    operation: str
    role: str
    paid_by: PaidBy
    usage_source: UsageSource
    outcome: str
    calls: int
    usage: Usage
    cost_nano_usd: int
    price_unknown_calls: int


class TurnCount(msgspec.Struct, frozen=True):
    """How many turns ended in a window for a group. Token counting requests are no turns."""

    bucket: int
    group: tuple[str, ...]
    turns: int


class SpendCells(msgspec.Struct, frozen=True):
    """One consistent reading of the ledger: no row was added between its parts.

    `open_calls` started in the range and have not ended (yet): they are in no sum.
    """

    cells: Sequence[SpendCell]
    turns: Sequence[TurnCount]
    open_calls: int


class CallRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One upstream call as the ledger has it. `completed_ts` is None while it runs."""

    rowid: int
    call_id: str
    turn_id: str
    started_ts: int
    completed_ts: int | None
    org_id: str
    team_id: str
    user_id: str
    project_id: str
    key_id: str
    client: str
    session_id: str
    agent_id: str
    attempt: int
    arm: str
    role: str
    provider: str
    model: str
    requested_model: str
    operation: str
    shape: str
    upstream_shape: str
    stream: bool
    paid_by: PaidBy
    outcome: str
    http_status: int
    failure: str
    failure_cause: str
    error_type: str
    usage: Usage
    usage_source: UsageSource
    cost_nano_usd: int
    price_unknown: bool
    unpriced: tuple[str, ...]
    stop: str
    tool_calls: int
    response_id: str
    response_model: str
    upstream_request_id: str
    request_bytes: int
    response_bytes: int
    first_byte_us: int | None
    duration_us: int


class TurnSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One turn with the sums of its finished calls. `cost_nano_usd` is what the gateway's credentials paid.

    `unreported_calls` have an estimated or unknown usage. `slot` and `reason` are the decision's, "" when
    the turn ended before one.
    """

    rowid: int
    turn_id: str
    ts: int
    org_id: str
    team_id: str
    user_id: str
    project_id: str
    key_id: str
    client: str
    client_version: str
    session_id: str
    agent_id: str
    parent_agent_id: str
    previous_turn_id: str
    operation: str
    shape: str
    requested_model: str
    provider: str
    model: str
    slot: str
    reason: str
    outcome: str
    http_status: int
    attempts: int
    auxiliary: str
    request_class: str
    stream: bool
    response_id: str
    overhead_us: int
    duration_us: int
    calls: int
    usage: Usage
    cost_nano_usd: int
    client_cost_nano_usd: int
    unreported_calls: int
    price_unknown_calls: int


class TurnDetail(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of one turn. `turn` is None while it runs (promise P8: the decision is there)."""

    turn_id: str
    turn: TurnSummary | None
    decision: RouteDecision | None
    calls: tuple[CallRecord, ...]
    fidelity: tuple[FidelityNote, ...]
    features: TurnFeatures | None


class SessionSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One conversation, scoped by its key. Counts cover finished calls and turns."""

    key_id: str
    session_id: str
    org_id: str
    team_id: str
    user_id: str
    project_id: str
    client: str
    first_ts: int
    last_ts: int
    turns: int
    calls: int
    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    output_tokens: int
    cost_nano_usd: int
    client_cost_nano_usd: int
    price_unknown_calls: int
    unreported_calls: int


class LedgerQueries(Protocol):
    """Read the ledger. Methods block, may be called from any thread, and never write.

    All raise StorageError when the database cannot be read, or an answer took longer than the
    implementation's deadline.
    """

    def spend(
        self,
        where: LedgerFilter,
        group_by: Sequence[Dimension] = (),
        edges: Sequence[int] = (),
        *,
        days_apart: bool = False,
    ) -> SpendCells:
        """Sum finished calls by group. `edges` cut `where.window` into buckets at those instants.

        With `edges` (ascending, at least two), the buckets lie between neighbours and the window of
        `where` is not looked at. Whole UTC hours are answered from hourly rollups.
        """
        ...

    def calls(
        self, where: LedgerFilter, *, after_rowid: int = 0, limit: int = 1000
    ) -> Sequence[CallRecord]:
        """Calls, open ones too, in the order of arrival; page on with the last one's rowid."""
        ...

    def turns(
        self, where: LedgerFilter, *, before_rowid: int | None = None, limit: int = 50
    ) -> Sequence[TurnSummary]:
        """Turns, newest first; page on with the last one's rowid."""
        ...

    def tail(self, after_rowid: int | None, limit: int = 100) -> Sequence[TurnSummary]:
        """Turns that arrived after a row, oldest first; None asks for the newest `limit` ones."""
        ...

    def turn(self, turn_id: str) -> TurnDetail | None:
        """Find a turn by its id, or by the response id its client was given."""
        ...

    def sessions(
        self, *, limit: int = 50, key_id: str | None = None, session_id: str | None = None
    ) -> Sequence[SessionSummary]:
        """Conversations, the one used last first."""
        ...

    def extent(self) -> Window | None:
        """From the first call's start to just after the last one's; None while there is none."""
        ...

    def close(self) -> None: ...


class BaselinePricer(Protocol):
    """What the baseline model would have cost: the model that would serve all, were there no routing."""

    @property
    def model(self) -> str:
        """The baseline model's name, as shown to people."""
        ...

    def price(self, provider: str, model: str, usage: Usage, at_ts: int) -> int | None:
        """Price a call that `model` answered as if the baseline model had; None when nobody can say.

        None for embedded models too: what costs nothing anywhere saves nothing here.
        """
        ...


def columns_of(group_by: Sequence[Dimension]) -> tuple[str, ...]:
    """The columns a grouping means, each once, in order."""
    return tuple(dict.fromkeys(column for name in group_by for column in COLUMNS[name]))
