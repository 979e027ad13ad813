"""OpenAI Chat Completions, and what the many servers that speak it add: one value, OPENAI_CHAT.

| module | what it knows |
|---|---|
| `request_in`, `request_out` | a request of this shape, both ways, unknown fields included |
| `crossing`, `conversation`, `proofs` | requests of other shapes as chat requests |
| `response`, `message_out`, `facts` | whole answers |
| `stream_in`, `calls_in`, `thinking_in`, `stream_out`, `tap` | streams |
| `assistant`, `parts`, `functions`, `reasoning`, `accumulated`, `citations`, `output_format` | the pieces both share |
| `usage`, `finish`, `errors` | the tables |
"""

from __future__ import annotations

from typing import Final

from metis.wire.codec import Shape
from metis.wire.openai_chat.errors import decode_error, encode_error, encode_stream_error
from metis.wire.openai_chat.facts import facts_of
from metis.wire.openai_chat.proofs import adopt_proofs
from metis.wire.openai_chat.request_in import decode_request
from metis.wire.openai_chat.request_out import encode_request
from metis.wire.openai_chat.response import decode_response, encode_response
from metis.wire.openai_chat.stream_in import ChatStreamDecoder
from metis.wire.openai_chat.stream_out import KEEPALIVE, ChatStreamEncoder
from metis.wire.openai_chat.tap import tap
from metis.wire.openai_chat.usage import usage_of

OPENAI_CHAT: Final = Shape(
    name="openai_chat",
    paths=("/chat/completions",),
    upstream_path="/v1/chat/completions",
    keepalive=KEEPALIVE,
    decode_request=decode_request,
    encode_request=encode_request,
    decode_response=decode_response,
    encode_response=encode_response,
    stream_decoder=ChatStreamDecoder,
    stream_encoder=ChatStreamEncoder,
    decode_error=decode_error,
    encode_error=encode_error,
    encode_stream_error=encode_stream_error,
    facts_of=facts_of,
    tap=tap,
    usage_of=usage_of,
    adopt_proofs=adopt_proofs,
)

__all__ = ["OPENAI_CHAT"]
