"""Provider kinds: one file each, listed in PROVIDERS. To add one, write its file and put it here."""

from __future__ import annotations

from typing import Final

from metis.providers.anthropic import ANTHROPIC
from metis.providers.bedrock import BEDROCK, BEDROCK_CONVERSE
from metis.providers.google import GOOGLE, VERTEX_GEMINI
from metis.providers.local import LOCAL
from metis.providers.openai import OPENAI, OPENAI_COMPATIBLE
from metis.providers.openrouter import OPENROUTER
from metis.providers.provider import ProviderKind
from metis.providers.scripted import SCRIPTED
from metis.providers.vertex import VERTEX

PROVIDERS: Final[tuple[ProviderKind, ...]] = (
    ANTHROPIC,
    OPENAI,
    OPENROUTER,
    BEDROCK,
    BEDROCK_CONVERSE,
    VERTEX,
    GOOGLE,
    VERTEX_GEMINI,
    OPENAI_COMPATIBLE,
    LOCAL,
    SCRIPTED,
)


def kind_named(name: str) -> ProviderKind | None:
    """The kind of that name, or None."""
    return next((kind for kind in PROVIDERS if kind.name == name), None)
