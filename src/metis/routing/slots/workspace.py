"""Slot 5: the project's default, where the client left the choice to us or the project forces it."""

from __future__ import annotations

from typing import Final

from metis.facts.decision import Verdict
from metis.routing.slot import Policy, Question, Slot, absent_or_unknown, may_be_forced


def decide(question: Question, policy: Policy) -> Verdict:
    project = policy.projects.get(question.project_id)
    if project is None:
        return Verdict("workspace", "pass", "the project has no default model")
    if project.force and may_be_forced(question, policy):
        reason = "the project's default is forced"
        return Verdict("workspace", "choose", reason, project.default, binding=True)
    if absent_or_unknown(question, policy):
        return Verdict("workspace", "choose", "no known model was named", project.default)
    return Verdict("workspace", "pass", "the client named a model, which is respected")


WORKSPACE: Final = Slot("workspace", decide)
