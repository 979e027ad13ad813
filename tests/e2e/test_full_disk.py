"""A disk that is full while a stream runs: its client gets the end, new calls are refused, no end is lost."""

from __future__ import annotations

import asyncio
import http.client
import json
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from structlog.testing import capture_logs
from tests.answers import events_for
from tests.client import PATHS, request_for, send
from tests.two_providers import MODELS, two_providers
from tests.upstream import Seen, Wire

SHAPE = "anthropic_messages"


@contextmanager
def full_disk(spool: Path) -> Iterator[None]:
    """No segment may grow, as on a full disk."""
    size = max(file.stat().st_size for file in spool.rglob("*.seg"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_ends_on_a_full_disk_is_in_the_ledger_once_there_is_room(tmp_path: Path) -> None:
    go_on = threading.Event()

    async def slow(seen: Seen, wire: Wire) -> None:
        events = events_for(seen)
        await wire.begin_stream()
        await wire.chunk(b"".join(events[:4]))
        await asyncio.to_thread(go_on.wait)
        await wire.chunk(b"".join(events[4:]))
        await wire.end_stream()

    with two_providers(tmp_path, "") as (gateway, upstream):
        upstream.handler = slow
        request = json.dumps(request_for(SHAPE, MODELS[SHAPE], stream=True))
        headers = {"x-api-key": gateway.key}
        client = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
        client.request("POST", PATHS[SHAPE], request, headers)
        answer = client.getresponse()
        assert answer.read(10)
        # Captured output is a file too.
        with capture_logs(), full_disk(tmp_path / "data" / "spool"):
            refused = send(gateway.port, PATHS[SHAPE], request.encode(), headers)
            go_on.set()
            rest = answer.read()
        client.close()
        assert (refused.status, b"message_stop" in rest) == (503, True)
        turns = "SELECT outcome, http_status FROM turns ORDER BY outcome"
        deadline = time.monotonic() + 5
        while len(gateway.rows(turns)) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)  # the door looks once a second
        assert gateway.rows(turns) == [
            {"outcome": "ok", "http_status": 200},
            {"outcome": "refused", "http_status": 503},
        ]
        calls = "SELECT outcome, usage_source FROM calls WHERE state = 'closed'"
        assert gateway.rows(calls) == [{"outcome": "ok", "usage_source": "reported"}]
