"""Requests and answers of one API on both ends: nothing is dropped, reordered or renumbered on the way."""

from __future__ import annotations

import json
from typing import Any, Final

from metis.conformance.json_values import Json, dicts, list_in, object_in
from metis.conformance.judging import Failed, check, equal
from metis.conformance.neutral import Answer, Call, Prompt, Result, Tool
from metis.conformance.scenario import Scenario
from metis.conformance.scenarios.blocks import decoded
from metis.conformance.sse import compact
from metis.conformance.stage import Stage
from metis.conformance.upstream import Seen, Wire, say

# In an order that no sorting gives.
_SCHEMA: Final = {
    "type": "object",
    "properties": {
        "zeta": {"type": "string", "description": "last letter first"},
        "alpha": {"enum": ["b", "a"], "type": "string"},
        "middle": {
            "type": "object",
            "properties": {"y": {"type": "number"}, "x": {"type": "null"}},
        },
    },
    "required": ["zeta", "alpha"],
    "additionalProperties": False,
}
_TOOL: Final = Tool("write_note", _SCHEMA, "Write a note.")
_CALLED: Final = '{"zeta":"1","alpha":"b","middle":{"y":2.5,"x":null}}'
_PROMPT_FIELDS: Final = ("system", "instructions", "tools", "messages", "input")
_TEXT: Final = 'ünïcödé 漢字 🧑🏽‍🚀 "quotes" \\backslash\\ tab\t end'

# Fields of each API that a client may send, beside those that every request has.
_FIELDS: Final[dict[str, Json]] = {
    "anthropic": {
        "metadata": {"user_id": "user-17"},
        "temperature": 0.25,
        "top_k": 40,
        "stop_sequences": ["###"],
        "service_tier": "standard_only",
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    },
    "openai": {
        "temperature": 0.25,
        "seed": 7,
        "logit_bias": {"50256": -100},
        "parallel_tool_calls": False,
        "presence_penalty": 0.5,
        "frequency_penalty": 0.25,
        "top_logprobs": 2,
        "logprobs": True,
        "user": "user-17",
        "prompt_cache_key": "cache-17",
        "safety_identifier": "safe-17",
    },
    "responses": {
        "parallel_tool_calls": False,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "cache-17",
        "safety_identifier": "safe-17",
        "truncation": "auto",
        "text": {"format": {"type": "text"}, "verbosity": "low"},
        "metadata": {"purpose": "conformance"},
    },
}
_NEW: Final[Json] = {
    "context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]},
    "field_of_next_year": {"nested": [1, {"deep": None}]},
}


async def _known_fields(stage: Stage) -> None:
    wanted = _FIELDS[stage.shape.name]
    await stage.ask(Prompt(tools=(_TOOL,), more=wanted))
    sent = stage.sent()
    equal("the fields as the client sent them", {k: sent.get(k) for k in wanted}, wanted)


async def _new_fields(stage: Stage) -> None:
    beta = ("anthropic-beta", "context-management-2025-06-27")
    await stage.post(stage.body_of(Prompt(more=_NEW)), headers=[beta])
    sent = stage.sent()
    equal("the fields as the client sent them", {k: sent.get(k) for k in _NEW}, _NEW)


async def _headers(stage: Stage) -> None:
    beta = "interleaved-thinking-2025-05-14,beta-of-next-year-2027-01-01"
    await stage.post(stage.body_of(Prompt()), headers=[("anthropic-beta", beta)])
    stage.sent()
    head = stage.seen[-1].head
    told = {word.strip() for word in (head.header("anthropic-beta") or "").split(",")}
    check(set(beta.split(",")) <= told, f"anthropic-beta: {beta}", sorted(told))
    equal("anthropic-version", head.header("anthropic-version"), "2023-06-01")


def _history(stage: Stage) -> Prompt:
    """Two turns with a call in between, as this shape's client replays them."""
    call = Call("write_note", _CALLED, "call_order_1")
    answer = stage.shape.whole(Answer(text="Noting.", calls=(call,), stop="tool"), {})
    result = (Result(call.call_id, "Noted."),)
    return Prompt("Note it.", system="Be brief.", tools=(_TOOL,), history=((answer, result),))


async def _key_order(stage: Stage) -> None:
    await stage.ask(_history(stage))
    sent = stage.asked()
    check(bool(sent.tools), "the tool that was offered", "none")
    schema = compact(sent.tools[0].schema)
    check(
        _ordered_alike(_SCHEMA, json.loads(schema)),
        f"the keys' order of {compact(_SCHEMA)}",
        schema,
    )
    check(bool(sent.calls), "the call of the history", "none")
    arguments = sent.calls[0].arguments
    alike = _ordered_alike(json.loads(_CALLED), decoded(arguments))
    check(alike, f"the keys' order of {_CALLED}", arguments)


def _ordered_alike(sent: Any, came: Any) -> bool:
    """Whether the keys that both have stand in the same order, all the way down."""
    if not isinstance(sent, dict) or not isinstance(came, dict):
        return True
    before, after = object_in(sent), object_in(came)
    both = [name for name in before if name in after]
    return both == [name for name in after if name in before] and all(
        _ordered_alike(before[name], after[name]) for name in both
    )


def _prompt_of(body: Json) -> str:
    """The part of a request that a provider's prompt cache is keyed by, order and all."""
    return compact({name: body[name] for name in _PROMPT_FIELDS if name in body})


async def _same_twice(stage: Stage) -> None:
    body = stage.body_of(_history(stage))
    for _ in range(2):
        await stage.post(body)
    first, second = _prompt_of(stage.sent(0)), _prompt_of(stage.sent(-1))
    check(first == second, f"the same prompt both times: {first}", _difference(first, second))


def _difference(first: str, second: str) -> str:
    at = next((n for n, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), 0)
    return f"from character {at}: {second[max(0, at - 60) : at + 120]}"


async def _prefix(stage: Stage) -> None:
    short = _history(stage)
    await stage.ask(short)
    answer = stage.shape.whole(Answer(text="Done."), {})
    longer = Prompt(
        short.user, short.system, short.tools, (*short.history, (answer, "And now the next one."))
    )
    await stage.ask(longer)
    first, second = stage.sent(0), stage.sent(-1)
    for name in _PROMPT_FIELDS:
        was, now = first.get(name), second.get(name)
        if isinstance(now, list) and name != "tools":
            now = list_in(now)[: len(list_in(was))]
        before, after = compact(was), compact(now)
        check(before == after, f"{name} to begin as in the turn before", _difference(before, after))


async def _unicode(stage: Stage) -> None:
    await _text_survives(stage, _TEXT)


async def _separators(stage: Stage) -> None:
    """U+2028, U+2029 and U+0085 end lines for some, but not in JSON, and not in streams of events."""
    await _text_survives(stage, "before\u2028between\u2029then\u0085after")


async def _text_survives(stage: Stage, text: str) -> None:
    prompt, told = Prompt(text), Answer(text=text, piece_characters=3)
    answer = await stage.answered(prompt, told)
    said = stage.asked().spoken
    check(any(text in one for one in said), f"the user's text: {text!a}", ascii(said))
    equal("the answer's text", ascii(stage.understood(answer).visible), ascii(text))
    answer = await stage.answered(prompt, told, stream=True)
    equal("the streamed text", ascii(stage.understood(answer).visible), ascii(text))


async def _split_characters(stage: Stage) -> None:
    """A provider's TCP pieces end anywhere, also inside a character."""
    text = "漢字🧑🏽‍🚀" * 8

    async def script(seen: Seen, wire: Wire) -> None:
        await wire.begin_stream()
        whole = b"".join(stage.behind.events(Answer(text=text, piece_characters=5), seen.json))
        for at in range(0, len(whole), 101):
            await wire.piece(whole[at : at + 101])
        await wire.end()

    reply = await stage.ask(Prompt(), script=script, stream=True)
    equal("the text", stage.understood(stage.whole(reply, stream=True)).visible, text)


async def _numbers(stage: Stage) -> None:
    exact = '{"id":1234567890123456789,"small":1e-7,"whole":1.0,"zero":-0.0}'
    answer = {
        "content": [
            {"type": "tool_use", "id": "toolu_numbers", "name": "write_note", "input": "@@"}
        ]
    }
    prompt = Prompt(tools=(_TOOL,), history=((answer, (Result("toolu_numbers", "ok"),)),))
    body = compact(stage.body_of(prompt)).replace('"@@"', exact)
    await stage.post(body.encode())
    stage.sent()
    calls = stage.behind.asked(json.loads(stage.seen[-1].body)).calls
    check(bool(calls), "the call of the history", "none")
    value = json.loads(calls[0].arguments)
    equal("the numbers' values", value, json.loads(exact))


async def _answer_fields(stage: Stage) -> None:
    """Fields of an answer that are documented and that a client may read."""
    more: dict[str, Json] = {
        "anthropic": {"container": {"id": "container_1", "expires_at": "2030-01-01T00:00:00Z"}},
        "openai": {"system_fingerprint": "fp_conformance", "service_tier": "default"},
        "responses": {"service_tier": "default", "metadata": {"purpose": "conformance"}},
    }
    wanted = more[stage.shape.name]

    async def script(seen: Seen, wire: Wire) -> None:
        body = stage.behind.whole(Answer(text="Hello."), seen.json) | wanted
        await wire.answer(200, json.dumps(body).encode())

    answer = stage.whole(await stage.ask(Prompt(), script=script), stream=False)
    equal("the answer's fields", {k: answer.get(k) for k in wanted}, wanted)


async def _answer_blocks(stage: Stage) -> None:
    """Server tools, citations and redacted thinking, as Anthropic sends them."""
    blocks: list[Json] = [
        {"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix="},
        {
            "type": "server_tool_use",
            "id": "srvtoolu_1",
            "name": "web_search",
            "input": {"query": "conformance"},
        },
        {
            "type": "web_search_tool_result",
            "tool_use_id": "srvtoolu_1",
            "content": [
                {
                    "type": "web_search_result",
                    "url": "https://example.com/",
                    "title": "Example",
                    "encrypted_content": "EqgfCioIARgB",
                    "page_age": None,
                }
            ],
        },
        {
            "type": "text",
            "text": "It is so.",
            "citations": [
                {
                    "type": "web_search_result_location",
                    "url": "https://example.com/",
                    "title": "Example",
                    "encrypted_index": "Eo8BCioIAhgB",
                    "cited_text": "So it is.",
                }
            ],
        },
    ]

    async def script(seen: Seen, wire: Wire) -> None:
        body = stage.behind.whole(Answer(text="-"), seen.json) | {"content": blocks}
        await wire.answer(200, json.dumps(body).encode())

    answer = stage.whole(await stage.ask(Prompt(), script=script), stream=False)
    seen = dicts(answer.get("content"))
    for number, block in enumerate(blocks):
        here = seen[number] if number < len(seen) else {}
        if any(here.get(k) != v for k, v in block.items()):
            raise Failed(f"block {number} ({block['type']}): {compact(block)[:160]}", here)


async def _response_id(stage: Stage) -> None:
    answer = await stage.answered(Prompt(), Answer(text="Hello."))
    equal("the answer's id", answer.get("id"), "msg_01ConformanceAnswer")
    reply = await stage.ask(Prompt(), script=say(Answer(text="Hello.")), stream=True)
    answer = stage.whole(reply, stream=True)
    equal("the streamed answer's id", answer.get("id"), "msg_01ConformanceAnswer")


async def _display(stage: Stage) -> None:
    await stage.ask(Prompt(thinks=True))
    equal(
        "thinking as the client sent it",
        stage.sent().get("thinking"),
        {"type": "enabled", "budget_tokens": 1024},
    )


_CACHE_ISSUES: Final = ("Bifrost #1742", "Bifrost #3362", "Bifrost #6406")
_CONTRACT: Final = ("Claude Code gateway protocol",)
BYTES: Final = (
    Scenario(
        "known-fields",
        "Documented request fields arrive as they were sent",
        "bytes",
        _known_fields,
    ),
    Scenario(
        "new-fields",
        "Body fields the gateway does not know arrive as they were sent",
        "bytes",
        _new_fields,
        _CONTRACT,
        shapes=("anthropic",),
    ),
    Scenario(
        "beta-headers",
        "anthropic-beta and anthropic-version reach the upstream",
        "bytes",
        _headers,
        _CONTRACT,
        shapes=("anthropic",),
    ),
    Scenario(
        "key-order",
        "Tool schemas and arguments keep the order of their keys",
        "bytes",
        _key_order,
        _CACHE_ISSUES,
        behind="any",
    ),
    Scenario(
        "same-twice",
        "The same request gives the same outbound prompt",
        "bytes",
        _same_twice,
        _CACHE_ISSUES,
        behind="any",
    ),
    Scenario(
        "stable-prefix",
        "A longer conversation begins with the bytes of the shorter one",
        "bytes",
        _prefix,
        _CACHE_ISSUES,
        behind="any",
    ),
    Scenario("unicode", "Text of any script arrives whole", "bytes", _unicode, behind="any"),
    Scenario(
        "line-separators",
        "Unicode's line separators inside a text do not end it",
        "bytes",
        _separators,
        behind="any",
    ),
    Scenario(
        "split-characters",
        "A stream that is cut inside a character is put together again",
        "bytes",
        _split_characters,
        behind="any",
    ),
    Scenario(
        "large-numbers",
        "Numbers in a tool's input keep their value",
        "bytes",
        _numbers,
        shapes=("anthropic",),
    ),
    Scenario(
        "answer-fields", "Documented fields of an answer reach the client", "bytes", _answer_fields
    ),
    Scenario(
        "answer-blocks",
        "Server tools, citations and redacted thinking reach the client",
        "bytes",
        _answer_blocks,
        shapes=("anthropic",),
    ),
    Scenario(
        "response-id",
        "The client gets the upstream's message id",
        "bytes",
        _response_id,
        ("LiteLLM #28562",),
        shapes=("anthropic",),
    ),
    Scenario(
        "thinking-display",
        "The gateway does not set thinking.display itself",
        "bytes",
        _display,
        ("Bifrost #5185",),
        shapes=("anthropic",),
    ),
)
