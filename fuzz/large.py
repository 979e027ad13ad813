"""Inputs that are large in one way each, of about a given size. What is asked of them is in `scaling`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from fuzz.case import Case, Kind
from fuzz.pieces import SHAPES
from metis.ir.content import Part, Text, Thinking, ToolCall
from metis.ir.response import Response
from metis.ir.stream import (
    ArgumentsDelta,
    BlockStart,
    BlockStop,
    End,
    Finish,
    SignatureDelta,
    Start,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
)
from metis.wire import SHAPES as CODECS
from metis.wire.codec import ReplyContext, ShapeName

Build = Callable[[ShapeName, int], bytes]
_CONTEXT: Final = ReplyContext(model="m", response_id="made", created=1)
_PIECE: Final = 500
_EVENT_BYTES: Final = 120  # about what stands around a delta's text


def _packed(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _asked(shape: ShapeName, turns: list[Any], **more: Any) -> bytes:
    if shape == "openai_responses":
        return _packed({"model": "m", "input": turns, **more})
    return _packed({"model": "m", "max_tokens": 9, "messages": turns, **more})


def _user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def _long_text(shape: ShapeName, size: int) -> bytes:
    return _asked(shape, [_user('"\\\né' * (size // 10))])


def _many_turns(shape: ShapeName, size: int) -> bytes:
    turns = [_user("x"), {"role": "assistant", "content": "y"}]
    return _asked(shape, turns * (size // 70))


def _many_parts(shape: ShapeName, size: int) -> bytes:
    kind = "input_text" if shape == "openai_responses" else "text"
    return _asked(shape, [_user([{"type": kind, "text": "x"}] * (size // 30))])


def _many_calls(shape: ShapeName, size: int) -> bytes:
    numbers = range(size // 150)
    match shape:
        case "anthropic_messages":
            uses = [{"type": "tool_use", "id": f"t{n}", "name": "f", "input": {}} for n in numbers]
            found = [
                {"type": "tool_result", "tool_use_id": f"t{n}", "content": "r"} for n in numbers
            ]
            turns = [{"role": "assistant", "content": uses}, _user(found)]
        case "openai_chat":
            function = {"name": "f", "arguments": "{}"}
            calls = [{"id": f"t{n}", "type": "function", "function": function} for n in numbers]
            turns = [{"role": "assistant", "content": None, "tool_calls": calls}]
            turns += [{"role": "tool", "tool_call_id": f"t{n}", "content": "r"} for n in numbers]
        case "openai_responses":
            call = {"type": "function_call", "name": "f", "arguments": "{}"}
            turns = [call | {"call_id": f"t{n}"} for n in numbers]
            result = {"type": "function_call_output", "output": "r"}
            turns += [result | {"call_id": f"t{n}"} for n in numbers]
    return _asked(shape, [_user("x"), *turns])


def _many_tools(shape: ShapeName, size: int) -> bytes:
    schema = {"type": "object", "properties": {}}
    numbers = range(size // 100)
    match shape:
        case "anthropic_messages":
            tools: list[Any] = [{"name": f"f{n}", "input_schema": schema} for n in numbers]
        case "openai_chat":
            tools = [
                {"type": "function", "function": {"name": f"f{n}", "parameters": schema}}
                for n in numbers
            ]
        case "openai_responses":
            tools = [{"type": "function", "name": f"f{n}", "parameters": schema} for n in numbers]
    return _asked(shape, [_user("x")], tools=tools)


def _empty_objects(shape: ShapeName, size: int) -> bytes:
    return _asked(shape, [{}] * (size // 3))


def _deep(shape: ShapeName, size: int) -> bytes:
    return _asked(shape, [_user("@")]).replace(b'"@"', b"[" * size)


def _deep_objects(shape: ShapeName, size: int) -> bytes:
    return _asked(shape, [_user("@")]).replace(b'"@"', b'{"a":' * (size // 5))


def _long_number(shape: ShapeName, size: int) -> bytes:
    return _asked(shape, [_user("x")], temperature="@").replace(b'"@"', b"9" * size)


def _same_key(shape: ShapeName, size: int) -> bytes:
    return b"{" + b'"model":"m",' * (size // 12) + _asked(shape, [_user("x")])[1:]


def _long_answer(shape: ShapeName, size: int) -> bytes:
    return _whole(shape, Text(text="é\n" * (size // 8)))


def _answer_of_calls(shape: ShapeName, size: int) -> bytes:
    calls = (ToolCall(call_id=f"t{n}", name="f", arguments="{}") for n in range(size // 90))
    return _whole(shape, *calls)


def _giant_arguments(shape: ShapeName, size: int) -> bytes:
    return _whole(shape, ToolCall(call_id="t", name="f", arguments=json.dumps({"a": "x" * size})))


def _whole(shape: ShapeName, *parts: Part) -> bytes:
    codec = next(one for one in CODECS if one.name == shape)
    answer = Response(origin="x", response_id="i", model="m", parts=parts, stop="end_turn")
    return codec.encode_response(answer, _CONTEXT).body


def _written(shape: ShapeName, events: Iterator[StreamEvent]) -> bytes:
    codec = next(one for one in CODECS if one.name == shape)
    encoder = codec.stream_encoder(_CONTEXT)
    start = Start(origin="x", response_id="i", model="m")
    ends: tuple[StreamEvent, ...] = (Finish(stop="end_turn"), End())
    return b"".join(map(encoder.feed, (start, *events, *ends)))


def _block(index: int, part: Part, deltas: Iterator[StreamEvent]) -> Iterator[StreamEvent]:
    yield BlockStart(index=index, part=part)
    yield from deltas
    yield BlockStop(index)


def _deltas(kind: type[Any], size: int, piece: int = _PIECE) -> Iterator[StreamEvent]:
    return (kind(0, "x" * piece) for _ in range(size // (piece + _EVENT_BYTES)))


def _text_stream(shape: ShapeName, size: int) -> bytes:
    return _written(shape, _block(0, Text(text=""), _deltas(TextDelta, size)))


def _token_stream(shape: ShapeName, size: int) -> bytes:
    return _written(shape, _block(0, Text(text=""), _deltas(TextDelta, size, piece=1)))


def _thinking_stream(shape: ShapeName, size: int) -> bytes:
    part = Thinking(origin=shape)
    return _written(shape, _block(0, part, _deltas(ThinkingDelta, size)))


def _signature_stream(shape: ShapeName, size: int) -> bytes:
    signed: ShapeName = (
        "anthropic_messages"  # what chat's servers sign with, for they have no proofs of their own
    )
    part = Thinking(origin=signed if shape == "openai_chat" else shape)
    return _written(shape, _block(0, part, _deltas(SignatureDelta, size)))


def _arguments_stream(shape: ShapeName, size: int) -> bytes:
    call = ToolCall(call_id="t", name="f", arguments="")
    return _written(shape, _block(0, call, _deltas(ArgumentsDelta, size)))


def _blocks_stream(shape: ShapeName, size: int) -> bytes:
    def events() -> Iterator[StreamEvent]:
        for number in range(size // 600):
            call = ToolCall(call_id=f"t{number}", name="f", arguments="")
            yield from _block(number, call, iter((ArgumentsDelta(number, "{}"),)))

    return _written(shape, events())


def _interleaved_stream(shape: ShapeName, size: int) -> bytes:
    def events() -> Iterator[StreamEvent]:
        for index in (0, 1):
            call = ToolCall(call_id=f"t{index}", name="f", arguments="")
            yield BlockStart(index=index, part=call)
        for number in range(size // (_PIECE + _EVENT_BYTES)):
            yield ArgumentsDelta(number % 2, "x" * _PIECE)
        yield BlockStop(1)
        yield BlockStop(0)

    return _written(shape, events())


def _comments(shape: ShapeName, size: int) -> bytes:
    return b": keep-alive\n\n" * (size // 14)


def _endless_event(shape: ShapeName, size: int) -> bytes:
    return b"data: x\n" * (size // 8)


def _endless_line(shape: ShapeName, size: int) -> bytes:
    return b"data: " + b"x" * size


def _carriage_returns(shape: ShapeName, size: int) -> bytes:
    return _token_stream(shape, size).replace(b"\n", b"\r")


def _nameless_call(shape: ShapeName, size: int) -> bytes:
    """Chat: arguments that come before the call's name. The others: deltas of a kind nobody knows."""
    match shape:
        case "openai_chat":
            delta = {"tool_calls": [{"index": 0, "function": {"arguments": "x" * _PIECE}}]}
            event: Any = {"id": "i", "model": "m", "choices": [{"index": 0, "delta": delta}]}
            opening = b""
        case "anthropic_messages":
            message = {"id": "i", "type": "message", "role": "assistant", "model": "m"}
            opening = b"data: %b\n\n" % _packed({"type": "message_start", "message": message})
            block = {"type": "unknown_kind", "text": ""}
            begun = {"type": "content_block_start", "index": 0, "content_block": block}
            opening += b"data: %b\n\n" % _packed(begun)
            grown = {"type": "unknown_delta", "text": "x" * _PIECE}
            event = {"type": "content_block_delta", "index": 0, "delta": grown}
        case "openai_responses":
            response = {"id": "i", "object": "response", "model": "m", "output": []}
            opening = b"data: %b\n\n" % _packed({"type": "response.created", "response": response})
            place = {"item_id": "r", "output_index": 0, "summary_index": 0}
            kind = "response.reasoning_summary_text.delta"
            event = {"type": kind, **place, "delta": "x" * _PIECE}
    told = b"data: %b\n\n" % _packed(event)
    return opening + told * (size // len(told))


def _page(shape: ShapeName, size: int) -> bytes:
    return b"<html>" + b"<p>502 Bad Gateway</p>" * (size // 22)


_BUILDS: Final[dict[str, tuple[Kind, Build]]] = {
    "a long text": ("request", _long_text),
    "many turns": ("request", _many_turns),
    "many parts": ("request", _many_parts),
    "many calls and results": ("request", _many_calls),
    "many tools": ("request", _many_tools),
    "empty objects": ("request", _empty_objects),
    "nested lists": ("request", _deep),
    "nested objects": ("request", _deep_objects),
    "a long number": ("request", _long_number),
    "one key many times": ("request", _same_key),
    "a long answer": ("answer", _long_answer),
    "an answer of calls": ("answer", _answer_of_calls),
    "giant arguments": ("answer", _giant_arguments),
    "a page for an answer": ("answer", _page),
    "a page for an error": ("error", _page),
    "text in pieces": ("stream", _text_stream),
    "text in letters": ("stream", _token_stream),
    "thinking in pieces": ("stream", _thinking_stream),
    "a signature in pieces": ("stream", _signature_stream),
    "arguments in pieces": ("stream", _arguments_stream),
    "many blocks": ("stream", _blocks_stream),
    "blocks in turn": ("stream", _interleaved_stream),
    "pieces of the unknown": ("stream", _nameless_call),
    "comments": ("stream", _comments),
    "an event without an end": ("stream", _endless_event),
    "a line without an end": ("stream", _endless_line),
    "carriage returns": ("stream", _carriage_returns),
    "a page for a stream": ("stream", _page),
}
NAMES: Final = tuple((name, shape) for name in _BUILDS for shape in SHAPES)


def large(name: str, shape: ShapeName, size: int) -> Case:
    """The input of this name, of about `size` bytes; streams come in pieces of all sizes."""
    kind, build = _BUILDS[name]
    return Case(shape, kind, build(shape, size), mutated=True, cuts=1 if kind == "stream" else 0)
