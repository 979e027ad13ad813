"""What a turn asks its driver to do, and what the driver hands it. Values only.

A driver carries actions out in order. When a Record before a Call cannot be written, it drops the
rest and tells the turn `failed(call_id, ...)` with cause LEDGER.
"""

from __future__ import annotations

import msgspec

from metis.facts.identity import Principal
from metis.http.known_heads import RequestHead
from metis.providers.provider import Origin
from metis.trace.events import AnyForm
from metis.trace.events.turn import FidelityNote


class Inbound(msgspec.Struct, frozen=True):
    """A client's request after the door has authenticated it.

    `operation`: generate, count_tokens, embeddings, completions. `shape`: the API shape of the
    path. `client_credential`: the client brought its own provider credential (x-metis-key was used).
    `received_ns`: monotonic nanoseconds. A `relay` names its provider and path itself. `notes`: what the door
    has edited already.
    """

    operation: str
    shape: str
    head: RequestHead
    body: bytes
    principal: Principal
    client_credential: bool = False
    received_ns: int = 0
    relay_to: str = ""
    relay_path: bytes = b""
    notes: tuple[FidelityNote, ...] = ()


class Call(msgspec.Struct, frozen=True):
    """Make this upstream call. `head` is everything up to the body; timeouts are seconds."""

    call_id: str
    origin: Origin
    head: bytes
    body: bytes
    provider: str
    connect_timeout_s: float
    first_byte_timeout_s: float
    idle_timeout_s: float


class Cancel(msgspec.Struct, frozen=True):
    """Stop this upstream call and close its connection."""

    call_id: str


class Reply(msgspec.Struct, frozen=True):
    """Begin the answer. `lines` are header lines. `body` None: more comes by Send and Finish; else it is all."""

    status: int
    lines: bytes
    body: bytes | None


class Send(msgspec.Struct, frozen=True):
    """More of the answer's body."""

    data: bytes


class Finish(msgspec.Struct, frozen=True):
    """The answer is whole."""


class Abort(msgspec.Struct, frozen=True):
    """The answer cannot be finished properly: break the connection so that the client sees it."""


class Record(msgspec.Struct, frozen=True):
    """Write these down, in this order, before the actions that follow."""

    events: tuple[AnyForm, ...]


class Resume(msgspec.Struct, frozen=True):
    """Call the turn's `resume()` once others have had theirs: what is left would keep them waiting."""


Action = Call | Cancel | Reply | Send | Finish | Abort | Record | Resume
Actions = list[Action]
