"""The turn's state machine, in h11's manner: facts in, actions out, no I/O. Read it from `begin` downwards.

A driver feeds what happened (`begin`, `head`, `feed`, `finish`, `failed`, `client_gone`, `tick`) and
carries out the actions each call returns. The order of actions is the order of promises: what must
be written down stands before what it must precede.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

from metis.accounts.admission import Refusal, Reservation
from metis.errors import BadRequest, CodecError, MetisError
from metis.facts.failure import CallFailure, FailureCause, FailureClass
from metis.http.headers import Headers
from metis.ir.response import ErrorInfo
from metis.trace.events import AnyForm
from metis.trace.events.llm import CallOutcome, LlmCallCompleted
from metis.trace.events.turn import FidelityNote, TurnOutcome
from metis.turn.accounting import TurnLedger
from metis.turn.actions import (
    Abort,
    Action,
    Actions,
    Call,
    Cancel,
    Finish,
    Inbound,
    Record,
    Reply,
    Resume,
    Send,
)
from metis.turn.answering import Answerer
from metis.turn.course import Way
from metis.turn.engine import Engine
from metis.turn.intake import (
    Parts,
    read_intake,
    read_parts,
    read_parts_in_steps,
)
from metis.turn.outbound import request_head
from metis.turn.preparing import prepare
from metis.turn.pricing import asked_tier, most_it_can_cost
from metis.turn.refusals import OWN_FAILURE, nonsense, of_failure, over_limit, refusal
from metis.turn.relay import CUT, Receiver
from metis.turn.reply_head import read_reply_head
from metis.turn.state import CallState, Intake, Outbound
from metis.wire.codec import ResponseFacts

NOTHING: Final[Actions] = []
_NO_FACTS: Final = ResponseFacts()
_ERROR_BODY_LIMIT: Final = 1024 * 1024
_LARGE_BYTES: Final = 512 * 1024  # a step of reading so much takes 0.2 ms


class Turn:
    """One request on its way. Make it, call `begin`, then feed it until `done`."""

    __slots__ = (
        "_admitted",
        "_answerer",
        "_call",
        "_client_status",
        "_engine",
        "_error_body",
        "_facts",
        "_inbound",
        "_intake",
        "_ledger",
        "_outbound",
        "_reading",
        "_receiver",
        "_recorded",
        "_sent_ns",
        "_spoke",
        "_stale_retries",
        "_ticked_ns",
        "_way",
        "done",
        "turn_id",
    )

    def __init__(self, engine: Engine, inbound: Inbound) -> None:
        self._engine = engine
        self._inbound = inbound
        self.turn_id = engine.ids.new("turn")
        self._answerer = Answerer(engine, inbound, self.turn_id)
        self._reading: Generator[None, None, Parts] | None = None
        self._intake: Intake | None = None
        self._ledger: TurnLedger | None = None
        self._way: Way | None = None
        self._outbound: Outbound | None = None
        self._call: CallState | None = None
        self._admitted: Reservation | None = None
        self._receiver: Receiver | None = None
        self._error_body: list[bytes] | None = None
        self._facts = _NO_FACTS
        self._recorded = False
        self._client_status = 0
        self._sent_ns = 0
        self._spoke = self.done = False
        self._ticked_ns = self._stale_retries = 0

    # What the driver tells the turn

    def begin(self) -> Actions:
        """Read, route and translate the request; ask for its first upstream call, or refuse it.

        A large body is read in steps with a Resume between them.
        """
        inbound = self._inbound
        if len(inbound.body) > _LARGE_BYTES and inbound.operation != "relay":
            self._reading = read_parts_in_steps(inbound)
            return self.resume()
        try:
            parts = read_parts(inbound)
        except MetisError as error:
            return self._refuse(refusal(error))
        return self._set_out(parts)

    def resume(self) -> Actions:
        """Go on reading a large body."""
        reading = self._reading
        if reading is None or self.done:
            return NOTHING
        try:
            next(reading)
        except StopIteration as end:
            self._reading = None
            return self._set_out(end.value)
        except MetisError as error:
            return self._refuse(refusal(error))
        return [Resume()]

    def _set_out(self, parts: Parts) -> Actions:
        try:
            intake = self._intake = read_intake(self._engine, self._inbound, parts, self.turn_id)
            self._ledger = TurnLedger(self._engine, self._inbound, intake, self.turn_id)
            plan = prepare(self._engine, self._inbound, intake, self.turn_id)
        except MetisError as error:
            return self._refuse(refusal(error))
        if isinstance(plan, Reply):
            self.done = True
            return [plan]
        self._way, self._outbound = plan
        return self._attempt(1)

    def head(self, call_id: str, status: int, headers: Headers) -> Actions:
        """The upstream's status and headers are there."""
        call, outbound = self._current(call_id), self._outbound
        if call is None or outbound is None:
            return NOTHING
        answerer = self._answerer
        crossed = outbound.context is not None or outbound.unframe is not None
        head = answerer.head = read_reply_head(headers, crossed=crossed)
        call.http_status = status
        call.request_id = head.request_id
        if not 200 <= status < 300:
            self._error_body = []
            return NOTHING
        receiver = answerer.receiver(status, outbound, stream=self._is_stream())
        return self._receive_with(receiver, status)

    def _receive_with(self, receiver: Receiver, status: int) -> Actions:
        self._receiver = receiver
        self._facts = receiver.facts
        if not receiver.streaming:
            return NOTHING
        self._client_status = status
        self._sent_ns = self._engine.clock.monotonic_ns()
        return [Reply(status, self._reply_lines(), None)]

    def feed(self, call_id: str, data: bytes) -> Actions | bytes:
        """More of the upstream's body. Bytes are to be sent on, as most are: an action for each costs too much."""
        call, receiver = self._call, self._receiver
        if call is None or self.done or call.call_id != call_id:
            return NOTHING
        if not call.first_byte_ns:
            call.first_byte_ns = self._engine.clock.monotonic_ns()
            if receiver is not None and not receiver.streaming:
                begun = self._look_again(call, data)
                if begun:
                    out = self.feed(call_id, data)
                    return [*begun, *(out if isinstance(out, list) else [Send(out)])]
                receiver = self._receiver
        call.response_bytes += len(data)
        if receiver is None:
            if self._error_body is not None and call.response_bytes <= _ERROR_BODY_LIMIT:
                self._error_body.append(data)
            return NOTHING
        try:
            out = receiver.feed(data)
        except CodecError as error:
            return self._nonsense(str(error))
        if not receiver.streaming:
            if call.response_bytes > self._engine.settings.max_response_bytes:
                return self._nonsense("the answer is over turn.max_response_bytes")
            return NOTHING
        facts = receiver.facts
        if (facts.complete or facts.error is not None) and not self._recorded:
            self._facts = facts
            settled = self._settled("error" if facts.error else "ok")
            self._spoke = True
            return [settled, Send(out)] if out else [settled]
        if not out:
            return NOTHING
        self._spoke = True
        return out

    def _look_again(self, call: CallState, first: bytes) -> Actions:
        """Receive an answer otherwise whose first bytes are not what its head said. It may begin to be sent by that."""
        if self._outbound is None:
            return NOTHING
        receiver = self._answerer.another_receiver(
            call.http_status, self._outbound, first, stream=self._is_stream()
        )
        return NOTHING if receiver is None else self._receive_with(receiver, call.http_status)

    def finish(self, call_id: str) -> Actions:
        """The upstream's body is whole."""
        call = self._current(call_id)
        if call is None:
            return NOTHING
        call.open = False
        if self._error_body is not None:
            return self._upstream_error(call, b"".join(self._error_body))
        receiver = self._receiver
        if receiver is None:
            return NOTHING
        try:
            out = receiver.finish()
        except CodecError as error:
            return self._nonsense(str(error))
        facts = self._facts = receiver.facts
        if isinstance(out, ErrorInfo):
            if facts.error is None:
                call.failure, call.cause = FailureClass.NETWORK.value, FailureCause.CUT.value
            return self._answer_failure(out)
        if receiver.streaming:
            return self._end_of_stream(receiver, out)
        self._client_status = call.http_status
        self.done = True
        outcome: CallOutcome = "error" if facts.error else "ok"
        reply = Reply(call.http_status, self._reply_lines(), out)
        return [self._settled(outcome), reply]

    def failed(self, call_id: str, failure: CallFailure) -> Actions:
        """The call gave no usable answer, or broke off inside it."""
        call = self._current(call_id)
        if call is None:
            return NOTHING
        if self._has_last_word():
            return self.finish(call_id)
        call.open = False
        call.failure, call.cause = failure.failure.value, failure.cause.value
        if failure.cause is FailureCause.LEDGER:
            self._release(0)
            return self._refuse(of_failure(failure, call.way.provider.name))
        if self._client_status:
            return self._broken_off(of_failure(failure, call.way.provider.name))
        stale = failure.cause is FailureCause.STALE
        if stale and self._stale_retries < self._engine.settings.stale_retries:
            # A pooled connection that the upstream had closed already: the request was never read.
            self._stale_retries += 1
            completed = self._call_completed(call, "error", self._engine.clock.time())
            return [Record((completed,)), *self._attempt(call.attempt + 1)]
        return self._answer_failure(of_failure(failure, call.way.provider.name))

    def _has_last_word(self) -> bool:
        """Whether a held answer said its end, or an error, before its connection broke: that is what counts."""
        receiver = self._receiver
        if receiver is None or receiver.streaming:
            return False
        return receiver.facts.complete or receiver.facts.error is not None

    def client_gone(self) -> Actions:
        """The client hung up: cancel what runs, write down what was used."""
        if self.done:
            return NOTHING
        self.done = True
        actions: Actions = []
        call = self._call
        if call is not None and call.open:
            actions.append(Cancel(call.call_id))
        if not self._recorded:
            actions.append(self._settled("aborted", "client_gone"))
        return actions

    def apology(self) -> Reply:
        """What the client is told, in its own shape, when Metis itself failed on its request."""
        return self._answerer.error(OWN_FAILURE, None)

    def tick(self, now_ns: int) -> Actions:
        """Time has passed: say a heartbeat into a stream that has been silent for long."""
        receiver = self._receiver
        if self.done or receiver is None or not receiver.streaming or not self._client_status:
            return NOTHING
        before, self._ticked_ns = self._ticked_ns, now_ns
        if self._spoke:
            # Asking the clock for every chunk costs too much: it was said after the tick before this
            # one, so a heartbeat may come up to a tick early, and never late.
            self._spoke = False
            self._sent_ns = max(self._sent_ns, before)
        if now_ns - self._sent_ns < self._engine.settings.keepalive_s * 1e9:
            return NOTHING
        if self._facts.complete or self._facts.error is not None:
            return NOTHING
        beat = receiver.heartbeat()
        if not beat:
            return NOTHING
        self._sent_ns = now_ns
        return [Send(beat)]

    # The parts

    def _current(self, call_id: str) -> CallState | None:
        call = self._call
        if call is None or self.done or call.call_id != call_id:
            return None
        return call

    def _is_stream(self) -> bool:
        return self._intake is not None and self._intake.course.stream

    def _attempt(self, number: int) -> Actions:
        """Reserve, write the start down, and call."""
        engine, outbound, way, ledger = self._engine, self._outbound, self._way, self._ledger
        if outbound is None or way is None or ledger is None or self._intake is None:
            return NOTHING
        provider, started_s = way.provider, engine.clock.time()
        call = self._call = CallState(
            ledger.call_id(number),
            number,
            way,
            way.kind(self._intake.role),
            len(outbound.body),
            engine.clock.monotonic_ns(),
            started_s,
            engine.pricing.at(provider.price_provider, way.decision.model, started_s)
            if way.decision.model
            else None,
            *asked_tier(self._intake, outbound),
        )
        admitted = engine.admission.reserve(
            self._inbound.principal, call.call_id, self._most_it_can_cost
        )
        if isinstance(admitted, Refusal):
            self._call = None  # it is not made
            return self._refuse(over_limit(admitted))
        self._admitted = admitted
        settings = engine.settings
        return [
            Record((ledger.started(call),)),
            Call(
                call.call_id,
                provider.origin,
                request_head(outbound, way),
                outbound.body,
                provider.name,
                settings.connect_timeout_s,
                settings.first_byte_timeout_s,
                settings.idle_timeout_s,
            ),
        ]

    def _most_it_can_cost(self) -> int:
        call, intake = self._call, self._intake
        if call is None or intake is None or self._inbound.operation == "count_tokens":
            return 0
        return most_it_can_cost(self._engine, call, intake)

    def _call_completed(
        self, call: CallState, outcome: CallOutcome, now_s: float
    ) -> LlmCallCompleted:
        """Settle the reservation and make the attempt's closing event."""
        if self._ledger is None:
            raise BadRequest("a turn without a ledger cannot complete a call")
        if self._facts.error is not None:
            self._class_error(call, self._facts.error)
        event = self._ledger.completed(call, self._facts, outcome, now_s)
        if self._admitted is not None:
            self._release(event.cost_nano_usd)
        return event

    def _class_error(self, call: CallState, error: ErrorInfo) -> None:
        """An error inside a 2xx answer has no status of its own: its shape's codec has found it one."""
        if call.failure:
            return
        call.error_type = error.code or error.kind
        status = error.status if error.status >= 400 else 500
        call.failure = call.way.provider.classify(status, call.error_type).value

    def _release(self, spent_nano_usd: int) -> None:
        if self._admitted is not None:
            self._engine.admission.settle(self._admitted, spent_nano_usd)
            self._admitted = None

    def _settled(self, outcome: CallOutcome, turn_outcome: TurnOutcome | None = None) -> Record:
        """The events that close the turn, in one write."""
        self._recorded = True
        now_s, call = self._engine.clock.time(), self._call
        if turn_outcome is None:
            turn_outcome = "ok" if outcome == "ok" else "error"
        closing = self._closing_events(turn_outcome, now_s)
        if call is None:
            return Record(closing)
        return Record((self._call_completed(call, outcome, now_s), *closing))

    def _closing_events(self, outcome: TurnOutcome, now_s: float) -> tuple[AnyForm, ...]:
        ledger, intake, way = self._ledger, self._intake, self._way
        if ledger is None or intake is None or not intake.is_turn:
            return ()
        ended = outcome, self._client_status, self._facts.response_id
        turn = ledger.turn_completed(self._call, ended, self._fidelity(), now_s)
        return (turn,) if way is None else (ledger.decided(way.decision, now_s), turn)

    def _fidelity(self) -> tuple[FidelityNote, ...]:
        outbound, receiver = self._outbound, self._receiver
        notes = self._inbound.notes + (outbound.notes if outbound is not None else ())
        return notes + receiver.notes() if receiver is not None else notes

    def _reply_lines(self) -> bytes:
        return self._answerer.lines(self._way, self._fidelity())

    def _refuse(self, error: ErrorInfo) -> Actions:
        """Answer with an error of Metis's own; nothing was spent."""
        self.done = True
        self._client_status = error.status
        events = self._closing_events("refused", self._engine.clock.time())
        reply = self._answerer.error(error, self._way)
        return [Record(events), reply] if events else [reply]

    def _upstream_error(self, call: CallState, body: bytes) -> Actions:
        """An error status from the upstream: its own words where the shape is the client's (P3)."""
        self.done = True
        if self._outbound is None:
            return NOTHING
        reply, info = self._answerer.upstream_error(
            call.http_status, body, self._outbound, call.way
        )
        call.error_type = info.code or info.kind
        call.failure = call.way.provider.classify(call.http_status, call.error_type).value
        self._client_status = reply.status
        return [self._settled("error"), reply]

    def _answer_failure(self, error: ErrorInfo) -> Actions:
        """No answer came, and the client has seen nothing yet."""
        self.done = True
        self._client_status = error.status
        reply = self._answerer.error(error, self._way)
        return [self._settled("error"), reply]

    def _broken_off(self, error: ErrorInfo) -> Actions:
        """The answer broke off after its head went out: end the client's stream in its own words."""
        self.done = True
        receiver = self._receiver
        if self._facts.complete:
            return [
                Finish()
            ]  # the client has its terminator; how the connection ended is no matter
        actions: Actions = [] if self._recorded else [self._settled("error")]
        if self._facts.error is not None:
            return [*actions, Finish()]  # the upstream's own error event was the last word
        words = receiver.fail(error) if receiver else None
        return [*actions, *([Send(words), Finish()] if words else [Abort()])]

    def _end_of_stream(self, receiver: Receiver, out: bytes) -> Actions:
        """The upstream's body ended properly; whether its stream did is another question."""
        facts = self._facts
        tail: list[Action] = [Send(out)] if out else []
        if not (facts.complete or facts.error is not None or facts.stop):
            call = self._call
            if call is not None:
                call.failure, call.cause = FailureClass.NETWORK.value, FailureCause.CUT.value
            return self._broken_off(CUT)
        self.done = True
        record = [] if self._recorded else [self._settled("error" if facts.error else "ok")]
        return [*record, *tail, Finish()]

    def _nonsense(self, detail: str) -> Actions:
        """The upstream's 2xx answer is not what its shape says."""
        call = self._call
        if call is None:
            return NOTHING
        cancel: Actions = [Cancel(call.call_id)] if call.open else []
        call.open = False
        call.failure = FailureClass.UPSTREAM.value
        call.cause = FailureCause.PROTOCOL.value
        error = nonsense(call.way.provider.name, detail)
        ended = self._broken_off(error) if self._client_status else self._answer_failure(error)
        return [*cancel, *ended]
