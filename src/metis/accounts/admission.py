"""The port through which a turn asks whether it may spend, before each attempt, and settles after it (promise P5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from metis.facts.identity import Principal


class Reservation(msgspec.Struct, frozen=True):
    """What was set aside for one attempt, in nano-dollars. Settle it exactly once."""

    key_id: str
    call_id: str
    nano_usd: int


class Refusal(msgspec.Struct, frozen=True):
    """Why not: `limit` names what was reached, `message` says it with the remedy."""

    limit: str
    message: str
    retry_after_s: float | None = None


class Admission(Protocol):
    """Reserve the most an attempt can cost before it, return the rest after. Both are memory-only and quick.

    `most_nano_usd` is only worth working out for a key that has a limit.
    """

    def reserve(
        self, principal: Principal, call_id: str, most_nano_usd: Callable[[], int]
    ) -> Reservation | Refusal: ...

    def settle(self, reservation: Reservation, actual_nano_usd: int) -> None: ...
