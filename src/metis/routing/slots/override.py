"""Slot 1: what this one request demands, by header or by its key's pin."""

from __future__ import annotations

from typing import Final

from metis.facts.decision import Verdict
from metis.routing.slot import Policy, Question, Slot


def decide(question: Question, policy: Policy) -> Verdict:
    """A pinned key wins over the header: the pin is the operator's word, the header the client's. Both bind."""
    if question.pinned_model:
        reason = "the key is pinned to it"
        return Verdict("override", "choose", reason, question.pinned_model, binding=True)
    if question.override_model:
        reason = "header x-metis-model"
        return Verdict("override", "choose", reason, question.override_model, binding=True)
    return Verdict("override", "pass", "neither x-metis-model nor a pinned key")


OVERRIDE: Final = Slot("override", decide)
