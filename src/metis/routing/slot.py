"""What a slot is: a name and a pure function from a question and a policy to a verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from metis.facts.decision import SlotName, Verdict
from metis.routing.settings import ProjectRouting
from metis.routing.targets import Directory


class Question(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a request brings to the chain. Two equal questions under one policy have equal answers."""

    requested_model: str  # "" when the body names none
    wants_auto: bool
    override_model: str  # header x-metis-model
    pinned_model: str  # the key's
    project_id: str
    shape: str
    allowed_models: tuple[str, ...]
    operation: str = "generate"
    only_provider: str = ""  # set when a client credential binds the turn to one provider


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the operator configured, as one value per config generation."""

    directory: Directory
    default: str = ""
    force: bool = False
    default_why: str = "the installation's default"
    projects: dict[str, ProjectRouting]
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Slot:
    name: SlotName
    decide: Callable[[Question, Policy], Verdict]


def absent_or_unknown(question: Question, policy: Policy) -> bool:
    """Whether the client left the choice to us: no model, `auto`, or a name nobody serves."""
    if not question.requested_model or question.wants_auto:
        return True
    return policy.directory.resolve(question.requested_model, question.shape) is None


def may_be_forced(question: Question, policy: Policy) -> bool:
    """Whether a forced default stands for this request too.

    A default is a model to talk with. It makes no embeddings: those stay with the embedding model the client
    named, as long as somebody serves it; vectors of another model would also fit nothing stored.
    """
    return question.operation != "embeddings" or absent_or_unknown(question, policy)
