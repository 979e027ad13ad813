"""What leaves for the upstream: the body (spliced or translated), the head, and how the answer is received."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from metis.errors import BadRequest
from metis.providers.provider import Provider
from metis.trace.events.turn import FidelityNote
from metis.turn.actions import Inbound
from metis.turn.course import Way
from metis.turn.crossing import as_fidelity
from metis.turn.state import Outbound
from metis.wire.codec import ReplyContext, Shape, UpstreamShape
from metis.wire.effective_tools import reply_tools
from metis.wire.splice import Body, Fields, edit_body, read_body

_ASK_USAGE: Final = b'{"include_usage":true}'


def same_shape(body: Body, shape: Shape, provider: Provider, names: tuple[str, str]) -> Outbound:
    """The byte path: the body as it came, but for the model's name and the wish for usage.

    `names`: the model to send and the one the body names.
    """
    model, requested = names
    path = provider.fixed_paths.get(shape.name) or _path(
        provider, shape.name, model, stream=_is_true(body.fields, "stream")
    )
    edits: dict[str, bytes] = {}
    notes: list[FidelityNote] = []
    if model != requested:
        edits["model"] = msgspec.json.encode(model)
        notes.append(FidelityNote("edited", "$.model", "the routed model's name"))
    strip_usage = False
    if shape.name == "openai_chat" and _is_true(body.fields, "stream"):
        asked, options = _usage_wish(body.fields)
        if not asked:
            edits["stream_options"] = options
            strip_usage = True
            notes.append(FidelityNote("edited", "$.stream_options", "usage is always asked for"))
    if not edits:
        return Outbound(body.text, shape, path)
    return Outbound(
        body=edit_body(body, edits),
        shape=shape,
        path=path,
        strip_usage=strip_usage,
        notes=tuple(notes),
    )


def _usage_wish(fields: Fields) -> tuple[bool, bytes]:
    """Whether the client asked for usage itself, and else the stream_options that do."""
    raw = fields.get("stream_options")
    if raw is None or bytes(raw) == b"null":
        return False, _ASK_USAGE
    try:
        options = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        return True, b""  # nonsense is the upstream's to refuse, in its own words
    if bytes(options.get("include_usage", msgspec.Raw(b"false"))) == b"true":
        return True, b""
    text = bytes(raw)
    return False, edit_body(Body(text, options), {"include_usage": b"true"})


def crossed(
    inbound: Inbound,
    source: Shape,
    target: UpstreamShape,
    provider: Provider,
    context: CrossingNames,
) -> Outbound:
    """The way through the IR. Raises CodecError on a body that is not the source's shape, BadRequest
    on what only the source's own provider could answer."""
    request = source.decode_request(inbound.body)
    sentence = source.uncrossable(request)
    if sentence is not None:
        raise BadRequest(sentence)
    outgoing = msgspec.structs.replace(request, model=context.model)
    if provider.kind.takes_proofs:
        outgoing = target.adopt_proofs(outgoing)
    encoded = target.encode_request(outgoing)
    custom, namespaces = reply_tools(request)
    return Outbound(
        body=encoded.body,
        shape=target,
        path=_path(provider, target.name, context.model, stream=request.stream is True),
        context=ReplyContext(
            model=context.model,
            response_id=context.response_id,
            created=context.created,
            include_usage=request.include_usage is True or source.name != "openai_chat",
            custom_tools=custom,
            namespaces=namespaces,
            request=request,
            renamed=encoded.renamed,
        ),
        notes=as_fidelity(encoded.notes),
    )


@dataclass(frozen=True, slots=True)
class CrossingNames:
    """What the turn knows and a crossing needs: the model sent and the answer's fallback id and time."""

    model: str
    response_id: str
    created: int


def raw_operation(
    operation: str, body: Body, provider: Provider, names: tuple[str, str]
) -> Outbound:
    """An operation that is never translated (embeddings, completions, count_tokens)."""
    (model, requested), fields = names, body.fields
    edits = {"model": msgspec.json.encode(model)} if model != requested else {}
    strip_usage = False
    if operation == "completions" and _is_true(fields, "stream"):
        asked, options = _usage_wish(fields)
        if not asked:
            edits["stream_options"] = options
            strip_usage = True
    return Outbound(
        body=edit_body(body, edits),
        shape=None,
        path=_path(provider, operation, model),
        strip_usage=strip_usage,
        notes=tuple(FidelityNote("edited", f"$.{name}") for name in edits),
    )


def relayed(inbound: Inbound, provider: Provider) -> Outbound:
    """A relayed path: method, query, content type and body as they came."""
    prefix, path = provider.prefix.encode("ascii"), inbound.relay_path
    return Outbound(
        body=inbound.body,
        shape=None,
        path=path if path.startswith(prefix) else prefix + path,
        method=inbound.head.method,
        content_type=inbound.head.named.get(b"content-type", b""),
    )


def with_edits(
    outbound: Outbound, provider: Provider, operation: str, headers: Mapping[bytes, bytes]
) -> Outbound:
    """The request with what this kind of server must read otherwise, each edit noted.

    Raises BadRequest on what the server could never answer.
    """
    kind = provider.kind
    if kind.unframe is not None:
        outbound = msgspec.structs.replace(outbound, unframe=kind.unframe)
    if kind.edits is None:
        return outbound
    body = read_body(outbound.body)
    edits = kind.edits(provider, operation, body.fields, headers)
    if not edits:
        return outbound
    return msgspec.structs.replace(
        outbound,
        body=edit_body(body, {edit.name: edit.value for edit in edits}),
        notes=outbound.notes
        + tuple(FidelityNote("edited", f"$.{edit.name}", edit.why) for edit in edits),
    )


def _path(provider: Provider, operation: str, model: str, *, stream: bool = False) -> bytes:
    path = provider.path_for(operation, model, stream=stream)
    if path is None:
        raise BadRequest(f"provider {provider.name!r} has no {operation} endpoint")
    return path


def _is_true(fields: Fields, name: str) -> bool:
    raw = fields.get(name)
    return raw is not None and bytes(raw) == b"true"


def request_head(outbound: Outbound, way: Way) -> bytes:
    """The upstream request's head. A signer, where the provider has one, says last who asks."""
    lines, signer = way.lines, way.provider.signer
    if signer is not None:
        url = f"{way.provider.url}{outbound.path.decode('ascii')}"
        lines += signer.sign(outbound.method, url, outbound.body)
    return b"%b %b HTTP/1.1\r\n%b%bcontent-length: %d\r\n\r\n" % (
        outbound.method,
        outbound.path,
        lines,
        b"content-type: %b\r\n" % outbound.content_type if outbound.content_type else b"",
        len(outbound.body),
    )
