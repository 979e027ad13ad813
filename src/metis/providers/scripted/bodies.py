"""The bytes of a scripted answer, made by the wire shapes' own encoders, so that no shape is written twice."""

from __future__ import annotations

from typing import Final

import msgspec

from metis.errors import CodecError
from metis.facts.usage import Usage
from metis.http.headers import Headers
from metis.ir.content import Part, Refusal, Text, Thinking, ToolCall
from metis.ir.request import Request
from metis.ir.response import ErrorInfo, Response, StopReason
from metis.ir.stream import (
    ArgumentsDelta,
    Start,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    unfold,
)
from metis.providers.scripted.echo import arguments_text, echoed, usage_of_lengths
from metis.providers.scripted.performance import Answer
from metis.providers.scripted.script import ScriptedCall, ScriptedReply
from metis.wire.codec import ReplyContext, Shape
from metis.wire.effective_tools import reply_tools

CREATED: Final = 1_735_689_600  # 2025-01-01: a script has no clock
JSON: Final = (b"content-type", b"application/json")
EVENT_STREAM: Final = (b"content-type", b"text/event-stream; charset=utf-8")
_RESPONSE_IDS: Final = {
    "anthropic_messages": "msg_scripted_{}",
    "openai_chat": "chatcmpl-scripted-{}",
    "openai_responses": "resp_scripted_{}",
}
_CALL_IDS: Final = {"anthropic_messages": "toolu_scripted_{}_{}"}
_OVERLOADED: Final = 529


def generation(
    reply: ScriptedReply, shape: Shape, request: Request, body: bytes, number: int
) -> Answer:
    """The answer to a generation request; `number` counts the requests of this script, for ids."""
    headers = headers_of(reply, number)
    if reply.status >= 400 and reply.fault != "error_event":
        return failing(reply, shape, number)
    if reply.body is not None:
        return Answer(status=reply.status, headers=[*headers, JSON], pieces=halves(raw_body(reply)))
    stream = request.stream is True
    if reply.fault == "error_event" and not stream:
        status = reply.status if reply.status >= 400 else _OVERLOADED
        return failing(msgspec.structs.replace(reply, status=status), shape, number)
    said = echoed(reply, request) if reply.says_nothing else reply
    response = _response(said, shape, request, body, number)
    context = _context(response, shape, request)
    if not stream:
        try:
            pieces = halves(shape.encode_response(response, context).body)
        except CodecError as exc:
            return _unsayable(exc, shape, headers)
        return Answer(status=200, headers=[*headers, JSON], pieces=pieces)
    encoder = shape.stream_encoder(context)
    encoded = b"".join(encoder.feed(event) for event in _events(response, reply.chunk_characters))
    return Answer(
        status=200,
        headers=[*headers, EVENT_STREAM],
        pieces=events_of(encoded),
        stream_error=shape.encode_stream_error(_error_of(reply, shape, _OVERLOADED)),
    )


def failing(reply: ScriptedReply, shape: Shape, number: int) -> Answer:
    """An error answer: the script's own body, or the shape's with the reply's text as its message."""
    error = _error_of(reply, shape, reply.status)
    body = shape.encode_error(error) if reply.body is None else raw_body(reply)
    return Answer(
        status=reply.status, headers=[*headers_of(reply, number), JSON], pieces=halves(body)
    )


def refusing(message: str, shape: Shape, number: int) -> Answer:
    """A 400 for a request that is not what its shape says."""
    reply = ScriptedReply(status=400, text=message)
    return failing(reply, shape, number)


def headers_of(reply: ScriptedReply, number: int) -> Headers:
    """The usual headers: a request id under the names that SDKs read, and the script's own."""
    request_id = b"req_scripted_%d" % number
    headers: Headers = [(b"request-id", request_id), (b"x-request-id", request_id)]
    own = [
        (name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()
    ]
    return headers + own


def halves(body: bytes) -> tuple[bytes, ...]:
    """A body in two pieces, so that a cut can fall between them."""
    middle = len(body) // 2
    return (body[:middle], body[middle:]) if middle else (body,)


def events_of(encoded: bytes) -> tuple[bytes, ...]:
    """A stream's bytes event by event."""
    return tuple(event + b"\n\n" for event in encoded.split(b"\n\n") if event)


def raw_body(reply: ScriptedReply) -> bytes:
    """The script's own body as bytes."""
    body = reply.body
    return body.encode() if isinstance(body, str) else msgspec.json.encode(body)


def _unsayable(exc: CodecError, shape: Shape, headers: Headers) -> Answer:
    error = ErrorInfo(status=500, kind="api", message=f"the script cannot be said: {exc}")
    return Answer(status=500, headers=[*headers, JSON], pieces=halves(shape.encode_error(error)))


def _error_of(reply: ScriptedReply, shape: Shape, usual: int) -> ErrorInfo:
    status = reply.status if reply.status >= 400 else usual
    # The shape knows its own kinds of its own statuses; an empty body leaves it nothing else to go by.
    kind = shape.decode_error(status, b"").kind
    return ErrorInfo(status=status, kind=kind, message=reply.text or f"scripted error {status}")


def _response(
    reply: ScriptedReply, shape: Shape, request: Request, body: bytes, number: int
) -> Response:
    calls = tuple(
        _call(call, shape, request, (number, place)) for place, call in enumerate(reply.tool_calls)
    )
    parts: list[Part] = []
    if reply.thinking is not None:
        parts.append(_thinking(reply.thinking, reply.signature, shape))
    if reply.text is not None:
        parts.append(Text(text=reply.text))
    if reply.refusal is not None:
        parts.append(Refusal(text=reply.refusal))
    return Response(
        origin="scripted",
        response_id=reply.response_id or _RESPONSE_IDS[shape.name].format(number),
        model=request.model,
        parts=(*parts, *calls),
        stop=reply.stop or _usual_stop(reply),
        stop_sequence=reply.stop_sequence,
        usage=reply.usage or usage_of_lengths(body, reply),
        created=CREATED,
    )


def _usual_stop(reply: ScriptedReply) -> StopReason:
    if reply.tool_calls:
        return "tool_use"
    return "refusal" if reply.refusal is not None else "end_turn"


def _thinking(text: str, signature: str, shape: Shape) -> Thinking:
    """Thinking with its proof where the shape has it. Chat has no place of its own: there it is Claude's,
    as OpenRouter tells it in `reasoning_details`."""
    chat = shape.name == "openai_chat"
    return Thinking(
        text=text,
        signature=signature,
        origin="anthropic_messages" if chat else shape.name,
        summary=shape.name == "openai_responses",
    )


def _call(call: ScriptedCall, shape: Shape, request: Request, place: tuple[int, int]) -> ToolCall:
    custom, _ = reply_tools(request)
    usual_id = _CALL_IDS.get(shape.name, "call_scripted_{}_{}").format(*place)
    return ToolCall(
        call_id=call.call_id or usual_id,
        name=call.name,
        arguments=arguments_text(call),
        kind="custom" if call.name in custom else "function",
    )


def _context(response: Response, shape: Shape, request: Request) -> ReplyContext:
    custom, namespaces = reply_tools(request)
    return ReplyContext(
        model=request.model,
        response_id=response.response_id,
        created=CREATED,
        include_usage=request.include_usage is True or shape.name != "openai_chat",
        custom_tools=custom,
        namespaces=namespaces,
        request=request,
    )


def _events(response: Response, characters: int) -> list[StreamEvent]:
    """The answer's events, texts and arguments cut to size; the input's usage is told at the start already."""
    events: list[StreamEvent] = []
    for event in unfold(response):
        match event:
            case Start():
                events.append(msgspec.structs.replace(event, usage=_early(response.usage)))
            case TextDelta(text=text) | ThinkingDelta(text=text) | ArgumentsDelta(text=text):
                for start in range(0, len(text), characters):
                    piece = text[start : start + characters]
                    events.append(msgspec.structs.replace(event, text=piece))
            case _:
                events.append(event)
    return events


def _early(usage: Usage | None) -> Usage:
    """What Anthropic's `message_start` tells: all of the input, and the first token of the output."""
    return msgspec.structs.replace(
        usage or Usage(), output_tokens=1, reasoning_tokens=0, server_tools={}
    )
