"""Groups of fields that many events have alike: whose it is, what kind of call, how it ended.

Such a group is written out once, as JSON, and every event that has it holds the same bytes: a worker makes a turn's
events in a microsecond, and whoever reads them looks a group up by its bytes instead of taking it apart again.
Events stand in the files of their families.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final, Generic, Literal, ParamSpec, TypeVar, cast

import msgspec

from metis.facts.usage import PaidBy, UsageSource

CallRole = Literal[
    "main", "auxiliary", "judge", "worker", "curator", "shadow", "hedge", "probe", "relay"
]
CallOutcome = Literal["ok", "error", "aborted", "interrupted"]
TurnOutcome = Literal["ok", "error", "refused", "client_gone"]

Packed = msgspec.Raw
"""A group as JSON. Read it with its group's `unpack`."""

_MOST_KEPT: Final = 4096

P = ParamSpec("P")
T = TypeVar("T", bound=msgspec.Struct)


class Group(Generic[P, T]):
    """Packs and unpacks one kind of group, remembering the newest few thousand of each process.

    `pack` takes the group's fields in their order. `unpack` raises msgspec.DecodeError on what is no such group.
    """

    __slots__ = ("kind", "pack", "unpack_bytes")

    def __init__(self, kind: Callable[P, T]) -> None:
        encode = msgspec.json.Encoder().encode
        self.kind = kind

        def pack(*args: P.args, **kwargs: P.kwargs) -> Packed:
            return Packed(encode(kind(*args, **kwargs)))

        decoder = msgspec.json.Decoder(cast(type[T], kind))
        self.pack = cast(Callable[P, Packed], lru_cache(_MOST_KEPT)(pack))
        self.unpack_bytes: Callable[[bytes], T] = lru_cache(_MOST_KEPT)(decoder.decode)

    def unpack(self, packed: Packed) -> T:
        return self.unpack_bytes(bytes(packed))


class Whose(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Whose it is: the owner of the key, the client tool, the conversation and the agent in it."""

    org_id: str = ""
    team_id: str = ""
    user_id: str = ""
    project_id: str = ""
    key_id: str = ""
    client: str = ""
    session_id: str = ""
    agent_id: str = ""
    parent_agent_id: str = ""


class CallKind(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What is asked of whom. `shape` is the client's.

    `operation`: generate, count_tokens, embeddings, completions, relay.
    """

    role: CallRole
    provider: str
    model: str
    requested_model: str
    operation: str
    shape: str
    upstream_shape: str
    stream: bool = False
    paid_by: PaidBy = PaidBy.GATEWAY
    arm: str = ""


class CallEnd(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """How a call ended.

    `outcome`: ok (a 2xx answer, whole), error (anything else the upstream or network did), aborted
    (the client hung up, or the gateway cancelled), interrupted (the gateway died: written by the
    recorder). `http_status` is 0 when no head came. `price_unknown`: no price is known (the cost is 0),
    or none for the parts that `unpriced` names (the cost lacks them).
    """

    outcome: CallOutcome
    http_status: int = 0
    failure: str = ""
    failure_cause: str = ""
    error_type: str = ""
    usage_source: UsageSource = UsageSource.UNKNOWN
    price_unknown: bool = False
    unpriced: tuple[str, ...] = ()
    stop: str = ""
    response_model: str = ""


class TurnKind(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What a client asked for and what became of it.

    `http_status` is what it was sent, 0 when it left before a head.
    """

    operation: str
    shape: str
    requested_model: str
    provider: str = ""
    model: str = ""
    stream: bool = False
    outcome: TurnOutcome = "ok"
    http_status: int = 0
    attempts: int = 0
    auxiliary: str = ""
    request_class: str = ""
    client_version: str = ""
    session_source: str = ""
    arm: str = ""


WHOSE: Final = Group(Whose)
CALL_KIND: Final = Group(CallKind)
CALL_END: Final = Group(CallEnd)
TURN_KIND: Final = Group(TurnKind)
