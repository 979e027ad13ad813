"""Whether streams and answers are what their API's documents say, event by event."""

from __future__ import annotations

from typing import Final

from metis.conformance.judging import check, equal
from metis.conformance.neutral import Answer, Call, Prompt
from metis.conformance.scenario import Scenario
from metis.conformance.scenarios.blocks import ASKED, CALL
from metis.conformance.stage import Stage
from metis.conformance.upstream import Seen, Wire, say

_STARTS: Final = ("LiteLLM #32357", "LiteLLM #33224")
_FULL: Final = Answer(
    text="Reading both files now.",
    thinking="Two files, so two calls.",
    signature="EuYBCkQYAiJAx+conformance==",
    calls=(CALL, Call("read_file", '{"file_path":"/b"}', "call_conformance_2")),
    stop="tool",
)


async def _judge(stage: Stage, prompt: Prompt, answer: Answer) -> None:
    """Raises Failed with the first faults of the stream."""
    reply = await stage.ask(prompt, script=say(answer), stream=True)
    equal("the status", reply.status, 200)
    kind = reply.head.header("content-type") or ""
    check(kind.startswith("text/event-stream"), "content-type: text/event-stream", kind)
    check(not reply.cut, "a stream that ends as HTTP says", "it broke off")
    faults = stage.shape.stream_faults(reply.events)
    check(not faults, f"a stream as {stage.shape.title} has it", "; ".join(faults[:3]))


async def _text(stage: Stage) -> None:
    await _judge(stage, Prompt(), Answer(text="A plain answer in a few pieces."))


async def _tools(stage: Stage) -> None:
    answer = Answer(text=_FULL.text, calls=_FULL.calls, stop="tool")
    await _judge(stage, ASKED, answer)


async def _everything(stage: Stage) -> None:
    for size in (1, 7, 1000):
        answer = Answer(
            _FULL.text, _FULL.thinking, _FULL.signature, _FULL.calls, "tool", piece_characters=size
        )
        await _judge(stage, Prompt(ASKED.user, tools=ASKED.tools, thinks=stage.thinks), answer)


async def _only_calls(stage: Stage) -> None:
    await _judge(stage, ASKED, Answer(calls=(CALL,), stop="tool"))


async def _empty(stage: Stage) -> None:
    await _judge(stage, Prompt(), Answer())


async def _whole(stage: Stage) -> None:
    answer = await stage.answered(Prompt(ASKED.user, tools=ASKED.tools), _FULL)
    faults = stage.shape.whole_faults(answer)
    check(not faults, f"an answer as {stage.shape.title} has it", "; ".join(faults))


async def _forms(stage: Stage) -> None:
    """Lines that end in CR LF, comments, no space after the colon: all of it is legal, and sent by some server."""
    text = "Said in another form."

    async def script(seen: Seen, wire: Wire) -> None:
        await wire.begin_stream()
        await wire.piece(b": a comment\r\n\r\n")
        for event in stage.behind.events(Answer(text=text), seen.json):
            other = event.replace(b"data: ", b"data:").replace(b"\n", b"\r\n")
            await wire.piece(other)
        await wire.end()

    reply = await stage.ask(Prompt(), script=script, stream=True)
    answer = stage.whole(reply, stream=True)
    equal("the text", stage.understood(answer).visible, text)


async def _usage_chunk(stage: Stage) -> None:
    for asked in (True, False):
        body = stage.body_of(Prompt(), stream=True)
        if not asked:
            del body["stream_options"]
        reply = await stage.post(body, script=say(Answer(text="Hello.")))
        chunks = [one.object for one in reply.events if one.object is not None]
        bare = [one for one in chunks if one.get("choices") == []]
        told = [one for one in chunks if one.get("usage")]
        if asked:
            check(bool(told) and told[-1] is chunks[-1], "usage in the last chunk", chunks[-1:])
        else:
            check(not bare, "no chunk without choices, since no usage was asked for", bare)


GRAMMAR: Final = (
    Scenario(
        "stream-text", "A streamed text is well formed", "grammar", _text, _STARTS, behind="any"
    ),
    Scenario(
        "stream-text-and-calls",
        "A streamed text with two calls is well formed",
        "grammar",
        _tools,
        (*_STARTS, "Portkey #1000", "Portkey PR #1537"),
        behind="any",
    ),
    Scenario(
        "stream-thinking-text-calls",
        "Thinking, text and calls in one stream are well formed, however they are cut",
        "grammar",
        _everything,
        _STARTS,
        behind="any",
    ),
    Scenario(
        "stream-only-calls",
        "A stream that holds only a call is well formed",
        "grammar",
        _only_calls,
        ("Portkey #1000", "LiteLLM #25321"),
        behind="any",
    ),
    Scenario(
        "stream-empty", "An empty answer is a well formed stream", "grammar", _empty, behind="any"
    ),
    Scenario("whole-answer", "A whole answer is well formed", "grammar", _whole, behind="any"),
    Scenario(
        "stream-forms",
        "Every legal form of an upstream's events is understood",
        "grammar",
        _forms,
        behind="any",
    ),
    Scenario(
        "usage-chunk",
        "A stream tells its usage when asked, last, and only then",
        "grammar",
        _usage_chunk,
        shapes=("openai",),
    ),
)
