"""Slot 6: the installation's default, where the client left the choice to us or it is forced."""

from __future__ import annotations

from typing import Final

from metis.facts.decision import Verdict
from metis.routing.slot import Policy, Question, Slot, absent_or_unknown, may_be_forced


def decide(question: Question, policy: Policy) -> Verdict:
    if not policy.default:
        return Verdict("global", "pass", "no default model is configured")
    if policy.force and may_be_forced(question, policy):
        reason = f"{policy.default_why} is forced"
        return Verdict("global", "choose", reason, policy.default, binding=True)
    if absent_or_unknown(question, policy):
        return Verdict("global", "choose", "no known model was named", policy.default)
    return Verdict("global", "pass", "the client named a model, which is respected")


GLOBAL: Final = Slot("global", decide)
