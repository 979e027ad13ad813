"""Everything turns share under one configuration, as one value. A new configuration makes a new engine."""

from __future__ import annotations

from dataclasses import dataclass, field

from metis.accounts.admission import Admission
from metis.facts.ids import IdFactory
from metis.providers.provider import Provider
from metis.routing.chain import Router
from metis.turn.decisions import DecisionBook
from metis.turn.ports import Clock, Identify, Pricing
from metis.turn.sessions import SessionBook
from metis.turn.settings import TurnSettings
from metis.wire.codec import Shape, UpstreamShape


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """The services of a turn. Requests in flight keep the engine they began with."""

    shapes: dict[str, Shape]
    upstream_shapes: dict[str, UpstreamShape]
    providers: dict[str, Provider]
    router: Router
    pricing: Pricing
    admission: Admission
    identify: Identify
    sessions: SessionBook
    ids: IdFactory
    clock: Clock
    settings: TurnSettings
    generation: int = 0
    embedded: bool = False
    decisions: DecisionBook = field(default_factory=DecisionBook)
