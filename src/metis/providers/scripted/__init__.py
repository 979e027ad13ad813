"""A provider that says what it is told: for tests and demonstrations, without a socket and without chance.

| module | what it knows |
|---|---|
| `script` | what a script can say, as values, and reading one |
| `echo` | what is answered where the script says nothing |
| `samples` | a value for a JSON schema |
| `performance` | a reply as timed steps: head, pieces of the body, end or fault |
| `bodies` | the bytes of those pieces, made by the wire shapes' own encoders |
| `operations` | the same for token counts, embeddings and completions |
| `question` | a request as a script looks at it |
| `player` | which reply a request gets; the way in |

The steps are carried out by `upstream.scripted`.
"""

from __future__ import annotations

from typing import Final

from metis.facts.failure import FailureClass
from metis.providers.provider import ProviderKind

SCRIPTED: Final = ProviderKind(
    name="scripted",
    base_url="http://127.0.0.1:1",  # never dialled
    key_env="",
    auth="none",
    shapes=("anthropic_messages", "openai_chat", "openai_responses"),
    paths={
        "anthropic_messages": "/v1/messages",
        "count_tokens": "/v1/messages/count_tokens",
        "openai_chat": "/v1/chat/completions",
        "openai_responses": "/v1/responses",
        "embeddings": "/v1/embeddings",
        "completions": "/v1/completions",
    },
    claims=(),
    price_provider="scripted",
    any_model=True,
    takes_proofs=True,
    default_model="scripted-1",
    # The words of both families whose shapes it speaks, where the status alone would mislead.
    errors={
        "authentication_error": FailureClass.AUTH,
        "invalid_api_key": FailureClass.AUTH,
        "insufficient_quota": FailureClass.AUTH,
        "billing_error": FailureClass.AUTH,
        "request_too_large": FailureClass.CONTEXT_LENGTH,
        "context_length_exceeded": FailureClass.CONTEXT_LENGTH,
        "rate_limit_error": FailureClass.RATE_LIMITED,
        "rate_limit_exceeded": FailureClass.RATE_LIMITED,
        "overloaded_error": FailureClass.OVERLOADED,
        "timeout_error": FailureClass.TIMEOUT,
    },
)

__all__ = ["SCRIPTED"]
