"""Which price a call has: the service tier that its answer names, else the one that was asked for."""

from __future__ import annotations

from typing import Final, NamedTuple

from metis.catalog.rates import ModelPrice
from metis.errors import CodecError
from metis.turn.engine import Engine
from metis.turn.intake import max_tokens
from metis.turn.state import CallState, Intake, Outbound
from metis.wire.codec import ResponseFacts
from metis.wire.splice import Fields, text_field, top_level

# What providers call the tier that everybody has; price lists have no entry of its own for it.
_STANDARD: Final = frozenset({"", "auto", "default", "standard", "standard_only", "on_demand"})
_MOST_CHARACTERS: Final = 32  # of a tier's name; prices are kept by it


class Tier(NamedTuple):
    """A service tier and a speed in the provider's words; "" where none was named."""

    service_tier: str = ""
    speed: str = ""


_NO_TIER: Final = Tier()


def asked_tier(intake: Intake, outbound: Outbound) -> Tier:
    """What the request that leaves asks for; nonsense is the upstream's to refuse."""
    fields = intake.body.fields
    if "service_tier" not in fields and "speed" not in fields:
        return _NO_TIER
    try:
        if outbound.context is not None:
            fields = top_level(
                outbound.body
            )  # a crossing may have left it out, or called it otherwise
        return Tier(_word(fields, "service_tier"), _word(fields, "speed"))
    except CodecError:
        return _NO_TIER


def price_of(engine: Engine, call: CallState, facts: ResponseFacts) -> ModelPrice | None:
    """The price of a call that ended so, on the day it began. What the answer says counts before what was asked."""
    tier = facts.service_tier or call.asked_tier
    speed = facts.speed or call.asked_speed
    return _price(engine, call, tier, speed)


def most_it_can_cost(engine: Engine, call: CallState, intake: Intake) -> int:
    """An upper bound: every byte a token of fresh input, and all the output that was allowed.

    At the standard price or that of the tier that was asked for, whichever is dearer: a provider may fall back.
    """
    if call.price is None or call.way.provider.kind.free:
        return 0
    tokens = max_tokens(intake.body.fields)
    most = call.price.most(call.body_bytes, tokens)
    asked = _price(engine, call, call.asked_tier, call.asked_speed)
    if asked is None or asked is call.price:
        return most
    return max(most, asked.most(call.body_bytes, tokens))


def _price(engine: Engine, call: CallState, tier: str, speed: str) -> ModelPrice | None:
    if call.price is None or (tier in _STANDARD and speed in _STANDARD):
        return call.price
    context: dict[str, str] = {}
    if tier == "batch":
        context["processing"] = tier
    elif tier not in _STANDARD and len(tier) <= _MOST_CHARACTERS:
        context["service_tier"] = tier
    if speed not in _STANDARD and len(speed) <= _MOST_CHARACTERS:
        context["speed"] = speed
    way = call.way
    return engine.pricing.at(
        way.provider.price_provider, way.decision.model, call.started_s, context
    )


def _word(fields: Fields, name: str) -> str:
    return text_field(fields, name) or ""
