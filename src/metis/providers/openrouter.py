"""OpenRouter: Chat Completions with its own extension fields. https://openrouter.ai/docs/api-reference."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from metis.providers.openai import OPENAI

OPENROUTER: Final = replace(
    OPENAI,
    name="openrouter",
    base_url="https://openrouter.ai/api/v1",
    key_env="OPENROUTER_API_KEY",
    shapes=("openai_chat",),
    paths={"openai_chat": "/chat/completions", "completions": "/completions"},
    claims=("*/*",),
    price_provider="openrouter",
    takes_proofs=True,  # in reasoning_details, as it gave them: Claude's tool loops need theirs back
    # A client of an OpenAI shape may hold an OpenAI key: it must never land here.
    accepts_client_credentials=False,
    default_model="anthropic/claude-sonnet-5.5",
)
