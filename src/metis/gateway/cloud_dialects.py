"""Clients that speak to Bedrock or Vertex AI, such as Claude Code set up so: Anthropic's Messages in another dress.

What differs is taken off on the way in (model and stream stand in the path, the version and betas in the body) and put
on again on the way out (AWS's framing of streams, its form of errors), so that a turn knows only Messages. Sources:
docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html,
docs.cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/use-claude.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from metis.gateway.exchange import ReplySink
from metis.gateway.paths import Route
from metis.http.headers import Headers
from metis.http.known_heads import RequestHead
from metis.trace.events.turn import FidelityNote
from metis.wire.bedrock_invoke import CONTENT_TYPE, ERROR_NAMES, InvokeFramer
from metis.wire.splice import edit_body, read_body

# What AWS's SDKs say to AWS: a signature and retries of theirs mean nothing further on.
_OF_AWS: Final = (b"x-amz", b"amz-sdk-")
_VERSION: Final = (b"anthropic-version", b"2023-06-01")
_ONCE: Final = ("model", "stream", "anthropic_version", "anthropic_beta")
_decode_betas = msgspec.json.Decoder(list[str]).decode


class Undressed(NamedTuple):
    """A request as Anthropic's own API takes it, and what was edited for that."""

    head: RequestHead
    body: bytes
    notes: tuple[FidelityNote, ...]


def as_messages(head: RequestHead, body: bytes, route: Route) -> Undressed:
    """Raises CodecError on a body that is no JSON object, or says twice what counts."""
    read = read_body(body, _ONCE)
    edits: dict[str, bytes | None] = {"anthropic_version": None, "anthropic_beta": None}
    if route.argument:  # counts have the model in the body
        edits["model"] = msgspec.json.encode(route.argument)
        edits["stream"] = b"true" if route.stream else None
    headers: Headers = [
        (name, value)
        for name, value in head.headers
        if not name.lower().startswith(_OF_AWS) and name.lower() != _VERSION[0]
    ]
    headers.append(_VERSION)
    betas = _betas(read.fields.get("anthropic_beta"))
    if betas:
        headers.append((b"anthropic-beta", betas))
    why = f"{route.cloud} has it elsewhere than Anthropic's API"
    notes = tuple(
        FidelityNote("edited", f"$.{name}", why)
        for name, value in edits.items()
        if value is not None or name in read.fields
    )
    return Undressed(_with_headers(head, headers), edit_body(read, edits), notes)


def _betas(raw: msgspec.Raw | None) -> bytes:
    if raw is None:
        return b""
    try:
        betas = [beta for beta in _decode_betas(raw) if beta.isascii() and beta.isprintable()]
    except msgspec.DecodeError:
        return b""
    return ",".join(betas).encode("ascii")


def _with_headers(head: RequestHead, headers: Headers) -> RequestHead:
    """A head of its own, that nothing is kept with: the same one may stand for many models."""
    made = RequestHead()
    made.method, made.path, made.query = head.method, head.path, head.query
    made.keep_alive, made.version_11 = head.keep_alive, head.version_11
    made.headers = headers
    made.named = {name.lower(): value for name, value in headers}
    return made


class BedrockSink:
    """Writes a Messages answer as Bedrock does: see `gateway.exchange.ReplySink`."""

    __slots__ = ("_framer", "_sink")

    def __init__(self, sink: ReplySink) -> None:
        self._sink = sink
        self._framer: InvokeFramer | None = None

    def write_reply(self, status: int, lines: bytes, body: bytes | None) -> None:
        if body is None:
            self._framer = InvokeFramer()
            lines = _retyped(lines)
        elif status >= 400:
            kind, body = _error(body)
            lines += b"x-amzn-errortype: %b\r\n" % kind
        self._sink.write_reply(status, lines, body)

    def write_body(self, data: bytes) -> None:
        framed = self._framer.feed(data) if self._framer is not None else data
        if framed:
            self._sink.write_body(framed)

    def end_body(self) -> None:
        self._sink.end_body()

    def break_off(self) -> None:
        self._sink.break_off()

    def answered(self) -> None:
        self._sink.answered()


def _retyped(lines: bytes) -> bytes:
    """The header lines of a framed stream."""
    kept = [
        line
        for line in lines.split(b"\r\n")
        if line and not line.lower().startswith(b"content-type:")
    ]
    return b"\r\n".join([*kept, b"content-type: " + CONTENT_TYPE, b""])


class _Error(msgspec.Struct):
    type: str = ""
    message: str = ""


class _ErrorBody(msgspec.Struct):
    error: _Error = msgspec.field(default_factory=_Error)


_decode_error = msgspec.json.Decoder(_ErrorBody).decode


def _error(body: bytes) -> tuple[bytes, bytes]:
    """The exception's name, and the body with Bedrock's `message` before what Anthropic's clients read."""
    try:
        error = _decode_error(body).error
        read = read_body(body)
    except (msgspec.MsgspecError, ValueError):
        return b"InternalServerException", body
    name = ERROR_NAMES.get(error.type, "internalServerException")
    text = edit_body(read, {"message": msgspec.json.encode(error.message)})
    return (name[0].upper() + name[1:]).encode("ascii"), text
