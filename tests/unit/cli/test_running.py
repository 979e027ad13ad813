"""`metis exec`: what a command runs with, how it ends, and what is told of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from metis.cli.running import prepare
from metis.clients import client_for_command
from metis.clients.client import Gateway

URL = "http://127.0.0.1:5000"
KEY = "sk-metis-ab12cd34-x"
REAL = {
    "PATH": "/bin",
    "ANTHROPIC_API_KEY": "sk-ant-THEIRS",
    "OPENAI_API_KEY": "sk-THEIRS",
    "OPENROUTER_API_KEY": "sk-or-THEIRS",
    "ANTHROPIC_AUTH_TOKEN": "THEIRS",
}


def _prepared(
    tmp_path: Path, *command: str, environ: dict[str, str] | None = None, model: str = ""
) -> tuple[list[str], dict[str, str]]:
    gateway = Gateway(url=URL, key=KEY, model=model, home="/h", environ=REAL | (environ or {}))
    return prepare(client_for_command(command[0]), gateway, command, tmp_path)


def test_any_command_gets_the_variables_of_all_sdks_and_no_provider_key(tmp_path: Path):
    command, environment = _prepared(tmp_path, "python", "script.py")
    assert command == ["python", "script.py"]
    assert environment == {
        "PATH": "/bin",
        "ANTHROPIC_BASE_URL": URL,
        "ANTHROPIC_API_KEY": KEY,
        "OPENAI_BASE_URL": f"{URL}/v1",
        "OPENAI_API_KEY": KEY,
        "OPENAI_API_BASE": f"{URL}/v1",
        "ANTHROPIC_API_BASE": URL,
        "METIS_URL": URL,
        "METIS_KEY": KEY,
    }


@pytest.mark.parametrize(
    "tool", ["claude", "codex", "opencode", "kilo", "cline", "cn", "aider", "qwen", "copilot", "sh"]
)
def test_no_tool_gets_a_real_key_by_any_way(tmp_path: Path, tool: str):
    command, environment = _prepared(tmp_path, tool, "x")
    written = "".join(path.read_text() for path in tmp_path.iterdir())
    for text in (*command, *environment.values(), written):
        assert "THEIRS" not in text
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.iterdir())


def test_claude_code_gets_a_settings_file_that_wins_over_the_users(tmp_path: Path):
    command, environment = _prepared(tmp_path, "/usr/bin/claude", "-p", "hi")
    assert command == ["/usr/bin/claude", "--settings", f"{tmp_path}/settings.json", "-p", "hi"]
    assert "ANTHROPIC_API_KEY" not in environment
    assert json.loads((tmp_path / "settings.json").read_text())["env"] == {
        "ANTHROPIC_BASE_URL": URL,
        "ANTHROPIC_AUTH_TOKEN": KEY,
        "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY": "1",
        "CLAUDE_CODE_GATEWAY_HINT_HEADERS": "1",
        "ANTHROPIC_API_KEY": "",
    }


def test_a_flag_the_person_passed_is_not_passed_twice(tmp_path: Path):
    command, environment = _prepared(tmp_path, "claude", "--settings=mine.json", "-p", "hi")
    assert command == ["claude", "--settings=mine.json", "-p", "hi"]
    assert environment["ANTHROPIC_BASE_URL"] == URL
    assert list(tmp_path.iterdir()) == []


def test_codex_gets_a_provider_by_flags_and_the_key_by_a_variable(tmp_path: Path):
    command, environment = _prepared(tmp_path, "codex", "exec", "hi")
    assert command == [
        "codex",
        "-c",
        "model_provider=metis",
        "-c",
        f'model_providers.metis={{name="Metis",base_url="{URL}/v1",wire_api="responses",'
        'env_key="METIS_API_KEY"}',
        "exec",
        "hi",
    ]
    assert environment["METIS_API_KEY"] == KEY


def test_opencode_gets_configuration_in_a_variable(tmp_path: Path):
    _, environment = _prepared(tmp_path, "opencode", "run", "hi")
    content = json.loads(environment["OPENCODE_CONFIG_CONTENT"])
    options = {"baseURL": f"{URL}/v1", "apiKey": "{env:METIS_API_KEY}"}
    assert content == {"provider": {n: {"options": options} for n in ("anthropic", "openai")}}


def test_cline_and_continue_get_private_files(tmp_path: Path):
    _, environment = _prepared(tmp_path, "cline", "hi", model="gpt-5.2")
    providers = json.loads(Path(environment["CLINE_PROVIDER_SETTINGS_PATH"]).read_text())
    assert providers["lastUsedProvider"] == "openai-compatible"
    command, environment = _prepared(tmp_path, "cn", "-p", "hi")
    assert command == ["cn", "--config", f"{tmp_path}/config.yaml", "-p", "hi"]
    assert environment["METIS_API_KEY"] == KEY


def test_a_proxy_does_not_get_what_is_meant_for_this_machine(tmp_path: Path):
    _, environment = _prepared(
        tmp_path, "sh", environ={"HTTPS_PROXY": "http://p", "NO_PROXY": "corp"}
    )
    assert environment["NO_PROXY"] == "corp,127.0.0.1,localhost"
    assert environment["no_proxy"] == "127.0.0.1,localhost"
    _, environment = _prepared(tmp_path, "sh")
    assert "NO_PROXY" not in environment


CONFIG = """
[providers.anthropic]
base_url = "http://127.0.0.1:9"
api_key_env = "SOME_KEY"
[analytics]
baseline_model = ""
"""


class Exec:
    """`metis exec` as a process of its own, with a home of its own."""

    def __init__(self, folder: Path, *arguments: str, config: str = CONFIG) -> None:
        (folder / "metis.toml").write_text(config)
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "SOME_KEY": "sk-real"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "metis", "exec", *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


ASK = """
import json, os, urllib.request, urllib.error
body = {"model": "claude-haiku-4-5", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}
request = urllib.request.Request(os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages", method="POST",
    headers={"x-api-key": os.environ["ANTHROPIC_API_KEY"], "content-type": "application/json"},
    data=json.dumps(body).encode())
try:
    urllib.request.urlopen(request)
except urllib.error.HTTPError as error:
    print(error.code, "SOME_KEY" in os.environ)
raise SystemExit(7)
"""


def test_exit_code_output_and_receipt_are_told_apart(tmp_path: Path):
    ran = Exec(tmp_path, "--receipt", "r.json", "--", sys.executable, "-c", ASK)
    code, out, err = ran.end()
    assert (code, out) == (7, "502 False\n")
    receipt = json.loads((tmp_path / "r.json").read_text())
    assert (receipt["turns"], receipt["spend"]["errors"]) == (1, receipt["spend"]["calls"])
    assert "claude-haiku-4-5" in err
    assert not list((tmp_path / ".local/share/metis/run").glob("gateway.json"))


def test_a_signal_reaches_the_command_and_its_gateway_ends_with_it(tmp_path: Path):
    sleeper = "import time; print('up', flush=True); time.sleep(60)"
    ran = Exec(tmp_path, "--", sys.executable, "-c", sleeper)
    assert ran.process.stdout is not None
    assert ran.process.stdout.readline() == "up\n"
    running = json.loads((tmp_path / ".local/share/metis/run/gateway.json").read_text())
    ran.process.send_signal(signal.SIGTERM)
    code, _, _ = ran.end()
    assert code == 128 + signal.SIGTERM
    for _ in range(100):
        if not Path(f"/proc/{running['pid']}").exists():
            break
        time.sleep(0.05)
    assert not Path(f"/proc/{running['pid']}").exists()


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [("no-such-command", 127, "no such command"), ("./plain", 126, "it is not executable")],
)
def test_a_command_that_cannot_run_leaves_as_a_shell_would(tmp_path: Path, command, code, message):
    (tmp_path / "plain").write_text("x")
    got, out, err = Exec(tmp_path, "--", command).end()
    assert (got, out) == (code, "")
    assert message in err


def test_a_gateway_that_does_not_start_is_told_with_its_last_words(tmp_path: Path):
    config = "[gateway]\ntls_cert = 'none.pem'\ntls_key = 'none.pem'\n" + CONFIG
    code, out, err = Exec(tmp_path, "--", "true", config=config).end()
    assert (code, out) == (1, "")
    assert err.startswith("metis: the gateway did not start:\n")
    assert "cannot use the certificate" in err


def test_a_gateway_elsewhere_needs_its_key_and_keeps_its_receipt(tmp_path: Path):
    code, _, err = Exec(tmp_path, "--url", "http://127.0.0.1:1", "--", "true").end()
    assert code == 1
    assert "pass its key with --key" in err
    code, out, err = Exec(
        tmp_path, "--url", "http://127.0.0.1:1", "--key", KEY, "--", "sh", "-c", "echo $METIS_URL"
    ).end()
    assert (code, out) == (0, "http://127.0.0.1:1\n")
    assert "no receipt here" in err


def test_a_running_gateway_on_the_data_directory_is_used(tmp_path: Path):
    outer = Exec(
        tmp_path,
        "--",
        sys.executable,
        "-m",
        "metis",
        "exec",
        "--",
        sys.executable,
        "-c",
        "import os; print(os.environ['METIS_URL'], os.environ['METIS_KEY'][:17])",
    )
    code, out, err = outer.end()
    assert code == 0
    _, prefix = out.split()
    keys = subprocess.run(
        [sys.executable, "-m", "metis", "keys", "list", "--all", "--json"],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        check=True,
    ).stdout
    states = {key["prefix"]: key["state"] for key in msgspec.json.decode(keys)}
    assert states[prefix] == "revoked"
    assert len(states) == 2
    assert err.count("Receipt") == 2
