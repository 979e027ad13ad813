"""The events of a turn: what is written down when, with all ids in place. No decisions are made here."""

from __future__ import annotations

from typing import Any

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
    """How a turn ended."""

    outcome: TurnOutcome
    http_status: int
    call: CallState | None
    response_id: str = ""


class TurnLedger:
    """Makes one turn's events. The ids that all of them carry are put together once."""

    __slots__ = ("_engine", "_ids", "_inbound", "_stream", "requested_model", "session")

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
        who = inbound.principal
        self._engine = engine
        self._inbound = inbound
        self._stream = stream
        self.requested_model = requested_model
        self.session = session
        turn_id, previous = turn
        ids = {
            "org_id": who.org_id,
            "team_id": who.team_id,
            "user_id": who.user_id,
            "project_id": who.project_id,
            "key_id": who.key_id,
            "client": session.client,
            "session_id": session.session_id,
            "agent_id": session.agent_id,
            "parent_agent_id": session.parent_agent_id,
            "turn_id": turn_id,
            "previous_turn_id": previous,
        }
        self._ids = {name: value for name, value in ids.items() if value}

    def _stamp(self) -> dict[str, Any]:
        return {
            "event_id": self._engine.ids.new("evt"),
            "ts": int(self._engine.clock.time() * 1_000_000),
            **self._ids,
        }

    def _paid_by(self) -> PaidBy:
        return PaidBy.CLIENT if self._inbound.client_credential else PaidBy.GATEWAY

    def decided(self, decision: RouteDecision) -> RouteDecided:
        return RouteDecided(**self._stamp(), decision=decision, policy=self._engine.generation)

    def started(self, call: CallState) -> LlmCallStarted:
        return LlmCallStarted(
            **self._stamp(),
            call_id=call.call_id,
            attempt=call.attempt,
            role=call.role,
            provider=call.provider,
            model=call.model,
            requested_model=self.requested_model,
            operation=self._inbound.operation,
            shape=self._inbound.shape,
            upstream_shape=call.upstream_shape,
            stream=self._stream,
            paid_by=self._paid_by(),
            request_bytes=call.body_bytes,
        )

    def completed(
        self, call: CallState, facts: ResponseFacts, outcome: CallOutcome
    ) -> LlmCallCompleted:
        """The end of an attempt, priced with the price of the day it began on."""
        usage, source = self._usage(call, facts, outcome)
        cost, unknown, unpriced = 0, False, ()
        if usage is not None and not call.free and self._inbound.operation != "count_tokens":
            priced = self._engine.pricing.cost(
                call.price_provider, call.model, usage, call.started_s
            )
            cost, unpriced = priced.nano_usd, priced.unpriced
            unknown = not priced.known or bool(unpriced)
        unknown = unknown or self._inbound.operation == "relay"
        now_ns = self._engine.clock.monotonic_ns()
        first = call.first_byte_ns
        return LlmCallCompleted(
            **self._stamp(),
            call_id=call.call_id,
            attempt=call.attempt,
            role=call.role,
            provider=call.provider,
            model=call.model,
            requested_model=self.requested_model,
            operation=self._inbound.operation,
            shape=self._inbound.shape,
            upstream_shape=call.upstream_shape,
            stream=self._stream,
            paid_by=self._paid_by(),
            outcome=outcome,
            http_status=call.http_status,
            failure=call.failure,
            failure_cause=call.cause,
            error_type=call.error_type,
            usage=usage or Usage(),
            usage_source=source,
            cost_nano_usd=cost,
            price_unknown=unknown,
            unpriced=unpriced,
            stop=facts.stop,
            tool_calls=facts.tool_calls,
            response_id=facts.response_id,
            response_model=facts.model,
            upstream_request_id=call.request_id,
            request_bytes=call.body_bytes,
            response_bytes=call.response_bytes,
            first_byte_ms=(first - call.started_ns) / 1e6 if first else -1.0,
            duration_ms=(now_ns - call.started_ns) / 1e6,
        )

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

    def turn_completed(
        self,
        ending: Ending,
        content: tuple[Fields, list[msgspec.Raw]],
        fidelity: tuple[FidelityNote, ...],
    ) -> TurnCompleted:
        inbound, call = self._inbound, ending.call
        retry = inbound.head.named.get(b"x-stainless-retry-count", b"0") != b"0"
        now_ns = self._engine.clock.monotonic_ns()
        return TurnCompleted(
            **self._stamp(),
            operation=inbound.operation,
            shape=inbound.shape,
            requested_model=self.requested_model,
            provider=call.provider if call else "",
            model=call.model if call else "",
            outcome=ending.outcome,
            http_status=ending.http_status,
            attempts=call.attempt if call else 0,
            auxiliary=self.session.auxiliary,
            request_class=self.session.request_class,
            client_version=self.session.client_version,
            session_source=self.session.source,
            stream=self._stream,
            response_id=ending.response_id,
            features=read_features(*content, len(inbound.body), retry=retry),
            fidelity=fidelity,
            overhead_us=(call.started_ns - inbound.received_ns) // 1000 if call else 0,
            duration_ms=(now_ns - inbound.received_ns) / 1e6,
        )
