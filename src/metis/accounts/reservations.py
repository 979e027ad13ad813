"""Reservations in memory: how much the calls that are under way could still cost, by key. No clock, no storage.

This is the Admission port of one process. What was spent is the ledger's; budgets over time need both, and a share
that is leased to each worker.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from metis.accounts.admission import Refusal, Reservation
from metis.facts.identity import Principal

_RETRY_AFTER_S: Final = 2.0
_NANO_USD: Final = 1_000_000_000
_NOTHING: Final = Reservation("", "", 0)


class Reservations:
    """Admit a call while what its key has under way stays within `most_nano_usd`; None admits all, and counts nothing.

    `open_nano_usd` holds only keys that have something under way.
    """

    __slots__ = ("_most_nano_usd", "open_nano_usd")

    def __init__(self, most_nano_usd: int | None = None) -> None:
        self._most_nano_usd = most_nano_usd
        self.open_nano_usd: dict[str, int] = {}

    def reserve(
        self, principal: Principal, call_id: str, most_nano_usd: Callable[[], int]
    ) -> Reservation | Refusal:
        """See Admission. A call that could cost more than all that is allowed is never admitted."""
        limit = self._most_nano_usd
        if limit is None:
            return _NOTHING
        key_id, wanted = principal.key_id, most_nano_usd()
        held = self.open_nano_usd.get(key_id, 0)
        if held + wanted > limit:
            return Refusal("most_open_usd", _why_not(wanted, held, limit), _RETRY_AFTER_S)
        self.open_nano_usd[key_id] = held + wanted
        return Reservation(key_id, call_id, wanted)

    def settle(self, reservation: Reservation, actual_nano_usd: int) -> None:
        """See Admission."""
        if reservation is _NOTHING:
            return
        key_id = reservation.key_id
        left = self.open_nano_usd.get(key_id, 0) - reservation.nano_usd
        if left > 0:
            self.open_nano_usd[key_id] = left
        else:
            self.open_nano_usd.pop(key_id, None)  # a call that costs nothing may end last


def _why_not(wanted: int, held: int, limit: int) -> str:
    if wanted > limit:
        remedy = "ask for fewer tokens (max_tokens), or raise accounts.most_open_usd"
    else:
        remedy = "wait for a call of this key to end, or raise accounts.most_open_usd"
    return (
        f"this call could cost ${wanted / _NANO_USD:.6g}, the key's calls under way ${held / _NANO_USD:.6g}; "
        f"together at most ${limit / _NANO_USD:.6g} may be open in this worker: {remedy}"
    )
