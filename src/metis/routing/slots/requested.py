"""Slot 7: the model the client named, normalised; for `auto` without any default, the usual model."""

from __future__ import annotations

from typing import Final

from metis.facts.decision import Verdict
from metis.routing.slot import Policy, Question, Slot


def decide(question: Question, policy: Policy) -> Verdict:
    if question.requested_model and not question.wants_auto:
        return Verdict("requested", "choose", "the client named it", question.requested_model)
    usual = policy.directory.usual(question.shape)
    if usual is None:
        return Verdict("requested", "pass", "the client named no model and no default is known")
    return Verdict("requested", "choose", usual.why, f"{usual.provider}/{usual.model}")


REQUESTED: Final = Slot("requested", decide)
