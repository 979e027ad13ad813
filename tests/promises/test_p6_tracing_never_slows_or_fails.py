"""P6: tracing never fails a request: also while the process that records is dead."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from tests.client import request_for, send
from tests.gateway import children
from tests.promises.conftest import Pair


def control_process(pair: Pair) -> int:
    """The child that records: the one that holds no spool's lock. A dead one is back within moments."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for pid in children(pair.gateway.process.pid):
            held = open_files(pid)
            if not any("/spool/" in name and name.endswith("/lock") for name in held):
                return pid
        time.sleep(0.05)
    raise AssertionError("no control process")


def open_files(pid: int) -> list[str]:
    names: list[str] = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            names.append(str(link.readlink()))
        except OSError:
            continue
    return names


def test_requests_are_served_while_the_recorder_is_dead_and_recorded_after(pair: Pair) -> None:
    request = request_for("anthropic_messages", "claude-sonnet-4-5")
    before = len(pair.gateway.rows("SELECT 1 FROM calls"))
    for _ in range(3):
        os.kill(control_process(pair), signal.SIGKILL)
        for _ in range(20):
            assert send(pair.port, "/v1/messages", request, pair.auth).status == 200
        time.sleep(0.5)
    rows = pair.gateway.wait_for_rows(
        "SELECT call_id FROM calls WHERE state = 'closed'", before + 60, 30
    )
    assert len(rows) == before + 60
    assert len(pair.gateway.rows("SELECT 1 FROM turns")) == len(rows)


def test_requests_are_served_while_the_recorder_hangs(pair: Pair) -> None:
    request = request_for("openai_chat", "gpt-4o", stream=True)
    pid = control_process(pair)
    os.kill(pid, signal.SIGSTOP)
    try:
        replies = [send(pair.port, "/v1/chat/completions", request, pair.auth) for _ in range(20)]
    finally:
        os.kill(pid, signal.SIGCONT)
    assert {reply.status for reply in replies} == {200}
    turns = ", ".join(f"'{reply.headers['x-metis-turn']}'" for reply in replies)
    query = f"SELECT 1 FROM calls WHERE state = 'closed' AND turn_id IN ({turns})"
    assert len(pair.gateway.wait_for_rows(query, 20)) == 20
