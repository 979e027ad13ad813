"""One turn's driver: carries the machine's actions out, hands it what happened. All sockets are others'."""

from __future__ import annotations

from typing import Protocol

import structlog

from metis.errors import LedgerError
from metis.facts.failure import CallFailure, FailureCause, FailureClass
from metis.gateway.ports import Counters, Ledger, Upstream
from metis.gateway.taking_turns import TakingTurns
from metis.http.headers import Headers
from metis.trace.events import LlmCallStarted
from metis.turn.actions import Actions, Call, Cancel, Finish, Inbound, Record, Reply, Resume, Send
from metis.turn.engine import Engine
from metis.turn.machine import Turn
from metis.turn.ports import CallHandle

log = structlog.get_logger("metis.gateway")


class ReplySink(Protocol):
    """The client's side: where the answer is written. `answered` is called once, at its end."""

    def write_reply(self, status: int, lines: bytes, body: bytes | None) -> None: ...

    def write_body(self, data: bytes) -> None: ...

    def end_body(self) -> None: ...

    def break_off(self) -> None: ...

    def answered(self) -> None: ...


class Services(Protocol):
    """What all exchanges of a worker share."""

    upstream: Upstream
    ledger: Ledger
    counters: Counters
    steps: TakingTurns


class Exchange:
    """One request and its answer."""

    __slots__ = ("_begun", "_handle", "_services", "_sink", "_turn")

    def __init__(self, sink: ReplySink, services: Services) -> None:
        self._sink = sink
        self._services = services
        self._turn: Turn | None = None
        self._handle: CallHandle | None = None
        self._begun = False  # the answer's head went out

    def begin(self, engine: Engine, inbound: Inbound) -> None:
        turn = self._turn = Turn(engine, inbound)
        try:
            self._run(turn, turn.begin())
        except Exception:
            log.exception("turn.crashed", turn_id=turn.turn_id)
            self._crash(turn)

    def _resume(self) -> None:
        turn = self._turn
        if turn is not None:
            try:
                self._run(turn, turn.resume())
            except Exception:
                log.exception("turn.crashed", turn_id=turn.turn_id)
                self._crash(turn)

    # CallListener: what the upstream did

    def call_head(self, call_id: str, status: int, headers: Headers) -> None:
        turn = self._turn
        if turn is not None:
            try:
                actions = turn.head(call_id, status, headers)
                if actions:
                    self._run(turn, actions)
            except Exception:
                log.exception("turn.crashed", turn_id=turn.turn_id)
                self._crash(turn)

    def call_data(self, call_id: str, data: bytes) -> None:
        turn = self._turn
        if turn is not None:
            try:
                actions = turn.feed(call_id, data)
                if isinstance(actions, bytes):
                    self._sink.write_body(actions)
                elif actions:
                    self._run(turn, actions)
            except Exception:
                log.exception("turn.crashed", turn_id=turn.turn_id)
                self._crash(turn)

    def call_end(self, call_id: str) -> None:
        turn = self._turn
        if turn is not None:
            self._handle = None
            try:
                self._run(turn, turn.finish(call_id))
            except Exception:
                log.exception("turn.crashed", turn_id=turn.turn_id)
                self._crash(turn)

    def call_failed(self, call_id: str, failure: CallFailure) -> None:
        turn = self._turn
        if turn is not None:
            self._handle = None
            try:
                self._run(turn, turn.failed(call_id, failure))
            except Exception:
                log.exception("turn.crashed", turn_id=turn.turn_id)
                self._crash(turn)

    # What the client's connection did

    def tick(self, now_ns: int) -> None:
        turn = self._turn
        if turn is not None:
            try:
                self._run(turn, turn.tick(now_ns))
            except Exception:
                log.exception("turn.crashed", turn_id=turn.turn_id)
                self._crash(turn)

    def client_gone(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            self._services.counters.add("client_gone")
            try:
                self._run(turn, turn.client_gone())
            except Exception:
                log.exception("turn.crashed", turn_id=turn.turn_id)

    def pause(self) -> None:
        if self._handle is not None:
            self._handle.pause()

    def resume(self) -> None:
        if self._handle is not None:
            self._handle.resume()

    def _crash(self, turn: Turn) -> None:
        """Whatever went wrong inside a turn, its call is closed in the ledger and the client is told."""
        self._turn = None
        try:
            self._run(turn, turn.client_gone())  # closes the call in the ledger and cancels it
        except Exception:
            log.exception("turn.crashed_again", turn_id=turn.turn_id)
        if self._begun:
            self._sink.break_off()
        else:
            reply = turn.apology()
            self._sink.write_reply(reply.status, reply.lines, reply.body)
        self._sink.answered()

    def _run(self, turn: Turn, actions: Actions) -> None:
        for action in actions:
            if isinstance(action, Record):
                try:
                    self._services.ledger.append(action.events)
                except LedgerError as exc:
                    if not self._go_on_unrecorded(turn, action, actions, exc):
                        return
            elif isinstance(action, Call):
                self._handle = self._services.upstream.start(action, self)
            elif isinstance(action, Reply):
                self._begun = True
                self._sink.write_reply(action.status, action.lines, action.body)
                if action.body is not None:
                    self._end()
            elif isinstance(action, Send):
                self._sink.write_body(action.data)
            elif isinstance(action, Resume):
                self._services.steps.put(self._resume)
            elif isinstance(action, Finish):
                self._sink.end_body()
                self._end()
            elif isinstance(action, Cancel):
                handle, self._handle = self._handle, None
                if handle is not None:
                    handle.cancel()
            else:
                self._sink.break_off()
                self._end()

    def _end(self) -> None:
        if self._turn is not None:
            self._turn = None
            self._sink.answered()

    def _go_on_unrecorded(
        self, turn: Turn, record: Record, actions: Actions, error: LedgerError
    ) -> bool:
        """What could not be written down: False when the turn was told that it may not call.

        What has happened is written later; what has not begun must not.
        """
        call = next((action for action in actions if isinstance(action, Call)), None)
        if call is None or not any(isinstance(event, LlmCallStarted) for event in record.events):
            # The money is spent; withholding the answer would not bring it back.
            self._services.ledger.keep(record.events)
            log.error("ledger.late", error=str(error), events=len(record.events))
            return True
        failure = CallFailure(FailureClass.OVERLOADED, FailureCause.LEDGER, str(error), sent=False)
        self._run(turn, turn.failed(call.call_id, failure))
        return False
