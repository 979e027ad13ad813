"""Google's Gemini models: the Gemini API, with a key, and the same models on Vertex AI.

Errors: https://ai.google.dev/gemini-api/docs/troubleshooting; paths: https://ai.google.dev/api/generate-content and
https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference.
"""

from __future__ import annotations

from typing import Final

from metis.facts.failure import FailureClass
from metis.providers.provider import ProviderKind

_ERRORS: Final = {
    "API_KEY_INVALID": FailureClass.AUTH,
    "PERMISSION_DENIED": FailureClass.AUTH,
    "UNAUTHENTICATED": FailureClass.AUTH,
    "RESOURCE_EXHAUSTED": FailureClass.RATE_LIMITED,
    "UNAVAILABLE": FailureClass.OVERLOADED,
    "DEADLINE_EXCEEDED": FailureClass.TIMEOUT,
}
_UNSENT: Final = (b"anthropic-", b"openai-", b"x-stainless-", b"accept")
_ON_VERTEX: Final = "/v1/projects/{project}/locations/{region}/publishers/google/models/{model}"
_STREAM: Final = "streamGenerateContent?alt=sse"

GOOGLE: Final = ProviderKind(
    name="google",
    base_url="https://generativelanguage.googleapis.com",
    key_env="GEMINI_API_KEY",
    auth="x-goog-api-key",
    shapes=("google_generate_content",),
    paths={
        "google_generate_content": "/v1beta/models/{model}:generateContent",
        "google_generate_content/stream": f"/v1beta/models/{{model}}:{_STREAM}",
    },
    claims=("gemini-*",),
    price_provider="google",
    errors=_ERRORS,
    unsent=_UNSENT,
)
VERTEX_GEMINI: Final = ProviderKind(
    name="vertex-gemini",
    base_url="https://{region}-aiplatform.googleapis.com",
    # https://docs.cloud.google.com/vertex-ai/generative-ai/docs/learn/locations#global-endpoint
    regional_urls={"global": "https://aiplatform.googleapis.com"},
    key_env="VERTEX_ACCESS_TOKEN",
    auth="bearer",
    shapes=("google_generate_content",),
    paths={
        "google_generate_content": f"{_ON_VERTEX}:generateContent",
        "google_generate_content/stream": f"{_ON_VERTEX}:{_STREAM}",
    },
    claims=("gemini-*",),
    price_provider="google",
    errors=_ERRORS,
    unsent=_UNSENT,
)
