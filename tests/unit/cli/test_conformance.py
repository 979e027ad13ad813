"""`metis conformance`: its options, its exit codes, what it prints and writes."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from tests.upstream import FakeUpstream, Seen, Wire

from metis.cli.app import run_app
from metis.cli.conformance import WrongUse, shapes_from, target_from
from metis.conformance.stage import Target

MODELS = ("claude-x", "gpt-x", "gpt-y")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def test_headers_are_for_all_or_for_one_upstream() -> None:
    given = ["X-All: 1", "anthropic=x-provider:anthropic", "anthropic=x-host:http://a:1/v1"]
    target = target_from("http://gateway:1", "k", MODELS, given, None)
    assert target == Target(
        url="http://gateway:1",
        key="k",
        models={"anthropic": "claude-x", "openai": "gpt-x", "responses": "gpt-y"},
        headers={
            "": (("x-all", "1"),),
            "anthropic": (("x-provider", "anthropic"), ("x-host", "http://a:1/v1")),
        },
    )


@pytest.mark.parametrize("line", ["x", "gemini=x:1", ": y"])
def test_a_header_that_is_none_is_refused(line: str) -> None:
    with pytest.raises(WrongUse, match="--header"):
        target_from("http://gateway:1", "k", MODELS, [line], None)


def test_shapes_are_all_unless_named() -> None:
    assert shapes_from([]) == ("anthropic", "openai", "responses")
    assert shapes_from(["responses", "anthropic"]) == ("anthropic", "responses")


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--target", "ftp://x"],
        ["--target", "http://x", "--shape", "gemini"],
        ["--target", "http://x", "--only", "no-such-case"],
        ["--target", "http://x", "--upstream-port", "0"],
    ],
    ids=["no-target", "scheme", "shape", "case", "port"],
)
def test_wrong_use_leaves_with_2(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["conformance", *options]) == 2
    assert capsys.readouterr().err


def test_cases_are_listed_without_a_target(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["conformance", "--list", "--shape", "openai", "--only", "usage"]) == 0
    said = capsys.readouterr().out
    assert "usage-cached@anthropic" in said
    assert "LiteLLM #31069" in said
    assert "marker-limit" not in said


def test_failures_are_shown_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A gateway that answers everything itself."""

    async def answer(_seen: Seen, wire: Wire) -> None:
        body = {"id": "x", "choices": [{"message": {"content": "No."}, "finish_reason": "stop"}]}
        await wire.answer(200, json.dumps(body).encode())

    gateway, result = FakeUpstream(answer), tmp_path / "result.json"
    options = ["--target", gateway.url, "--shape", "openai", "--json", str(result)]
    options += ["--upstream-port", str(free_port()), "--only", "text", "--only", "retention"]
    assert run_app(["conformance", *options]) == 1
    gateway.close()
    said = capsys.readouterr().out
    assert "FAIL openai text\n" in said
    assert "seen No." in said
    cases = {one["id"]: one for one in json.loads(result.read_text())["cases"]}
    assert cases["text"]["outcome"] == "fail"
    assert cases["retention"]["outcome"] == "not applicable"


def test_a_gateway_that_is_not_there_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--target", f"http://127.0.0.1:{free_port()}", "--shape", "openai"]
    options += ["--upstream-port", str(free_port()), "--only", "text"]
    assert run_app(["conformance", *options]) == 1
    assert "ERROR openai text\n" in capsys.readouterr().out


def test_a_shape_that_is_not_served_does_not_apply(capsys: pytest.CaptureFixture[str]) -> None:
    async def answer(_seen: Seen, wire: Wire) -> None:
        await wire.answer(404, b'{"error":"no route"}')

    gateway = FakeUpstream(answer)
    options = ["--target", gateway.url, "--shape", "responses"]
    assert run_app(["conformance", *options, "--upstream-port", str(free_port())]) == 0
    gateway.close()
    last = capsys.readouterr().out.splitlines()[-1].split()
    assert last[:5] == ["responses", "total", "0", "0", "0"]
