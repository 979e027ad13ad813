"""Usage as Anthropic writes it. The numbers are written by hand."""

from __future__ import annotations

from tests.unit.wire.usage_row import MESSAGES, Row, iteration, message, split

from metis.facts.usage import Usage

ANTHROPIC_ROWS = [
    Row("bare", MESSAGES, message(599, 152), Usage(input_tokens=599, output_tokens=152), 599, 751),
    Row("nothing", MESSAGES, {}, Usage(), 0, 0),
    Row(
        "as today: nothing cached",
        MESSAGES,
        message(
            453,
            23,
            cache_creation_input_tokens=0,
            cache_read_input_tokens=0,
            cache_creation=split(0, 0),
            service_tier="standard",
            inference_geo="global",
        ),
        Usage(input_tokens=453, output_tokens=23),
        453,
        476,
    ),
    Row(
        "cache read",
        MESSAGES,
        message(24, 33, cache_creation_input_tokens=0, cache_read_input_tokens=1857),
        Usage(input_tokens=24, cache_read_tokens=1857, output_tokens=33),
        1881,
        1914,
    ),
    Row(
        "cache writes of both lifetimes, and a read",
        MESSAGES,
        message(
            3,
            9,
            cache_read_input_tokens=100,
            cache_creation_input_tokens=30,
            cache_creation=split(10, 20),
        ),
        Usage(
            input_tokens=3,
            cache_read_tokens=100,
            cache_write_5m_tokens=10,
            cache_write_1h_tokens=20,
            output_tokens=9,
        ),
        133,
        142,
    ),
    Row(
        "a write of an hour alone",
        MESSAGES,
        message(17, 100, cache_creation_input_tokens=2056, cache_creation=split(0, 2056)),
        Usage(input_tokens=17, cache_write_1h_tokens=2056, output_tokens=100),
        2073,
        2173,
    ),
    Row(
        "a write that is not split is a short one",
        MESSAGES,
        message(18, 100, cache_creation_input_tokens=2055, cache_read_input_tokens=0),
        Usage(input_tokens=18, cache_write_5m_tokens=2055, output_tokens=100),
        2073,
        2173,
    ),
    Row(
        "what a split leaves out is a short write",
        MESSAGES,
        message(
            2,
            5,
            cache_creation_input_tokens=25,
            cache_creation={"ephemeral_1h_input_tokens": 20},
        ),
        Usage(
            input_tokens=2, cache_write_5m_tokens=5, cache_write_1h_tokens=20, output_tokens=5
        ),
        27,
        32,
    ),
    Row(
        "thinking inside the output",
        MESSAGES,
        message(51, 161, output_tokens_details={"thinking_tokens": 104}),
        Usage(input_tokens=51, output_tokens=161, reasoning_tokens=104),
        51,
        212,
    ),
    Row(
        "server tools",
        MESSAGES,
        message(
            12251, 153, server_tool_use={"web_search_requests": 2, "web_fetch_requests": 0}
        ),
        Usage(
            input_tokens=12251, output_tokens=153, server_tools={"web_search_requests": 2}
        ),
        12251,
        12404,
    ),
    Row(
        "a compaction is billed beside the totals",
        MESSAGES,
        message(
            682,
            1320,
            iterations=[iteration("compaction", 60385, 592), iteration("message", 682, 1320)],
        ),
        Usage(input_tokens=61067, output_tokens=1912),
        61067,
        62979,
    ),
    Row(
        "a compaction that writes the cache",
        MESSAGES,
        message(
            229,
            5,
            cache_creation_input_tokens=0,
            cache_creation=split(0, 0),
            iterations=[
                iteration(
                    "compaction",
                    100,
                    131,
                    cache_creation_input_tokens=55096,
                    cache_creation=split(55096, 0),
                ),
                iteration("message", 229, 5),
            ],
        ),
        Usage(input_tokens=329, cache_write_5m_tokens=55096, output_tokens=136),
        55425,
        55561,
    ),
    Row(
        "iterations of the tool loop stand in the totals already",
        MESSAGES,
        message(
            2482, 166, iterations=[iteration("message", 1128, 155), iteration("message", 1354, 11)]
        ),
        Usage(input_tokens=2482, output_tokens=166),
        2482,
        2648,
    ),
    Row(
        "an advisor of another model is counted, for its tokens have another price",
        MESSAGES,
        message(
            2411,
            145,
            iterations=[
                iteration("message", 1128, 135),
                iteration("advisor_message", 2543, 18, model="claude-opus-4-8"),
                iteration("message", 1283, 10),
            ],
        ),
        Usage(
            input_tokens=2411, output_tokens=145, server_tools={"advisor_message_requests": 1}
        ),
        2411,
        2556,
    ),
    Row(
        "nonsense",
        MESSAGES,
        {
            "input_tokens": None,
            "output_tokens": "9",
            "cache_read_input_tokens": True,
            "cache_creation": [],
            "server_tool_use": None,
            "iterations": [None, 3, {"type": "compaction", "input_tokens": -4}],
        },
        Usage(),
        0,
        0,
    ),
    Row(
        "counts that no model reaches",
        MESSAGES,
        message(10**18, 7, cache_read_input_tokens=1e300),
        Usage(output_tokens=7),
        0,
        7,
    ),
]  # fmt: skip
