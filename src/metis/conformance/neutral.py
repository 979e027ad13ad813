"""What scenarios speak of, whatever the API: a prompt, an answer, and what was understood of either.

Every dialect writes these and reads them back, so that one scenario can be played from any shape to any upstream.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Stop = Literal["end", "tool", "length", "other"]


@dataclass(frozen=True)
class Usage:
    """Tokens, counted apart: `fresh`, `cache_read` and `cache_write` together are the input."""

    fresh: int = 12
    cache_read: int = 0
    cache_write: int = 0
    output: int = 7

    @property
    def input(self) -> int:
        return self.fresh + self.cache_read + self.cache_write


@dataclass(frozen=True)
class Call:
    """A call of a tool; `arguments` is JSON text, so that its bytes can be judged."""

    name: str
    arguments: str
    call_id: str = "call_conformance_1"


@dataclass(frozen=True)
class Answer:
    """What the upstream says: thinking, then text, then calls. `signature`: the proof that goes with the thinking.

    `piece_characters`: how much of a text or of arguments one event of a stream carries.
    """

    text: str = ""
    thinking: str | None = None
    signature: str = ""
    calls: tuple[Call, ...] = ()
    stop: Stop = "end"
    usage: Usage = Usage()
    piece_characters: int = 7

    def pieces(self, text: str) -> list[str]:
        """A text as it is streamed."""
        size = self.piece_characters
        return [text[at : at + size] for at in range(0, len(text), size)]


@dataclass(frozen=True)
class Tool:
    """A tool that is offered; `schema` is JSON Schema."""

    name: str
    schema: Mapping[str, Any]
    description: str = "A tool."


@dataclass(frozen=True)
class Result:
    """What a tool gave."""

    call_id: str
    text: str


@dataclass(frozen=True)
class Prompt:
    """What the client asks. `history` goes on from `user`: each answer as the client got it, and what it said next."""

    user: str = "Say hello."
    system: str = ""
    tools: tuple[Tool, ...] = ()
    history: tuple[tuple[Any, tuple[Result, ...] | str], ...] = ()
    max_tokens: int | None = 512
    thinks: bool = False
    more: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Understood:
    """What a reader finds in a whole answer. `visible` is what a person is shown, `hidden` the reasoning."""

    response_id: str
    visible: str
    hidden: str
    calls: tuple[Call, ...]
    stop: Stop
    usage: Usage | None


@dataclass(frozen=True)
class Asked:
    """What a reader finds in a request that reached the upstream.

    `spoken` is every text that user, assistant or system visibly say, `results` what tools gave, by call id.
    """

    system: str
    spoken: tuple[str, ...]
    calls: tuple[Call, ...]
    results: Mapping[str, str]
    tools: tuple[Tool, ...]
    max_tokens: int | None
    stops: tuple[str, ...]
    temperature: float | None
    tool_choice: str
    images: tuple[str, ...]
