"""OpenAI's own API and servers that are compatible with it.

Errors: https://platform.openai.com/docs/guides/error-codes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from metis.facts.failure import FailureClass
from metis.providers.provider import ProviderKind

OPENAI: Final = ProviderKind(
    name="openai",
    base_url="https://api.openai.com/v1",
    key_env="OPENAI_API_KEY",
    auth="bearer",
    # Chat first: it is what every compatible server speaks, and the shape a crossing goes to.
    shapes=("openai_chat", "openai_responses"),
    paths={
        "openai_chat": "/chat/completions",
        "openai_responses": "/responses",
        "embeddings": "/embeddings",
        "completions": "/completions",
    },
    claims=(
        "gpt-*",
        "chatgpt-*",
        "codex-*",
        "o1*",
        "o3*",
        "o4*",
        "text-embedding-*",
        "davinci-*",
        "babbage-*",
        "ft:*",
    ),
    price_provider="openai",
    accepts_client_credentials=True,
    root_has_v1=False,
    default_model="gpt-6.1-sol",
    errors={
        "invalid_api_key": FailureClass.AUTH,
        "insufficient_quota": FailureClass.AUTH,
        "model_not_found": FailureClass.INVALID_REQUEST,
        "context_length_exceeded": FailureClass.CONTEXT_LENGTH,
        "rate_limit_exceeded": FailureClass.RATE_LIMITED,
        "server_error": FailureClass.UPSTREAM,
        "overloaded": FailureClass.OVERLOADED,
    },
)

# Any server that speaks Chat Completions (vLLM, llama.cpp, Groq, Together, ...) and perhaps no more.
OPENAI_COMPATIBLE: Final = replace(
    OPENAI,
    name="openai-compatible",
    base_url="http://127.0.0.1:8000/v1",
    key_env="",
    shapes=("openai_chat",),
    claims=(),
    accepts_client_credentials=False,
    any_model=True,
    default_model="",
)
