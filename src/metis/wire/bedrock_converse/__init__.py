"""Bedrock's Converse API as one value, BEDROCK_CONVERSE: spoken to providers, not to clients.

| modules | what they hold |
|---|---|
| `blocks_in`, `request_in` | a request's JSON to IR |
| `blocks_out`, `request_out`, `foreign`, `tools_out` | IR to a request: its own, then other shapes' |
| `response`, `stream_in` | answers |
| `usage`, `errors`, `formats` | tables: counts and stop reasons, errors, file formats |
"""

from __future__ import annotations

from metis.wire.bedrock_converse.errors import decode_error
from metis.wire.bedrock_converse.name import NAME
from metis.wire.bedrock_converse.request_in import decode_request
from metis.wire.bedrock_converse.request_out import encode_request
from metis.wire.bedrock_converse.response import decode_response, encode_response, facts_of
from metis.wire.bedrock_converse.stream_in import ConverseStreamDecoder
from metis.wire.bedrock_converse.usage import usage_of
from metis.wire.codec import UpstreamShape

__all__ = ["BEDROCK_CONVERSE"]

BEDROCK_CONVERSE = UpstreamShape(
    name=NAME,
    decode_request=decode_request,
    encode_request=encode_request,
    decode_response=decode_response,
    encode_response=encode_response,
    stream_decoder=ConverseStreamDecoder,
    decode_error=decode_error,
    facts_of=facts_of,
    usage_of=usage_of,
)
