"""The routing decision as a value: what each slot said and why this model. Rules for making one live in `routing`."""

from __future__ import annotations

from typing import Literal

import msgspec

SlotName = Literal["override", "sticky", "rule", "pattern", "workspace", "global", "requested"]


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """One slot's word: `pass`, `choose` or `advise`, with one plain sentence why.

    `binding`: the choice is a demand. When it cannot be served the request is refused; no later slot answers for it.
    """

    slot: SlotName
    kind: Literal["pass", "choose", "advise"]
    reason: str
    model: str = ""
    binding: bool = False


class Candidate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A model that was considered. Costs are nano-dollars, None where nobody can know yet."""

    provider: str
    model: str
    eligible: bool
    why_not: str = ""
    expected_quality: float | None = None
    expected_cost_nano_usd: int | None = None
    switching_cost_nano_usd: int | None = None


class RouteDecision(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one choice: stored with the turn, printed by `metis receipt` (promise P8)."""

    requested_model: str
    provider: str
    model: str
    slot: SlotName
    reason: str
    verdicts: tuple[Verdict, ...]
    candidates: tuple[Candidate, ...] = ()
