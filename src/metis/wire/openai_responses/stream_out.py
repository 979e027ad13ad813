"""IR events to a client's stream of this shape, and a whole answer to its body. The events are made in `output.py`."""

from __future__ import annotations

from typing import Final

import msgspec

from metis.ir.response import Response
from metis.ir.stream import StreamEvent, unfold
from metis.wire.codec import Encoded, Note, ReplyContext
from metis.wire.openai_responses.fields import SHAPE
from metis.wire.openai_responses.output import Output
from metis.wire.openai_responses.response import encode_own_response
from metis.wire.sse import encode_event

# A comment would not do: Codex counts its idle time from the last event. OpenAI sends the same event, counted in
# the sequence; where the gateway relays a stream it cannot renumber, so that the constant form says 0.
KEEPALIVE: Final = encode_event(b'{"type":"keepalive","sequence_number":0}', "keepalive")

_encode = msgspec.json.Encoder().encode


class ResponsesStreamEncoder:
    """See `codec.StreamEncoder`. Sequence numbers start at 0 and have no gaps, heartbeats included."""

    def __init__(self, ctx: ReplyContext) -> None:
        self._output = Output(ctx)
        self.notes: list[Note] = self._output.notes

    def feed(self, event: StreamEvent) -> bytes:
        return b"".join(encode_event(_encode(due), due["type"]) for due in self._output.feed(event))


def encode_response(response: Response, ctx: ReplyContext) -> Encoded:
    """A whole answer for a client of this shape: as it came where it is of this shape, else what its stream ends in."""
    if response.origin == SHAPE:
        return Encoded(_encode(encode_own_response(response, ctx.model)))
    output = Output(ctx)
    for event in unfold(response):
        output.feed(event)
    notes = output.notes
    if response.choices:
        notes.append(Note("lost", "choices", "this API gives one answer"))
    if response.service_tier is not None and response.origin == "openai_chat":
        output.response["service_tier"] = response.service_tier  # the two have the same words
    return Encoded(_encode(output.response), tuple(notes))
