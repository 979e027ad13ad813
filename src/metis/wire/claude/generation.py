"""What each generation of Claude accepts of reasoning, sampling and structured output, told by the model's name.

Only a request that crosses from another shape is shaped by this; a client that speaks Anthropic is
taken at its word. Facts: platform.claude.com/docs/en/build-with-claude/thinking, .../effort,
.../structured-outputs, docs/en/api/errors (prefill), and the SDK's `ModelParam`; read November 2026.

| generation            | thinking asked for as        | efforts       | sampling          | schema output | prefill |
|-----------------------|------------------------------|---------------|-------------------|---------------|---------|
| Claude 2, 3, 3.5      | not at all                   | none          | free              | no            | yes     |
| 3.7, 4, 4.1, 4.5      | enabled + budget_tokens      | none          | one of, from 4.1  | from 4.1      | yes     |
| 4.6                   | adaptive                     | all but xhigh | one of            | yes           | no      |
| 4.7, 4.8, 5 and later | adaptive                     | all           | refused           | yes           | no      |
| Fable, Mythos         | always on; adaptive          | all           | refused           | yes           | no      |
| any other name        | adaptive, if the client asked| all           | free              | yes           | yes     |
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Thinking = Literal["never", "budget", "adaptive", "always"]
Sampling = Literal["free", "one", "refused"]

ALL_EFFORTS = frozenset({"low", "medium", "high", "xhigh", "max"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """`off_by_default` says that leaving `thinking` out means none. `max_tokens` is sent where the client named none.

    Anthropic requires `max_tokens`, other APIs do not. 32,000 is enough for the longest single
    answers agents ask for, and every model from 3.7 on takes it; older and unknown ones get 8,192
    (Claude 3: 4,096), the least that their documentation grants.
    """

    thinking: Thinking
    efforts: frozenset[str] = ALL_EFFORTS
    sampling: Sampling = "free"
    schema_output: bool = True
    prefill: bool = True
    off_by_default: bool = True
    max_tokens: int = 32_000


_UNKNOWN = Generation(thinking="adaptive", max_tokens=8_192)
_ALWAYS = Generation(thinking="always", sampling="refused", prefill=False, off_by_default=False)

# Names seen: claude-3-5-sonnet-20241022, claude-3.7-sonnet, claude-2.1 (version first);
# claude-sonnet-4-20250514, claude-opus-4.8, claude-haiku-5-5 (family first).
_VERSION = re.compile(
    r"claude-(?:(?P<family>[a-z]+)-)?(?P<major>\d{1,2})(?:[-.](?P<minor>\d{1,2}))?(?!\d)"
)
_ALWAYS_THINKING = re.compile(r"claude-(?:fable|mythos)\b")


def generation_of(model: str) -> Generation:
    """Tell the generation from a model name, with or without provider prefixes and dates."""
    name = model.lower()
    if _ALWAYS_THINKING.search(name):
        return _ALWAYS
    found = _VERSION.search(name)
    if found is None:
        return _UNKNOWN
    return _of_version(int(found["major"]), int(found["minor"] or 0))


def _of_version(major: int, minor: int) -> Generation:
    version = (major, minor)
    if version < (3, 7):
        return Generation(
            thinking="never",
            efforts=frozenset(),
            schema_output=False,
            max_tokens=8_192 if version == (3, 5) else 4_096,
        )
    if version < (4, 6):
        return Generation(
            thinking="budget",
            efforts=frozenset(),
            sampling="free" if version < (4, 1) else "one",
            schema_output=version >= (4, 1),
        )
    if version == (4, 6):
        return Generation(
            thinking="adaptive",
            efforts=ALL_EFFORTS - {"xhigh"},
            sampling="one",
            prefill=False,
        )
    return Generation(
        thinking="adaptive",
        sampling="refused",
        prefill=False,
        off_by_default=version < (5, 0),
    )
