"""What each generation of Gemini takes of reasoning, and of tools beside a schema, told by the model's name.

Facts: ai.google.dev/gemini-api/docs/thinking, .../gemini-3, .../structured-output, .../function-calling.

| generation      | reasoning asked for as                | can be turned off | schema beside tools, files in results |
|-----------------|---------------------------------------|-------------------|---------------------------------------|
| 1, 2.0          | not at all                            | it is             | no                                    |
| 2.5 Pro         | thinkingBudget, 128 to 32,768         | no                | no                                    |
| 2.5 Flash       | thinkingBudget, 0 to 24,576           | yes               | no                                    |
| 2.5 Flash-Lite  | thinkingBudget, 0 or 512 to 24,576    | yes               | no                                    |
| 3 and later     | thinkingLevel; Pro has no `minimal`   | no                | yes                                   |
| any other name  | as 3                                  |                   |                                       |
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from metis.ir.request import Reasoning
from metis.wire.fields import Json
from metis.wire.notes import Notes

# Google's own table for clients of OpenAI's API: ai.google.dev/gemini-api/docs/openai#thinking.
_BUDGETS: Final = {
    "minimal": 1_024,
    "low": 1_024,
    "medium": 8_192,
    "high": 24_576,
    "xhigh": 24_576,
    "max": 24_576,
}
_LOWERED: Final = {"xhigh": "high", "max": "high"}
# The model decides by itself how much it thinks.
_DYNAMIC: Final = -1
_NEWEST: Final = ("3", "0")
_VERSION: Final = re.compile(r"gemini-(\d+)(?:\.(\d+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """`least` and `most` bound a budget, in tokens; `lowest` is the level for the least reasoning."""

    thinking: Literal["never", "budget", "level"]
    least: int = 0
    most: int = 0
    can_stop: bool = False
    lowest: str = "minimal"
    mixes_tools: bool = False  # a schema beside tools, files inside their results
    wants_signatures: bool = False  # a history of calls without one is refused


def generation_of(model: str) -> Generation:
    """Tell the generation from a model name, with or without prefixes and dates."""
    name = model.lower()
    found = _VERSION.search(name)
    major, minor = (found[1], found[2] or "0") if found else _NEWEST
    version = (int(major), int(minor))
    if version < (2, 5):
        return Generation(thinking="never")
    if version < (3, 0):
        if "pro" in name:
            return Generation(thinking="budget", least=128, most=32_768)
        least = 512 if "lite" in name else 1
        return Generation(thinking="budget", least=least, most=24_576, can_stop=True)
    return Generation(
        thinking="level",
        lowest="low" if "pro" in name else "minimal",
        mixes_tools=True,
        wants_signatures=True,
    )


def thinking_config(
    wish: Reasoning | None, generation: Generation, path: str, notes: Notes
) -> Json | None:
    """Say how the wish is put to this generation; None: leave it to the model."""
    if wish is None or not (wish.mode or wish.effort or wish.budget_tokens is not None):
        return None
    off = wish.mode == "disabled" or wish.effort == "none"
    if generation.thinking == "never":
        if not off:
            notes.lost(path, "this model does not reason")
        return None
    config: Json = {}
    # Thoughts are shown only where asked for; a client that wants reasoning left out says so.
    if not off and wish.display != "omitted":
        config["includeThoughts"] = True
    if generation.thinking == "budget":
        config["thinkingBudget"] = _budget(wish, generation, path, notes, off=off)
    elif (level := _level(wish, generation, path, notes, off=off)) is not None:
        config["thinkingLevel"] = level
    return config


def _budget(wish: Reasoning, generation: Generation, path: str, notes: Notes, *, off: bool) -> int:
    if off and generation.can_stop:
        return 0
    if off:
        notes.add("mapped", path, f"this model always reasons; {generation.least} tokens at most")
        return generation.least
    if wish.budget_tokens is not None:
        budget = min(max(wish.budget_tokens, generation.least), generation.most)
        if budget != wish.budget_tokens:
            notes.add("mapped", path, f"{wish.budget_tokens} tokens are sent as {budget}")
        return budget
    if not wish.effort:
        return _DYNAMIC
    budget = min(_BUDGETS.get(wish.effort, _BUDGETS["medium"]), generation.most)
    notes.add("mapped", path, f"effort {wish.effort} is asked as {budget} tokens")
    return budget


def _level(
    wish: Reasoning, generation: Generation, path: str, notes: Notes, *, off: bool
) -> str | None:
    if off:
        notes.add("mapped", path, f"this model always reasons; {generation.lowest} is the least")
        return generation.lowest
    level = wish.effort
    if not level and wish.budget_tokens is not None:
        level = _level_of_budget(wish.budget_tokens)
        notes.add("mapped", path, f"{wish.budget_tokens} tokens are asked as level {level}")
    elif level in _LOWERED or (level == "minimal" and generation.lowest != "minimal"):
        level = _LOWERED.get(level, generation.lowest)
        notes.add("mapped", path, f"effort {wish.effort} is sent as {level}")
    elif level and level not in _BUDGETS:
        notes.lost(path, f"effort {level} is not known here")
        return None
    return level or None


def _level_of_budget(budget: int) -> str:
    if budget <= _BUDGETS["low"]:
        return "low"
    return "medium" if budget <= _BUDGETS["medium"] else "high"
