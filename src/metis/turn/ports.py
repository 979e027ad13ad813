"""What a turn needs from outside, as Protocols; `bootstrap` fills them. All are memory-only and quick."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from metis.catalog.rates import ModelPrice
from metis.facts.failure import CallFailure
from metis.facts.identity import SessionFacts
from metis.http.headers import Headers


class Pricing(Protocol):
    """Prices by the day: `at_s` is epoch seconds. None when there is no price at all.

    `context` is what else decides, in the price list's words: `{"service_tier": "flex"}`.
    """

    def at(
        self, provider: str, model: str, at_s: float, context: Mapping[str, str] | None = None
    ) -> ModelPrice | None: ...


ReadSession = Callable[[Mapping[str, msgspec.Raw]], SessionFacts]
"""What a request says of its client and session, read from its body's fields. Never raises on nonsense."""


class Identify(Protocol):
    """Tells by a head how to read what requests under it say of their client and session."""

    def __call__(self, headers: Mapping[bytes, bytes], path: str) -> ReadSession: ...


class Clock(Protocol):
    """Wall time in epoch seconds and a monotonic count of nanoseconds."""

    def time(self) -> float: ...

    def monotonic_ns(self) -> int: ...


class CallListener(Protocol):
    """Who hears of one upstream call. Called from the event loop, in order, never after `cancel`."""

    def call_head(self, call_id: str, status: int, headers: Headers) -> None: ...

    def call_data(self, call_id: str, data: bytes) -> None: ...

    def call_end(self, call_id: str) -> None: ...

    def call_failed(self, call_id: str, failure: CallFailure) -> None: ...


class CallHandle(Protocol):
    """One upstream call under way."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def cancel(self) -> None: ...
