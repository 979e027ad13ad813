"""What an answer is given back on its way to a client of another shape."""

from __future__ import annotations

import json
from typing import Any

from metis.turn.crossing import StreamCrossing, WholeCrossing
from metis.wire.anthropic_messages import ANTHROPIC_MESSAGES
from metis.wire.codec import ReplyContext
from metis.wire.openai_chat import OPENAI_CHAT

OWN = "mcp__server__" + "x" * 90
CONTEXT = ReplyContext(model="m", response_id="msg_1", created=1, renamed={"short": OWN})
CALL = {"id": "call_1", "type": "function", "function": {"name": "short", "arguments": "{}"}}


def test_a_call_of_a_renamed_tool_has_its_own_name_again() -> None:
    message = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    crossing = WholeCrossing(OPENAI_CHAT, ANTHROPIC_MESSAGES, CONTEXT)
    crossing.feed(json.dumps({"id": "c", "model": "m", "choices": [choice]}).encode())
    (block,) = json.loads(crossing.finish())["content"]
    assert block == {"type": "tool_use", "id": "call_1", "name": OWN, "input": {}}


def test_so_has_a_streamed_one() -> None:
    def chunk(finish: str | None, **delta: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return b"data: " + json.dumps({"id": "c", "model": "m", "choices": [choice]}).encode()

    crossing = StreamCrossing(OPENAI_CHAT, ANTHROPIC_MESSAGES, CONTEXT, events=True)
    calls = [{"index": 0, **CALL}]
    lines = [chunk(None, role="assistant", tool_calls=calls), chunk("tool_calls"), b"data: [DONE]"]
    said = crossing.feed(b"\n\n".join(lines) + b"\n\n") + crossing.finish()
    assert said.count(f'"name":"{OWN}"'.encode()) == 1
    assert b'"short"' not in said
