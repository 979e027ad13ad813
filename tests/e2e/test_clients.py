"""Real client tools through the gateway: every line of clients.list, in the upstream's own shape and across.

Each test has its own fake upstream, gateway and network namespace (loopback only), and reads the ledger
against what the upstream was asked. What a client does on a fault, pointed straight at a provider, is known;
through the gateway it must end as well.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import ROOT
from tests.e2e.clients.scene import CLIENT_TIMEOUT_S, REQUESTS, Outcome, Scene

pytestmark = pytest.mark.slow

OWN = Path(__file__).parent / "clients"
ANTHROPIC = """
[providers.anthropic]
base_url = "{upstream}"
api_key_env = "UPSTREAM_KEY"
"""
OPENAI = """
[providers.openai]
base_url = "{upstream}/v1"
api_key_env = "UPSTREAM_KEY"
"""
CLAUDE_FOR_ALL = '[routing]\ndefault = "anthropic/claude-sonnet-4-5"\nforce = true\n'
GPT_FOR_ALL = '[routing]\ndefault = "openai/gpt-5.2"\nforce = true\n'
# What the provider behind the gateway speaks. Across shapes an operator has one model answer for all;
# with Anthropic's alone embeddings have nowhere to go, so OpenAI's key stays there for them.
CONFIGS = {
    "same": ANTHROPIC + OPENAI,
    "messages": ANTHROPIC + OPENAI + CLAUDE_FOR_ALL,
    "chat": OPENAI + 'shapes = ["openai_chat"]\n' + GPT_FOR_ALL,
    "responses": OPENAI + 'shapes = ["openai_responses"]\n' + GPT_FOR_ALL,
}
SHAPES = {
    "messages": "anthropic_messages",
    "chat": "openai_chat",
    "responses": "openai_responses",
}
PATHS = {
    "/v1/messages": ("generate", "anthropic_messages"),
    "/v1/chat/completions": ("generate", "openai_chat"),
    "/v1/responses": ("generate", "openai_responses"),
    "/v1/messages/count_tokens": ("count_tokens", "anthropic_messages"),
    "/v1/embeddings": ("embeddings", "openai_chat"),
}
# What one answer of the fake upstream costs, by hand: Claude Sonnet 4.5 at 3, 0.30, 3.75 and 15 USD per
# million tokens (fresh, read, written, out) for 42, 1000, 100 and 17 of them; GPT-5.2 at 1.75, 0.175 and 14 for
# 142, 1000 and 17.
COSTS_NANO_USD = {"claude-sonnet-4-5": 1_056_000, "gpt-5.2": 661_500}


@dataclass(frozen=True)
class Tool:
    """What is known of one script: `needs` must be installed; `clients` are its names in the ledger.

    `crossings` are the upstreams that do not speak (all) its shapes. `session` finds in its output the session
    id that it tells its provider.
    """

    needs: dict[str, str]
    clients: frozenset[str]
    crossings: tuple[str, ...]
    session: str = ""


NODE = {"node": "npm/node/node_modules/node/bin/node"}
CODEX_NEEDS = {"codex": "npm/codex/node_modules/.bin/codex", **NODE}
PYTHON_NEEDS = {"pysdk": "venv/pysdk/bin/python"}
CODEX = Tool(
    CODEX_NEEDS, frozenset({"codex"}), ("messages", "chat"), r"^session id: ([0-9a-f-]{36})$"
)
TOOLS = {
    "claude": Tool(
        {"claude": "npm/claude/node_modules/.bin/claude"},
        frozenset({"claude-code"}),
        ("chat", "responses"),
        r'"session_id":"([0-9a-f-]{36})"',
    ),
    "codex": CODEX,
    "codex-openai": CODEX,
    "pysdk-anthropic": Tool(PYTHON_NEEDS, frozenset({"anthropic-python"}), ("chat", "responses")),
    "pysdk-openai": Tool(
        PYTHON_NEEDS, frozenset({"openai-python"}), ("messages", "chat", "responses")
    ),
    "jssdk": Tool(
        {"jssdk": "npm/jssdk/node_modules/openai", **NODE},
        frozenset({"anthropic-js", "openai-js"}),
        ("messages", "chat", "responses"),
    ),
}


@dataclass(frozen=True)
class Line:
    """One line of clients.list."""

    name: str
    script: str
    environment: tuple[tuple[str, str], ...]


@functools.cache
def lines() -> tuple[Line, ...]:
    """All of clients.list; () where it is not there, which `test_the_list_is_there` tells."""
    file = Path(os.environ.get("METIS_CLIENTS") or ROOT / "../shared/clients") / "clients.list"
    if not file.is_file():
        return ()
    entries = [line.split() for line in file.read_text().splitlines() if line.strip()]
    return tuple(
        Line(name, script, tuple((key, value) for key, _, value in (v.partition("=") for v in env)))
        for name, script, *env in entries
        if not name.startswith("#")
    )


def plays() -> list[Any]:
    """Every line with its own shape, then with each it must be translated to."""
    return [
        pytest.param(line, upstream, id=f"{line.name}-{upstream}")
        for line in lines()
        for upstream in ("same", *(TOOLS[line.script].crossings if line.script in TOOLS else ()))
    ]


@dataclass(frozen=True)
class Played:
    """What is left of a scene: the client's words, the upstream's requests, the ledger's rows."""

    outcome: Outcome
    requests: list[dict[str, Any]]
    calls: list[dict[str, Any]]
    turns: list[dict[str, Any]]
    log: str


class Theatre:
    """Plays scenes in a folder of their own, with the installed tools."""

    def __init__(self, scripts: Path, folder: Path) -> None:
        self._scripts = scripts
        self._folder = folder
        self._installed = Path(
            os.environ.get("CLIENTS") or Path.home() / ".cache" / "metis-clients"
        )

    def play(self, line: Line, upstream: str, scenario: str = "ok") -> Played:
        tool = TOOLS[line.script]
        self._require(tool)
        for part in ("npm", "venv"):
            (self._folder / part).symlink_to(self._installed / part)
        (self._folder / "logs").mkdir()
        scene = Scene(
            folder=str(self._folder),
            config='[embedded]\nuse = "never"\n' + CONFIGS[upstream],
            client=str(self._script(line.script)),
            upstream=str(self._upstream(line, upstream)),
            environment={**dict(line.environment), "TMO": str(CLIENT_TIMEOUT_S)},
            scenario=scenario,
        )
        command = [sys.executable, "-m", "tests.e2e.clients.scene"]
        if _can_isolate():
            command = ["bash", str(self._scripts / "netns.sh"), *command]
        run = subprocess.run(
            command,
            input=json.dumps(asdict(scene)),
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, "CLIENTS": str(self._folder), "METIS_CLIENTS": str(self._scripts)},
            timeout=CLIENT_TIMEOUT_S + 40,
            check=False,
        )
        log = self._folder / "gateway.log"
        assert run.returncode == 0, f"{run.stderr}\n{log.read_text() if log.exists() else ''}"
        return Played(
            outcome=Outcome(**json.loads(run.stdout.splitlines()[-1])),
            requests=_requests(self._folder / REQUESTS),
            calls=_rows(self._folder, "SELECT * FROM calls ORDER BY started_ts, id"),
            turns=_rows(self._folder, "SELECT * FROM turns"),
            log=log.read_text(),
        )

    def _require(self, tool: Tool) -> None:
        missing = [name for name, proof in tool.needs.items() if not self._at(proof).exists()]
        if missing:
            pytest.fail(
                f"not installed under {self._installed}: {', '.join(missing)}; run "
                f"scripts/install-clients, or {self._scripts}/install.sh {' '.join(missing)}"
            )

    def _at(self, proof: str) -> Path:
        return self._installed / proof

    def _script(self, name: str) -> Path:
        """The script of that name; ours stands in where the list names one that is not there."""
        file = f"run_{name}.sh"
        found = [folder / file for folder in (self._scripts, OWN) if (folder / file).is_file()]
        if not found:
            pytest.fail(f"clients.list names {name!r}, but there is no {file} in {self._scripts}")
        return found[0]

    def _upstream(self, line: Line, upstream: str) -> Path:
        crossed = line.script.startswith("codex") and upstream != "same"
        return OWN / "upstream.py" if crossed else self._scripts / "fake_upstream.py"


@functools.cache
def _can_isolate() -> bool:
    """Whether this machine lets us make a network namespace; without one the clients run plainly."""
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return False
    command = ["unshare", "-n", "-m", "-p", "-f", "--mount-proc", "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _requests(log: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in log.read_text().splitlines()]
    return [request for request in found if request["method"] == "POST"]


def _rows(folder: Path, query: str) -> list[dict[str, Any]]:
    with sqlite3.connect(f"file:{folder / 'data' / 'metis.db'}?mode=ro", uri=True) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(query)]


@pytest.fixture
def theatre(client_tools: Path, tmp_path: Path) -> Theatre:
    return Theatre(client_tools.resolve(), tmp_path)


def asked(request: dict[str, Any]) -> tuple[Any, ...]:
    """A request as the upstream saw it, in the ledger's terms."""
    operation, shape = PATHS[request["path"].partition("?")[0]]
    body = request["body"]
    status = int(request["response"].split()[0])
    return operation, shape, body["model"], bool(body.get("stream")), request["bytes"], status


def recorded(call: dict[str, Any]) -> tuple[Any, ...]:
    return (
        call["operation"],
        call["upstream_shape"],
        call["model"],
        bool(call["stream"]),
        call["request_bytes"],
        call["http_status"],
    )


def assert_in_order(played: Played) -> None:
    """Whatever happened: each upstream request stands in the ledger exactly once, and nothing crashed."""
    assert Counter(map(recorded, played.calls)) == Counter(map(asked, played.requests))
    assert {call["state"] for call in played.calls} == {"closed"}
    assert played.outcome.gateway_exit == 0
    assert "crashed" not in played.log and "Traceback" not in played.log, played.log


def assert_attributed(played: Played, tool: Tool) -> None:
    """Client and session are known, by the client's own session id where it has one."""
    assert {call["client"] for call in played.calls} == tool.clients
    told = {call["session_id"] for call in played.calls if call["operation"] != "count_tokens"}
    assert "" not in told
    if tool.session:
        assert told == set(re.findall(tool.session, played.outcome.said, re.MULTILINE))
    generated = [call for call in played.calls if call["operation"] == "generate"]
    assert {call["turn_id"] for call in generated} <= {turn["turn_id"] for turn in played.turns}


def assert_priced(played: Played) -> None:
    for call in played.calls:
        known = (call["usage_source"], call["price_unknown"], call["unpriced"])
        assert known == ("reported", 0, "[]"), call
        if call["operation"] == "generate":
            expected = COSTS_NANO_USD.get(call["model"])
            assert call["cost_nano_usd"] == expected or (
                expected is None and call["cost_nano_usd"] > 0
            )


def test_the_list_is_there_and_every_script_of_it_is_known(client_tools: Path) -> None:
    assert lines(), f"no clients.list in {client_tools}"
    assert {line.script for line in lines()} <= set(TOOLS), "say in TOOLS what a new script needs"


@pytest.mark.parametrize(("line", "upstream"), plays())
def test_a_client_goes_through_its_tool_loop(line: Line, upstream: str, theatre: Theatre) -> None:
    played = theatre.play(line, upstream)
    assert played.outcome.exit == 0, played.outcome.said
    assert_in_order(played)
    assert_attributed(played, TOOLS[line.script])
    assert_priced(played)
    shapes = {
        (c["shape"], c["upstream_shape"]) for c in played.calls if c["operation"] == "generate"
    }
    if upstream == "same":
        assert all(client == provider for client, provider in shapes)
    else:
        assert {provider for _, provider in shapes} == {SHAPES[upstream]}


# A fault, hit once on a request with tools unless it changes streams for good; the outcomes of the calls.
RETRIED = ["error", "ok", "ok"]
UNHARMED = ["ok", "ok"]
FAULTS = {
    "err529:1t": RETRIED,
    "err429:1t": RETRIED,
    "ssecut:1t": RETRIED,
    "sseerror:1t": RETRIED,
    "badjson:1t": RETRIED,
    "nousage": UNHARMED,
    "unknownevent": UNHARMED,
    "split": UNHARMED,
    "crlf": UNHARMED,
}
AGENTS = {
    "claude": Line("claude", "claude", (("A_MODEL", "claude-sonnet-4-5"),)),
    "codex": Line("codex", "codex", (("C_MODEL", "gpt-5.2"),)),
}


def faults() -> list[Any]:
    """Each fault in the client's own shape and in one it is translated from; these take turns."""
    return [
        pytest.param(agent, upstream, fault, id=f"{agent}-{upstream}-{fault}")
        for agent, line in AGENTS.items()
        for number, fault in enumerate(FAULTS)
        for upstream in ("same", TOOLS[line.script].crossings[number % 2])
    ]


@pytest.mark.parametrize(("agent", "upstream", "fault"), faults())
def test_an_agent_survives_what_it_survives_without_the_gateway(
    agent: str, upstream: str, fault: str, theatre: Theatre
) -> None:
    played = theatre.play(AGENTS[agent], upstream, fault)
    assert played.outcome.exit == 0, played.outcome.said
    assert_in_order(played)
    assert_attributed(played, TOOLS[agent])
    assert sorted(call["outcome"] for call in played.calls) == FAULTS[fault]
    if fault == "nousage":
        assert all(call["usage_source"] in ("reported", "estimated") for call in played.calls)
    for call in played.calls:
        assert (call["outcome"] == "error") == bool(call["failure"]), call
