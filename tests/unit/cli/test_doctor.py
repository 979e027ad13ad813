"""`metis doctor` finds what is wrong, and says how to mend it."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from metis.storage.board import Board

PROVIDER = '[providers.anthropic]\nbase_url = "{url}"\n[gateway]\nport = 0\nadmin_port = 0\n'


def _examined(metis, *arguments: str) -> tuple[int, dict[str, dict]]:
    said = metis("doctor", "--json", *arguments)
    return said.code, {f["check"]: f for f in json.loads(said.out)["findings"]}


@pytest.fixture
def configured(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration with nothing wrong."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant")
    path = home / "metis.toml"
    path.write_text(PROVIDER.format(url="https://api.anthropic.com"))
    return path


def test_a_sound_installation_has_nothing_to_say(metis, configured: Path, data: Path):
    metis("keys", "create")
    code, found = _examined(metis)
    assert code == 0
    assert {f["status"] for f in found.values()} == {"ok"}
    assert {"python", "config", "data", "permissions", "gateway", "port", "ledger", "keys"} <= set(
        found
    )
    assert "0 failed, 0 doubtful" in metis("doctor").out


def test_a_missing_provider_key_is_an_error_with_its_variable(metis, configured, monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    code, found = _examined(metis)
    assert code == 1
    assert found["anthropic"] == {
        "check": "anthropic",
        "status": "error",
        "message": "no key: $ANTHROPIC_API_KEY is not set",
        "remedy": "export ANTHROPIC_API_KEY=..., or name another variable with [providers.anthropic] api_key_env",
    }


@pytest.mark.parametrize(
    ("config", "status", "message"),
    [
        ('[providers.bedrock]\nregion = "eu-central-1"\n', "ok", "https://bedrock-runtime.eu-central-1"),
        ("[providers.bedrock]\n", "error", "signed for a region"),
        ("[providers.vertex]\n", "error", "needs a region"),
        ('[providers.vertex]\nregion = "europe-west1"\n', "error", "needs a project"),
    ],
)  # fmt: skip
def test_a_cloud_is_asked_for_what_it_needs(
    metis, configured: Path, monkeypatch, config: str, status: str, message: str
):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    configured.write_text(config)
    _, found = _examined(metis)
    finding = found.get("bedrock") or found["providers"]
    assert finding["status"] == status
    assert message in finding["message"]


def test_a_base_url_with_an_endpoint_is_doubted(metis, configured: Path):
    configured.write_text(PROVIDER.format(url="https://api.anthropic.com/v1/messages"))
    code, found = _examined(metis)
    assert code == 0
    assert found["anthropic"]["status"] == "warning"
    assert found["anthropic"]["remedy"].startswith("remove /messages from")


def test_a_provider_that_cannot_be_built_is_an_error(metis, configured: Path):
    configured.write_text("[providers.x]\nkind = 'nope'\n")
    code, found = _examined(metis)
    assert (code, found["providers"]["status"]) == (1, "error")
    assert "unknown provider kind 'nope'" in found["providers"]["message"]


def test_damage_the_recorder_met_is_told_for_a_month(metis, configured: Path, data: Path):
    metis("keys", "create")
    now_ts = time.time_ns() // 1000
    board = Board(data / "run" / "board")
    board.add_damage(2, now_ts=now_ts - 40 * 86_400_000_000)
    assert "damage" not in _examined(metis)[1]
    board.add_damage(1, now_ts=now_ts)
    board.clear_workers()
    code, found = _examined(metis)
    assert (code, found["damage"]["status"]) == (0, "warning")
    assert found["damage"]["message"].startswith(
        "at least 3 places in spools could not be read, the last on "
    )
    board.close()


def test_what_up_could_not_use_is_an_error(metis, configured: Path):
    configured.write_text(configured.read_text() + "tls_cert = 'none'\n")
    code, found = _examined(metis)
    assert (code, found["config"]["status"]) == (1, "error")
    assert f"{configured}:6: gateway.tls_cert: set both" in found["config"]["message"]


def test_a_taken_port_is_an_error(metis, configured: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        configured.write_text(
            PROVIDER.format(url="https://api.anthropic.com").replace(
                "\nport = 0", f"\nport = {port}"
            )
        )
        code, found = _examined(metis)
    assert code == 1
    assert found["port"]["remedy"] == "stop what uses it, or choose another with --port"


def test_what_others_can_read_is_an_error_with_the_command_that_mends_it(
    metis, configured: Path, data: Path
):
    metis("keys", "create")
    (data / "metis.db").chmod(0o644)
    code, found = _examined(metis)
    assert code == 1
    assert found["permissions"]["message"] == f"{data}/metis.db can be read by others (mode 644)"
    assert os.system(found["permissions"]["remedy"]) == 0
    assert _examined(metis)[1]["permissions"]["status"] == "ok"


def test_a_data_directory_that_cannot_be_made_is_an_error(metis, configured: Path, tmp_path: Path):
    (tmp_path / "file").write_text("")
    code, found = _examined(metis, "--data", str(tmp_path / "file" / "x"))
    assert (code, found["data"]["status"]) == (1, "error")


class _Models(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        right = self.path == "/v1/models" and self.headers["x-api-key"] == "sk-right"
        self.send_response(200 if right else 401)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        return None


@pytest.fixture
def models() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Models)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("key", "status", "code"), [("sk-right", "ok", 0), ("sk-wrong", "error", 1)]
)
def test_online_asks_the_provider_with_its_key(
    metis, configured: Path, monkeypatch, models: str, key: str, status: str, code: int
):
    configured.write_text(PROVIDER.format(url=models))
    monkeypatch.setenv("ANTHROPIC_API_KEY", key)
    got, found = _examined(metis, "--online")
    assert (got, found["anthropic"]["status"]) == (code, status)
    assert "sk-" not in json.dumps(found)


def test_online_says_when_a_provider_cannot_be_reached(metis, configured: Path):
    configured.write_text(PROVIDER.format(url="http://127.0.0.1:9"))
    code, found = _examined(metis, "--online")
    assert code == 1
    assert "cannot be reached" in found["anthropic"]["message"]
