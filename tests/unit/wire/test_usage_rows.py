"""Usage as each provider writes it, one row a form: read into the neutral Usage, and written in each shape.

The numbers are written by hand. Each row is read four ways that must agree: a whole answer decoded and looked at, a
stream folded and watched.
"""

from __future__ import annotations

import json
from typing import NamedTuple

import pytest
from tests.unit.wire.answers_with_usage import (
    BY_NAME,
    CONTEXT,
    folded,
    stream,
    watched,
    whole,
)
from tests.unit.wire.usage_row import (
    MESSAGES,
    Json,
    Row,
    chat,
    details,
    item_details,
    response,
    split,
)
from tests.unit.wire.usage_rows_chat import CHAT_ROWS
from tests.unit.wire.usage_rows_messages import ANTHROPIC_ROWS
from tests.unit.wire.usage_rows_responses import RESPONSES_ROWS

from metis.facts.usage import Usage
from metis.ir.content import Text
from metis.ir.response import Response
from metis.wire import SHAPES

ROWS = [*ANTHROPIC_ROWS, *CHAT_ROWS, *RESPONSES_ROWS]
each_row = pytest.mark.parametrize("row", ROWS, ids=[f"{row.shape}: {row.name}" for row in ROWS])


@each_row
def test_usage_of_each_provider_whole_and_streamed(row: Row) -> None:
    shape = BY_NAME[row.shape]
    assert shape.usage_of(row.raw) == row.usage
    answer, streamed = whole(row.shape, row.raw), stream(row.shape, row.raw)
    # An empty usage object in a stream says nothing; in a whole answer it says that nothing was used.
    told_of_stream = row.usage if any(row.raw.values()) else None
    assert shape.decode_response(answer).usage == row.usage
    assert (shape.facts_of(answer).usage or Usage()) == row.usage
    for heard in (
        folded(shape, streamed).usage,
        watched(shape, [streamed]).usage,
        watched(shape, [streamed[n : n + 1] for n in range(len(streamed))]).usage,
    ):
        assert (heard or Usage()) == (told_of_stream or Usage())


@each_row
def test_usage_of_each_provider_goes_out_in_every_shape(row: Row) -> None:
    usage = row.usage
    assert (usage.prompt_tokens, usage.total_tokens) == (row.prompt, row.total)
    answer = BY_NAME[row.shape].decode_response(whole(row.shape, row.raw))
    for shape in SHAPES:
        if shape.name == row.shape:
            continue
        out = json.loads(shape.encode_response(answer, CONTEXT).body)["usage"]
        match shape.name:
            case "anthropic_messages":
                assert out["input_tokens"] == usage.input_tokens
                assert out["cache_read_input_tokens"] == usage.cache_read_tokens
                assert out["cache_creation_input_tokens"] == usage.cache_write_tokens
                assert out["output_tokens"] == usage.output_tokens
            case "openai_chat":
                assert (out["prompt_tokens"], out["total_tokens"]) == (row.prompt, row.total)
                assert out["prompt_tokens_details"]["cached_tokens"] == usage.cache_read_tokens
            case "openai_responses":
                assert (out["input_tokens"], out["total_tokens"]) == (row.prompt, row.total)
                assert out["input_tokens_details"]["cached_tokens"] == usage.cache_read_tokens


class Written(NamedTuple):
    """A Usage, and its object in each shape, whole."""

    usage: Usage
    messages: Json
    chat: Json
    responses: Json


NO_PREDICTIONS = {"accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}

WRITTEN = [
    Written(
        Usage(input_tokens=3, output_tokens=7),
        {
            "input_tokens": 3,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 7,
        },
        chat(
            3,
            7,
            10,
            **details(
                {"cached_tokens": 0, "audio_tokens": 0},
                {"reasoning_tokens": 0, "audio_tokens": 0, **NO_PREDICTIONS},
            ),
        ),
        response(
            3,
            7,
            10,
            **item_details(
                {"cached_tokens": 0, "cache_write_tokens": 0}, {"reasoning_tokens": 0}
            ),
        ),
    ),
    Written(
        Usage(
            input_tokens=3,
            cache_read_tokens=4,
            cache_write_5m_tokens=5,
            cache_write_1h_tokens=6,
            output_tokens=7,
            reasoning_tokens=2,
            server_tools={"web_search_requests": 1},
        ),
        {
            "input_tokens": 3,
            "cache_creation_input_tokens": 11,
            "cache_read_input_tokens": 4,
            "cache_creation": split(5, 6),
            "output_tokens": 7,
            "output_tokens_details": {"thinking_tokens": 2},
            "server_tool_use": {"web_fetch_requests": 0, "web_search_requests": 1},
        },
        chat(
            18,
            7,
            25,
            **details(
                {"cached_tokens": 4, "audio_tokens": 0, "cache_write_tokens": 11},
                {"reasoning_tokens": 2, "audio_tokens": 0, **NO_PREDICTIONS},
            ),
            server_tool_use_details={"web_search_requests": 1},
        ),
        response(
            18,
            7,
            25,
            **item_details(
                {"cached_tokens": 4, "cache_write_tokens": 11}, {"reasoning_tokens": 2}
            ),
        ),
    ),
    Written(
        Usage(input_tokens=50, input_audio_tokens=40, output_tokens=30, output_audio_tokens=20),
        {
            "input_tokens": 50,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 30,
        },
        chat(
            50,
            30,
            80,
            **details(
                {"cached_tokens": 0, "audio_tokens": 40},
                {"reasoning_tokens": 0, "audio_tokens": 20, **NO_PREDICTIONS},
            ),
        ),
        response(
            50,
            30,
            80,
            **item_details(
                {"cached_tokens": 0, "cache_write_tokens": 0}, {"reasoning_tokens": 0}
            ),
        ),
    ),
]  # fmt: skip


@pytest.mark.parametrize("row", WRITTEN)
def test_a_usage_is_written_whole_in_each_shape(row: Written) -> None:
    answer = Response(
        origin="elsewhere",
        response_id="i",
        model="m",
        parts=(Text(text="x"),),
        stop="end_turn",
        usage=row.usage,
    )
    for shape, expected in zip(SHAPES, (row.messages, row.chat, row.responses), strict=True):
        assert json.loads(shape.encode_response(answer, CONTEXT).body)["usage"] == expected


def test_an_unknown_usage_is_written_as_zeros_where_clients_need_one() -> None:
    answer = Response(origin="elsewhere", response_id="i", model="m", parts=(), stop="end_turn")
    found = {
        shape.name: json.loads(shape.encode_response(answer, CONTEXT).body).get("usage")
        for shape in SHAPES
    }
    assert found["anthropic_messages"] == {
        "input_tokens": 0,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 0,
    }
    assert found["openai_chat"] is None
    assert found["openai_responses"]["total_tokens"] == 0


def test_what_names_server_tools_is_bounded() -> None:
    names = {f"tool_{number}_requests": 1 for number in range(1000)}
    usage = BY_NAME[MESSAGES].usage_of({"server_tool_use": {"x" * 65: 1, **names}})
    assert len(usage.server_tools) == 16
    assert all(len(name) <= 64 for name in usage.server_tools)
