"""The OpenAI Responses API as a Shape. Nothing but the value and what the turn asks of this shape alone."""

from __future__ import annotations

from typing import Final

from metis.wire.codec import Shape
from metis.wire.openai_responses.errors import decode_error, encode_error, encode_stream_error
from metis.wire.openai_responses.facts import facts_of
from metis.wire.openai_responses.request_in import decode_request
from metis.wire.openai_responses.request_out import encode_request
from metis.wire.openai_responses.response import decode_response
from metis.wire.openai_responses.stream_in import ResponsesStreamDecoder
from metis.wire.openai_responses.stream_out import (
    KEEPALIVE,
    ResponsesStreamEncoder,
    encode_response,
)
from metis.wire.openai_responses.tap import ResponsesTap
from metis.wire.openai_responses.uncrossable import uncrossable
from metis.wire.openai_responses.usage import usage_of

__all__ = ["OPENAI_RESPONSES"]


def _tap(strip_usage: bool) -> ResponsesTap:
    """`strip_usage` is chat's: here usage is part of the last event, for whoever reads it."""
    return ResponsesTap()


OPENAI_RESPONSES: Final = Shape(
    name="openai_responses",
    paths=("/responses",),
    upstream_path="/v1/responses",
    keepalive=KEEPALIVE,
    decode_request=decode_request,
    encode_request=encode_request,
    decode_response=decode_response,
    encode_response=encode_response,
    stream_decoder=ResponsesStreamDecoder,
    stream_encoder=ResponsesStreamEncoder,
    decode_error=decode_error,
    encode_error=encode_error,
    encode_stream_error=encode_stream_error,
    facts_of=facts_of,
    tap=_tap,
    usage_of=usage_of,
    uncrossable=uncrossable,
)
