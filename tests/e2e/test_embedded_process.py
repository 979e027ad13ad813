"""The embedded model's process under a real gateway: it comes back when it crashes and goes with its gateway."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.client import PATHS, Reply, request_for, send
from tests.gateway import Gateway, children

pytestmark = pytest.mark.slow

CONFIG = """
[embedded]
slots = 1
threads = 1
context_window = 512
max_output_tokens = 400
"""
SHAPE = "anthropic_messages"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    running = Gateway(tmp_path, CONFIG)
    yield running
    running.kill()


def model_process(gateway: Gateway) -> int:
    """The embedded server's process; it is a grandchild of the supervisor."""
    found = [pid for child in children(gateway.process.pid) for pid in children(child)]
    (pid,) = [pid for pid in found if b"metis.embedded.server" in command_line(pid)]
    return pid


def command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def keeper_process(gateway: Gateway) -> int:
    """The process that starts the embedded server anew."""
    model = model_process(gateway)
    (pid,) = [child for child in children(gateway.process.pid) if model in children(child)]
    return pid


def alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("ascii")
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def wait_until_gone(pid: int, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not alive(pid)


def ask(gateway: Gateway, limit: int = 3) -> Reply:
    body = request_for(SHAPE, "claude-sonnet-5", "Tell me about the sea.", max_tokens=limit)
    return send(gateway.port, PATHS[SHAPE], body, {"x-api-key": gateway.key})


def ask_until_it_answers(gateway: Gateway, within_s: float) -> list[Reply]:
    """All answers until the first good one."""
    deadline = time.monotonic() + within_s
    replies = [ask(gateway)]
    while replies[-1].status != 200 and time.monotonic() < deadline:
        time.sleep(0.05)
        replies.append(ask(gateway))
    return replies


def assert_shaped(reply: Reply) -> None:
    assert reply.status == 502
    assert (reply.json["type"], reply.json["error"]["type"]) == ("error", "api_error")
    assert reply.json["error"]["message"].startswith("local could not be reached: ")
    assert reply.json["error"]["message"].endswith("see 'metis doctor'")


@pytest.mark.parametrize("victim", [model_process, keeper_process])
def test_a_crashed_model_is_back_within_seconds(gateway: Gateway, victim: object) -> None:
    assert callable(victim)
    assert ask(gateway).status == 200
    old = model_process(gateway)
    os.kill(victim(gateway), signal.SIGKILL)
    assert wait_until_gone(old, 2)
    *refused, answered = ask_until_it_answers(gateway, 15)
    assert refused
    for reply in refused:
        assert_shaped(reply)
    assert answered.status == 200
    assert model_process(gateway) != old
    answers = gateway.wait_for_rows("select * from calls where outcome = 'ok'", 2)
    assert len(answers) == 2
    # A pooled connection that died with the model makes a second attempt, hence another row.
    errors = gateway.rows("select * from calls where outcome = 'error'")
    assert len(refused) <= len(errors) <= len(refused) + 1
    costs = {(row["cost_nano_usd"], row["price_unknown"]) for row in (*answers, *errors)}
    assert costs == {(0, 0)}


def test_a_call_under_way_when_the_model_crashes_is_answered_in_shape(gateway: Gateway) -> None:
    pid = model_process(gateway)
    child = os.fork()
    if child == 0:
        time.sleep(0.5)
        os.kill(pid, signal.SIGKILL)
        os._exit(0)
    reply = ask(gateway, limit=400)
    os.waitpid(child, 0)
    assert_shaped(reply)


def test_it_dies_with_a_killed_supervisor(gateway: Gateway) -> None:
    assert ask(gateway).status == 200
    pid = model_process(gateway)
    others = children(gateway.process.pid)
    gateway.process.kill()
    gateway.process.wait()
    assert wait_until_gone(pid, 2)
    for other in others:
        assert wait_until_gone(other, 5)


def test_it_ends_with_an_orderly_stop(gateway: Gateway) -> None:
    pid = model_process(gateway)
    assert gateway.stop() == 0
    assert not alive(pid)
    assert "Traceback" not in gateway.log.read_text()


def test_its_secret_and_port_are_new_at_each_start_and_nowhere_to_be_read(gateway: Gateway) -> None:
    pid = model_process(gateway)
    port = listening_port(pid)
    for headers in ({}, {"authorization": "Bearer wrong"}, {"x-api-key": gateway.key}):
        refused = send(port, "/v1/chat/completions", {"messages": []}, headers)
        assert refused.status == 401
    origin = {"origin": "http://elsewhere.example", "access-control-request-method": "POST"}
    preflight = send(port, "/v1/chat/completions", None, origin, method="OPTIONS")
    allowed = {name: value for name, value in preflight.headers.items() if "allow" in name}
    assert set(allowed.values()) <= {"", "false"}
    os.kill(pid, signal.SIGKILL)
    assert ask_until_it_answers(gateway, 15)[-1].status == 200
    assert listening_port(model_process(gateway)) != port


def listening_port(pid: int) -> int:
    """The one TCP port a process listens on at 127.0.0.1."""
    sockets = {
        str(entry.readlink()).removeprefix("socket:[").removesuffix("]")
        for entry in Path(f"/proc/{pid}/fd").iterdir()
        if entry.is_symlink()
    }
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    (local,) = [row[1] for row in rows if row[3] == "0A" and row[9] in sockets]
    address, port = local.split(":")
    assert address == "0100007F"
    return int(port, 16)
