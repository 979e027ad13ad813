"""Anthropic's own API. Errors: https://docs.claude.com/en/api/errors."""

from __future__ import annotations

from typing import Final

from metis.facts.failure import FailureClass
from metis.providers.provider import ProviderKind

ANTHROPIC: Final = ProviderKind(
    name="anthropic",
    base_url="https://api.anthropic.com",
    key_env="ANTHROPIC_API_KEY",
    auth="x-api-key",
    shapes=("anthropic_messages",),
    paths={
        "anthropic_messages": "/v1/messages",
        "count_tokens": "/v1/messages/count_tokens",
    },
    claims=("claude-*", "claude"),
    price_provider="anthropic",
    accepts_client_credentials=True,
    default_model="claude-sonnet-5-5",
    errors={
        "invalid_request_error": FailureClass.INVALID_REQUEST,
        "authentication_error": FailureClass.AUTH,
        "permission_error": FailureClass.AUTH,
        "billing_error": FailureClass.AUTH,
        "not_found_error": FailureClass.INVALID_REQUEST,
        "request_too_large": FailureClass.CONTEXT_LENGTH,
        "rate_limit_error": FailureClass.RATE_LIMITED,
        "timeout_error": FailureClass.TIMEOUT,
        "api_error": FailureClass.UPSTREAM,
        "overloaded_error": FailureClass.OVERLOADED,
    },
)
