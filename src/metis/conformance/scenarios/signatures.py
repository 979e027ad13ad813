"""Proofs of thinking: what an upstream signed comes back to it, byte for byte, when the client replays it."""

from __future__ import annotations

import json
from typing import Final

from metis.conformance.json_values import Json, dicts, object_in
from metis.conformance.judging import Failed, NotApplicable, check, equal
from metis.conformance.neutral import Answer, Prompt, Result
from metis.conformance.scenario import Scenario, beyond_the_wire
from metis.conformance.scenarios.blocks import CALL, TOOL
from metis.conformance.sse import compact
from metis.conformance.stage import Stage
from metis.conformance.upstream import Seen, Wire, one_after_another, say

_SIGNATURE: Final = "EuYBCkQYAiJAx+conformance/signature=="
_THOUGHT: Final = "The file must be read first."
_INVALID: Final = "messages.1.content.0: Invalid `signature` in `thinking` block"


def _replay(block: Json) -> Prompt:
    """A conversation whose one answer began with this block and called a tool."""
    call: Json = {"type": "tool_use", "id": CALL.call_id, "name": CALL.name, "input": {}}
    answer: Json = {"content": [block, call]}
    history = ((answer, (Result(CALL.call_id, "It is empty."),)),)
    return Prompt("Read it.", tools=(TOOL,), history=history, thinks=True)


async def _kept(stage: Stage, block: Json) -> None:
    await stage.ask(_replay(block))
    contents = [dicts(m.get("content")) for m in dicts(stage.sent().get("messages"))]
    blocks = [one for content in contents for one in content]
    found = next((b for b in blocks if b.get("type") == block["type"]), None)
    equal("the block as it was", found, block)


async def _signed(stage: Stage) -> None:
    await _kept(stage, {"type": "thinking", "thinking": _THOUGHT, "signature": _SIGNATURE})


async def _empty(stage: Stage) -> None:
    await _kept(stage, {"type": "thinking", "thinking": "", "signature": _SIGNATURE})


async def _redacted(stage: Stage) -> None:
    await _kept(stage, {"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix="})


async def _round_trip(stage: Stage) -> None:
    await _two_turns(stage, stream=False)


async def _round_trip_stream(stage: Stage) -> None:
    await _two_turns(stage, stream=True)


async def _two_turns(stage: Stage, *, stream: bool) -> None:
    """The upstream thinks and calls a tool; the client sends back what it received, with the tool's result."""
    if stage.shape.name == "openai" and stage.behind.name == "responses":
        raise NotApplicable("Chat Completions itself carries no reasoning from turn to turn")
    told = Answer(
        text="Reading.", thinking=_THOUGHT, signature=_SIGNATURE, calls=(CALL,), stop="tool"
    )
    prompt = Prompt("Read it.", tools=(TOOL,), thinks=stage.thinks)
    answer = await stage.answered(prompt, told, stream=stream)
    _thinking_was_asked(stage)
    calls = stage.understood(answer).calls
    check(len(calls) == 1, "one call", calls)
    history = ((answer, (Result(calls[0].call_id, "It is empty."),)),)
    await stage.ask(Prompt(prompt.user, tools=prompt.tools, history=history, thinks=prompt.thinks))
    _comes_back(stage)


def _thinking_was_asked(stage: Stage) -> None:
    """Raises NotApplicable when the target does not ask an Anthropic upstream to think at all."""
    if stage.behind.name == "anthropic":
        thinking = object_in(stage.sent(0).get("thinking"))
        if thinking.get("type") not in ("enabled", "adaptive"):
            raise NotApplicable("the target does not ask this upstream for thinking")


def _comes_back(stage: Stage) -> None:
    second = stage.sent()
    match stage.behind.name:
        case "anthropic":
            blocks = [b for m in dicts(second.get("messages")) for b in dicts(m.get("content"))]
            thoughts = [b for b in blocks if b.get("type") == "thinking"]
            told = [(one.get("thinking"), one.get("signature")) for one in thoughts]
            equal("the thinking and its signature", told, [(_THOUGHT, _SIGNATURE)])
        case "openai":
            said = [m for m in dicts(second.get("messages")) if m.get("role") == "assistant"]
            fields = {k: v for m in said for k, v in m.items() if k.startswith("reasoning")}
            check(_THOUGHT in compact(fields), "the reasoning beside the replayed call", said)
        case "responses":
            items = [i for i in dicts(second.get("input")) if i.get("type") == "reasoning"]
            by_reference = second.get("previous_response_id") or any(i.get("id") for i in items)
            asked = "reasoning.encrypted_content" in (stage.sent(0).get("include") or ())
            proof = any(i.get("encrypted_content") == _SIGNATURE for i in items)
            if not proof and (asked or not by_reference):
                raise Failed("the reasoning item, with its encrypted_content", items)


async def _pairs(stage: Stage) -> None:
    """An upstream that refuses a signature once. Whatever is sent again must be a request that it can accept."""
    edit = {"type": "clear_thinking_20251015", "keep": "all"}
    thinking: Json = {"type": "thinking", "thinking": _THOUGHT, "signature": "stale"}
    prompt = _replay(thinking)
    body = stage.body_of(prompt) | {"context_management": {"edits": [edit]}}
    refusal = json.dumps(stage.behind.error(400, _INVALID)).encode()

    async def refuse(_seen: Seen, wire: Wire) -> None:
        await wire.answer(400, refusal)

    script = one_after_another(refuse, say(Answer(text="Now it is well.")))
    beta = ("anthropic-beta", "context-management-2025-06-27")
    reply = await stage.post(body, script=script, headers=[beta])
    if len(stage.seen) < 2:
        check(reply.status == 400, "the upstream's 400, or a second attempt", reply.status)
        return
    second = stage.sent()
    edits = dicts(object_in(second.get("context_management")).get("edits"))
    clears = any(str(e.get("type")).startswith("clear_thinking") for e in edits)
    check(
        not clears or bool(second.get("thinking")),
        "thinking and the edit that clears it, both or neither",
        {name: second.get(name) for name in ("thinking", "context_management")},
    )


_ROUND_TRIP: Final = ("LiteLLM #24985", "LiteLLM #15601", "LiteLLM #36197")
SIGNATURES: Final = (
    Scenario(
        "signed-thinking",
        "Signed thinking is replayed byte for byte",
        "signatures",
        _signed,
        ("LiteLLM #42550",),
        shapes=("anthropic",),
    ),
    Scenario(
        "empty-thinking",
        "Signed thinking without text is kept",
        "signatures",
        _empty,
        ("LiteLLM #42550", "LiteLLM #41361"),
        shapes=("anthropic",),
    ),
    Scenario(
        "redacted-thinking",
        "Redacted thinking is kept",
        "signatures",
        _redacted,
        ("LiteLLM #42550",),
        shapes=("anthropic",),
    ),
    Scenario(
        "reasoning-round-trip",
        "What an upstream thought comes back to it when the client replays it",
        "signatures",
        _round_trip,
        _ROUND_TRIP,
        behind="any",
    ),
    # Chat has no field for it, so how a client joins streamed proofs is nobody's rule.
    Scenario(
        "reasoning-round-trip-stream",
        "The same, when the first answer was streamed",
        "signatures",
        _round_trip_stream,
        _ROUND_TRIP,
        shapes=("anthropic", "responses"),
        behind="any",
    ),
    Scenario(
        "refused-signature",
        "A retry after a refused signature is a request that can be accepted",
        "signatures",
        _pairs,
        ("LiteLLM #27512",),
        shapes=("anthropic",),
    ),
    Scenario(
        "undescribed",
        "LiteLLM #26937",
        "signatures",
        beyond_the_wire("the report could not be found; what it describes is not public"),
        ("LiteLLM #26937",),
        shapes=("anthropic",),
    ),
)
