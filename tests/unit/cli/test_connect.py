"""`metis connect`, tool by tool: what is shown, what is written, and that it all comes off again."""

from __future__ import annotations

import json
import stat
import subprocess
import tomllib
from pathlib import Path

import msgspec
import pytest
from ruamel.yaml import YAML

from metis.cli.editing.document import open_document
from metis.clients import CLIENTS
from metis.clients.client import Gateway, Removed

ROOT = Path(__file__).parents[3]
URL = "http://127.0.0.1:8080"
CONNECTABLE = [client for client in CLIENTS if client.connect is not None]
WRITABLE = ["claude", "codex", "opencode", "cline", "continue", "aider", "sdk", "kilo", "pi"]
BY_HAND = ["cursor", "qwen", "copilot"]


def _key_in(path: Path) -> str:
    return path.read_text().strip()


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _tree(home: Path) -> dict[Path, tuple[bytes, int]]:
    return {
        path: (path.read_bytes(), _mode(path))
        for path in home.rglob("*")
        if path.is_file() and ".local" not in path.parts
    }


def _active_keys(metis) -> dict[str, str]:
    return {key["name"]: key["prefix"] for key in json.loads(metis("keys", "list", "--json").out)}


def test_claude_code_gets_a_key_helper_and_the_gateways_root(metis, home: Path, data: Path):
    settings = home / ".claude" / "settings.json"
    settings.parent.mkdir()
    settings.write_text(
        '{"permissions": {"allow": ["Bash"]}, "env": {"ANTHROPIC_API_KEY": "mine"}}'
    )
    said = metis("connect", "claude", "--write")
    assert said.code == 0
    key_file = data / "connect" / "claude-code" / "key"
    assert json.loads(settings.read_text()) == {
        "permissions": {"allow": ["Bash"]},
        "env": {
            "ANTHROPIC_BASE_URL": URL,
            "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY": "1",
            "CLAUDE_CODE_GATEWAY_HINT_HEADERS": "1",
        },
        "apiKeyHelper": f"cat '{key_file}'",
    }
    assert _mode(key_file) == 0o600
    helper = json.loads(settings.read_text())["apiKeyHelper"]
    printed = subprocess.run(helper, shell=True, capture_output=True, text=True, check=True).stdout
    assert printed.startswith(_active_keys(metis)["claude-code"] + "-")
    assert printed.strip() not in said.out


def test_codex_gets_a_provider_with_an_auth_command(metis, home: Path, data: Path):
    config = home / ".codex" / "config.toml"
    config.parent.mkdir()
    config.write_text('# mine\nmodel = "gpt-5.2"\n')
    assert metis("connect", "codex", "--write", "--url", "https://gw.example/v1/").code == 0
    assert tomllib.loads(config.read_text()) == {
        "model": "gpt-5.2",
        "model_provider": "metis",
        "model_providers": {
            "metis": {
                "name": "Metis",
                "base_url": "https://gw.example/v1",
                "wire_api": "responses",
                "auth": {"command": "cat", "args": [str(data / "connect" / "codex" / "key")]},
            }
        },
    }
    assert config.read_text().startswith("# mine\n")


def test_a_key_can_stay_in_a_variable(metis, home: Path, data: Path):
    assert metis("connect", "codex", "--write", "--key-env", "MY_KEY").code == 0
    provider = tomllib.loads((home / ".codex" / "config.toml").read_text())["model_providers"][
        "metis"
    ]
    assert (provider["env_key"], "auth" in provider) == ("MY_KEY", False)
    assert metis("connect", "opencode", "--write", "--key-env", "MY_KEY").code == 0
    opencode = json.loads((home / ".config" / "opencode" / "opencode.json").read_text())
    assert opencode["provider"]["openai"]["options"] == {
        "baseURL": f"{URL}/v1",
        "apiKey": "{env:MY_KEY}",
    }
    assert not (data / "metis.db").exists()
    refused = metis("connect", "cline", "--write", "--key-env", "MY_KEY")
    assert refused.code == 1
    assert "Cline cannot read its key from a variable" in refused.err


def test_a_given_key_is_used_and_never_revoked(metis, home: Path, data: Path):
    key = metis("keys", "create", "--name", "given").out.strip()
    given = ("--key", key, "--model", "claude-sonnet-4-5")
    assert metis("connect", "cline", "--write", *given).code == 0
    providers = home / ".cline" / "data" / "settings" / "providers.json"
    assert json.loads(providers.read_text())["providers"]["anthropic"]["settings"] == {
        "provider": "anthropic",
        "apiKey": key,
        "model": "claude-sonnet-4-5",
        "baseUrl": f"{URL}/v1",
        "headers": {"x-metis-client": "cline"},
    }
    assert _mode(providers) == 0o600
    assert metis("connect", "cline", "--undo").code == 0
    assert not providers.exists()
    assert list(_active_keys(metis)) == ["given"]


def test_continue_reads_its_key_from_its_own_secrets(metis, home: Path):
    config = home / ".continue" / "config.yaml"
    config.parent.mkdir()
    config.write_text("name: mine\nmodels:\n  - name: other # keep\n    provider: openai\n")
    assert metis("connect", "continue", "--write", "--model", "gpt-5.2").code == 0
    assert "# keep" in config.read_text()
    assert YAML(typ="safe").load(config.read_text())["models"] == [
        {"name": "other", "provider": "openai"},
        {
            "name": "Metis",
            "provider": "openai",
            "model": "gpt-5.2",
            "apiBase": f"{URL}/v1",
            "apiKey": "${{ secrets.METIS_API_KEY }}",
            "roles": ["chat", "edit", "apply"],
            "requestOptions": {"headers": {"x-metis-client": "continue"}},
        },
    ]
    secrets = home / ".continue" / ".env"
    assert secrets.read_text().startswith("METIS_API_KEY=sk-metis-")
    assert _mode(secrets) == 0o600


def test_aider_and_sdks_get_files_a_shell_can_read(metis, home: Path):
    assert metis("connect", "aider", "--write").code == 0
    assert metis("connect", "sdk", "--write").code == 0
    named = YAML(typ="safe").load((home / ".aider.conf.yml").read_text())["env-file"]
    for path in (Path(named), home / ".config" / "metis" / "sdk.env"):
        assert _mode(path) == 0o600
        shell = f"set -a; . {path}; echo $ANTHROPIC_API_BASE $OPENAI_API_BASE $OPENAI_API_KEY"
        said = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True)
        root, v1, key = said.stdout.split()
        assert (root, v1, key[:9]) == (URL, f"{URL}/v1", "sk-metis-")


@pytest.mark.parametrize("tool", WRITABLE)
def test_twice_changes_nothing_and_undo_restores_everything(metis, home: Path, data: Path, tool):
    before = _tree(home)
    assert metis("connect", tool, "--write").code == 0
    written = _tree(home)
    assert written != before
    again = metis("connect", tool, "--write")
    assert "already; nothing to change" in again.out
    assert _tree(home) == written
    [prefix] = _active_keys(metis).values()
    undone = metis("connect", tool, "--undo")
    assert undone.code == 0
    assert f"key {prefix}: revoked\n" in undone.out
    assert _tree(home) == before
    assert _active_keys(metis) == {}
    assert metis("connect", tool, "--undo").err == (
        f"metis: {tool} is not connected; there is nothing to undo\n"
    )


@pytest.mark.parametrize("given", [False, True])
def test_what_could_not_be_written_leaves_no_key(metis, home: Path, data: Path, given: bool):
    config = home / ".codex" / "config.toml"
    config.parent.mkdir()
    config.write_text("oops [")
    key = metis("keys", "create", "--name", "given").out.strip()
    said = metis("connect", "codex", "--write", *(("--key", key) if given else ()))
    assert said.code == 1
    assert "cannot edit" in said.err
    assert config.read_text() == "oops ["
    assert list(_active_keys(metis)) == ["given"]
    assert not (data / "connect" / "codex" / "key").exists()
    config.write_text("")
    assert metis("connect", "codex", "--write").code == 0
    assert set(_active_keys(metis)) == {"given", "codex"}
    config.write_text("oops [")
    assert metis("connect", "codex", "--write", "--url", "http://127.0.0.1:1").code == 1
    assert set(_active_keys(metis)) == {"given", "codex"}


def test_a_revoked_key_is_replaced_by_a_new_one(metis, home: Path, data: Path):
    metis("connect", "codex", "--write")
    first = _key_in(data / "connect" / "codex" / "key")
    metis("keys", "revoke", _active_keys(metis)["codex"])
    metis("connect", "codex", "--write")
    second = _key_in(data / "connect" / "codex" / "key")
    assert first != second
    assert second.startswith(_active_keys(metis)["codex"] + "-")


@pytest.mark.parametrize("client", CONNECTABLE, ids=lambda client: client.commands[0])
def test_without_write_everything_is_shown_and_nothing_touched(metis, home: Path, data, client):
    before = _tree(home)
    said = metis("connect", client.commands[0])
    assert said.code == 0
    assert client.title in said.out
    assert URL in said.out
    assert _tree(home) == before
    assert not data.exists() or not (data / "connect").exists()


@pytest.mark.parametrize("tool", BY_HAND)
def test_what_no_file_reaches_is_shown_and_refused(metis, home: Path, tool: str):
    said = metis("connect", tool, "--write")
    assert said.code == 1
    assert URL in said.out
    assert said.err.startswith("metis: nothing was written: ")


def test_cursor_warns_unless_the_address_is_public(metis):
    assert "cannot work" in metis("connect", "cursor").out
    public = metis("connect", "cursor", "--url", "https://metis.example.com").out
    assert "must be reachable from the internet" in public
    assert "https://metis.example.com/v1" in public


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("emacs",), "unknown tool 'emacs'; known are claude, codex,"),
        (("claude", "--url", "example.com"), "'example.com' is no http(s) URL"),
        (("claude", "--key", "sk-ant-x"), "that is no Metis key"),
    ],
)
def test_what_cannot_be_done_is_said_with_its_remedy(metis, arguments, message: str):
    said = metis("connect", *arguments)
    assert said.code == (2 if "--url" in arguments else 1)
    assert message in said.err


def test_the_running_gateways_address_is_used(metis, data: Path):
    (data / "run").mkdir(parents=True)
    running = {"url": "http://127.0.0.1:5555", "admin_url": "x", "pid": 1}
    (data / "run" / "gateway.json").write_bytes(msgspec.json.encode(running))
    assert "http://127.0.0.1:5555" in metis("connect", "claude").out


@pytest.mark.parametrize("client", CONNECTABLE, ids=lambda client: client.commands[0])
@pytest.mark.parametrize("model", ["", "gpt-5.2", "local/smollm2-135m"])
def test_every_recipe_makes_files_of_its_format_and_keeps_the_key_private(client, model: str):
    gateway = Gateway(
        url=URL, key="sk-metis-KEY", key_file="/data/key", model=model, home="/h", environ={}
    )
    recipe = client.connect(gateway)
    for edit in recipe.files:
        document = open_document("", edit.format)
        for setting in edit.settings:
            if not isinstance(setting.value, Removed):
                document.set(setting.path, setting.value)
        text = document.render()
        open_document(text, edit.format)
        assert ("sk-metis-KEY" in text) == edit.secret, edit.path
    assert recipe.files or recipe.by_hand
    assert recipe.key_place


@pytest.mark.parametrize("client", CONNECTABLE, ids=lambda client: client.commands[0])
def test_every_tool_has_its_section(client):
    text = (ROOT / "docs" / "clients.md").read_text()
    title = "SDKs" if client.name == "sdk" else client.title
    assert f"\n## {title}\n" in text
    environ = dict.fromkeys(("CLAUDE_CONFIG_DIR", "CODEX_HOME", "PI_CODING_AGENT_DIR"), "/moved")
    moved = client.connect(Gateway(url=URL, key_file="/k", home="/h", environ=environ))
    for edit in moved.files:
        assert edit.path.startswith(("/moved/", "/h/"))
