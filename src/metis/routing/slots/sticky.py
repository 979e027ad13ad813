"""Slot 2: the session's current model while leaving it costs more than it saves. It passes for now."""

from __future__ import annotations

from typing import Final

from metis.facts.decision import Verdict
from metis.routing.slot import Policy, Question, Slot

_PASS: Final = Verdict("sticky", "pass", "no session state is kept yet")


def decide(question: Question, policy: Policy) -> Verdict:
    return _PASS


STICKY: Final = Slot("sticky", decide)
