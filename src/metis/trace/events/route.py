"""The `route` family: which model, and why (promise P8)."""

from __future__ import annotations

from hashlib import blake2b

from metis.facts.decision import RouteDecision
from metis.trace.events.event import TurnEvent

_DIGEST_BYTES = 16


class RouteDecided(TurnEvent, frozen=True, array_like=True, tag="route.decided", gc=False):
    """The seven slots' verdicts and the choice. `policy` names the config generation that held.

    A worker's decisions are few and long, so each is told once: `decision_id` is `decision_id_of` the
    decision as JSON, and `decision` is None where the same spool told it before under this id. A decision
    without an id is one whose writer tells it every time.
    """

    decision_id: str = ""
    decision: RouteDecision | None = None
    policy: int = 0

    is_compliance = True
    mark = "route"


def decision_id_of(encoded: bytes) -> str:
    """The id of a decision encoded by msgspec's JSON encoder: 32 hex characters of BLAKE2b."""
    return blake2b(encoded, digest_size=_DIGEST_BYTES).hexdigest()
