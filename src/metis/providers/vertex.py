"""Claude on Google's Vertex AI: Anthropic's Messages API under Google's addresses.

Source: docs.cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/use-claude.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from metis.facts.failure import FailureClass
from metis.providers.provider import FieldEdit, Provider, ProviderKind
from metis.wire.splice import Fields

VERSION: Final = "vertex-2023-10-16"
_MODELS: Final = "/v1/projects/{project}/locations/{region}/publishers/anthropic/models"


def _edits(
    provider: Provider, operation: str, fields: Fields, headers: Mapping[bytes, bytes]
) -> tuple[FieldEdit, ...]:
    """The model is in the path, but for counts; the version in the body."""
    version = FieldEdit("anthropic_version", msgspec.json.encode(VERSION), "Vertex asks for it")
    if operation == "count_tokens" or "model" not in fields:
        return (version,)
    return (FieldEdit("model", None, "it is in the path"), version)


VERTEX: Final = ProviderKind(
    name="vertex",
    base_url="https://{region}-aiplatform.googleapis.com",
    key_env="VERTEX_ACCESS_TOKEN",
    auth="bearer",
    shapes=("anthropic_messages",),
    paths={
        "anthropic_messages": f"{_MODELS}/{{model}}:rawPredict",
        "anthropic_messages/stream": f"{_MODELS}/{{model}}:streamRawPredict",
        "count_tokens": f"{_MODELS}/count-tokens:rawPredict",
    },
    claims=("claude-*@*",),
    price_provider="google",
    errors={
        "RESOURCE_EXHAUSTED": FailureClass.RATE_LIMITED,
        "UNAVAILABLE": FailureClass.OVERLOADED,
        "PERMISSION_DENIED": FailureClass.AUTH,
        "UNAUTHENTICATED": FailureClass.AUTH,
    },
    unsent=(b"anthropic-version", b"openai-", b"x-stainless-"),
    edits=_edits,
)
