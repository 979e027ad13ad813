"""The `route` family: which model, and why (promise P8)."""

from __future__ import annotations

from metis.facts.decision import RouteDecision
from metis.trace.events.event import Event


class RouteDecided(Event, frozen=True, kw_only=True, tag="route.decided"):
    """The seven slots' verdicts and the choice. `policy` names the config generation that held."""

    decision: RouteDecision
    policy: int = 0

    is_compliance = True
