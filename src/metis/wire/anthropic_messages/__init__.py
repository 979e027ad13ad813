"""Anthropic's Messages API as one value, ANTHROPIC_MESSAGES. Its halves live in the modules beside this one."""

from __future__ import annotations

from metis.wire.anthropic_messages.errors import decode_error, encode_error, encode_stream_error
from metis.wire.anthropic_messages.name import NAME
from metis.wire.anthropic_messages.request_in import decode_request, uncrossable
from metis.wire.anthropic_messages.request_out import encode_request
from metis.wire.anthropic_messages.response import decode_response, encode_response, facts_of
from metis.wire.anthropic_messages.stream_in import AnthropicStreamDecoder
from metis.wire.anthropic_messages.stream_out import PING, AnthropicStreamEncoder
from metis.wire.anthropic_messages.tap import AnthropicTap
from metis.wire.anthropic_messages.usage import usage_of
from metis.wire.codec import Shape

__all__ = ["ANTHROPIC_MESSAGES"]

ANTHROPIC_MESSAGES = Shape(
    name=NAME,
    paths=("/messages",),
    upstream_path="/v1/messages",
    keepalive=PING,
    decode_request=decode_request,
    encode_request=encode_request,
    decode_response=decode_response,
    encode_response=encode_response,
    stream_decoder=AnthropicStreamDecoder,
    stream_encoder=AnthropicStreamEncoder,
    decode_error=decode_error,
    encode_error=encode_error,
    encode_stream_error=encode_stream_error,
    facts_of=facts_of,
    tap=AnthropicTap,
    usage_of=usage_of,
    uncrossable=uncrossable,
)
