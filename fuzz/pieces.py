"""What requests, answers and streams of each shape are made of: valid pieces, one of each kind, and strategies that
put them together. What is done to them afterwards is in `mutations`.
"""

from __future__ import annotations

import json
from typing import Any, Final

from hypothesis import strategies as st

from fuzz.case import Case, Kind
from metis.wire.codec import ShapeName

Json = dict[str, Any]
Pieces = tuple[Json, ...]

_PNG: Final = "iVBORw0KGgo="
_URL: Final = "https://example.com/a.png"
_ANTHROPIC_IMAGE: Final[Json] = {"type": "base64", "media_type": "image/png", "data": _PNG}
_MARK: Final[Json] = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
_SCHEMA: Final[Json] = {"type": "object", "properties": {"a": {"type": "string"}}}

_MESSAGES_USER: Final[Pieces] = (
    {"type": "text", "text": "hello"},
    {"type": "text", "text": "kept", **_MARK},
    {"type": "image", "source": _ANTHROPIC_IMAGE},
    {"type": "image", "source": {"type": "url", "url": _URL}},
    {
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": "d"},
        "title": "t",
    },
    {"type": "tool_result", "tool_use_id": "toolu_1", "content": "done"},
    {"type": "tool_result", "tool_use_id": "toolu_2", "is_error": True, "content": []},
    {
        "type": "tool_result",
        "tool_use_id": "toolu_1",
        "content": [{"type": "text", "text": "r"}, {"type": "image", "source": _ANTHROPIC_IMAGE}],
    },
)
_MESSAGES_ASSISTANT: Final[Pieces] = (
    {"type": "text", "text": "I look."},
    {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
    {"type": "redacted_thinking", "data": "ZGF0YQ=="},
    {"type": "tool_use", "id": "toolu_1", "name": "read", "input": {"path": "a", "n": 1.5}},
    {"type": "tool_use", "id": "toolu_2", "name": "read", "input": {}},
    {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "q"}},
    {"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": []},
    {"type": "compaction", "content": "what was said"},
)
_MESSAGES_TOOLS: Final[Pieces] = (
    {"name": "read", "description": "reads", "input_schema": _SCHEMA},
    {"name": "write", "input_schema": _SCHEMA, "type": "custom", **_MARK},
    {"type": "web_search_20250305", "name": "web_search", "max_uses": 2},
)
_CHAT_PARTS: Final[Pieces] = (
    {"type": "text", "text": "hello"},
    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{_PNG}", "detail": "low"}},
    {"type": "image_url", "image_url": {"url": _URL}},
    {"type": "input_audio", "input_audio": {"data": _PNG, "format": "wav"}},
    {"type": "file", "file": {"file_id": "file_1"}},
)
_CHAT_CALLS: Final[Pieces] = (
    {"id": "call_1", "type": "function", "function": {"name": "read", "arguments": '{"a":1}'}},
    {"id": "call_2", "type": "function", "function": {"name": "read", "arguments": ""}},
    {"id": "call_3", "type": "custom", "custom": {"name": "patch", "input": "free text"}},
)
_CHAT_TURNS: Final[Pieces] = (
    {"role": "system", "content": "be brief"},
    {"role": "developer", "content": "be brief"},
    {"role": "user", "content": "hello", "name": "n"},
    {"role": "user", "content": list(_CHAT_PARTS)},
    {"role": "assistant", "content": None, "tool_calls": list(_CHAT_CALLS)},
    {"role": "assistant", "content": "text", "reasoning_content": "hm"},
    {"role": "assistant", "content": None, "refusal": "no"},
    {
        "role": "assistant",
        "content": "x",
        "reasoning_details": [
            {"type": "reasoning.text", "text": "t", "signature": "s", "format": "anthropic-claude-v1"},
            {"type": "reasoning.encrypted", "data": "d", "id": "rs_1", "format": "openai-responses-v1"},
        ],
    },
    {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
    {"role": "tool", "tool_call_id": "call_1", "content": "done"},
    {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "r"}]},
    {"role": "function", "name": "f", "content": "done"},
)  # fmt: skip
_CHAT_TOOLS: Final[Pieces] = (
    {"type": "function", "function": {"name": "read", "parameters": _SCHEMA, "strict": True}},
    {"type": "function", "function": {"name": "bare"}},
    {"type": "custom", "custom": {"name": "patch", "format": {"type": "text"}}},
)
_OUTPUT_TEXT: Final[Json] = {"type": "output_text", "text": "I look.", "annotations": []}
_ITEMS: Final[Pieces] = (
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}]},
    {"role": "user", "content": "hello"},
    {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": _URL}]},
    {"type": "function_call_output", "call_id": "call_1", "output": "done"},
    {"type": "custom_tool_call_output", "call_id": "call_3", "output": "done"},
    {"type": "item_reference", "id": "msg_1"},
)
_SAID: Final[Json] = {"type": "message", "role": "assistant", "status": "completed"}
_CALLED: Final[Json] = {"type": "function_call", "status": "completed"}
_SUMMARY: Final[Pieces] = ({"type": "summary_text", "text": "hm"},)
_OUTPUT_ITEMS: Final[Pieces] = (
    {**_SAID, "id": "msg_1", "content": [_OUTPUT_TEXT]},
    {**_SAID, "id": "msg_2", "content": [{"type": "refusal", "refusal": "no"}]},
    {"type": "reasoning", "id": "rs_1", "summary": list(_SUMMARY), "encrypted_content": "ZW5j"},
    {**_CALLED, "id": "fc_1", "call_id": "call_1", "name": "read", "arguments": '{"a":1}'},
    {"type": "custom_tool_call", "id": "ct_1", "call_id": "call_3", "name": "patch", "input": "free"},
    {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
    {"type": "something_new", "id": "x_1", "value": [1, None]},
)  # fmt: skip
_RESPONSES_TOOLS: Final[Pieces] = (
    {"type": "function", "name": "read", "parameters": _SCHEMA, "strict": False},
    {"type": "custom", "name": "patch", "format": {"type": "text"}},
    {"type": "web_search"},
    {"type": "namespace", "name": "files", "tools": [{"type": "function", "name": "open", "parameters": _SCHEMA}]},
)  # fmt: skip

_USAGES: Final[dict[ShapeName, Pieces]] = {
    "anthropic_messages": (
        {"input_tokens": 3, "output_tokens": 7},
        {"input_tokens": 3, "output_tokens": 7, "cache_creation": {"ephemeral_1h_input_tokens": 4}},
        {"input_tokens": 3, "output_tokens": 7, "server_tool_use": {"web_search_requests": 1}},
    ),
    "openai_chat": (
        {"prompt_tokens": 3, "completion_tokens": 7, "total_tokens": 10},
        {"prompt_tokens": 3, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 2}},
    ),
    "openai_responses": (
        {"input_tokens": 3, "output_tokens": 7, "total_tokens": 10},
        {"input_tokens": 3, "output_tokens": 7, "input_tokens_details": {"cached_tokens": 2}},
    ),
}
SHAPES: Final[tuple[ShapeName, ...]] = tuple(_USAGES)

_TEXTS = st.sampled_from(("", "x", "a b\n", "é☃😀", '"\\/\b', "\u2028", "data: x\n\n", "0" * 300))


def _some(pieces: Pieces, least: int = 0, most: int = 4) -> st.SearchStrategy[list[Json]]:
    return st.lists(st.sampled_from(pieces), min_size=least, max_size=most)


def _maybe(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    """Each field may be there."""
    return st.fixed_dictionaries({}, optional=fields)


_SAMPLING: Final = {
    "temperature": st.sampled_from((0, 0.5, 1)),
    "top_p": st.sampled_from((0.1, 1)),
    "stream": st.booleans(),
}


def _messages_request() -> st.SearchStrategy[Json]:
    user = st.builds(lambda blocks: {"role": "user", "content": blocks}, _some(_MESSAGES_USER, 1))
    said = st.builds(
        lambda blocks: {"role": "assistant", "content": blocks}, _some(_MESSAGES_ASSISTANT, 1)
    )
    plain = st.builds(lambda text: {"role": "user", "content": text}, _TEXTS)
    optional = _maybe(
        system=st.one_of(_TEXTS, _some(_MESSAGES_USER[:2], 1)),
        tools=_some(_MESSAGES_TOOLS, 1),
        tool_choice=st.sampled_from(({"type": "auto"}, {"type": "tool", "name": "read"})),
        thinking=st.sampled_from(
            ({"type": "enabled", "budget_tokens": 2048}, {"type": "disabled"})
        ),
        stop_sequences=st.lists(_TEXTS, max_size=2),
        metadata=st.just({"user_id": "u"}),
        top_k=st.just(5),
        **_SAMPLING,
    )
    turns = st.lists(st.one_of(user, said, plain), min_size=1, max_size=4)
    return st.builds(
        lambda turns, more: {"model": "m", "max_tokens": 9, "messages": turns} | more,
        turns,
        optional,
    )


def _chat_request() -> st.SearchStrategy[Json]:
    optional = _maybe(
        tools=_some(_CHAT_TOOLS, 1),
        tool_choice=st.sampled_from(
            ("auto", "none", {"type": "function", "function": {"name": "read"}})
        ),
        max_tokens=st.just(9),
        max_completion_tokens=st.just(9),
        stop=st.one_of(_TEXTS, st.lists(_TEXTS, max_size=2)),
        response_format=st.sampled_from(
            (
                {"type": "json_object"},
                {"type": "json_schema", "json_schema": {"name": "n", "schema": _SCHEMA}},
            )
        ),
        reasoning_effort=st.sampled_from(("low", "high")),
        stream_options=st.just({"include_usage": True}),
        n=st.just(1),
        **_SAMPLING,
    )
    return st.builds(
        lambda turns, more: {"model": "m", "messages": turns} | more,
        _some(_CHAT_TURNS, 1),
        optional,
    )


def _responses_request() -> st.SearchStrategy[Json]:
    optional = _maybe(
        instructions=_TEXTS,
        tools=_some(_RESPONSES_TOOLS, 1),
        tool_choice=st.sampled_from(("auto", {"type": "function", "name": "read"})),
        max_output_tokens=st.just(99),
        reasoning=st.sampled_from(({"effort": "low"}, {"effort": "high", "summary": "auto"})),
        text=st.just({"format": {"type": "json_schema", "name": "n", "schema": _SCHEMA}}),
        include=st.just(["reasoning.encrypted_content"]),
        store=st.booleans(),
        **_SAMPLING,
    )
    given = st.one_of(_TEXTS, _some(_ITEMS + _OUTPUT_ITEMS, 1))
    return st.builds(lambda items, more: {"model": "m", "input": items} | more, given, optional)


def _answer(shape: ShapeName) -> st.SearchStrategy[Json]:
    usage = st.sampled_from(_USAGES[shape])
    match shape:
        case "anthropic_messages":
            return st.builds(
                lambda blocks, stop, usage: {
                    "id": "msg_1",
                    "type": "message",
                    "role": "assistant",
                    "model": "m",
                    "content": blocks,
                    "stop_reason": stop,
                    "stop_sequence": None,
                    "usage": usage,
                },
                _some(_MESSAGES_ASSISTANT),
                st.sampled_from(("end_turn", "tool_use", "refusal", "new")),
                usage,
            )
        case "openai_chat":
            return st.builds(
                lambda message, stop, usage: {
                    "id": "c_1",
                    "object": "chat.completion",
                    "created": 1,
                    "model": "m",
                    "choices": [{"index": 0, "message": message, "finish_reason": stop}],
                    "usage": usage,
                },
                st.sampled_from([turn for turn in _CHAT_TURNS if turn["role"] == "assistant"]),
                st.sampled_from(("stop", "tool_calls", "new")),
                usage,
            )
        case "openai_responses":
            return st.builds(_response, _some(_OUTPUT_ITEMS), usage)


def _response(items: list[Json], usage: Json) -> Json:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "m",
        "output": items,
        "usage": usage,
    }


_ERRORS: Final[Pieces] = (
    {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
    {"error": {"message": "slow", "type": "requests", "code": "rate_limit_exceeded"}},
    {"error": "text only"},
    {"detail": [{"loc": ["body"], "msg": "field required"}]},
    {"message": "flat", "code": 17},
)


def _body(shape: ShapeName, kind: Kind) -> st.SearchStrategy[Json]:
    match kind, shape:
        case "request", "anthropic_messages":
            return _messages_request()
        case "request", "openai_chat":
            return _chat_request()
        case "request", "openai_responses":
            return _responses_request()
        case "error", _:
            return st.sampled_from(_ERRORS)
        case _:
            return _answer(shape)


def _packed(body: Json) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def bodies(kind: Kind) -> st.SearchStrategy[Case]:
    """A valid body of any shape."""
    return st.one_of(
        [
            _body(shape, kind).map(lambda body, shape=shape: Case(shape, kind, _packed(body)))
            for shape in SHAPES
        ]
    )


def answers() -> st.SearchStrategy[tuple[ShapeName, bytes]]:
    """A valid answer and its shape, for streams to be made of."""
    return bodies("answer").map(lambda case: (case.shape, case.data))
