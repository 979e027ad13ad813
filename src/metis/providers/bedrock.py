"""Amazon Bedrock, spoken to in two ways: Claude through InvokeModel, whatever else through Converse.

Claude's own API goes inside InvokeModel, so a client of it loses nothing: its body leaves as it came but for the
fields that Bedrock has elsewhere. Source: docs.aws.amazon.com/bedrock/latest/userguide/
model-parameters-anthropic-claude-messages-request-response.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from metis.facts.failure import FailureClass
from metis.ir.response import ErrorInfo
from metis.providers.provider import FieldEdit, Provider, ProviderKind
from metis.wire.bedrock_invoke import VERSION, InvokeUnframer
from metis.wire.splice import Fields

_ERRORS: Final = {
    "ThrottlingException": FailureClass.RATE_LIMITED,
    "ServiceUnavailableException": FailureClass.OVERLOADED,
    "ModelNotReadyException": FailureClass.OVERLOADED,
    "ModelTimeoutException": FailureClass.TIMEOUT,
    "AccessDeniedException": FailureClass.AUTH,
}
_ADDRESS: Final = "https://bedrock-runtime.{region}.amazonaws.com"
# Anthropic's and OpenAI's words to their own servers; what this API answers in is in its path.
_UNSENT: Final = (b"anthropic-", b"openai-", b"x-stainless-", b"accept")
_decode_betas = msgspec.json.Decoder(list[str]).decode


def _edits(
    provider: Provider, operation: str, fields: Fields, headers: Mapping[bytes, bytes]
) -> tuple[FieldEdit, ...]:
    """What Bedrock has elsewhere: model and stream in the path, version and betas in the body."""
    version = msgspec.json.encode(VERSION)
    edits = [
        *(FieldEdit(name, None, "it is in the path") for name in ("model", "stream")),
        FieldEdit("anthropic_version", version, "Bedrock asks for it"),
    ]
    betas = _betas(fields, headers)
    if betas:
        value = msgspec.json.encode(betas)
        edits.append(FieldEdit("anthropic_beta", value, "the header's words, in the body"))
    return tuple(edit for edit in edits if edit.value is not None or edit.name in fields)


def _betas(fields: Fields, headers: Mapping[bytes, bytes]) -> list[str]:
    """The betas of the header, behind those of the body, each once; [] where the header adds none."""
    named = headers.get(b"anthropic-beta", b"").decode("latin-1").split(",")
    asked = [beta.strip() for beta in named if beta.strip()]
    if not asked:
        return []
    try:
        held = _decode_betas(fields.get("anthropic_beta", msgspec.Raw(b"[]")))
    except msgspec.DecodeError:
        return []  # Bedrock's to refuse, in its own words
    return list(dict.fromkeys([*held, *asked]))


def _explain(provider: Provider, error: ErrorInfo) -> ErrorInfo:
    """The same error, to be written as Anthropic's API writes one: Bedrock's own body is no error of that."""
    return msgspec.structs.replace(error)


BEDROCK: Final = ProviderKind(
    name="bedrock",
    base_url=_ADDRESS,
    key_env="AWS_BEARER_TOKEN_BEDROCK",
    auth="aws",
    shapes=("anthropic_messages",),
    paths={
        "anthropic_messages": "/model/{model}/invoke",
        "anthropic_messages/stream": "/model/{model}/invoke-with-response-stream",
    },
    claims=("anthropic.claude-*", "*.anthropic.claude-*"),
    price_provider="aws",
    root_has_v1=True,
    errors=_ERRORS,
    unsent=_UNSENT,
    edits=_edits,
    explain=_explain,
    unframe=InvokeUnframer,
)
BEDROCK_CONVERSE: Final = ProviderKind(
    name="bedrock-converse",
    base_url=_ADDRESS,
    key_env="AWS_BEARER_TOKEN_BEDROCK",
    auth="aws",
    shapes=("bedrock_converse",),
    paths={
        "bedrock_converse": "/model/{model}/converse",
        "bedrock_converse/stream": "/model/{model}/converse-stream",
    },
    claims=("amazon.nova-*", "*.amazon.nova-*", "meta.llama*", "*.meta.llama*", "mistral.*"),
    price_provider="aws",
    errors=_ERRORS,
    unsent=_UNSENT,
)
