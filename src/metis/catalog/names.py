"""Model names as clients and providers spell them, taken apart. What is known of a model lives in `models`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Final

AUTO_NAMES: Final = frozenset({"auto", "metis-auto", "claude-metis-auto"})
"""Names that ask Metis to choose. The third is for clients that list only names which begin so."""

# Who made a model, by its name without any prefix. The first match holds.
_FAMILIES: Final = (
    ("anthropic", ("claude-*", "claude")),
    (
        "openai",
        (
            "gpt-*",
            "o1*",
            "o3*",
            "o4*",
            "chatgpt-*",
            "codex-*",
            "text-embedding-*",
            "ft:*",
            "davinci*",
            "babbage*",
            "computer-use-*",
            "omni-moderation-*",
            "text-moderation-*",
            "whisper-*",
            "tts-*",
        ),
    ),
    ("google", ("gemini-*", "gemma-*", "gemma[0-9]*", "text-embedding-00*")),
    ("x-ai", ("grok-*",)),
    ("deepseek", ("deepseek-*",)),
    (
        "mistral",
        ("mistral-*", "ministral-*", "magistral-*", "codestral-*", "devstral-*", "pixtral-*"),
    ),
    ("moonshotai", ("kimi-*", "moonshot-*")),
    ("meta", ("llama-*", "llama[0-9]*")),
    ("qwen", ("qwen*", "qwq-*")),
    ("zai", ("glm-*",)),
    ("minimax", ("minimax-*",)),
    ("cohere", ("command-*", "command")),
    ("local", ("smollm2-*",)),
)

_BRACKETS: Final = re.compile(r"(\[[^\[\]]*\])$")
_SNAPSHOT: Final = re.compile(r"[-@](20\d{2})-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])$")
_LATEST: Final = "-latest"
_MOST_NAMES: Final = 4096


@dataclass(frozen=True, slots=True)
class ModelName:
    """A name taken apart.

    `raw`: as the client wrote it, without blanks around it. `provider`: what stood before the last slash
    (`anthropic`, `openrouter/meta-llama`, ""). `base`: the model without everything else, in lower
    case. `snapshot`: its date, `2025-09-29`, "" when none is named. `suffixes`: what was added, in
    order: `-latest`, `:free`, `[1m]`.
    """

    raw: str
    provider: str
    base: str
    snapshot: str
    suffixes: tuple[str, ...]

    @property
    def is_auto(self) -> bool:
        """Whether the client leaves the choice to Metis."""
        return self.base in AUTO_NAMES

    @property
    def sent(self) -> str:
        """The name as a provider knows it: `[1m]` and the like are a client's own and not sent."""
        return _without_brackets(self.raw)[0]

    @property
    def spellings(self) -> tuple[str, ...]:
        """Ever plainer spellings to look a price up by: as sent, without prefixes, without `-latest` or date.

        `:free` and its like stay: they have prices of their own.
        """
        sent = self.sent.lower()
        found = [sent]
        while "/" in sent:
            sent = sent.partition("/")[2]
            found.append(sent)
        variant = "".join(suffix for suffix in self.suffixes if suffix.startswith(":"))
        found.append(self.base + variant)
        return tuple(dict.fromkeys(found))


@lru_cache(maxsize=_MOST_NAMES)
def normalise(name: str) -> ModelName:
    """Take a model's name apart. Any text is accepted; nothing is looked up."""
    raw = name.strip()
    rest, brackets = _without_brackets(raw)
    provider, _, base = rest.lower().rpartition("/")
    suffixes = [*brackets]
    if not base.startswith("ft:"):  # a fine-tune's colons are part of it
        base, colon, variant = base.partition(":")
        if colon:
            suffixes.insert(0, f":{variant}")
    snapshot = ""
    if (dated := _SNAPSHOT.search(base)) is not None and dated.start() > 0:
        snapshot = "-".join(dated.groups())
        base = base[: dated.start()]
    elif base.endswith(_LATEST) and base != _LATEST:
        base = base.removesuffix(_LATEST)
        suffixes.insert(0, _LATEST)
    return ModelName(raw, provider, base, snapshot, tuple(suffixes))


def _without_brackets(raw: str) -> tuple[str, tuple[str, ...]]:
    found: list[str] = []
    while (last := _BRACKETS.search(raw)) is not None and last.start() > 0:
        found.insert(0, last.group(1))
        raw = raw[: last.start()]
    return raw, tuple(found)


# As Bedrock and Vertex AI write what Anthropic calls `claude-sonnet-4-5-20250929`:
# `eu.anthropic.claude-sonnet-4-5-20250929-v1:0`, `claude-sonnet-4-5@20250929`.
_ON_BEDROCK: Final = re.compile(
    r"(?:[a-z-]+\.)?anthropic\.(claude-[a-z0-9.-]+?)(?:-v\d+(?::\d+)?)?"
)
_ON_VERTEX: Final = re.compile(r"(claude-[a-z0-9.-]+)@(\d{8}|default)")


def without_cloud(name: str) -> str:
    """A cloud's name for a Claude model as Anthropic's own; any other name as it is."""
    found = _ON_BEDROCK.fullmatch(name)
    if found is not None:
        return found[1]
    found = _ON_VERTEX.fullmatch(name)
    if found is None:
        return name
    return found[1] if found[2] == "default" else f"{found[1]}-{found[2]}"


@lru_cache(maxsize=_MOST_NAMES)
def family_of(name: str) -> str | None:
    """Who made a model, by its name alone (`openai`, `anthropic`, ...); None for names of no known family."""
    base = normalise(name).base
    for family, globs in _FAMILIES:
        if any(fnmatchcase(base, glob) for glob in globs):
            return family
    return None


def suggest(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """Up to three of the `known` names that resemble `name`, the nearest first, for "did you mean"."""
    by_plain = {normalise(one).base: one for one in known}
    near = get_close_matches(normalise(name).base, by_plain, n=3, cutoff=0.6)
    return tuple(by_plain[plain] for plain in near)
