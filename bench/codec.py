"""How fast the codecs are by themselves: requests and answers to IR and back, and streams to a folded answer.

What is read: a request of 100 KB as a coding agent sends it (its history of calls and results of source code, and
definitions of two dozen tools), an answer of 20 KB (prose, and edits of files as calls), and a stream of prose and one
call, a token a delta, in pieces of one event as they arrive. MB are of the body that is read or written; time is CPU
time of this process.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from typing import Any, Final

from bench.answers import Shape as Name
from bench.scenarios import Scenario, body_for
from metis.facts.usage import Usage
from metis.ir.content import Text, ToolCall
from metis.ir.response import Response
from metis.ir.stream import (
    ArgumentsDelta,
    BlockStart,
    BlockStop,
    End,
    Finish,
    Fold,
    Start,
    StreamEvent,
    TextDelta,
)
from metis.wire import SHAPES
from metis.wire.codec import ReplyContext, Shape

NAMES: Final[dict[str, Name]] = {
    "openai_chat": "chat",
    "anthropic_messages": "messages",
    "openai_responses": "responses",
}
_REQUEST_BYTES: Final = 90_000  # and 10,000 of tools
_TOOLS: Final = 24
_EDITS: Final = 6
_WORDS: Final = 400
_PIECE: Final = 5  # characters of a delta: about a token
_WARM_UP_S: Final = 0.1
LEAST_MB_A_SECOND: Final = 40.0
MOST_US_AN_EVENT: Final = 12.0
_CONTEXT: Final = ReplyContext(model="m", response_id="answer", created=1_700_000_000)


def request_body(shape: Shape) -> bytes:
    """A request of about 100 KB in this shape."""
    name = NAMES[shape.name]
    body = json.loads(body_for(Scenario(name="codec", shape=name, body_bytes=_REQUEST_BYTES)))
    body["tools"] = [_tool(name, number) for number in range(_TOOLS)]
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _tool(name: Name, number: int) -> dict[str, Any]:
    path = {"type": "string", "description": "An absolute path; a relative one is refused."}
    lines = {"type": "integer", "minimum": 1, "description": "How many lines are read at most."}
    schema = {
        "type": "object",
        "properties": {"path": path, "limit": lines},
        "required": ["path"],
        "additionalProperties": False,
    }
    said = {"name": f"tool_{number}", "description": "Reads a file, from its first line on."}
    match name:
        case "messages":
            return {**said, "input_schema": schema}
        case "chat":
            return {"type": "function", "function": {**said, "parameters": schema}}
        case "responses":
            return {"type": "function", **said, "parameters": schema, "strict": False}


def answer() -> Response:
    """An answer of about 20 KB: prose, and files edited by calls."""
    prose = "I mend the handlers one by one, and say “why” beside each of them.\n" * 60
    code = 'def handle(request: "Request") -> Answer:\n    return Answer(request, note="ok")\n' * 30
    calls = tuple(
        ToolCall(
            call_id=f"call_{number:022d}",
            name="edit",
            arguments=json.dumps({"path": f"src/file_{number}.py", "text": code}),
        )
        for number in range(_EDITS)
    )
    return Response(
        origin="bench",
        response_id="answer",
        model="m",
        parts=(Text(text=prose), *calls),
        stop="tool_use",
        usage=Usage(input_tokens=300, cache_read_tokens=24_000, output_tokens=5_000),
        created=1_700_000_000,
    )


def stream_pieces(shape: Shape) -> list[bytes]:
    """A stream of prose and one call in deltas of a token, one event a piece."""
    events: list[StreamEvent] = [Start(origin="bench", response_id="answer", model="m", created=1)]
    words, arguments = "mends " * _WORDS, json.dumps({"path": "a.py", "text": "mends " * _WORDS})
    call = ToolCall(call_id="call_1", name="edit", arguments="")
    events.append(BlockStart(index=0, part=Text(text="")))
    events += (TextDelta(0, words[at : at + _PIECE]) for at in range(0, len(words), _PIECE))
    events += (BlockStop(0), BlockStart(index=1, part=call))
    events += (
        ArgumentsDelta(1, arguments[at : at + _PIECE]) for at in range(0, len(arguments), _PIECE)
    )
    usage = Usage(input_tokens=300, output_tokens=800)
    events += (BlockStop(1), Finish(stop="tool_use", usage=usage), End())
    encoder = shape.stream_encoder(_CONTEXT)
    written = b"".join(map(encoder.feed, events))
    return [event + b"\n\n" for event in written.split(b"\n\n") if event]


def fold_stream(shape: Shape, pieces: list[bytes]) -> Response:
    """What a whole answer is made of that came as a stream."""
    decoder, fold = shape.stream_decoder(), Fold()
    for piece in pieces:
        for event in decoder.feed(piece):
            fold.feed(event)
    for event in decoder.finish():
        fold.feed(event)
    return fold.result()


def works(shape: Shape) -> dict[str, tuple[float, Callable[[], object]]]:
    """What is measured of a shape: by name, the size of a run (MB, or events) and the run itself."""
    body, pieces = request_body(shape), stream_pieces(shape)
    request = shape.decode_request(body)
    said = shape.encode_response(answer(), _CONTEXT).body
    own = shape.decode_response(said)
    return {
        "decode request MB/s": (len(body) / 1e6, lambda: shape.decode_request(body)),
        "encode request MB/s": (len(body) / 1e6, lambda: shape.encode_request(request)),
        "decode answer MB/s": (len(said) / 1e6, lambda: shape.decode_response(said)),
        "encode answer MB/s": (len(said) / 1e6, lambda: shape.encode_response(own, _CONTEXT)),
        "stream us an event": (len(pieces), lambda: fold_stream(shape, pieces)),
    }


def measure(rounds: int, seconds: float) -> dict[str, float]:
    """Medians over rounds of `seconds` each, shapes in turn, and their spreads (largest less least, in the median)."""
    found: dict[str, list[float]] = {}
    prepared = {NAMES[shape.name]: works(shape) for shape in SHAPES}
    each_s = seconds / sum(map(len, prepared.values()))
    for number in range(rounds + 1):  # the first is to warm up, and does not count
        for name, shape_works in prepared.items():
            for what, (size, run) in shape_works.items():
                spent = _seconds_each(run, each_s if number else _WARM_UP_S)
                rate = spent / size * 1e6 if what.endswith("event") else size / spent
                if number:
                    found.setdefault(f"{name}: {what}", []).append(rate)
    figures: dict[str, float] = {}
    for what, rates in found.items():
        figures[what] = statistics.median(rates)
        figures[f"{what}, spread"] = (max(rates) - min(rates)) / figures[what]
    return figures


def least() -> dict[str, float]:
    """What decoding must reach, by figure."""
    return {
        f"{name}: decode {what} MB/s": LEAST_MB_A_SECOND
        for name in NAMES.values()
        for what in ("request", "answer")
    }


def most() -> dict[str, float]:
    """What an event of a stream may cost, by figure."""
    return {f"{name}: stream us an event": MOST_US_AN_EVENT for name in NAMES.values()}


def _seconds_each(run: Callable[[], object], seconds: float) -> float:
    count, began = 0, time.process_time()
    spent = 0.0
    while spent < seconds:
        run()
        count += 1
        spent = time.process_time() - began
    return spent / count
