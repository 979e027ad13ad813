"""The real embedded model, started as the gateway starts it."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from metis.embedded.process import EmbeddedModel, EmbeddedProcess, make_orders
from metis.embedded.settings import EmbeddedSettings
from metis.errors import EmbeddedModelError

SMALL = EmbeddedSettings(slots=1, context_window=1024, max_output_tokens=64, threads=1)

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}
ASK = {"role": "user", "content": "weather in Paris for 3 days?"}


def post(
    model: EmbeddedModel, path: str, body: dict[str, Any], *, secret: str | None = None
) -> tuple[int, dict[str, str], bytes]:
    address = urlsplit(model.base_url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    headers = {
        "Authorization": f"Bearer {model.secret if secret is None else secret}",
        "Content-Type": "application/json",
        "Origin": "http://elsewhere.example",
    }
    connection.request("POST", path, json.dumps(body), headers)
    answer = connection.getresponse()
    found = (answer.status, dict(answer.getheaders()), answer.read())
    connection.close()
    return found


async def ask(
    model: EmbeddedModel, path: str, body: dict[str, Any], *, secret: str | None = None
) -> tuple[int, Any]:
    status, _, data = await asyncio.to_thread(post, model, path, body, secret=secret)
    return status, json.loads(data)


@pytest.fixture(scope="module")
def running() -> Any:
    """One model for all tests that only talk to it, on a loop of its own."""
    loop = asyncio.new_event_loop()
    process = EmbeddedProcess(SMALL)
    model = loop.run_until_complete(process.start())
    yield model
    loop.run_until_complete(process.stop())
    loop.close()


@contextlib.asynccontextmanager
async def started(
    settings: EmbeddedSettings,
) -> AsyncIterator[tuple[EmbeddedProcess, EmbeddedModel]]:
    process = EmbeddedProcess(settings)
    try:
        yield process, await process.start()
    finally:
        await process.stop()


def gone(pid: int, within_s: float = 5.0) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def test_it_tells_its_window_and_hides_its_secret(running: EmbeddedModel) -> None:
    shown = replace(running, secret="", pid=0, base_url="")
    assert shown == EmbeddedModel(
        base_url="",
        secret="",
        pid=0,
        model="smollm2-135m",
        context_window=1024,
        max_output_tokens=64,
    )
    assert running.base_url.startswith("http://127.0.0.1:")
    assert running.secret not in repr(running)
    for file in ("cmdline", "environ"):
        assert running.secret.encode() not in Path(f"/proc/{running.pid}/{file}").read_bytes()


async def test_a_wrong_secret_is_refused(running: EmbeddedModel) -> None:
    body = {"messages": [ASK]}
    found = [
        await ask(running, "/v1/chat/completions", body, secret=secret) for secret in ("", "wrong")
    ]
    refused = {"error": {"message": "Invalid API Key", "type": "authentication_error", "code": 401}}
    assert found == [(401, refused), (401, refused)]


async def test_no_origin_is_allowed(running: EmbeddedModel) -> None:
    body = {"max_tokens": 1, "messages": [ASK]}
    status, headers, _ = await asyncio.to_thread(post, running, "/v1/chat/completions", body)
    allowed = {name: value for name, value in headers.items() if name.startswith("Access-Control")}
    assert (status, allowed) == (200, {"Access-Control-Allow-Origin": ""})


async def test_chat_completions_answers_with_usage(running: EmbeddedModel) -> None:
    body = {"max_tokens": 4, "messages": [{"role": "user", "content": "Say hello."}]}
    status, found = await ask(running, "/v1/chat/completions", body)
    usage = found["usage"]
    assert status == 200
    assert found["choices"][0]["message"]["content"]
    assert usage["completion_tokens"] == 4
    assert usage["total_tokens"] == usage["prompt_tokens"] + 4


async def test_a_stream_ends_with_usage_and_done(running: EmbeddedModel) -> None:
    body = {
        "max_tokens": 4,
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [ASK],
    }
    status, _, data = await asyncio.to_thread(post, running, "/v1/chat/completions", body)
    events = [line.removeprefix("data: ") for line in data.decode().splitlines() if line]
    assert (status, events[-1]) == (200, "[DONE]")
    assert json.loads(events[-2])["usage"]["completion_tokens"] == 4


async def test_messages_and_count_tokens_answer(running: EmbeddedModel) -> None:
    body = {"max_tokens": 4, "messages": [ASK]}
    status, message = await ask(running, "/v1/messages", body)
    _, count = await ask(running, "/v1/messages/count_tokens", body)
    usage = message["usage"]
    assert (status, message["type"], message["stop_reason"]) == (200, "message", "max_tokens")
    assert count == {"input_tokens": usage["input_tokens"] + usage["cache_read_input_tokens"]}


async def test_responses_answers(running: EmbeddedModel) -> None:
    status, found = await ask(running, "/v1/responses", {"max_output_tokens": 4, "input": "hi"})
    assert (status, found["object"], found["usage"]["output_tokens"]) == (200, "response", 4)


async def test_a_forced_tool_is_called_once_with_arguments_of_its_schema(
    running: EmbeddedModel,
) -> None:
    body = {
        "max_tokens": 60,
        "tools": [TOOL],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "messages": [ASK, {"role": "assistant", "content": "<tool_call>\n"}],
    }
    status, found = await ask(running, "/v1/chat/completions", body)
    choice = found["choices"][0]
    (call,) = choice["message"]["tool_calls"]
    arguments = json.loads(call["function"]["arguments"])
    assert (status, choice["finish_reason"]) == (200, "tool_calls")
    assert call["function"]["name"] == "get_weather"
    assert {name: type(value) for name, value in arguments.items()} == {"city": str, "days": int}


async def test_offered_tools_do_not_hinder_plain_text(running: EmbeddedModel) -> None:
    body = {"max_tokens": 12, "tools": [TOOL], "messages": [{"role": "user", "content": "hello"}]}
    status, found = await ask(running, "/v1/chat/completions", body)
    assert (status, found["choices"][0]["message"]["role"]) == (200, "assistant")


async def test_a_prompt_over_the_window_is_refused_with_both_counts(
    running: EmbeddedModel,
) -> None:
    body = {"max_tokens": 4, "messages": [{"role": "user", "content": "word " * 2000}]}
    found = [await ask(running, path, body) for path in ("/v1/chat/completions", "/v1/messages")]
    refused = {
        "error": {
            "code": 400,
            "message": "request (2031 tokens) exceeds the available context size (1024 tokens), "
            "try increasing it",
            "type": "exceed_context_size_error",
            "n_prompt_tokens": 2031,
            "n_ctx": 1024,
        }
    }
    assert found == [(400, refused), (400, refused)]


async def test_stop_ends_the_process_and_wait_tells_its_exit_code() -> None:
    async with started(SMALL) as (process, model):
        await process.stop(timeout_s=60)
        assert (await process.wait(), gone(model.pid)) == (0, True)


async def test_wait_tells_of_a_crash() -> None:
    async with started(SMALL) as (process, model):
        os.kill(model.pid, signal.SIGKILL)
        assert await asyncio.wait_for(process.wait(), 5) == -signal.SIGKILL


def test_it_dies_with_a_killed_parent() -> None:
    parent_code = (
        "import asyncio\n"
        "from metis.embedded.process import EmbeddedProcess\n"
        "from metis.embedded.settings import EmbeddedSettings\n"
        "async def main():\n"
        "    process = EmbeddedProcess(EmbeddedSettings(slots=1, context_window=1024, threads=1))\n"
        "    print((await process.start()).pid, flush=True)\n"
        "    await process.wait()\n"
        "asyncio.run(main())\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", parent_code], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child_pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert gone(child_pid)


async def test_weights_that_are_no_model_are_an_error_with_a_reason(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(2_000_000))
    process = EmbeddedProcess(EmbeddedSettings(weights=str(broken)))
    with pytest.raises(EmbeddedModelError, match="did not start"):
        await process.start()
    assert await process.wait() != 0


async def test_a_start_that_takes_too_long_is_given_up() -> None:
    process = EmbeddedProcess(EmbeddedSettings(start_timeout_s=0.01))
    with pytest.raises(EmbeddedModelError, match="start_timeout_s"):
        await process.start()
    assert await process.wait() in (0, -signal.SIGKILL)


def test_every_start_has_a_secret_of_its_own() -> None:
    first, second = make_orders(SMALL), make_orders(SMALL)
    assert len(first.secret) >= 43
    assert first.secret != second.secret


async def test_waiting_for_what_never_started_is_an_error() -> None:
    with pytest.raises(EmbeddedModelError, match="never started"):
        await EmbeddedProcess(SMALL).wait()
