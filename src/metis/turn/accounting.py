"""The events of a turn: what is written down when, with all ids in place. No decisions are made here."""

from __future__ import annotations

from typing import Final

from metis.facts.decision import RouteDecision
from metis.facts.identity import SessionFacts
from metis.facts.usage import Usage, UsageSource
from metis.trace.events.event import TURN_PREFIX
from metis.trace.events.groups import CALL_END, CallOutcome, TurnOutcome
from metis.trace.events.llm import LlmCallCompleted, LlmCallStarted
from metis.trace.events.route import RouteDecided
from metis.trace.events.turn import FidelityNote, TurnCompleted
from metis.turn.actions import Inbound
from metis.turn.crossing import estimate_usage
from metis.turn.engine import Engine
from metis.turn.features import read_features
from metis.turn.pricing import price_of
from metis.turn.state import CallState, Intake
from metis.wire.codec import ResponseFacts

_NO_USAGE: Final = Usage()
_MOST_WORD: Final = 200  # of an upstream's: groups are remembered, so none may be long


class TurnLedger:
    """Makes one turn's events. Their fields are given by place, which costs a tenth of giving them by name."""

    __slots__ = ("_engine", "_inbound", "_intake", "_turn_id")

    def __init__(self, engine: Engine, inbound: Inbound, intake: Intake, turn_id: str) -> None:
        self._engine = engine
        self._inbound = inbound
        self._intake = intake
        self._turn_id = turn_id

    def call_id(self, attempt: int) -> str:
        return f"call_{self._turn_id.removeprefix(TURN_PREFIX)}_{attempt}"

    def decided(self, decision: RouteDecision, now_s: float) -> RouteDecided:
        decision_id, told = self._engine.decisions.tell(decision)
        return RouteDecided(
            self._turn_id,
            int(now_s * 1_000_000),
            self._intake.whose,
            decision_id,
            told,
            self._engine.generation,
        )

    def started(self, call: CallState) -> LlmCallStarted:
        intake = self._intake
        return LlmCallStarted(
            self._turn_id,
            int(call.started_s * 1_000_000),
            intake.whose,
            call.kind,
            call.attempt,
            intake.previous,
            call.body_bytes,
        )

    def completed(
        self, call: CallState, facts: ResponseFacts, outcome: CallOutcome, now_s: float
    ) -> LlmCallCompleted:
        """The end of an attempt, priced with the price of the day it began on, and of the tier it was served in."""
        usage, source = self._usage(call, facts, outcome)
        cost, price_unknown, unpriced = self._price(call, facts, usage)
        if usage is None:
            usage = _NO_USAGE
        intake, first, started = self._intake, call.first_byte_ns, call.started_ns
        return LlmCallCompleted(
            self._turn_id,
            int(now_s * 1_000_000),
            intake.whose,
            call.kind,
            call.attempt,
            intake.previous,
            call.body_bytes,
            CALL_END.pack(
                outcome,
                call.http_status,
                call.failure,
                call.cause,
                call.error_type[:_MOST_WORD],
                source,
                price_unknown,
                unpriced,
                facts.stop,
                facts.model[:_MOST_WORD],
            ),
            (self._engine.clock.monotonic_ns() - started) // 1000,
            (first - started) // 1000 if first else -1,
            call.response_bytes,
            facts.response_id,
            call.request_id,
            cost,
            usage.input_tokens,
            usage.cache_read_tokens,
            usage.output_tokens,
            usage.cache_write_5m_tokens,
            usage.cache_write_1h_tokens,
            usage.reasoning_tokens,
            usage.input_audio_tokens,
            usage.output_audio_tokens,
            usage.server_tools,
            facts.tool_calls,
        )

    def _price(
        self, call: CallState, facts: ResponseFacts, usage: Usage | None
    ) -> tuple[int, bool, tuple[str, ...]]:
        """The cost, whether it is unknown or lacks something, and what it lacks."""
        operation = self._inbound.operation
        relayed = operation == "relay"
        if usage is None or call.way.provider.kind.free or operation == "count_tokens":
            return 0, relayed, ()
        price = price_of(self._engine, call, facts)
        if price is None:
            return 0, True, ()
        priced = price.cost(usage)
        return priced.nano_usd, relayed or bool(priced.unknown_parts), priced.unknown_parts

    def _usage(
        self, call: CallState, facts: ResponseFacts, outcome: CallOutcome
    ) -> tuple[Usage | None, UsageSource]:
        """Reported usage is believed once the answer is whole; a broken-off answer is estimated.

        An error that came instead of an answer used nothing; providers do not bill those.
        """
        if self._inbound.operation == "count_tokens":
            return _NO_USAGE, UsageSource.REPORTED
        if facts.usage is not None and (facts.complete or facts.stop or outcome == "ok"):
            return facts.usage, UsageSource.REPORTED
        if call.http_status and call.http_status >= 400:
            return Usage(), UsageSource.REPORTED
        if 200 <= call.http_status < 300 and (facts.output_characters or facts.usage is not None):
            return estimate_usage(facts, call.body_bytes), UsageSource.ESTIMATED
        return None, UsageSource.UNKNOWN

    def turn_completed(
        self,
        call: CallState | None,
        ended: tuple[TurnOutcome, int, str],
        notes: tuple[FidelityNote, ...],
        now_s: float,
    ) -> TurnCompleted:
        """`ended`: the outcome, the status the client was sent, the answer's id. `notes`: what was done to either."""
        inbound, intake = self._inbound, self._intake
        outcome, http_status, response_id = ended
        course, session = intake.course, intake.session
        received_ns = inbound.received_ns
        return TurnCompleted(
            self._turn_id,
            int(now_s * 1_000_000),
            intake.whose,
            call.way.turn_kind(session, outcome, http_status, call.attempt)
            if call is not None
            else course.turn_kind("", "", (outcome, http_status, 0, *_client_words(session))),
            intake.previous,
            response_id,
            (call.started_ns - received_ns) // 1000 if call else 0,
            (self._engine.clock.monotonic_ns() - received_ns) // 1000,
            read_features(
                intake.body.fields, intake.messages, len(inbound.body), retry=course.retried
            ),
            notes,
        )


def _client_words(session: SessionFacts) -> tuple[str, str, str, str]:
    return session.auxiliary, session.request_class, session.client_version, session.source
