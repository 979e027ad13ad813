"""The events of a turn: what is written down when, with all ids in place. No decisions are made here."""

from __future__ import annotations

from typing import Final

import msgspec

from metis.facts.decision import RouteDecision
from metis.facts.identity import SessionFacts
from metis.facts.usage import PaidBy, Usage, UsageSource
from metis.trace.events.llm import CallOutcome, CallRole, LlmCallCompleted, LlmCallStarted
from metis.trace.events.route import RouteDecided
from metis.trace.events.turn import FidelityNote, TurnCompleted, TurnOutcome
from metis.turn.actions import Inbound
from metis.turn.crossing import estimate_usage
from metis.turn.engine import Engine
from metis.turn.features import read_features
from metis.wire.codec import ResponseFacts
from metis.wire.splice import Fields

TURN_PREFIX: Final = "turn_"
_NO_USAGE: Final = Usage()


class CallState(msgspec.Struct, kw_only=True):
    """One upstream attempt while it runs."""

    call_id: str
    attempt: int
    role: CallRole
    provider: str
    price_provider: str
    free: bool
    model: str
    upstream_shape: str
    body_bytes: int
    started_ns: int
    started_s: float
    http_status: int = 0
    first_byte_ns: int = 0
    response_bytes: int = 0
    request_id: str = ""
    failure: str = ""
    cause: str = ""
    error_type: str = ""
    open: bool = True


class Ending(msgspec.Struct, kw_only=True):
    """How a turn ended. `notes` are of what was done to the request and the answer on their way."""

    outcome: TurnOutcome
    http_status: int
    call: CallState | None
    response_id: str = ""
    fields: Fields
    messages: list[msgspec.Raw]
    notes: tuple[FidelityNote, ...]


class TurnLedger:
    """Makes one turn's events, each with all the ids of the turn.

    The ids are written out in every event: putting them in by `**` costs as much as the rest of an event.
    """

    __slots__ = (
        "_engine",
        "_inbound",
        "_paid_by",
        "_previous",
        "_stem",
        "_stream",
        "_turn_id",
        "requested_model",
        "session",
    )

    def __init__(
        self,
        engine: Engine,
        inbound: Inbound,
        session: SessionFacts,
        turn: tuple[str, str],
        *,
        requested_model: str,
        stream: bool,
    ) -> None:
        self._engine = engine
        self._inbound = inbound
        self._stream = stream
        self.requested_model = requested_model
        self.session = session
        self._turn_id, self._previous = turn
        self._stem = self._turn_id.removeprefix(TURN_PREFIX)
        self._paid_by = PaidBy.CLIENT if inbound.client_credential else PaidBy.GATEWAY

    def call_id(self, attempt: int) -> str:
        return f"call_{self._stem}_{attempt}"

    def decided(self, decision: RouteDecision, now_s: float) -> RouteDecided:
        who, session = self._inbound.principal, self.session
        decision_id, told = self._engine.decisions.tell(decision)
        return RouteDecided(
            event_id=f"evt_{self._stem}_route",
            ts=int(now_s * 1_000_000),
            org_id=who.org_id,
            team_id=who.team_id,
            user_id=who.user_id,
            project_id=who.project_id,
            key_id=who.key_id,
            client=session.client,
            session_id=session.session_id,
            agent_id=session.agent_id,
            parent_agent_id=session.parent_agent_id,
            turn_id=self._turn_id,
            previous_turn_id=self._previous,
            decision_id=decision_id,
            decision=told,
            policy=self._engine.generation,
        )

    def started(self, call: CallState) -> LlmCallStarted:
        inbound, session = self._inbound, self.session
        who = inbound.principal
        return LlmCallStarted(
            event_id=f"evt_{self._stem}_{call.attempt}_start",
            ts=int(call.started_s * 1_000_000),
            org_id=who.org_id,
            team_id=who.team_id,
            user_id=who.user_id,
            project_id=who.project_id,
            key_id=who.key_id,
            client=session.client,
            session_id=session.session_id,
            agent_id=session.agent_id,
            parent_agent_id=session.parent_agent_id,
            turn_id=self._turn_id,
            previous_turn_id=self._previous,
            call_id=call.call_id,
            attempt=call.attempt,
            role=call.role,
            provider=call.provider,
            model=call.model,
            requested_model=self.requested_model,
            operation=inbound.operation,
            shape=inbound.shape,
            upstream_shape=call.upstream_shape,
            stream=self._stream,
            paid_by=self._paid_by,
            request_bytes=call.body_bytes,
        )

    def completed(
        self, call: CallState, facts: ResponseFacts, outcome: CallOutcome, now_s: float
    ) -> LlmCallCompleted:
        """The end of an attempt, priced with the price of the day it began on."""
        inbound, session = self._inbound, self.session
        who = inbound.principal
        usage, source = self._usage(call, facts, outcome)
        cost, price_unknown, unpriced = self._price(call, usage)
        first = call.first_byte_ns
        return LlmCallCompleted(
            event_id=f"evt_{self._stem}_{call.attempt}_end",
            ts=int(now_s * 1_000_000),
            org_id=who.org_id,
            team_id=who.team_id,
            user_id=who.user_id,
            project_id=who.project_id,
            key_id=who.key_id,
            client=session.client,
            session_id=session.session_id,
            agent_id=session.agent_id,
            parent_agent_id=session.parent_agent_id,
            turn_id=self._turn_id,
            previous_turn_id=self._previous,
            call_id=call.call_id,
            attempt=call.attempt,
            role=call.role,
            provider=call.provider,
            model=call.model,
            requested_model=self.requested_model,
            operation=inbound.operation,
            shape=inbound.shape,
            upstream_shape=call.upstream_shape,
            stream=self._stream,
            paid_by=self._paid_by,
            outcome=outcome,
            http_status=call.http_status,
            failure=call.failure,
            failure_cause=call.cause,
            error_type=call.error_type,
            usage=usage or _NO_USAGE,
            usage_source=source,
            cost_nano_usd=cost,
            price_unknown=price_unknown,
            unpriced=unpriced,
            stop=facts.stop,
            tool_calls=facts.tool_calls,
            response_id=facts.response_id,
            response_model=facts.model,
            upstream_request_id=call.request_id,
            request_bytes=call.body_bytes,
            response_bytes=call.response_bytes,
            first_byte_ms=(first - call.started_ns) / 1e6 if first else -1.0,
            duration_ms=(self._engine.clock.monotonic_ns() - call.started_ns) / 1e6,
        )

    def _price(self, call: CallState, usage: Usage | None) -> tuple[int, bool, tuple[str, ...]]:
        """The cost, whether it is unknown or lacks something, and what it lacks."""
        operation = self._inbound.operation
        if usage is None or call.free or operation == "count_tokens":
            return 0, operation == "relay", ()
        priced = self._engine.pricing.cost(call.price_provider, call.model, usage, call.started_s)
        unknown = not priced.known or bool(priced.unpriced) or operation == "relay"
        return priced.nano_usd, unknown, priced.unpriced

    def _usage(
        self, call: CallState, facts: ResponseFacts, outcome: CallOutcome
    ) -> tuple[Usage | None, UsageSource]:
        """Reported usage is believed once the answer is whole; a broken-off answer is estimated.

        An error that came instead of an answer used nothing; providers do not bill those.
        """
        if self._inbound.operation == "count_tokens":
            return Usage(), UsageSource.REPORTED
        if facts.usage is not None and (facts.complete or facts.stop or outcome == "ok"):
            return facts.usage, UsageSource.REPORTED
        if call.http_status and call.http_status >= 400:
            return Usage(), UsageSource.REPORTED
        if 200 <= call.http_status < 300 and (facts.output_characters or facts.usage is not None):
            return estimate_usage(facts, call.body_bytes), UsageSource.ESTIMATED
        return None, UsageSource.UNKNOWN

    def turn_completed(self, ending: Ending, now_s: float) -> TurnCompleted:
        inbound, call, session = self._inbound, ending.call, self.session
        who = inbound.principal
        retry = inbound.head.named.get(b"x-stainless-retry-count", b"0") != b"0"
        return TurnCompleted(
            event_id=f"evt_{self._stem}_turn",
            ts=int(now_s * 1_000_000),
            org_id=who.org_id,
            team_id=who.team_id,
            user_id=who.user_id,
            project_id=who.project_id,
            key_id=who.key_id,
            client=session.client,
            session_id=session.session_id,
            agent_id=session.agent_id,
            parent_agent_id=session.parent_agent_id,
            turn_id=self._turn_id,
            previous_turn_id=self._previous,
            operation=inbound.operation,
            shape=inbound.shape,
            requested_model=self.requested_model,
            provider=call.provider if call else "",
            model=call.model if call else "",
            outcome=ending.outcome,
            http_status=ending.http_status,
            attempts=call.attempt if call else 0,
            auxiliary=session.auxiliary,
            request_class=session.request_class,
            client_version=session.client_version,
            session_source=session.source,
            stream=self._stream,
            response_id=ending.response_id,
            features=read_features(ending.fields, ending.messages, len(inbound.body), retry=retry),
            fidelity=ending.notes,
            overhead_us=(call.started_ns - inbound.received_ns) // 1000 if call else 0,
            duration_ms=(self._engine.clock.monotonic_ns() - inbound.received_ns) / 1e6,
        )
