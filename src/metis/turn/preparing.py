"""From a request to its upstream form: ask the chain, pick provider and shape, build what leaves."""

from __future__ import annotations

from typing import Final

import msgspec

from metis.catalog.names import AUTO_NAMES
from metis.errors import BadRequest, Forbidden, NotFound
from metis.facts.decision import RouteDecision
from metis.providers.provider import Provider
from metis.routing.slot import Question
from metis.trace.events.turn import FidelityNote
from metis.turn.actions import Inbound
from metis.turn.answering import Answer
from metis.turn.counting import estimate_count
from metis.turn.crossing import as_fidelity
from metis.turn.engine import Engine
from metis.turn.intake import Intake
from metis.turn.outbound import (
    CrossingNames,
    Outbound,
    crossed,
    raw_operation,
    relayed,
    same_shape,
    with_edits,
)
from metis.turn.refusals import THREAD_REFUSAL
from metis.wire.codec import FOREIGN_SIGNATURE, Shape
from metis.wire.splice import Body, read_body

_MAX_MODEL_NAME: Final = 256
FOREIGN_MARK: Final = FOREIGN_SIGNATURE.encode()


class Plan(msgspec.Struct, frozen=True):
    """Where the request goes and in what form."""

    decision: RouteDecision
    provider: Provider
    outbound: Outbound


def prepare(engine: Engine, inbound: Inbound, intake: Intake, turn_id: str) -> Plan | Answer:
    """Route and translate. An Answer means that no upstream is needed.

    Raises RequestError (unknown model, forbidden model) and CodecError (a body that cannot be crossed).
    """
    if inbound.operation == "relay":
        return _relay(engine, inbound)
    shape = engine.shapes.get(inbound.shape)
    if shape is not None and shape.name == "anthropic_messages" and "thread" in intake.body.fields:
        return Answer(
            status=400,
            lines=b"content-type: application/json\r\n",
            body=shape.encode_error(THREAD_REFUSAL),
        )
    decision = engine.router.decide(_question(engine, inbound, intake))
    provider = engine.providers[decision.provider]
    if inbound.operation == "generate" and shape is not None:
        outbound = _generation(engine, inbound, intake, shape, (provider, decision.model, turn_id))
        return Plan(decision, provider, with_edits(outbound, provider, inbound.operation))
    if provider.path_for(inbound.operation) is None:
        if inbound.operation == "count_tokens" and shape is not None:
            way = (provider, decision.model, turn_id)
            outbound = _count(engine, inbound, intake, shape, way)
            return Plan(decision, provider, outbound) if outbound else estimate_count(inbound.body)
        raise NotFound(
            f"model {decision.model!r} is served by {provider.name!r}, which has no "
            f"{inbound.operation} endpoint; name a model of a provider that has one",
            code="model_not_found",
        )
    outbound = raw_operation(
        inbound.operation, intake.body, provider, (decision.model, intake.model)
    )
    return Plan(decision, provider, with_edits(outbound, provider, inbound.operation))


def _relay(engine: Engine, inbound: Inbound) -> Plan:
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
    return Plan(decision, provider, relayed(inbound, provider))


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
            return same_shape(intake.body, shape, provider, (model, intake.model))
        body, notes = _without_foreign_signatures(inbound.body, shape)
        outbound = same_shape(body, shape, provider, (model, intake.model))
        return msgspec.structs.replace(outbound, notes=notes + outbound.notes)
    target = engine.shapes[provider.shapes[0]]
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
    return with_edits(outbound, provider, inbound.operation)


def _without_foreign_signatures(text: bytes, shape: Shape) -> tuple[Body, tuple[FidelityNote, ...]]:
    """The body without thinking that another shape's model signed, which this shape's would refuse.

    The one case in which a same-shape body goes through the IR: the client replays a conversation
    that an upstream of another shape took part in.
    """
    encoded = shape.encode_request(shape.decode_request(text))
    return read_body(encoded.body), as_fidelity(encoded.notes)


def _question(engine: Engine, inbound: Inbound, intake: Intake) -> Question:
    named = inbound.head.named
    override = (
        named[b"x-metis-model"].decode("utf-8", "replace") if b"x-metis-model" in named else ""
    )
    if len(intake.model) > _MAX_MODEL_NAME or len(override) > _MAX_MODEL_NAME:
        raise BadRequest(f"the model's name is over {_MAX_MODEL_NAME} characters")
    who = inbound.principal
    return Question(
        requested_model=intake.model,
        wants_auto=intake.model in AUTO_NAMES,
        override_model=override,
        pinned_model=who.pinned_model or "",
        project_id=who.project_id,
        shape=inbound.shape,
        operation=inbound.operation,
        allowed_models=who.allowed_models,
        only_provider=_bound_provider(engine, inbound) if inbound.client_credential else "",
    )


def _bound_provider(engine: Engine, inbound: Inbound) -> str:
    """The one provider a client's own credential may go to: its kind takes such, and speaks the shape.

    Raises Forbidden when there is none: the credential must not go anywhere else.
    """
    for provider in engine.providers.values():
        if provider.kind.accepts_client_credentials and inbound.shape in provider.shapes:
            return provider.name
    raise Forbidden(
        "no configured provider takes a client's own credential for this API; "
        "send the Metis key alone to use the gateway's"
    )
