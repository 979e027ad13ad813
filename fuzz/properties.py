"""What must hold of any input: nothing but Metis's errors for bad bytes leaves a codec, a tap, a fold or a crossing; an
example takes bounded time and memory; and what is well-formed comes back the same.
"""

from __future__ import annotations

import json
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Final

from corpus.checks import same_answer, same_request, same_stream

from fuzz.case import Case
from metis.errors import BadRequest, CodecError
from metis.ir.request import Request
from metis.ir.response import Response
from metis.ir.stream import Fold
from metis.turn.crossing import FoldedStream, StreamCrossing, WholeCrossing
from metis.turn.relay import StreamRelay, WholeRelay
from metis.wire import SHAPES
from metis.wire.codec import ReplyContext, Shape
from metis.wire.effective_tools import reply_tools
from metis.wire.splice import read_body

REFUSALS: Final = (CodecError, BadRequest)
_LEAST_CPU_S: Final = 2.0
_CPU_S_A_BYTE: Final = 20e-6
_LEAST_MEMORY: Final = 192 * 2**20
_MEMORY_A_BYTE: Final = 200
_STATUS: Final = 500
# A request whose tools cross in every way an answer's encoder knows.
_ASKED: Final = SHAPES[2].decode_request(
    json.dumps(
        {
            "model": "m",
            "input": "x",
            "tools": [
                {"type": "custom", "name": "patch"},
                {"type": "namespace", "name": "files", "tools": [{"type": "function", "name": "open"}]},
            ],
        }
    ).encode()
)  # fmt: skip


class Broken(AssertionError):
    """A property does not hold: the message says which, of what."""


class TooSlow(BaseException):
    """Raised into what has used up its CPU time. No codec catches it by mistake."""


def context() -> ReplyContext:
    custom, namespaces = reply_tools(_ASKED)
    return ReplyContext(
        model="m",
        response_id="made",
        created=1,
        custom_tools=custom,
        namespaces=namespaces,
        request=_ASKED,
    )


def check(case: Case) -> None:
    """Try all of it. Raises Broken."""
    with _bounded(case):
        match case.kind:
            case "request":
                _request(case)
            case "answer":
                _answer(case)
            case "stream":
                _stream(case)
            case "error":
                _error(case)


@contextmanager
def _bounded(case: Case) -> Iterator[None]:
    """Bound CPU time and memory by the input's size; turn any other exception into a Broken."""
    allowed_s = _LEAST_CPU_S + len(case.data) * _CPU_S_A_BYTE
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    previous = signal.signal(signal.SIGVTALRM, _too_slow)
    signal.setitimer(signal.ITIMER_VIRTUAL, allowed_s)
    began = time.process_time()
    try:
        yield
    except Broken:
        raise
    except TooSlow as exc:
        raise Broken(f"over {allowed_s:.1f} s of CPU for {len(case.data)} bytes") from exc
    except Exception as exc:
        raise Broken(f"{type(exc).__name__} left: {exc}"[:500]) from exc
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, previous)
    spent = time.process_time() - began
    if spent > allowed_s:
        raise Broken(f"{spent:.1f} s of CPU for {len(case.data)} bytes")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    if grown > _LEAST_MEMORY + len(case.data) * _MEMORY_A_BYTE:
        raise Broken(f"{grown >> 20} MB more for {len(case.data)} bytes")


def _too_slow(number: int, frame: FrameType | None) -> None:
    raise TooSlow


def _tried(attempt: Callable[[], Any]) -> Any:
    """What it gives; None where it refuses its input as it may."""
    with suppress(*REFUSALS):
        return attempt()
    return None


def _holds(truth: object, what: str) -> None:
    if not truth:
        raise Broken(what)


def _is_json(body: bytes, what: str) -> None:
    try:
        json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise Broken(f"{what} is no JSON: {exc}") from exc


def _request(case: Case) -> None:
    shape, data = case.codec, case.data
    _tried(lambda: read_body(data))
    request: Request | None = _tried(lambda: shape.decode_request(data))
    if request is None:
        _holds(case.mutated, "a well-formed request is refused")
        return
    reply_tools(request)
    if not case.mutated:
        verdict, why = same_request(shape, json.loads(data))
        _holds(verdict == "pass", f"a request does not come back the same: {why}")
    if shape.uncrossable(request) is not None:
        return
    for target in SHAPES:
        for sent in (request, target.adopt_proofs(request)):
            encoded = _tried(lambda to=target, sent=sent: to.encode_request(sent))
            if encoded is not None:
                _is_json(encoded.body, f"a request for {target.name}")
                _understood(target.decode_request, encoded.body, f"a request for {target.name}")


def _answer(case: Case) -> None:
    shape, data = case.codec, case.data
    _tried(lambda: shape.facts_of(data))
    _tried(lambda: _received(WholeRelay(shape), [data]))
    response: Response | None = _tried(lambda: shape.decode_response(data))
    _holds(response is not None or case.mutated, "a well-formed answer is refused")
    if not case.mutated:
        verdict, why = same_answer(shape, json.loads(data))
        _holds(verdict == "pass", f"an answer does not come back the same: {why}")
    for target in SHAPES:
        if response is not None:
            encoded = _tried(lambda to=target: to.encode_response(response, context()))
            if encoded is not None:
                _is_json(encoded.body, f"an answer for {target.name}")
        _tried(lambda to=target: _received(WholeCrossing(shape, to, context()), [data]))
        _tried(
            lambda to=target: _received(StreamCrossing(shape, to, context(), events=False), [data])
        )


def _stream(case: Case) -> None:
    shape, pieces = case.codec, case.pieces()
    for strip in (False, True):
        tap = shape.tap(strip)
        passed = b"".join(map(tap.feed, pieces))
        _holds(strip or passed == case.data, "a tap changed what it relays")
        relay = StreamRelay(shape, strip_usage=strip)
        passed = _received(relay, pieces)
        _holds(strip or passed == case.data, "a relay changed what it relays")
    fold: Fold | None = _tried(lambda: _folded(shape, pieces))
    _holds(fold is not None or case.mutated, "a well-formed stream is refused")
    if not case.mutated:
        verdict, why = same_stream(shape, case.data, every_byte=False)
        _holds(verdict == "pass", f"a stream does not come out the same: {why}")
    for target in SHAPES:
        if fold is not None:
            _tried(lambda to=target, fold=fold: to.encode_response(fold.result(), context()))
        written = _tried(
            lambda to=target: _received(StreamCrossing(shape, to, context(), events=True), pieces)
        )
        if written is not None and target is not shape:
            told = f"a stream for {target.name}"
            _understood(lambda data, to=target: _folded(to, [data]), written, told)
        _tried(lambda to=target: _received(FoldedStream(shape, to, context()), pieces))


def _understood(read: Callable[[bytes], object], body: bytes, what: str) -> None:
    """What a shape writes, the same shape must be able to read."""
    try:
        read(body)
    except REFUSALS as exc:
        raise Broken(f"{what} is not understood: {exc}") from exc


def _error(case: Case) -> None:
    info = case.codec.decode_error(_STATUS, case.data)
    for target in SHAPES:
        written = _tried(lambda to=target: to.encode_error(info))
        if written is not None:
            _is_json(written, f"an error for {target.name}")
        _tried(lambda to=target: to.encode_stream_error(info))


def _received(receiver: Any, pieces: list[bytes]) -> bytes:
    """All that a receiver gives, with a heartbeat now and then; and its notes are asked for."""
    out: list[bytes] = []
    for piece in pieces:
        out.append(receiver.feed(piece))
    ended = receiver.finish()
    out.append(ended if isinstance(ended, bytes) else b"")  # a folded stream may end in an error
    receiver.notes()
    return b"".join(out)


def _folded(shape: Shape, pieces: list[bytes]) -> Fold:
    decoder, fold = shape.stream_decoder(), Fold()
    for piece in pieces:
        for event in decoder.feed(piece):
            fold.feed(event)
    for event in decoder.finish():
        fold.feed(event)
    fold.result()
    return fold
