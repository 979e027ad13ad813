"""The `turn` family: a client's request and its answer as a whole, with textless features and signals."""

from __future__ import annotations

from typing import ClassVar, Final

import msgspec

from metis.trace.events.event import TurnEvent
from metis.trace.events.groups import TURN_KIND, WHOSE, Packed, TurnOutcome

__all__ = ["FidelityNote", "TurnCompleted", "TurnFeatures", "TurnOutcome"]

FEATURES_VERSION: Final = 1


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


NO_FEATURES: Final = Packed(b"null")


class TurnCompleted(TurnEvent, frozen=True, array_like=True, tag="turn.completed", gc=False):
    """A turn is over. `kind` is a packed TurnKind; `features` is TurnFeatures as JSON, or null.

    `overhead_us` is the time Metis itself took before the first upstream byte left, microseconds.
    """

    kind: Packed
    previous_turn_id: str = ""
    response_id: str = ""
    overhead_us: int = 0
    duration_us: int = 0
    features: Packed = NO_FEATURES
    fidelity: tuple[FidelityNote, ...] = ()

    groups: ClassVar = {"whose": WHOSE, "kind": TURN_KIND}
    mark = "turn"
