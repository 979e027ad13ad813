"""What every API shape must be able to do, as values. The shapes themselves live in their own files beside this one.

A shape is one codec used at both ends: at the door it decodes requests and encodes responses, at the
upstream end the reverse. Nothing here or in a shape does I/O, and no shape knows another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import msgspec

from metis.facts.usage import Usage
from metis.ir.request import Request
from metis.ir.response import ErrorInfo, Response
from metis.ir.stream import StreamEvent

ShapeName = Literal[
    "anthropic_messages",
    "openai_chat",
    "openai_responses",
    "bedrock_converse",
    "google_generate_content",
]

# Signatures of other shapes travel inside a shape's own signature field behind this word, so that a
# client replays them and the encoder of the shape they belong to finds them again (see `carry.py`).
# Long, upper-case and with dots, so that looking for it costs little: 12 GB/s in JSON, 9 in base64.
FOREIGN_SIGNATURE = "METIS.1.CARRIED.SIGNATURE.FROM.ANOTHER.SHAPE:"


@dataclass(frozen=True, slots=True)
class Note:
    """One thing a crossing did: `path` is a JSON path in the body that came in, `why` a few words."""

    verb: Literal["edited", "mapped", "carried", "lost"]
    path: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A body made from IR, with what happened on the way.

    `renamed`: the upstream's names of tools whose own its API would refuse, each with the own one.
    """

    body: bytes
    notes: tuple[Note, ...] = ()
    renamed: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyContext:
    """What an encoder of answers must know of the request: set by the turn, the same for sync and stream.

    `response_id` and `created` are used when the origin gives none; `model` is what the client is
    told. `include_usage` is chat's: send the usage chunk. `custom_tools` names the request's free-text
    tools and `namespaces` maps member tools to their namespace, so that calls come back in the right
    form; `request` is the decoded request (Responses echoes several of its fields). `renamed` is the
    encoded request's: whoever decodes the answer gives calls their own names back, before any encoder sees them.
    """

    model: str
    response_id: str
    created: int
    include_usage: bool = True
    custom_tools: frozenset[str] = frozenset()
    namespaces: dict[str, str] = field(default_factory=dict[str, str])
    request: Request | None = None
    renamed: dict[str, str] = field(default_factory=dict[str, str])


class ResponseFacts(msgspec.Struct, kw_only=True):
    """What the ledger needs of an answer, read without building IR. Mutable while a stream runs.

    `service_tier` and `speed` are what the answer says it was served with, in the provider's words.
    """

    response_id: str = ""
    model: str = ""
    usage: Usage | None = None
    stop: str = ""
    stop_raw: str = ""
    tool_calls: int = 0
    output_characters: int = (
        0  # of text, thinking and arguments: for estimates when usage never came
    )
    error: ErrorInfo | None = None
    service_tier: str = ""
    speed: str = ""
    complete: bool = False  # the shape's own terminator was seen


class StreamTap(Protocol):
    """Watch a same-shape stream go by without changing it, but for the chunks it was told to leave out.

    `feed` takes what arrived and returns what to relay: the same object when nothing is left out, so
    the common case copies nothing. `facts` is up to date after each feed. `at_boundary` says whether
    what has been relayed ends between two events (a keep-alive may only stand there). `feed` never
    raises on nonsense: what cannot be parsed is relayed and leaves `facts` as they are.
    """

    facts: ResponseFacts
    at_boundary: bool

    def feed(self, data: bytes) -> bytes: ...


class StreamDecoder(Protocol):
    """Turn an upstream's stream into events, under any chunking.

    `finish` is called once at the end of the body: it gives what is still due, and a StreamFailure
    when the stream ended without its terminator. Raises CodecError on bytes that are no stream of
    this shape.
    """

    def feed(self, data: bytes) -> list[StreamEvent]: ...

    def finish(self) -> list[StreamEvent]: ...


class StreamEncoder(Protocol):
    """Turn events into a client's stream. One grammar: whatever the origin did, the output is valid.

    `feed` returns b"" when an event has no counterpart. After End or StreamFailure nothing more may come.
    `notes` gathers what was lost.
    """

    notes: list[Note]

    def feed(self, event: StreamEvent) -> bytes: ...


def all_crosses(request: Request) -> str | None:
    """For shapes whose every request can be told in another shape."""
    return None


def as_it_is(request: Request) -> Request:
    """For shapes whose upstreams take back no proof of another shape's models."""
    return request


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamShape:
    """An API shape that providers are spoken to in, as a value; `UPSTREAM_SHAPES` in `wire/__init__` lists them all.

    `facts_of` reads a whole JSON answer. `adopt_proofs` makes thinking that another shape's model signed the
    shape's own, for upstreams that stand before such models; without it `encode_request` leaves such thinking
    out. `decode_request` and `encode_response` are the same codec's other half: what is decoded encodes equal.
    """

    name: ShapeName
    decode_request: Callable[[bytes], Request]
    encode_request: Callable[[Request], Encoded]
    decode_response: Callable[[bytes], Response]
    encode_response: Callable[[Response, ReplyContext], Encoded]
    stream_decoder: Callable[[], StreamDecoder]
    decode_error: Callable[[int, bytes], ErrorInfo]
    facts_of: Callable[[bytes], ResponseFacts]
    usage_of: Callable[[dict[str, Any]], Usage]
    adopt_proofs: Callable[[Request], Request] = as_it_is


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape(UpstreamShape):
    """An API shape that clients speak too; `SHAPES` in `wire/__init__` lists them all.

    `paths` are the generation endpoints, normalised: no `/v1`, no query (`/messages`).
    `tap` watches a stream (`strip_usage`: leave out chat's usage chunk, which the gateway asked for and the client
    did not). `keepalive` is one heartbeat in the shape's own way. `uncrossable` gives the sentence to refuse a
    request with that only the shape's own provider could answer, naming field and remedy. `encode_response`
    takes answers of every shape.
    """

    paths: tuple[str, ...]
    upstream_path: str
    keepalive: bytes
    stream_encoder: Callable[[ReplyContext], StreamEncoder]
    encode_error: Callable[[ErrorInfo], bytes]
    encode_stream_error: Callable[[ErrorInfo], bytes]
    tap: Callable[[bool], StreamTap]
    uncrossable: Callable[[Request], str | None] = all_crosses
