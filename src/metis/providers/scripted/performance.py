"""A reply as timed steps, and what faults make of them. The bytes come from `bodies`; nobody waits here."""

from __future__ import annotations

import math
from typing import Final

import msgspec

from metis.facts.failure import CallFailure, FailureCause, FailureClass
from metis.http.headers import Headers
from metis.providers.scripted.script import Fault, ScriptedReply

_REFUSED: Final = CallFailure(
    FailureClass.NETWORK, FailureCause.REFUSED, "connection refused", sent=False
)
_RESET: Final = CallFailure(
    FailureClass.NETWORK, FailureCause.RESET, "closed before it answered", sent=True
)
_CUT: Final = CallFailure(
    FailureClass.NETWORK, FailureCause.CUT, "closed inside its answer", sent=True
)
_NONSENSE: Final = b"<html>this is nothing that an API says"
_NEVER: Final = math.inf


class Head(msgspec.Struct, frozen=True):
    """After `after_ms`: status and headers."""

    after_ms: float
    status: int
    headers: Headers


class Piece(msgspec.Struct, frozen=True):
    """After `after_ms`: more of the body."""

    after_ms: float
    data: bytes


class Close(msgspec.Struct, frozen=True):
    """After `after_ms`: the body is whole. Infinity: it never is."""

    after_ms: float


class Broken(msgspec.Struct, frozen=True):
    """After `after_ms`: the connection fails."""

    after_ms: float
    failure: CallFailure


Step = Head | Piece | Close | Broken
Performance = tuple[Step, ...]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What would be sent if nothing went wrong. `pieces` of a stream are its events, the last its terminator.

    `stream_error` is the shape's error event, None where the answer is no stream.
    """

    status: int
    headers: Headers
    pieces: tuple[bytes, ...]
    stream_error: bytes | None = None


def perform(reply: ScriptedReply, answer: Answer) -> Performance:
    """The steps of an answer, its fault included."""
    fault = reply.fault
    if fault == "refused":
        return (Broken(reply.delay_ms, _REFUSED),)
    if fault == "reset":
        return (Broken(reply.delay_ms, _RESET),)
    if fault == "hang" and reply.fault_after is None:
        return (Close(_NEVER),)
    pieces, end = _broken_pieces(reply, fault, answer)
    steps: list[Step] = [Head(reply.delay_ms, answer.status, answer.headers)]
    for index, data in enumerate(pieces):
        steps.append(Piece(reply.chunk_delay_ms if index else 0.0, data))
    return (*steps, end)


def _broken_pieces(
    reply: ScriptedReply, fault: Fault | None, answer: Answer
) -> tuple[tuple[bytes, ...], Step]:
    pieces, whole = answer.pieces, Close(0.0)
    after = reply.fault_after
    match fault:
        case "cut":
            return pieces[: 1 if after is None else after], Broken(reply.chunk_delay_ms, _CUT)
        case "hang":
            return pieces[:after], Close(_NEVER)
        case "nonsense":
            said = b"data: %b\n\n" % _NONSENSE if answer.stream_error is not None else _NONSENSE
            return (*pieces[: after or 0], said), whole
        case "empty":
            return (), whole
        case "error_event" if answer.stream_error is not None:
            return (*pieces[: 1 if after is None else after], answer.stream_error), whole
        case "no_terminator" if answer.stream_error is not None:
            return pieces[:-1], whole
        case _:
            return pieces, whole
