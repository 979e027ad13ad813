"""The embedded model: a llama.cpp server on loopback. It is spoken to in Chat Completions alone.

Its own Messages and Responses streams break their APIs' grammar (docs/embedded.md), so those shapes
are translated here as for any chat server. How it is started is `embedded`'s business.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from metis.facts.failure import FailureClass
from metis.providers.local.errors import explain
from metis.providers.local.requests import edits
from metis.providers.provider import Origin, Provider, ProviderKind

LOCAL: Final = ProviderKind(
    name="local",
    base_url="http://127.0.0.1:1",  # where nothing answers: until `at_address` gives the real port
    key_env="",
    auth="bearer",
    shapes=("openai_chat",),
    paths={
        "openai_chat": "/v1/chat/completions",
        # Its count for Messages would count another prompt than the one our translation makes.
        "openai_chat/count_tokens": "/v1/chat/completions/input_tokens",
        "completions": "/v1/completions",
    },
    claims=("local/*", "smollm2-135m"),
    price_provider="local",
    free=True,
    embedded=True,
    default_model="smollm2-135m",
    errors={"context_length": FailureClass.CONTEXT_LENGTH},
    edits=edits,
    explain=explain,
)


def at_address(provider: Provider, base_url: str, secret: str, limits: tuple[int, int]) -> Provider:
    """The provider with the port and secret that the embedded server has since its last start.

    `limits`: the tokens of its window, and those an answer may have at most.
    """
    url = urlsplit(base_url)
    context_window, max_output_tokens = limits
    return replace(
        provider,
        origin=Origin("http", url.hostname or "127.0.0.1", url.port or 80),
        credential=(b"authorization", b"Bearer " + secret.encode()),
        context_window=context_window,
        max_output_tokens=max_output_tokens,
    )


def running(provider: Provider, model: str) -> Provider:
    """The provider with the name of the model it runs: another one for weights of somebody's own."""
    if model == provider.kind.default_model:
        return provider
    claims = (*provider.claims, model)
    return replace(provider, kind=replace(provider.kind, default_model=model), claims=claims)
