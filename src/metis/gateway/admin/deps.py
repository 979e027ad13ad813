"""What the admin plane is given from outside; `bootstrap` fills it. No behaviour."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import metis
from metis.accounts.ports import AccountStore, Generations
from metis.analytics.ports import BaselinePricer, LedgerQueries
from metis.gateway.admin.metrics import GatewayMetrics


def _nothing_wrong() -> Sequence[str]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminDeps:
    """The admin plane's surroundings.

    `accounts` belongs to the admin plane: it is called from worker threads, one call at a time.
    `admin_token_digest` is `sessions.digest_of(token)`. `bound_host` is the address the socket is bound
    to, `allowed_hosts` are further names the plane is reached by. `not_ready` gives the reasons why the
    gateway cannot serve right now. `clock` is epoch microseconds. Without `baseline` reports carry no
    comparison.
    """

    queries: LedgerQueries
    accounts: AccountStore
    admin_token_digest: bytes
    metrics: GatewayMetrics
    generations: Generations
    bound_host: str = "127.0.0.1"
    allowed_hosts: tuple[str, ...] = ()
    baseline: BaselinePricer | None = None
    not_ready: Callable[[], Sequence[str]] = _nothing_wrong
    clock: Callable[[], int] = field(default=lambda: time.time_ns() // 1000)
    version: str = metis.__version__
