"""P9: money is exact: priced by hand here, from the providers' published prices, and equal to the nano-dollar."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from tests.answers import message, message_events
from tests.client import PATHS, request_for, send
from tests.promises.conftest import Pair
from tests.upstream import Seen, Wire

# USD per million tokens, as of the day of writing: https://claude.com/pricing, https://openai.com/api/pricing
SONNET_45 = {
    "input": Decimal(3),
    "write_5m": Decimal("3.75"),
    "write_1h": Decimal(6),
    "read": Decimal("0.30"),
    "output": Decimal(15),
}
GPT_4O = {"input": Decimal("2.50"), "read": Decimal("1.25"), "output": Decimal(10)}
GPT_4O_MINI = {"input": Decimal("0.15"), "read": Decimal("0.075"), "output": Decimal("0.60")}


def nano(*lines: tuple[int, Decimal]) -> int:
    exact = sum((Decimal(tokens) * price * 1000 for tokens, price in lines), Decimal(0))
    assert exact == int(exact)
    return int(exact)


def row_of(pair: Pair, turn: str) -> dict[str, Any]:
    query = f"SELECT * FROM calls WHERE turn_id = '{turn}' AND state = 'closed'"
    return pair.gateway.wait_for_rows(query, 1)[0]


CASES = [
    (
        "anthropic_messages",
        "claude-sonnet-4-5",
        nano(
            (12, SONNET_45["input"]),
            (10, SONNET_45["write_5m"]),
            (20, SONNET_45["write_1h"]),
            (400, SONNET_45["read"]),
            (7, SONNET_45["output"]),
        ),
    ),
    (
        "openai_chat",
        "gpt-4o",
        nano((12, GPT_4O["input"]), (100, GPT_4O["read"]), (7, GPT_4O["output"])),
    ),
    (
        "openai_responses",
        "gpt-4o-mini",
        nano((12, GPT_4O_MINI["input"]), (100, GPT_4O_MINI["read"]), (7, GPT_4O_MINI["output"])),
    ),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("shape", "model", "cost"), CASES)
def test_call_costs_what_the_price_list_says_streamed_or_not(
    pair: Pair, shape: str, model: str, cost: int, stream: bool
) -> None:
    reply = send(pair.port, PATHS[shape], request_for(shape, model, stream=stream), pair.auth)
    row = row_of(pair, reply.headers["x-metis-turn"])
    known = (row["cost_nano_usd"], row["usage_source"], row["paid_by"], row["price_unknown"])
    assert known == (cost, "reported", "gateway", 0)


def test_model_without_a_price_is_flagged_and_never_free_in_silence(pair: Pair) -> None:
    reply = send(
        pair.port, "/v1/messages", request_for("anthropic_messages", "claude-future-9"), pair.auth
    )
    row = row_of(pair, reply.headers["x-metis-turn"])
    assert (row["cost_nano_usd"], row["price_unknown"]) == (0, 1)


def test_server_tools_are_priced(pair: Pair) -> None:
    answer = message()
    answer["usage"] = {
        "input_tokens": 1000,
        "output_tokens": 100,
        "server_tool_use": {"web_search_requests": 3},
    }

    async def handler(seen: Seen, wire: Wire) -> None:
        await wire.answer(200, json.dumps(answer).encode())

    pair.upstream.handler = handler
    request = request_for("anthropic_messages", "claude-sonnet-4-5")
    row = row_of(pair, send(pair.port, "/v1/messages", request, pair.auth).headers["x-metis-turn"])
    tokens = nano((1000, SONNET_45["input"]), (100, SONNET_45["output"]))
    searches = 3 * 10_000_000  # 10 USD per thousand searches
    assert row["cost_nano_usd"] == tokens + searches


def test_stream_that_broke_off_is_estimated_and_says_so(pair: Pair) -> None:
    async def handler(seen: Seen, wire: Wire) -> None:
        await wire.begin_stream()
        for event in message_events()[:5]:
            await wire.chunk(event)
        wire.cut()

    pair.upstream.handler = handler
    request = request_for("anthropic_messages", "claude-sonnet-4-5", stream=True)
    reply = send(pair.port, "/v1/messages", request, pair.auth)
    assert b"event: error" in reply.body
    row = row_of(pair, reply.headers["x-metis-turn"])
    assert (row["usage_source"], row["outcome"]) == ("estimated", "error")
    assert row["cost_nano_usd"] > nano((12, SONNET_45["input"]))


def test_totals_of_the_admin_plane_equal_the_ledger(pair: Pair) -> None:
    replies = [
        send(pair.port, PATHS[shape], request_for(shape, model), pair.auth)
        for shape, model, _ in CASES
    ]
    last = replies[-1].headers["x-metis-turn"]  # what is recorded in order is whole when this is
    pair.gateway.wait_for_rows(f"SELECT 1 FROM turns WHERE turn_id = '{last}'", 1)
    admin_port = int(pair.gateway.admin_url.rsplit(":", 1)[1])
    token = {"authorization": f"Bearer {pair.gateway.admin_token}"}
    said = send(admin_port, "/analytics/cost", headers=token).json["total"]
    (summed,) = pair.gateway.rows(
        "SELECT count(*) AS calls, sum(cost_nano_usd) AS cost FROM calls "
        "WHERE state = 'closed' AND paid_by = 'gateway'"
    )
    (rolled,) = pair.gateway.rows(
        "SELECT sum(calls) AS calls, sum(cost_nano_usd) AS cost FROM rollups_hourly "
        "WHERE paid_by = 'gateway'"
    )
    assert summed == rolled == {"calls": said["calls"], "cost": said["cost_nano_usd"]}
