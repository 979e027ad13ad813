"""The chain: ask the seven slots in order; the first eligible choice wins; every verdict is kept (promise P8)."""

from __future__ import annotations

from typing import Final

from metis.catalog.models import suggest
from metis.errors import Forbidden, NotFound
from metis.facts.decision import Candidate, RouteDecision, Verdict
from metis.routing.eligibility import why_not
from metis.routing.slot import Policy, Question
from metis.routing.slots import SLOTS
from metis.routing.targets import Resolved

_CACHED_ANSWERS: Final = 4096


def decide(question: Question, policy: Policy) -> RouteDecision:
    """Choose provider and model for a request.

    Raises NotFound when no slot's choice is served by anybody, Forbidden when the only ones that are
    may not be used by this key; either at once where the choice was a demand (`Verdict.binding`).
    """
    verdicts = tuple(slot.decide(question, policy) for slot in SLOTS)
    candidates: list[Candidate] = []
    chosen: tuple[Verdict, Resolved] | None = None
    for verdict in verdicts:
        if verdict.kind != "choose" or chosen is not None:
            continue
        resolved = policy.directory.resolve(verdict.model, question.shape)
        candidate = _candidate(question, verdict, resolved)
        candidates.append(candidate)
        if resolved is not None and candidate.eligible:
            chosen = (verdict, resolved)
        elif verdict.binding:
            raise _unserved_demand(question, verdict, candidate)
    if chosen is None:
        raise _refusal(question, policy, candidates)
    verdict, resolved = chosen
    return RouteDecision(
        requested_model=question.requested_model,
        provider=resolved.provider,
        model=resolved.model,
        slot=verdict.slot,
        reason=f"{verdict.reason}; {resolved.why}",
        verdicts=verdicts,
        candidates=tuple(candidates),
    )


def _candidate(question: Question, verdict: Verdict, resolved: Resolved | None) -> Candidate:
    if resolved is None:
        nobody = "no configured provider serves it"
        return Candidate(provider="", model=verdict.model, eligible=False, why_not=nobody)
    obstacle = why_not(question, resolved)
    return Candidate(
        provider=resolved.provider,
        model=resolved.model,
        eligible=not obstacle,
        why_not=obstacle,
    )


def _unserved_demand(
    question: Question, verdict: Verdict, candidate: Candidate
) -> NotFound | Forbidden:
    """Another model in its place would be what nobody asked for, at a price nobody agreed to."""
    match verdict.slot:
        case "override" if question.pinned_model:
            remedy = "see 'metis models', and make a key with another --model"
        case "override":
            remedy = "see 'metis models', and name another in x-metis-model"
        case "workspace":
            remedy = f"correct [routing.projects.{question.project_id}] in metis.toml"
        case _:
            remedy = "correct [routing] in metis.toml"
    sentence = f"{verdict.reason}, and {candidate.why_not}; {remedy}"
    if candidate.provider:
        return Forbidden(f"model {verdict.model!r} cannot be used: {sentence}")
    return NotFound(f"unknown model {verdict.model!r}: {sentence}", code="model_not_found")


def _refusal(
    question: Question, policy: Policy, candidates: list[Candidate]
) -> NotFound | Forbidden:
    barred = [candidate for candidate in candidates if candidate.provider]
    if barred:
        named = barred[0]
        return Forbidden(
            f"model {named.model!r} cannot be used: {named.why_not}; see 'metis models'"
        )
    if not question.requested_model or question.wants_auto:
        return NotFound(
            "no model was named and none is configured; set [routing] default in metis.toml",
            code="model_not_found",
        )
    name = question.requested_model
    known = [target.default_model for target in policy.directory.targets if target.default_model]
    near = suggest(name, [*known, *policy.directory.aliases])
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    return NotFound(
        f"unknown model {name!r}{hint} see 'metis models', or set [routing] default in metis.toml",
        code="model_not_found",
    )


class Router:
    """The chain under one policy, remembering its answers: equal questions get the same value back.

    What changes from turn to turn (sessions, health, learning) will have to be part of the question.
    """

    __slots__ = ("_answers", "policy")

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._answers: dict[Question, RouteDecision] = {}

    def decide(self, question: Question) -> RouteDecision:
        """As `decide`; refusals are not remembered."""
        answer = self._answers.get(question)
        if answer is None:
            answer = decide(question, self.policy)
            if len(self._answers) >= _CACHED_ANSWERS:
                self._answers.clear()
            self._answers[question] = answer
        return answer
