"""Another shape's wish for reasoning, as `thinking` and `output_config.effort`. Same-shape requests never come here.

What an effort becomes, by the model's generation (see `generation`):

| effort        | budget generation           | adaptive generations             | Fable, Mythos         |
|---------------|-----------------------------|----------------------------------|-----------------------|
| none          | no thinking                 | disabled (left out where default)| effort low            |
| minimal       | enabled, 1,024 tokens       | adaptive, effort low             | adaptive, effort low  |
| low           | enabled, 2,048              | adaptive, effort low             | same                  |
| medium        | enabled, 8,192              | adaptive, effort medium          | same                  |
| high          | enabled, 16,384             | adaptive, effort high            | same                  |
| xhigh         | enabled, 24,576             | adaptive, xhigh (4.6: high)      | same                  |
| max           | enabled, 24,576             | adaptive, max                    | same                  |

Models older than Claude 3.7 do not reason: the wish is lost and noted.
"""

from __future__ import annotations

from dataclasses import dataclass

from metis.ir.request import Reasoning
from metis.wire.claude.generation import Generation
from metis.wire.fields import Json
from metis.wire.notes import Notes

MIN_BUDGET = 1_024  # the API's own minimum
MIN_ANSWER = 4_096  # what a budget leaves for the answer where max_tokens allows it

_BUDGETS = {
    "minimal": 1_024,
    "low": 2_048,
    "medium": 8_192,
    "high": 16_384,
    "xhigh": 24_576,
    "max": 24_576,
}
_DEFAULT_EFFORT = "medium"
# What a model without the level gets: never more than was asked for.
_LOWER_EFFORT = {"minimal": "low", "xhigh": "high", "max": "high"}


@dataclass(frozen=True, slots=True)
class Plan:
    """`thinking` and `effort` to send; None: leave the field out."""

    thinking: Json | None = None
    effort: str | None = None

    @property
    def thinks(self) -> bool:
        return self.thinking is not None and self.thinking.get("type") != "disabled"


def plan_reasoning(
    wish: Reasoning | None,
    generation: Generation,
    max_tokens: int,
    path: str,
    notes: Notes,
) -> Plan:
    """Say how the wish is put to this generation; `max_tokens` bounds a budget from above."""
    if wish is None or not (wish.mode or wish.effort or wish.budget_tokens is not None):
        return Plan()
    if wish.mode == "disabled" or wish.effort == "none":
        return _off(generation, path, notes)
    match generation.thinking:
        case "never":
            notes.lost(path, "this model does not reason")
            return Plan()
        case "budget":
            return _budget(wish, max_tokens, path, notes)
        case "adaptive" | "always":
            thinking: Json = {"type": "adaptive"}
            # Newer models leave the thinking text out unless asked; a client that wants a summary asked.
            if wish.display:
                thinking["display"] = wish.display
            elif wish.summary:
                thinking["display"] = "summarized"
            return Plan(thinking, _effort(wish, generation, path, notes))


def _off(generation: Generation, path: str, notes: Notes) -> Plan:
    if generation.thinking == "always":
        notes.add("mapped", path, "this model always reasons; effort low asks for the least of it")
        return Plan(effort="low")
    if generation.thinking == "adaptive" and not generation.off_by_default:
        return Plan({"type": "disabled"})
    return Plan()


def _budget(wish: Reasoning, max_tokens: int, path: str, notes: Notes) -> Plan:
    if wish.budget_tokens is not None:
        wanted = wish.budget_tokens
    else:
        wanted = _BUDGETS.get(wish.effort, _BUDGETS[_DEFAULT_EFFORT])
    room = max_tokens - MIN_ANSWER if max_tokens >= 2 * MIN_ANSWER else max_tokens // 2
    if room < MIN_BUDGET:
        notes.lost(path, f"{max_tokens} output tokens leave no room for reasoning")
        return Plan()
    budget = max(MIN_BUDGET, min(wanted, room))
    notes.add("mapped", path, f"reasoning asked for as a budget of {budget} tokens")
    return Plan({"type": "enabled", "budget_tokens": budget})


def _effort(wish: Reasoning, generation: Generation, path: str, notes: Notes) -> str | None:
    effort = wish.effort
    if not effort and wish.budget_tokens is not None:
        effort = _effort_of_budget(wish.budget_tokens)
        notes.add("mapped", path, f"this model takes no budget; effort {effort} stands for it")
    if not effort or effort in generation.efforts:
        return effort or None
    lower = _LOWER_EFFORT.get(effort)
    if lower is None:
        notes.lost(path, f"effort {effort} is not known here")
    else:
        notes.add("mapped", path, f"effort {effort} is sent as {lower}")
    return lower


def _effort_of_budget(budget: int) -> str:
    for effort in ("low", "medium", "high"):
        if budget <= _BUDGETS[effort]:
            return effort
    return "high"
