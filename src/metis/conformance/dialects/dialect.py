"""What the suite must know of an API to play both of its ends: client and upstream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from metis.conformance.json_values import Json
from metis.conformance.neutral import Answer, Asked, Prompt, Understood
from metis.conformance.sse import Event

Name = Literal["anthropic", "openai", "responses"]


@dataclass(frozen=True)
class Dialect:
    """One API. The client's end uses `request`, `understand` and the faults, the upstream's `whole`, `events`, `asked`.

    `request(prompt, model, stream)` · `whole(answer, request)` and `events(answer, request)` answer a request as it
    arrived · `fold(events)` makes the whole answer of a stream, as an SDK does · `stream_faults`, `whole_faults` list
    what breaks the API's grammar · `error(status, message)` is how this API says no.
    """

    name: Name
    path: str
    title: str
    request: Callable[[Prompt, str, bool], Json]
    whole: Callable[[Answer, Json], Json]
    events: Callable[[Answer, Json], list[bytes]]
    error: Callable[[int, str], Json]
    error_event: Callable[[str], bytes]
    fold: Callable[[Sequence[Event]], Json]
    understand: Callable[[Json], Understood]
    asked: Callable[[Json], Asked]
    stream_faults: Callable[[Sequence[Event]], list[str]]
    whole_faults: Callable[[Json], list[str]]
