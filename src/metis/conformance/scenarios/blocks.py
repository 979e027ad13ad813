"""What an answer consists of: texts, calls of tools and why it ended, from any upstream to any client."""

from __future__ import annotations

import json
from typing import Any, Final

from metis.conformance.dialects.openai import chunks
from metis.conformance.json_values import Json
from metis.conformance.judging import Failed, check, equal
from metis.conformance.neutral import Answer, Call, Prompt, Result, Tool, Understood
from metis.conformance.scenario import Scenario
from metis.conformance.sse import write_event
from metis.conformance.stage import Stage
from metis.conformance.upstream import Script, Seen, Wire, say

ARGUMENTS: Final = (
    '{"file_path":"/tmp/naïve \\"x\\".txt","lines":[1,2,{"deep":null}],"flag":false,"empty":{}}'
)
TOOL: Final = Tool(
    "read_file",
    {
        "type": "object",
        "properties": {
            "file_path": {"type": "string"},
            "lines": {"type": "array", "items": {}},
            "flag": {"type": "boolean"},
            "empty": {"type": "object"},
        },
    },
    "Read a file.",
)
_PIXEL: Final = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
CALL: Final = Call("read_file", ARGUMENTS)
ASKED: Final = Prompt("Read it.", tools=(TOOL,))
CALLED: Final = Answer(text="One moment.", calls=(CALL,), stop="tool")


def same_calls(seen: Understood, expected: tuple[Call, ...]) -> None:
    """Raises Failed unless these tools were called with equal arguments."""
    names = [one.name for one in seen.calls]
    equal("the tools called", names, [one.name for one in expected])
    for got, wanted in zip(seen.calls, expected, strict=True):
        equal(f"the arguments of {wanted.name}", decoded(got.arguments), decoded(wanted.arguments))


def decoded(text: str) -> Any:
    """JSON decoded; raises Failed when it is none. Nothing at all counts as no arguments."""
    try:
        return json.loads(text or "{}")
    except ValueError as exc:
        raise Failed("arguments in JSON", text) from exc


async def _arguments(stage: Stage) -> None:
    same_calls(stage.understood(await stage.answered(ASKED, CALLED)), (CALL,))


async def _streamed_arguments(stage: Stage) -> None:
    for size in (1, 5, 1000):
        answer = Answer(calls=(CALL,), stop="tool", piece_characters=size)
        seen = stage.understood(await stage.answered(ASKED, answer, stream=True))
        same_calls(seen, (CALL,))


async def _no_arguments(stage: Stage) -> None:
    bare = Tool("list_files", {"type": "object", "properties": {}})
    call = Call("list_files", "{}")
    for stream in (False, True):
        answer = Answer(calls=(call,), stop="tool")
        got = await stage.answered(Prompt("List.", tools=(bare,)), answer, stream=stream)
        same_calls(stage.understood(got), (call,))


async def _parallel(stage: Stage) -> None:
    calls = (CALL, Call("read_file", '{"file_path":"/b"}', "call_conformance_2"))
    for stream in (False, True):
        answer = Answer(calls=calls, stop="tool")
        seen = stage.understood(await stage.answered(ASKED, answer, stream=stream))
        same_calls(seen, calls)
        ids = [one.call_id for one in seen.calls]
        check(len(set(ids)) == len(ids) and all(ids), "an id for each call", ids)


async def _stop_tool(stage: Stage) -> None:
    for stream in (False, True):
        seen = stage.understood(await stage.answered(ASKED, CALLED, stream=stream))
        equal("the text", seen.visible, CALLED.text)
        equal(f"why it ended ({'stream' if stream else 'whole'})", seen.stop, "tool")


async def _stop_length(stage: Stage) -> None:
    for stream in (False, True):
        answer = Answer(text="Cut off in the mid", stop="length")
        seen = stage.understood(await stage.answered(Prompt(), answer, stream=stream))
        equal("the text", seen.visible, answer.text)
        equal(f"why it ended ({'stream' if stream else 'whole'})", seen.stop, "length")


async def _texts(stage: Stage) -> None:
    text = "First line.\n\n  Second, indented.\n```\ncode\n```\n"
    for stream in (False, True):
        seen = stage.understood(await stage.answered(Prompt(), Answer(text=text), stream=stream))
        equal("the text", seen.visible, text)
        equal("why it ended", seen.stop, "end")


async def _results(stage: Stage) -> None:
    answer = await stage.answered(ASKED, CALLED)
    calls = stage.understood(answer).calls
    check(len(calls) == 1, "one call", calls)
    result = Result(calls[0].call_id, "line one\nline two: 漢字")
    await stage.ask(Prompt(ASKED.user, tools=ASKED.tools, history=((answer, (result,)),)))
    sent = stage.asked()
    equal("the call that is replayed", [c.name for c in sent.calls], ["read_file"])
    equal("its arguments", decoded(sent.calls[0].arguments), decoded(ARGUMENTS))
    equal("the tool's result", list(sent.results.values()), [result.text])
    equal("whose result it is", list(sent.results), [sent.calls[0].call_id])


def openai_stream(answer: Answer, deltas: list[Json]) -> Script:
    """A chat stream of these deltas, with the answer's end and usage."""

    async def script(seen: Seen, wire: Wire) -> None:
        await wire.begin_stream()
        for piece in chunks(answer, seen.json, deltas):
            await wire.piece(piece)
        await wire.end()

    return script


async def _first_chunk(stage: Stage) -> None:
    """Many servers send a call whole, in the delta that opens it."""
    function = {"name": CALL.name, "arguments": CALL.arguments}
    call = {"index": 0, "id": CALL.call_id, "type": "function", "function": function}
    deltas: list[Json] = [{"role": "assistant", "content": None, "tool_calls": [call]}]
    script = openai_stream(Answer(stop="tool"), deltas)
    reply = await stage.ask(ASKED, script=script, stream=True)
    seen = stage.understood(stage.whole(reply, stream=True))
    same_calls(seen, (CALL,))


async def _first_text(stage: Stage) -> None:
    deltas: list[Json] = [{"role": "assistant", "content": "Hello "}, {"content": "there."}]
    script = openai_stream(Answer(), deltas)
    reply = await stage.ask(Prompt(), script=script, stream=True)
    seen = stage.understood(stage.whole(reply, stream=True))
    equal("the text", seen.visible, "Hello there.")


async def _only_done(stage: Stage) -> None:
    """Some servers tell arguments only when they are whole, without deltas."""

    async def script(seen: Seen, wire: Wire) -> None:
        await wire.begin_stream()
        answer = Answer(calls=(CALL,), stop="tool")
        number = 0
        for event in stage.behind.events(answer, seen.json):
            if b"function_call_arguments.delta" in event:
                continue
            said = json.loads(event.split(b"data: ", 1)[1])
            await wire.piece(write_event(said | {"sequence_number": number}, said["type"]))
            number += 1
        await wire.end()

    reply = await stage.ask(ASKED, script=script, stream=True)
    same_calls(stage.understood(stage.whole(reply, stream=True)), (CALL,))


async def _private(stage: Stage) -> None:
    """Thinking that a client replays is reasoning still, to whatever upstream it goes."""
    secret = "The user must not see that I doubt this."
    told = Answer(text="It is so.", thinking=secret, signature="c2lnbmF0dXJlLW9mLWNsYXVkZQ==")
    request = {"include": ["reasoning.encrypted_content"]}
    history = ((stage.shape.whole(told, request), "Are you sure?"),)
    await stage.ask(Prompt(history=history))
    spoken = stage.asked().spoken
    shown = [one for one in spoken if secret in one]
    check(not shown, "no thinking in any visible text", shown)
    check(any(told.text in one for one in spoken), f"the visible text: {told.text}", spoken)


async def _hidden(stage: Stage) -> None:
    secret = "I had better think about that."
    told = Answer(text="It is so.", thinking=secret, signature="c2lnbmF0dXJl")
    for stream in (False, True):
        seen = stage.understood(
            await stage.answered(Prompt(thinks=stage.thinks), told, stream=stream)
        )
        equal("the visible text", seen.visible, told.text)


async def _image(stage: Stage) -> None:
    words = f"What is it? ({stage.word})"
    url = f"data:image/png;base64,{_PIXEL}"
    source = {"type": "base64", "media_type": "image/png", "data": _PIXEL}
    contents: dict[str, list[Json]] = {
        "anthropic": [{"type": "image", "source": source}, {"type": "text", "text": words}],
        "openai": [
            {"type": "image_url", "image_url": {"url": url}},
            {"type": "text", "text": words},
        ],
        "responses": [
            {"type": "input_image", "image_url": url},
            {"type": "input_text", "text": words},
        ],
    }
    body = stage.body_of(Prompt())
    field = "input" if stage.shape.name == "responses" else "messages"
    body[field][0]["content"] = contents[stage.shape.name]
    await stage.post(body, script=say(Answer(text="A pixel.")))
    images = stage.asked().images
    check(len(images) == 1 and images[0].endswith(_PIXEL), "the image's bytes", images)


async def _image_result(stage: Stage) -> None:
    """A tool that looks at a picture gives it as its result, and the model must see it."""
    call: Json = {"type": "tool_use", "id": "toolu_look", "name": TOOL.name, "input": {}}
    source = {"type": "base64", "media_type": "image/png", "data": _PIXEL}
    parts: list[Json] = [{"type": "text", "text": "Here."}, {"type": "image", "source": source}]
    body = stage.body_of(Prompt(tools=(TOOL,)))
    result: Json = {"type": "tool_result", "tool_use_id": "toolu_look", "content": parts}
    body["messages"] += [
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    ]
    await stage.post(body)
    sent = json.dumps(stage.sent())
    check(_PIXEL in sent, "the picture's bytes in the request", sent)


_ALL: Final = "any"
BLOCKS: Final = (
    Scenario("text", "An answer's text arrives as it is", "blocks", _texts, behind=_ALL),
    Scenario(
        "tool-arguments",
        "A call's arguments arrive equal",
        "blocks",
        _arguments,
        ("LiteLLM #27469",),
        behind=_ALL,
    ),
    Scenario(
        "tool-arguments-stream",
        "A streamed call's arguments arrive equal, however they are cut",
        "blocks",
        _streamed_arguments,
        ("LiteLLM #27469", "LiteLLM #25321"),
        behind=_ALL,
    ),
    Scenario(
        "tool-no-arguments",
        "A call without arguments has none, and is valid",
        "blocks",
        _no_arguments,
        ("LiteLLM #27469",),
        behind=_ALL,
    ),
    Scenario(
        "parallel-calls",
        "Calls side by side stay apart",
        "blocks",
        _parallel,
        ("Portkey PR #1537",),
        behind=_ALL,
    ),
    Scenario(
        "arguments-in-first-chunk",
        "Arguments in the chunk that opens a call are kept",
        "blocks",
        _first_chunk,
        ("LiteLLM #25321",),
        behind=_ALL,
        upstreams=("openai",),
    ),
    Scenario(
        "text-in-first-chunk",
        "Text in the chunk that opens an answer is kept",
        "blocks",
        _first_text,
        ("LiteLLM #25321",),
        behind=_ALL,
        upstreams=("openai",),
    ),
    Scenario(
        "arguments-only-when-done",
        "Arguments that come only whole, without deltas, are kept",
        "blocks",
        _only_done,
        ("LiteLLM #25321",),
        behind=_ALL,
        upstreams=("responses",),
    ),
    Scenario(
        "stop-for-tool",
        "An answer of text and a call says that it ended for the tool",
        "blocks",
        _stop_tool,
        ("Bifrost #3638", "Bifrost #6123"),
        behind=_ALL,
    ),
    Scenario(
        "stop-for-length",
        "An answer that was cut off for its length says so",
        "blocks",
        _stop_length,
        behind=_ALL,
    ),
    Scenario(
        "tool-results",
        "A tool's result reaches the upstream beside its call",
        "blocks",
        _results,
        behind=_ALL,
    ),
    Scenario(
        "thinking-stays-private",
        "Replayed thinking becomes no visible text",
        "blocks",
        _private,
        ("LiteLLM #26916",),
        behind=_ALL,
    ),
    Scenario(
        "thinking-stays-hidden",
        "An upstream's reasoning does not reach the client as text",
        "blocks",
        _hidden,
        ("LiteLLM #26916", "LiteLLM #24985"),
        behind=_ALL,
    ),
    Scenario("image", "An image's bytes reach the upstream", "blocks", _image, behind=_ALL),
    Scenario(
        "image-in-result",
        "An image that a tool gave reaches the upstream",
        "blocks",
        _image_result,
        shapes=("anthropic",),
        behind=_ALL,
    ),
)
