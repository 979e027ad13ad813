"""The embedded model: a llama.cpp server on loopback that speaks all three shapes natively."""

from __future__ import annotations

from typing import Final

from metis.providers.provider import ProviderKind

LOCAL: Final = ProviderKind(
    name="local",
    base_url="http://127.0.0.1:1",  # replaced at start by the port the embedded server took
    key_env="",
    auth="bearer",
    shapes=("openai_chat", "anthropic_messages", "openai_responses"),
    paths={
        "anthropic_messages": "/v1/messages",
        "count_tokens": "/v1/messages/count_tokens",
        "openai_chat": "/v1/chat/completions",
        "openai_responses": "/v1/responses",
        "completions": "/v1/completions",
        "embeddings": "/v1/embeddings",
    },
    claims=("local/*", "smollm2-135m"),
    price_provider="local",
    free=True,
    default_model="smollm2-135m",
)
