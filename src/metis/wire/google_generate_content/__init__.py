"""Google's generateContent as one value, GOOGLE_GENERATE_CONTENT: spoken to providers (the Gemini API, Gemini on Vertex
AI), not to clients.

| modules | what they hold |
|---|---|
| `parts_in`, `request_in` | a request's JSON to IR |
| `parts_out`, `request_own` | IR to the JSON it came as |
| `request_out`, `foreign`, `tools_out`, `signatures`, `generation` | other shapes' requests |
| `response`, `stream_in`, `framing` | answers |
| `usage`, `errors`, `formats`, `spelling` | tables: counts and reasons to stop, errors, file endings, two spellings |
"""

from __future__ import annotations

from metis.wire.codec import UpstreamShape
from metis.wire.google_generate_content.errors import decode_error
from metis.wire.google_generate_content.name import NAME
from metis.wire.google_generate_content.request_in import decode_request
from metis.wire.google_generate_content.request_out import encode_request
from metis.wire.google_generate_content.response import decode_response, encode_response, facts_of
from metis.wire.google_generate_content.stream_in import GoogleStreamDecoder
from metis.wire.google_generate_content.usage import usage_of

__all__ = ["GOOGLE_GENERATE_CONTENT"]

GOOGLE_GENERATE_CONTENT = UpstreamShape(
    name=NAME,
    decode_request=decode_request,
    encode_request=encode_request,
    decode_response=decode_response,
    encode_response=encode_response,
    stream_decoder=GoogleStreamDecoder,
    decode_error=decode_error,
    facts_of=facts_of,
    usage_of=usage_of,
)
