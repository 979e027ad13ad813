"""What the embedded model's server says when it refuses, in words that name the remedy."""

from __future__ import annotations

from typing import Any, Final, cast

from msgspec.structs import replace

from metis.ir.response import ErrorInfo
from metis.providers.provider import Provider

LARGER_MODEL: Final = (
    "to use a larger model, set ANTHROPIC_API_KEY, OPENAI_API_KEY or OPENROUTER_API_KEY, "
    "or write a [providers.*] table in metis.toml; see 'metis doctor'"
)

# It answers 500, which clients try again, for a request that can never succeed.
_FAULTS_OF_THE_REQUEST: Final = ("Failed to parse", "Unknown reasoning format")


def explain(provider: Provider, error: ErrorInfo) -> ErrorInfo:
    """Name the remedy for a prompt over the window; call a faulty request one, whatever its status."""
    # Its codes are HTTP statuses over again: the client's shape has better words.
    code = None if error.code is not None and error.code.isdigit() else error.code
    if error.kind == "context_length":
        return replace(error, status=400, code=code, message=_over_the_window(provider, error))
    if error.status == 500 and error.message.startswith(_FAULTS_OF_THE_REQUEST):
        return replace(error, status=400, code=code, kind="invalid_request")
    return error if code == error.code else replace(error, code=code)


def _over_the_window(provider: Provider, error: ErrorInfo) -> str:
    """In the words that clients of Anthropic's and of OpenAI's APIs look for, both."""
    told = (error.original or {}).get("error")
    counts = cast("dict[str, Any]", told) if isinstance(told, dict) else {}
    window = counts.get("n_ctx") or provider.context_window
    tokens = counts.get("n_prompt_tokens")
    size = f"{tokens} tokens > {window} maximum" if tokens else f"over {window} tokens"
    return (
        f"prompt is too long: {size}; this model's maximum context length is {window} tokens "
        f"(the embedded model, {provider.name}/{provider.kind.default_model}); {LARGER_MODEL}"
    )
