"""The `turn` family: a client's request and its answer as a whole, with textless features and signals."""

from __future__ import annotations

from typing import Literal

import msgspec

from metis.trace.events.event import Event

FEATURES_VERSION = 1
TurnOutcome = Literal["ok", "error", "refused", "client_gone"]


class TurnFeatures(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What later learning may read of a request: counts and sizes, never text.

    The outcome signals describe the PREVIOUS turn as this request shows it: tool results that were
    errors, the same request sent again, a user who corrects.
    """

    version: int = FEATURES_VERSION
    messages: int = 0
    tools: int = 0
    tool_results: int = 0  # in the newest messages, after the last assistant one
    tool_errors: int = 0
    images: int = 0
    documents: int = 0
    user_characters: int = 0  # of the newest user text
    request_bytes: int = 0
    thinking: bool = False
    structured_output: bool = False
    cache_marks: int = 0
    retry: bool = False  # the client said or showed that it sends this request again
    compacted: bool = False


class FidelityNote(msgspec.Struct, frozen=True, array_like=True):
    """One edit, mapping, carry or loss on the way: verb, JSON path, a few words why."""

    verb: str
    path: str
    why: str = ""


class TurnCompleted(Event, frozen=True, kw_only=True, tag="turn.completed"):
    """A turn is over. `http_status` is what the client was sent, 0 when it left before a head.

    `overhead_us` is the time Metis itself took before the first upstream byte left, microseconds.
    """

    operation: str
    shape: str
    requested_model: str
    provider: str = ""
    model: str = ""
    outcome: TurnOutcome
    http_status: int = 0
    attempts: int = 0
    auxiliary: str = ""
    request_class: str = ""
    client_version: str = ""
    session_source: str = ""
    stream: bool = False
    response_id: str = ""
    features: TurnFeatures | None = None
    fidelity: tuple[FidelityNote, ...] = ()
    overhead_us: int = 0
    duration_ms: float = 0.0
