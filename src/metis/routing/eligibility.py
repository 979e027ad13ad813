"""Whether a choice may stand: checked after every slot that chooses. Availability will join here."""

from __future__ import annotations

from fnmatch import fnmatchcase

from metis.routing.slot import Question
from metis.routing.targets import Resolved


def why_not(question: Question, resolved: Resolved) -> str:
    """Why this provider and model may not serve the request; "" when they may."""
    if question.only_provider and resolved.provider != question.only_provider:
        return f"the client's own credential is only good for {question.only_provider}"
    allowed = question.allowed_models
    full = f"{resolved.provider}/{resolved.model}"
    if allowed and not any(
        fnmatchcase(resolved.model, glob) or fnmatchcase(full, glob) for glob in allowed
    ):
        return "the key's allow-list does not have it"
    return ""
