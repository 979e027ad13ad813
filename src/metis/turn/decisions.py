"""Telling a decision in full once: a worker makes a handful, and their words are most of what a turn writes down."""

from __future__ import annotations

from typing import Final

import msgspec

from metis.facts.decision import RouteDecision
from metis.trace.events.route import decision_id_of

_MOST_KEPT: Final = 1024
_TOLD_AGAIN_AFTER: Final = (
    256  # so that one that never reached the ledger is missed for so long only
)

_encode: Final = msgspec.json.Encoder().encode


class _Told(msgspec.Struct):
    decision: RouteDecision  # held, so that nothing else gets its identity
    decision_id: str
    times: int = 0


class DecisionBook:
    """Remember which decisions this worker's spool was told. One per worker, for as long as its spool lives."""

    __slots__ = ("_told",)

    def __init__(self) -> None:
        self._told: dict[int, _Told] = {}

    def tell(self, decision: RouteDecision) -> tuple[str, RouteDecision | None]:
        """The decision's id, and the decision itself where it has to be told (again)."""
        told = self._told.get(id(decision))
        if told is None:
            if len(self._told) >= _MOST_KEPT:
                self._told.clear()
            told = self._told[id(decision)] = _Told(decision, decision_id_of(_encode(decision)))
        elif told.times < _TOLD_AGAIN_AFTER:
            told.times += 1
            return told.decision_id, None
        told.times = 1
        return told.decision_id, decision
