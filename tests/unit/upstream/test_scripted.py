"""The scripted way out: steps by the clock, timeouts, pauses and cancels as on a connection; and who takes it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from metis.errors import ConfigError
from metis.facts.failure import CallFailure, FailureCause
from metis.http.headers import Headers
from metis.providers.provider import Origin
from metis.providers.scripted.script import Script, ScriptedReply
from metis.turn.actions import Call
from metis.upstream.dialing import build_dialer
from metis.upstream.pool import UpstreamPool
from metis.upstream.scripted import Performer, ScriptedUpstream, read_script
from metis.upstream.settings import UpstreamSettings
from metis.upstream.switchboard import Switchboard

BODY = json.dumps(
    {
        "model": "m",
        "max_tokens": 50,
        "stream": True,
        "messages": [{"role": "user", "content": "hi"}],
    }
).encode()


def a_call(provider: str = "stage", **limits: float) -> Call:
    timeouts = {
        "connect_timeout_s": 1.0,
        "first_byte_timeout_s": 1.0,
        "idle_timeout_s": 1.0,
        **limits,
    }
    return Call(
        call_id="call_1",
        origin=Origin("http", "127.0.0.1", 1),
        head=b"POST /v1/messages HTTP/1.1\r\nhost: x\r\n\r\n",
        body=BODY,
        provider=provider,
        **timeouts,
    )


class Listener:
    """Writes down what it hears; `on_data` may act on it at once."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.failures: list[CallFailure] = []
        self.body = b""
        self.over = asyncio.Event()
        self.handle: Performer | None = None
        self.pause_at = self.cancel_at = 0

    def call_head(self, call_id: str, status: int, headers: Headers) -> None:
        self.heard.append(f"head {status}")

    def call_data(self, call_id: str, data: bytes) -> None:
        self.heard.append("data")
        self.body += data
        count = self.heard.count("data")
        if self.handle is not None and count == self.pause_at:
            self.handle.pause()
        if self.handle is not None and count == self.cancel_at:
            self.handle.cancel()

    def call_end(self, call_id: str) -> None:
        self.heard.append("end")
        self.over.set()

    def call_failed(self, call_id: str, failure: CallFailure) -> None:
        self.failures.append(failure)
        self.heard.append(f"failed {failure.cause}")
        self.over.set()


def start(reply: ScriptedReply, listener: Listener, **limits: float) -> Performer:
    handle = ScriptedUpstream(Script(replies=(reply,))).start(a_call(**limits), listener)
    listener.handle = handle
    return handle


async def until_over(listener: Listener) -> list[str]:
    await asyncio.wait_for(listener.over.wait(), 5)
    return listener.heard


async def test_nothing_is_heard_before_the_loop_turns() -> None:
    listener = Listener()
    start(ScriptedReply(text="hi"), listener)
    assert listener.heard == []
    heard = await until_over(listener)
    assert (heard[0], heard[-1]) == ("head 200", "end")
    assert b"message_stop" in listener.body


async def test_delays_are_waited_for() -> None:
    listener, loop = Listener(), asyncio.get_running_loop()
    began = loop.time()
    start(ScriptedReply(text="hi", delay_ms=40, chunk_delay_ms=4), listener)
    await until_over(listener)
    waited = (listener.heard.count("data") - 1) * 0.004 + 0.040
    assert loop.time() - began >= waited * 0.99


async def test_an_answer_that_is_late_times_out_as_on_a_connection() -> None:
    listener = Listener()
    start(ScriptedReply(fault="hang"), listener, first_byte_timeout_s=0.02)
    assert await until_over(listener) == ["failed first_byte_timeout"]
    assert str(listener.failures[0].message) == "no answer within 0.02 s"


async def test_silence_inside_an_answer_times_out_as_on_a_connection() -> None:
    listener = Listener()
    start(ScriptedReply(fault="hang", fault_after=1), listener, idle_timeout_s=0.02)
    assert await until_over(listener) == ["head 200", "data", "failed idle_timeout"]
    assert listener.failures[0].cause is FailureCause.IDLE_TIMEOUT


async def test_a_pause_holds_the_rest_back_until_it_is_resumed() -> None:
    listener = Listener()
    listener.pause_at = 2
    handle = start(ScriptedReply(text="hello"), listener, idle_timeout_s=0.01)
    await asyncio.sleep(0.05)
    assert listener.heard == ["head 200", "data", "data"]
    handle.resume()
    assert (await until_over(listener))[-1] == "end"


async def test_a_pause_before_the_first_step_holds_everything_back() -> None:
    listener = Listener()
    handle = start(ScriptedReply(text="hello"), listener)
    handle.pause()
    await asyncio.sleep(0.01)
    assert listener.heard == []
    handle.resume()
    handle.resume()
    assert (await until_over(listener)).count("head 200") == 1


async def test_after_a_cancel_nothing_is_heard() -> None:
    listener = Listener()
    listener.cancel_at = 1
    handle = start(ScriptedReply(text="hello", chunk_delay_ms=1), listener)
    await asyncio.sleep(0.03)
    handle.resume()
    await asyncio.sleep(0.01)
    assert listener.heard == ["head 200", "data"]


async def test_calls_of_other_providers_go_to_the_pool() -> None:
    pool = UpstreamPool(UpstreamSettings(), build_dialer(UpstreamSettings(), {}, ()))
    board = Switchboard(pool, {"stage": ScriptedUpstream(Script())})
    scripted, dialled = Listener(), Listener()
    board.start(a_call("stage"), scripted)
    board.start(a_call("elsewhere"), dialled)  # nothing listens on port 1
    assert (await until_over(scripted))[-1] == "end"
    assert await until_over(dialled) == ["failed refused"]
    board.close()


def test_a_script_is_read_by_its_suffix(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text('[[replies]]\ntext = "hi"\n')
    (tmp_path / "s.json").write_text('{"replies": [{"text": "hi"}]}')
    expected = Script(replies=(ScriptedReply(text="hi"),))
    assert read_script(tmp_path / "s.toml", "f") == expected
    assert read_script(tmp_path / "s.json", "f") == expected


def test_a_script_that_is_not_there_is_named_with_its_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file") as caught:
        read_script(tmp_path / "none.json", "providers.stage.script")
    assert caught.value.field == "providers.stage.script"
