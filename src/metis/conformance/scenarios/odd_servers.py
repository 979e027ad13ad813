"""What servers of an API legally do, or so often that clients live with it, and what translators stumble over."""

from __future__ import annotations

import itertools
import json
from typing import Final

from metis.conformance.json_values import Json, dicts
from metis.conformance.judging import check, equal
from metis.conformance.neutral import Answer, Call, Prompt, Result, Tool
from metis.conformance.scenario import Scenario
from metis.conformance.scenarios.blocks import ASKED, CALL, openai_stream, same_calls
from metis.conformance.sse import write_event
from metis.conformance.stage import Stage
from metis.conformance.upstream import Seen, Wire, say

_MOST_NAME: Final = 64
_OTHER: Final = Call("read_file", '{"file_path":"/b"}', "call_conformance_2")


def _piece(index: int, call: Call, text: str, *, head: bool) -> Json:
    """A delta with a piece of a call's arguments; with `head` it says whose they are."""
    function: Json = {"arguments": text}
    part: Json = {"index": index}
    if head:
        function = {"name": call.name, "arguments": text}
        part |= {"id": call.call_id, "type": "function"}
    return {"tool_calls": [part | {"function": function}]}


async def _streamed(stage: Stage, deltas: list[Json], calls: tuple[Call, ...]) -> None:
    script = openai_stream(Answer(stop="tool"), [{"role": "assistant", "content": None}, *deltas])
    reply = await stage.ask(ASKED, script=script, stream=True)
    same_calls(stage.understood(stage.whole(reply, stream=True)), calls)
    if stage.shape is not stage.behind:
        faults = stage.shape.stream_faults(reply.events)
        check(not faults, f"a stream as {stage.shape.title} has it", "; ".join(faults[:3]))


async def _interleaved(stage: Stage) -> None:
    calls = (CALL, _OTHER)
    deltas = [_piece(at, call, "", head=True) for at, call in enumerate(calls)]
    halves = [(one.arguments[:9], one.arguments[9:]) for one in calls]
    for half in (0, 1):
        deltas += [_piece(at, call, halves[at][half], head=False) for at, call in enumerate(calls)]
    await _streamed(stage, deltas, calls)


async def _repeated(stage: Stage) -> None:
    text = CALL.arguments
    pieces = [text[at : at + 12] for at in range(0, len(text), 12)]
    await _streamed(stage, [_piece(0, CALL, one, head=True) for one in pieces], (CALL,))


async def _told_as_stop(stage: Stage) -> None:
    """OpenAI itself says `stop` where the tool was forced."""
    answer = Answer(text="One moment.", calls=(CALL,), stop="end")
    for stream in (False, True):
        seen = stage.understood(await stage.answered(ASKED, answer, stream=stream))
        same_calls(seen, (CALL,))
        equal(f"why it ended ({'stream' if stream else 'whole'})", seen.stop, "tool")


async def _unknown_events(stage: Stage) -> None:
    """Kinds of events and fields may be added; Anthropic and OpenAI say so in their documents."""
    unknown: dict[str, Json] = {
        "anthropic": {"type": "event_of_next_year", "value": {"deep": [1]}},
        "openai": {},
        "responses": {"type": "response.event_of_next_year", "value": {"deep": [1]}},
    }

    async def script(seen: Seen, wire: Wire) -> None:
        await wire.begin_stream()
        for event in stage.behind.events(Answer(text="Known words."), seen.json):
            said = event.split(b"data: ", 1)[1].strip()
            if not said.startswith(b"{"):
                await wire.piece(event)
                continue
            value = json.loads(said) | {"field_of_next_year": {"deep": None}}
            await wire.piece(write_event(value, value.get("type", "")))
            more = unknown[stage.behind.name]
            if more and value["type"] in ("message_start", "response.created"):
                await wire.piece(write_event(more, more["type"]))
        await wire.end()

    reply = await stage.ask(Prompt(), script=script, stream=True)
    answer = stage.understood(stage.whole(reply, stream=True))
    equal("the text", answer.visible, "Known words.")


async def _cut_arguments(stage: Stage) -> None:
    """The limit of output was reached in the middle of a call."""
    half = Call(CALL.name, '{"file_path":"/tmp/na')
    for stream in (False, True):
        answer = Answer(text="One moment.", calls=(half,), stop="length")
        reply = await stage.ask(ASKED, script=say(answer), stream=stream)
        equal("the status", reply.status, 200)
        if stream and stage.shape.name == "anthropic":
            continue  # half an object is not to be joined; that the stream came is enough
        seen = stage.understood(stage.whole(reply, stream=stream))
        equal(f"why it ended ({'stream' if stream else 'whole'})", seen.stop, "length")


async def _no_limit(stage: Stage) -> None:
    await stage.ask(Prompt(max_tokens=None))
    limit = stage.asked().max_tokens
    check(isinstance(limit, int) and limit > 0, "max_tokens, which this API must have", limit)


async def _results_together(stage: Stage) -> None:
    """Anthropic refuses calls whose results do not all come next, and joins messages of one role."""
    calls = (CALL, _OTHER)
    told = Answer(text="Reading both.", calls=calls, stop="tool")
    answer = await stage.answered(ASKED, told)
    ids = [one.call_id for one in stage.understood(answer).calls]
    results = tuple(Result(call_id, f"result {n}") for n, call_id in enumerate(ids))
    await stage.ask(Prompt(ASKED.user, tools=ASKED.tools, history=((answer, results),)))
    messages = dicts(stage.sent().get("messages"))
    kinds = [
        str(block.get("type"))
        for message in itertools.dropwhile(lambda one: one.get("role") != "assistant", messages)
        for block in dicts(message.get("content"))
    ]
    wanted = ["tool_use", "tool_use", "tool_result", "tool_result"]
    equal("the calls and what follows them", kinds[kinds.index("tool_use") :], wanted)


async def _developer(stage: Stage) -> None:
    text = "Answer in French, and only in French."
    body = stage.body_of(Prompt())
    said: Json = {"role": "developer", "content": text}
    field = "input" if stage.shape.name == "responses" else "messages"
    if field == "input":
        said["type"] = "message"
    body[field].insert(0, said)
    await stage.post(body)
    equal("the system's text", stage.asked().system.strip(), text)


async def _long_name(stage: Stage) -> None:
    """Anthropic allows names of 128 characters, chat upstreams 64; tools of MCP servers lie between."""
    name = "mcp__a_server_with_a_long_name__" + "search_everything_" * 4
    tools = (Tool(name, {"type": "object", "properties": {}}),)

    async def script(seen: Seen, wire: Wire) -> None:
        offered = stage.behind.asked(seen.json).tools[0].name
        await say(Answer(calls=(Call(offered, "{}"),), stop="tool"))(seen, wire)

    for stream in (False, True):
        reply = await stage.ask(Prompt("Search.", tools=tools), script=script, stream=stream)
        offered = stage.asked().tools[0].name
        check(len(offered) <= _MOST_NAME, f"a name of {_MOST_NAME} characters at most", offered)
        answer = stage.whole(reply, stream=stream)
        called = stage.understood(answer).calls
        equal("the tool called, by the client's name", [one.name for one in called], [name])
        results = tuple(Result(one.call_id, "Found.") for one in called)
        await stage.ask(Prompt("Search.", tools=tools, history=((answer, results),)))
        replayed = [one.name for one in stage.asked().calls]
        equal("the replayed call, by the upstream's name", replayed, [offered])


_ONE_CALL: Final = ("Portkey PR #1537",)
ODD_SERVERS: Final = (
    Scenario(
        "interleaved-calls",
        "Calls whose pieces alternate are put together by their index",
        "other servers",
        _interleaved,
        _ONE_CALL,
        behind="any",
        upstreams=("openai",),
    ),
    Scenario(
        "repeated-call-heads",
        "A call whose id and name come with every piece stays one call",
        "other servers",
        _repeated,
        _ONE_CALL,
        behind="any",
        upstreams=("openai",),
    ),
    Scenario(
        "stop-told-as-end",
        "A call that a chat upstream ends with stop is still the reason to another API's client",
        "other servers",
        _told_as_stop,
        ("Bifrost #3638", "Bifrost #6123"),
        behind="crossed",
        upstreams=("openai",),
    ),
    Scenario(
        "unknown-events",
        "Events and fields that are new do not disturb a stream",
        "other servers",
        _unknown_events,
        behind="any",
    ),
    Scenario(
        "cut-arguments",
        "Arguments that the limit of output cut off are no failure of the gateway",
        "other servers",
        _cut_arguments,
        behind="any",
        upstreams=("openai", "responses"),
    ),
    Scenario(
        "no-output-limit",
        "A request without a limit of output gets one where the upstream demands it",
        "other servers",
        _no_limit,
        ("LiteLLM #33075",),
        shapes=("openai", "responses"),
        behind="crossed",
        upstreams=("anthropic",),
    ),
    Scenario(
        "results-together",
        "The results of calls side by side all follow the calls",
        "other servers",
        _results_together,
        behind="any",
        upstreams=("anthropic",),
    ),
    Scenario(
        "developer-text",
        "What the developer says is said by the system",
        "other servers",
        _developer,
        ("LiteLLM #33075",),
        shapes=("openai", "responses"),
        behind="crossed",
        upstreams=("anthropic",),
    ),
    Scenario(
        "long-tool-name",
        "A tool's long name is shortened for the upstream and restored for the client",
        "other servers",
        _long_name,
        ("LiteLLM #33075", "mrexodia/ida-pro-mcp #129"),
        shapes=("anthropic",),
        behind="crossed",
        upstreams=("openai",),
    ),
)
