"""P4 through a real gateway: every upstream call is in the ledger exactly once, whoever dies when."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.answers import events_for, usual
from tests.client import PATHS, request_for, send
from tests.gateway import Gateway
from tests.promises.conftest import CONFIG, UPSTREAM_KEY, Pair
from tests.upstream import FakeUpstream, Seen, Wire

SHAPES = list(PATHS.items())


def calls_of(gateway: Gateway) -> Counter[str]:
    rows = gateway.rows("SELECT outcome, count(*) AS n FROM calls GROUP BY outcome")
    return Counter({row["outcome"]: row["n"] for row in rows})


def test_client_that_hangs_up_ends_the_upstream_call_and_is_in_the_ledger(pair: Pair) -> None:
    gone = threading.Event()

    async def handler(seen: Seen, wire: Wire) -> None:
        await wire.begin_stream()
        for event in events_for(seen)[:4]:
            await wire.chunk(event)
        await wire.until_gone()
        gone.set()

    pair.upstream.handler = handler
    request = request_for("anthropic_messages", "claude-sonnet-4-5", stream=True)
    with pytest.raises(TimeoutError):
        send(pair.port, "/v1/messages", request, pair.auth, timeout_s=0.5)
    assert gone.wait(5), "the upstream call was not cancelled"
    rows = pair.gateway.wait_for_rows(
        "SELECT outcome, usage_source FROM calls WHERE outcome = 'aborted'", 1
    )
    assert rows == [{"outcome": "aborted", "usage_source": "estimated"}]


def test_client_that_hangs_up_before_a_sync_answer_ends_the_upstream_call(pair: Pair) -> None:
    gone = threading.Event()

    async def handler(seen: Seen, wire: Wire) -> None:
        await wire.until_gone()
        gone.set()

    pair.upstream.handler = handler
    before = calls_of(pair.gateway)["aborted"]
    request = request_for("openai_chat", "gpt-4o")
    with pytest.raises(TimeoutError):
        send(pair.port, "/v1/chat/completions", request, pair.auth, timeout_s=0.5)
    assert gone.wait(5), "the upstream call was not cancelled"
    query = "SELECT 1 FROM calls WHERE outcome = 'aborted'"
    assert len(pair.gateway.wait_for_rows(query, before + 1)) == before + 1


def test_record_is_on_disk_before_the_answers_end_reaches_the_client(tmp_path: Path) -> None:
    """Killed the moment the client has its answer: nothing that it saw is missing."""
    upstream = FakeUpstream(usual)
    environment = {"UPSTREAM_KEY": UPSTREAM_KEY}
    config = CONFIG.format(url=upstream.url)
    answered = 0
    for round_number in range(6):
        gateway = Gateway(tmp_path, config, environment=environment)
        for shape, path in SHAPES:
            body = request_for(shape, "gpt-4o" if "openai" in shape else "claude-sonnet-4-5")
            body["stream"] = round_number % 2 == 0
            reply = send(gateway.port, path, body, {"x-api-key": gateway.key})
            assert reply.status == 200
            answered += 1
        gateway.kill()
    gateway = Gateway(tmp_path, config, environment=environment)
    gateway.wait_for_rows("SELECT 1 FROM calls", answered)
    gateway.stop()
    assert calls_of(gateway) == Counter({"ok": answered})
    upstream.close()


def load(port: int, key: str, stop: threading.Event) -> None:
    chance = random.Random(port)
    while not stop.is_set():
        shape, path = chance.choice(SHAPES)
        body = request_for(shape, "gpt-4o" if "openai" in shape else "claude-sonnet-4-5")
        body["stream"] = chance.random() < 0.5
        try:
            send(port, path, body, {"x-api-key": key}, timeout_s=chance.choice([0.01, 0.05, 5, 5]))
        except OSError:
            continue
        except Exception:  # noqa: BLE001 -- http.client raises its own kinds when a peer dies
            continue


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_ledger_equals_what_the_upstream_counted_after_kills_under_load(tmp_path: Path) -> None:
    async def slow(seen: Seen, wire: Wire) -> None:
        await asyncio.sleep(random.random() * 0.02)
        if random.random() < 0.1:
            wire.cut()
            return
        await usual(seen, wire)

    upstream = FakeUpstream(slow)
    environment = {"UPSTREAM_KEY": UPSTREAM_KEY}
    config = CONFIG.format(url=upstream.url)
    for _ in range(10):
        gateway = Gateway(tmp_path, config, environment=environment)
        stop = threading.Event()
        threads = [
            threading.Thread(target=load, args=(gateway.port, gateway.key, stop)) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        time.sleep(1.0 + random.random())
        gateway.kill()
        stop.set()
        for thread in threads:
            thread.join(30)
    gateway = Gateway(tmp_path, config, environment=environment)
    time.sleep(1)
    gateway.stop()
    upstream_counted = len(upstream.seen)
    upstream.close()
    rows = gateway.rows("SELECT call_id, state, outcome FROM calls")
    assert upstream_counted > 200
    assert {row["state"] for row in rows} == {"closed"}
    assert len({row["call_id"] for row in rows}) == len(rows)
    # Started is written before the first byte leaves: a kill between the two leaves a row without a call.
    extra = len(rows) - upstream_counted
    killed = sum(1 for row in rows if row["outcome"] in ("interrupted", "aborted"))
    assert 0 <= extra <= killed
    (rolled,) = gateway.rows("SELECT sum(calls) AS calls FROM rollups_hourly")
    assert rolled["calls"] == len(rows)
