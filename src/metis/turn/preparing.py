"""From a request to its upstream form: ask the chain, pick provider and shape, build what leaves."""

from __future__ import annotations

from typing import Final

import msgspec

from metis.errors import Forbidden, NotFound
from metis.facts.decision import RouteDecision
from metis.providers.provider import Provider
from metis.trace.events.turn import FidelityNote
from metis.turn.actions import Inbound, Reply
from metis.turn.counting import estimate_count
from metis.turn.course import Course, Way
from metis.turn.crossing import as_fidelity
from metis.turn.engine import Engine
from metis.turn.outbound import (
    CrossingNames,
    crossed,
    raw_operation,
    relayed,
    same_shape,
    with_edits,
)
from metis.turn.refusals import THREAD_REFUSAL
from metis.turn.state import Intake, Outbound
from metis.wire.codec import FOREIGN_SIGNATURE, Shape
from metis.wire.splice import Body, read_body

FOREIGN_MARK: Final = FOREIGN_SIGNATURE.encode()


Plan = tuple[Way, Outbound]
"""Where the request goes and in what form."""


def prepare(engine: Engine, inbound: Inbound, intake: Intake, turn_id: str) -> Plan | Reply:
    """Route and translate. A Reply means that no upstream is needed.

    Raises RequestError (unknown model, forbidden model) and CodecError (a body that cannot be crossed).
    """
    operation, course = inbound.operation, intake.course
    if operation == "relay":
        return _relay(engine, inbound, course)
    shape = engine.shapes.get(inbound.shape)
    if "thread" in intake.body.fields and shape and shape.name == "anthropic_messages":
        return Reply(
            status=400,
            lines=b"content-type: application/json\r\n",
            body=shape.encode_error(THREAD_REFUSAL),
        )
    way = course.way(engine.router.decide(course.asked()))
    if way.verbatim is not None and FOREIGN_MARK not in inbound.body:
        return way, Outbound(inbound.body, shape, way.verbatim)
    provider, model = way.provider, way.decision.model
    if operation == "generate" and shape is not None:
        outbound = _generation(engine, inbound, intake, shape, (provider, model, turn_id))
        return way, with_edits(outbound, provider, operation, inbound.head.named)
    if provider.path_for(operation) is None:
        if operation == "count_tokens" and shape is not None:
            asked = _count(engine, inbound, intake, shape, (provider, model, turn_id))
            return (way, asked) if asked else estimate_count(inbound.body)
        raise NotFound(
            f"model {model!r} is served by {provider.name!r}, which has no "
            f"{operation} endpoint; name a model of a provider that has one",
            code="model_not_found",
        )
    outbound = raw_operation(operation, intake.body, provider, (model, course.model))
    return way, with_edits(outbound, provider, operation, inbound.head.named)


def _relay(engine: Engine, inbound: Inbound, course: Course) -> Plan:
    """A path of a provider as it is: nobody is asked, nothing is edited, nothing is known of its price."""
    provider = engine.providers.get(inbound.relay_to)
    if provider is None:
        raise NotFound(f"no provider {inbound.relay_to!r} is configured for this relay")
    if inbound.client_credential:
        raise Forbidden("a relay takes the gateway's credential; send the Metis key alone")
    decision = RouteDecision(
        requested_model="",
        provider=provider.name,
        model="",
        slot="override",
        reason="a relayed path",
        verdicts=(),
    )
    return course.way(decision), relayed(inbound, provider)


def _generation(
    engine: Engine,
    inbound: Inbound,
    intake: Intake,
    shape: Shape,
    way: tuple[Provider, str, str],
) -> Outbound:
    provider, model, turn_id = way
    if shape.name in provider.shapes:
        if FOREIGN_MARK not in inbound.body:
            return same_shape(intake.body, shape, provider, (model, intake.course.model))
        body, notes = _without_foreign_signatures(inbound.body, shape)
        outbound = same_shape(body, shape, provider, (model, intake.course.model))
        return msgspec.structs.replace(outbound, notes=notes + outbound.notes)
    target = engine.upstream_shapes[provider.shapes[0]]
    names = CrossingNames(
        model=model, response_id=turn_id.removeprefix("turn_"), created=int(engine.clock.time())
    )
    return crossed(inbound, shape, target, provider, names)


def _count(
    engine: Engine,
    inbound: Inbound,
    intake: Intake,
    shape: Shape,
    way: tuple[Provider, str, str],
) -> Outbound | None:
    """A count by a server of another shape: it counts what it would be sent. None where it cannot."""
    provider, model, _ = way
    path = provider.path_for(f"{provider.shapes[0]}/count_tokens", model)
    if path is None:
        return None
    outbound = _generation(engine, inbound, intake, shape, way)
    # The answer is nobody's shape: it goes to the client as it comes.
    outbound = msgspec.structs.replace(outbound, shape=None, context=None, path=path)
    return with_edits(outbound, provider, inbound.operation, inbound.head.named)


def _without_foreign_signatures(text: bytes, shape: Shape) -> tuple[Body, tuple[FidelityNote, ...]]:
    """The body without thinking that another shape's model signed, which this shape's would refuse.

    The one case in which a same-shape body goes through the IR: the client replays a conversation
    that an upstream of another shape took part in.
    """
    encoded = shape.encode_request(shape.decode_request(text))
    return read_body(encoded.body), as_fidelity(encoded.notes)
