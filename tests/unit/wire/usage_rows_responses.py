"""Usage as servers of the Responses API write it. The numbers are written by hand."""

from __future__ import annotations

from tests.unit.wire.usage_row import RESPONSES, Row, item_details, response

from metis.facts.usage import Usage

RESPONSES_ROWS = [
    Row("empty", RESPONSES, {}, Usage(), 0, 0),
    Row(
        "openai",
        RESPONSES,
        response(59, 17, 76, **item_details({"cached_tokens": 0}, {"reasoning_tokens": 0})),
        Usage(input_tokens=59, output_tokens=17),
        59,
        76,
    ),
    Row(
        "openai cached, with reasoning",
        RESPONSES,
        response(
            9463, 582, 10045, **item_details({"cached_tokens": 8320}, {"reasoning_tokens": 512})
        ),
        Usage(input_tokens=1143, cache_read_tokens=8320, output_tokens=582, reasoning_tokens=512),
        9463,
        10045,
    ),
    Row(
        "openai cache write",
        RESPONSES,
        response(8576, 52, 8628, **item_details({"cache_write_tokens": 4418, "cached_tokens": 0})),
        Usage(input_tokens=4158, cache_write_5m_tokens=4418, output_tokens=52),
        8576,
        8628,
    ),
    Row(
        "openai cache writes of both lifetimes",
        RESPONSES,
        response(
            100,
            0,
            100,
            input_tokens_details={
                "cache_write_tokens": 90,
                "cache_write_tokens_details": {"ttl_12h_tokens": 60, "ttl_30m_tokens": 30},
            },
        ),
        Usage(input_tokens=10, cache_write_5m_tokens=30, cache_write_1h_tokens=60),
        100,
        100,
    ),
    Row(
        "audio",
        RESPONSES,
        response(40, 30, 70, **item_details({"audio_tokens": 25}, {"audio_tokens": 20})),
        Usage(
            input_tokens=40, input_audio_tokens=25, output_tokens=30, output_audio_tokens=20
        ),
        40,
        70,
    ),
    Row(
        "xai: its own server tools",
        RESPONSES,
        response(
            5689,
            444,
            6133,
            num_server_side_tools_used=2,
            cost_in_usd_ticks=160708500,
            server_side_tool_usage_details={"web_search_calls": 2, "x_search_calls": 0},
            **item_details({"cached_tokens": 2048}, {"reasoning_tokens": 245}),
        ),
        Usage(
            input_tokens=3641,
            cache_read_tokens=2048,
            output_tokens=444,
            reasoning_tokens=245,
            server_tools={"web_search_requests": 2},
        ),
        5689,
        6133,
    ),
    Row(
        "openrouter",
        RESPONSES,
        response(
            4020, 5, 4025, cost=0.002196, is_byok=False, **item_details({"cached_tokens": 4012})
        ),
        Usage(input_tokens=8, cache_read_tokens=4012, output_tokens=5),
        4020,
        4025,
    ),
    Row(
        "more cached than there was",
        RESPONSES,
        response(5, 2, 7, **item_details({"cached_tokens": 9, "cache_write_tokens": 3})),
        Usage(cache_read_tokens=5, output_tokens=2),
        5,
        7,
    ),
    Row(
        "more reasoning than output",
        RESPONSES,
        response(5, 2, 7, **item_details(None, {"reasoning_tokens": 40})),
        Usage(input_tokens=5, output_tokens=42, reasoning_tokens=40),
        5,
        47,
    ),
    Row(
        "more audio than there was",
        RESPONSES,
        response(5, 2, 7, **item_details({"audio_tokens": 9}, {"audio_tokens": 9})),
        Usage(input_tokens=5, input_audio_tokens=5, output_tokens=2, output_audio_tokens=2),
        5,
        7,
    ),
    Row(
        "nonsense",
        RESPONSES,
        {"input_tokens": "many", "output_tokens": None, "input_tokens_details": []},
        Usage(),
        0,
        0,
    ),
    Row(
        "counts that no model reaches",
        RESPONSES,
        response(10**18, 7, 10**18 + 7),
        Usage(output_tokens=7),
        0,
        7,
    ),
]  # fmt: skip
