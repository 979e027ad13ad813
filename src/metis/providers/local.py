"""The embedded model: a llama.cpp server on loopback that speaks all three shapes natively."""

from __future__ import annotations

from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from metis.providers.provider import Origin, Provider, ProviderKind

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


def at_address(provider: Provider, base_url: str, secret: str) -> Provider:
    """The provider with the port and secret that the embedded server has since its last start."""
    url = urlsplit(base_url)
    origin = Origin("http", url.hostname or "127.0.0.1", url.port or 80)
    return replace(
        provider, origin=origin, credential=(b"authorization", b"Bearer " + secret.encode())
    )
