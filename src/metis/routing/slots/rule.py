"""Slot 3: the first configured rule that matches. It passes until there is something to go by."""

from __future__ import annotations

from typing import Final

from metis.facts.decision import Verdict
from metis.routing.slot import Policy, Question, Slot

_PASS: Final = Verdict("rule", "pass", "no rules are configured")


def decide(question: Question, policy: Policy) -> Verdict:
    return _PASS


RULE: Final = Slot("rule", decide)
