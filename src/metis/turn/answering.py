"""How the client is answered: which receiver an answer gets, its headers, and errors in the client's shape."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import msgspec

from metis.facts.decision import RouteDecision
from metis.http.headers import HOP_BY_HOP, Headers, safe_value
from metis.ir.response import ErrorInfo
from metis.providers.provider import Provider
from metis.trace.events.turn import FidelityNote
from metis.turn.actions import Inbound
from metis.turn.crossing import StreamCrossing, WholeCrossing
from metis.turn.engine import Engine
from metis.turn.outbound import Outbound
from metis.turn.refusals import credential_refused
from metis.turn.relay import PathRelay, Receiver, StreamRelay, WholeRelay

# Said about the upstream's connection or site, not about this answer.
_NOT_RELAYED: Final = HOP_BY_HOP | frozenset(
    {
        b"content-length",
        b"set-cookie",
        b"alt-svc",
        b"strict-transport-security",
        b"server",
        b"date",
        b"report-to",
        b"nel",
    }
)
# What survives a crossing: ids, limits and hints that SDKs read in any shape.
_KEPT_ACROSS: Final = (
    b"request-id",
    b"x-request-id",
    b"retry-after",
    b"anthropic-ratelimit-",
    b"x-ratelimit-",
)
_WITHOUT_BODY: Final = (204, 205)
_REQUEST_IDS: Final = (b"request-id", b"x-request-id", b"apim-request-id")
_FIDELITY_ORDER: Final = ("edited", "mapped", "carried", "lost")


class Answer(msgspec.Struct, frozen=True):
    """A whole answer made here."""

    status: int
    headers: Headers
    body: bytes


class Answerer:
    """Makes the client's side of one turn's answer. `upstream_headers` is set when a head has come."""

    __slots__ = ("_crossed_type", "_engine", "_inbound", "_turn_id", "upstream_headers")

    def __init__(self, engine: Engine, inbound: Inbound, turn_id: str) -> None:
        self._engine = engine
        self._inbound = inbound
        self._turn_id = turn_id
        self._crossed_type = b"application/json"
        self.upstream_headers: Headers | None = None

    def upstream_request_id(self, headers: Headers) -> str:
        """The upstream's own id of the call, for its support desk."""
        for name, value in headers:
            if name.lower() in _REQUEST_IDS:
                return value.decode("latin-1")[:200]
        return ""

    def receiver(self, status: int, headers: Headers, outbound: Outbound, stream: bool) -> Receiver:
        """How a 2xx answer is received, by what was asked and what the upstream says it sends."""
        shape = outbound.shape
        if self._inbound.operation == "relay":
            return PathRelay()
        kind = _content_type(headers)
        sent_stream = kind.startswith(b"text/event-stream")
        if status in _WITHOUT_BODY or kind.startswith(b"text/html"):
            # No stream can come of it: read whole it is nonsense with a status, not a 200 that failed.
            stream = sent_stream = False
        if shape is None:
            like = self._engine.shapes["openai_chat"]
            return (
                StreamRelay(like, strip_usage=outbound.strip_usage) if stream else WholeRelay(like)
            )
        if outbound.context is None:
            if stream:
                return StreamRelay(shape, strip_usage=outbound.strip_usage)
            return WholeRelay(shape)
        target = self._engine.shapes[self._inbound.shape]
        self._crossed_type = b"text/event-stream; charset=utf-8" if stream else b"application/json"
        if stream:
            whole = kind.startswith(b"application/json") and not sent_stream
            return StreamCrossing(shape, target, outbound.context, whole=whole)
        return WholeCrossing(shape, target, outbound.context, streamed=sent_stream)

    def headers(self, decision: RouteDecision | None, notes: tuple[FidelityNote, ...]) -> Headers:
        """The answer's headers: the upstream's where the shape is the same, and Metis's own words."""
        upstream = self.upstream_headers or []
        crossed = self._crossed(decision)
        headers: Headers
        if crossed:
            headers = [pair for pair in upstream if pair[0].lower().startswith(_KEPT_ACROSS)]
            headers.append((b"content-type", self._crossed_type))
        else:
            headers = [pair for pair in upstream if pair[0].lower() not in _NOT_RELAYED]
        return headers + self._own_headers(decision, notes)

    def error(self, error: ErrorInfo, decision: RouteDecision | None) -> Answer:
        """An error in the client's shape, with the ids it may quote and `retry-after` where it must be."""
        shape = self._engine.shapes.get(self._inbound.shape) or self._engine.shapes["openai_chat"]
        if error.request_id is None:
            error = msgspec.structs.replace(error, request_id=self._turn_id)
        headers: Headers = [
            (b"content-type", b"application/json"),
            (b"request-id", self._turn_id.encode()),
            (b"x-request-id", self._turn_id.encode()),
        ]
        if error.status in (429, 503, 529):
            seconds = error.retry_after_s or self._engine.settings.retry_after_s
            headers.append((b"retry-after", b"%d" % max(1, round(seconds))))
        headers += self._own_headers(decision, ())
        return Answer(error.status, headers, shape.encode_error(error))

    def upstream_error(
        self,
        status: int,
        body: bytes,
        outbound: Outbound,
        provider: Provider,
        decision: RouteDecision | None,
    ) -> tuple[Answer, ErrorInfo]:
        """An upstream's error: untouched in its own shape, translated with the original inside else.

        A kind of server that names no remedy itself may have it explained: then in the client's shape.
        """
        shapes = self._engine.shapes
        source = outbound.shape or shapes.get(self._inbound.shape) or shapes["openai_chat"]
        info = source.decode_error(status, body)
        gateway_pays = not self._inbound.client_credential
        if status in (401, 403) and gateway_pays:
            return self.error(credential_refused(provider.name, status), decision), info
        if provider.kind.explain is not None:
            explained = provider.kind.explain(provider, info)
            if explained is not info:
                return self.error(explained, decision), explained
        headers = self.headers(decision, ())
        named = {name.lower() for name, _ in headers}
        if status in (429, 529) and b"retry-after" not in named:
            # Codex gives up on a 429 without it; several others wait a random time.
            headers.append((b"retry-after", b"%d" % self._engine.settings.retry_after_s))
        if outbound.context is None:
            return Answer(status, headers, body), info
        target = shapes[self._inbound.shape]
        return Answer(status, headers, target.encode_error(info)), info

    def _crossed(self, decision: RouteDecision | None) -> bool:
        if decision is None or self._inbound.operation != "generate":
            return False
        return self._inbound.shape not in self._engine.providers[decision.provider].shapes

    def _own_headers(
        self, decision: RouteDecision | None, notes: tuple[FidelityNote, ...]
    ) -> Headers:
        headers: Headers = [(b"x-metis-turn", self._turn_id.encode())]
        if decision is not None:
            headers += _decision_headers(
                decision.provider,
                decision.model,
                decision.slot,
                decision.reason,
                embedded=self._engine.embedded,
            )
        if notes:
            verbs = [note.verb for note in notes]
            said = ", ".join(
                f"{verb}={verbs.count(verb)}" for verb in _FIDELITY_ORDER if verb in verbs
            )
            headers.append((b"x-metis-fidelity", said.encode()))
        return headers


@lru_cache(maxsize=4096)
def _decision_headers(
    provider: str, model: str, slot: str, reason: str, *, embedded: bool
) -> tuple[tuple[bytes, bytes], ...]:
    """The decision as the client is told it; decisions repeat, so their headers are kept."""
    note = "; embedded model, no provider key is configured" if embedded else ""
    return (
        (b"x-metis-model", safe_value(f"{provider}/{model}")),
        (b"x-metis-route", safe_value(f"{slot}; {reason}{note}")),
    )


def _content_type(headers: Headers) -> bytes:
    for name, value in headers:
        if name.lower() == b"content-type":
            return value.strip().lower()
    return b""
