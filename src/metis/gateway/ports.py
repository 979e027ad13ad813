"""What the door needs from outside, as Protocols beside their consumer; `bootstrap` fills them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from metis.accounts.ring import KeyRing
from metis.trace.events import AnyForm
from metis.turn.actions import Call
from metis.turn.ports import CallHandle, CallListener


class Upstream(Protocol):
    """The only way out. `start` returns at once; what happens is told to the listener."""

    def start(self, call: Call, listener: CallListener) -> CallHandle: ...


class Ledger(Protocol):
    """Where events are written down, at once and in order.

    `append` raises LedgerError (LedgerFull) when it cannot. `keep` holds what it refused until there is room;
    `catch_up` looks whether there is, and gives how many events wait. `unledgered` counts what was dropped.
    """

    unledgered: int

    def append(self, events: Sequence[AnyForm]) -> None: ...

    def keep(self, events: Sequence[AnyForm]) -> None: ...

    def catch_up(self) -> int: ...


class Keys(Protocol):
    """The keys as of now: a revocation shows in the very next ring."""

    def ring(self) -> KeyRing: ...


CounterName = Literal[
    "requests",
    "auth_failures",
    "client_gone",
    "unledgered",
    "connections",
    "active_connections",
    "active_turns",
]


class Counters(Protocol):
    """The worker's live numbers, shared with the admin plane."""

    def add(self, name: CounterName, amount: int = 1) -> None: ...

    def beat(self, now_ts: int) -> None: ...
