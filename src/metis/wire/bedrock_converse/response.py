"""A whole answer, both ways, and the quick look at one for the ledger. Streams live in stream_in."""

from __future__ import annotations

from metis.errors import CodecError
from metis.ir.response import Response
from metis.wire.answer_facts import facts_of_response
from metis.wire.bedrock_converse.blocks_in import read_blocks
from metis.wire.bedrock_converse.blocks_out import own_blocks
from metis.wire.bedrock_converse.name import API, NAME
from metis.wire.bedrock_converse.usage import stop_of, usage_of
from metis.wire.codec import Encoded, ReplyContext, ResponseFacts
from metis.wire.fields import Fields, Json, as_object, dump_json, load_json


def decode_response(body: bytes) -> Response:
    """Decode an answer. Raises CodecError, with the JSON path, on bytes that are none."""
    fields = Fields(load_json(body), "")
    output = Fields(fields.left.get("output"), "output")
    message = Fields(output.left.get("message"), "output.message")
    parts = read_blocks(message.required_list("content"), "output.message.content")
    message.left.pop("role", None)
    output.left.pop("message")
    fields.left.pop("output")
    usage = fields.object("usage")
    stop_raw = fields.word("stopReason")
    tier = as_object(fields.left.get("serviceTier"))
    named = tier.get("type") if tier is not None and len(tier) == 1 else None
    if isinstance(named, str):
        del fields.left["serviceTier"]
    extras = fields.left
    if message.left:
        extras["message"] = message.left
    if output.left:
        extras["output"] = output.left
    return Response(
        origin=NAME,
        response_id="",
        model="",
        parts=parts,
        stop=stop_of(stop_raw),
        stop_raw=stop_raw,
        usage=None if usage is None else usage_of(usage),
        usage_raw=usage,
        service_tier=named if isinstance(named, str) else None,
        extras=extras,
    )


def encode_response(response: Response, context: ReplyContext) -> Encoded:
    """The JSON that an answer of this shape came as. Raises CodecError for any other: no client is spoken to so."""
    if response.origin != NAME:
        raise CodecError(f"an answer of {response.origin or 'no shape'} cannot be told in {API}")
    extras = dict(response.extras)
    message = {"role": "assistant", **extras.pop("message", {})}
    message["content"] = own_blocks(response.parts)
    body: Json = {**extras, "output": {**extras.pop("output", {}), "message": message}}
    if response.stop_raw:
        body["stopReason"] = response.stop_raw
    if response.usage_raw is not None:
        body["usage"] = response.usage_raw
    if response.service_tier is not None:
        body["serviceTier"] = {"type": response.service_tier}
    return Encoded(dump_json(body))


def facts_of(body: bytes) -> ResponseFacts:
    """Read what the ledger needs of a whole answer. Bytes that are no answer give empty facts."""
    try:
        return facts_of_response(decode_response(body))
    except CodecError:
        return ResponseFacts()
