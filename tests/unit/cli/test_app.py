"""How commands are asked, how they answer, and how they fail."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import typer.main

from metis import __version__
from metis.cli import leaving
from metis.cli.app import app
from metis.cli.quick import parse_up
from metis.config import UpOptions
from metis.errors import ConfigError

ROOT = Path(__file__).parents[3]


def _commands(command=None, path: tuple[str, ...] = ()):
    command = command or typer.main.get_command(app)
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
        return
    for name, one in inner.items():
        yield from _commands(one, (*path, name))


COMMANDS = dict(_commands())
LISTS = [("models",), ("keys", "list"), ("receipt",), ("tail",), ("doctor",), ("config", "show")]


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(metis, path: tuple[str, ...]):
    said = metis(*path, "--help")
    assert said.code == 0
    assert COMMANDS[path].help.splitlines()[0] in " ".join(said.out.split())
    assert "--help" in said.out
    assert said.err == ""


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_option_says_what_it_is_for(path: tuple[str, ...]):
    speechless = [p.name for p in COMMANDS[path].params if not getattr(p, "help", None)]
    assert speechless == []


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_is_documented(path: tuple[str, ...]):
    assert f"metis {' '.join(path)}" in (ROOT / "docs" / "cli.md").read_text()


@pytest.mark.parametrize("path", LISTS, ids=" ".join)
def test_all_that_list_speak_json(path: tuple[str, ...]):
    assert "--json" in {name for p in COMMANDS[path].params for name in p.opts}


@pytest.mark.parametrize(
    "arguments",
    [
        ("nope",),
        ("up", "--prot", "1"),
        ("up", "--port", "x"),
        ("up", "--port", "99999"),
        ("up", "--admin-port", "-1"),
        ("up", "--workers", "0"),
        ("keys", "create", "--expires", "soon"),
        ("keys", "rotate", "x", "--grace", "1y"),
        ("connect", "codex", "--key", "k", "--key-env", "K"),
        ("connect", "claude", "--url", "example.com"),
        ("connect", "claude", "--write", "--undo"),
        ("exec",),
        ("connect",),
    ],
)
def test_wrong_usage_leaves_with_2_and_no_traceback(metis, arguments: tuple[str, ...]):
    said = metis(*arguments)
    assert said.code == 2
    assert said.out == ""
    assert "Traceback" not in said.err


def test_an_error_is_one_line_with_its_remedy(metis):
    metis("keys", "create")
    said = metis("keys", "revoke", "nope")
    assert (said.code, said.out) == (1, "")
    assert said.err == "metis: there is no key 'nope'; see 'metis keys list'\n"


@pytest.mark.parametrize(
    "command",
    [
        "keys list",
        "keys list --json",
        "keys revoke x",
        "keys rotate x",
        "receipt",
        "receipt --list",
        "tail",
    ],
)
def test_what_only_reads_makes_no_data_directory(metis, tmp_path: Path, command: str):
    there, empty = tmp_path / "typo" / "x", tmp_path / "empty"
    empty.mkdir()
    for directory in (there, empty):
        said = metis(*command.split(), "--data", str(directory))
        assert (said.code, said.out) == (1, "")
        assert said.err.startswith(
            f"metis: there is no data of Metis in {directory}; 'metis up' or"
        )
    assert not there.exists()
    assert list(empty.iterdir()) == []


def test_a_wrong_configuration_is_told_with_file_and_line(metis, home: Path):
    (home / "metis.toml").write_text("[gateway]\nprot = 1\n")
    said = metis("config", "check")
    assert said.code == 1
    assert said.err == (
        f"metis: {home}/metis.toml:2: unknown field 'prot' in [gateway]; did you mean 'port'?\n"
    )


def test_config_check_sees_what_only_building_finds(metis, home: Path):
    (home / "metis.toml").write_text(
        "[providers.mine]\nkind = 'openai'\nbase_url = 'http://example.com'\n"
    )
    said = metis("config", "check")
    assert said.code == 1
    assert said.err.startswith(f"metis: {home}/metis.toml:3: providers.mine.base_url: ")
    assert "use https, or set allow_http = true" in said.err


def test_config_show_tells_what_set_each_value(metis, home: Path):
    (home / "metis.toml").write_text("[gateway]\nport = 9000\n")
    shown = json.loads(metis("config", "show", "--json").out)
    assert shown["file"] == str(home / "metis.toml")
    assert shown["values"]["gateway.port"] == {"value": 9000, "from": "metis.toml"}
    assert shown["values"]["gateway.host"] == {"value": "127.0.0.1", "from": "default"}
    assert shown["values"]["providers.local.kind"]["from"] == "no provider key found"


def test_config_show_never_shows_a_secret(metis, home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-very-secret")
    (home / "metis.toml").write_text(
        "[providers.anthropic]\n[providers.mine]\nkind='openai'\nheaders = { x-auth-token = 'abcdef' }\n"
    )
    for arguments in (("config", "show"), ("config", "show", "--json")):
        said = metis(*arguments)
        assert "sk-very-secret" not in said.out
        assert "abcdef" not in said.out
        assert "(hidden)" in said.out


def test_config_schema_is_a_json_schema_of_every_section(metis):
    schema = json.loads(metis("config", "schema").out)
    assert {"gateway", "providers", "routing", "trace"} <= set(
        schema["$defs"]["Config"]["properties"]
    )


def test_models_come_with_provider_and_default(metis, home: Path):
    (home / "metis.toml").write_text(
        "[providers.anthropic]\n[routing]\ndefault = 'claude-haiku-4-5'\n"
        "[catalog.aliases]\nfast = 'claude-haiku-4-5'\n"
    )
    shown = json.loads(metis("models", "--json").out)
    assert (shown["default"], shown["force"]) == ("claude-haiku-4-5", False)
    by_name = {model["model"]: model for model in shown["models"]}
    assert by_name["claude-haiku-4-5"]["provider"] == "anthropic"
    assert by_name["fast"]["alias_of"] == "claude-haiku-4-5"
    assert "claude-haiku-4-5" in metis("models").out


def test_version_is_said_in_one_line_too(metis):
    assert metis("--version").out == f"metis {__version__}\n"
    assert json.loads(metis("version", "--json").out)["metis"] == __version__


def test_quick_up_reads_what_the_command_line_reads():
    arguments = ["--port", "0", "--admin-port=1", "--data", "d", "--quiet", "--ephemeral"]
    arguments += ["--config", "c", "--host", "h", "--admin-host", "a", "--workers", "3"]
    assert parse_up([*arguments, "--ready-file=r"]) == UpOptions(
        port=0,
        admin_port=1,
        data="d",
        quiet=True,
        ephemeral=True,
        config="c",
        host="h",
        admin_host="a",
        workers=3,
        ready_file="r",
    )
    assert parse_up([]) == UpOptions()


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["-h"], ["--port"], ["--port", "x"], ["--port", "--quiet"], ["--quiet=1"], ["x"]],
)
def test_quick_up_leaves_the_unusual_to_the_command_line(arguments: list[str]):
    assert parse_up(arguments) is None


def test_quick_up_and_the_command_line_know_the_same_options():
    params = {p.name: p for p in COMMANDS[("up",)].params}
    fields = {f.name: f for f in msgspec.structs.fields(UpOptions)}
    assert set(params) == set(fields)
    for name, param in params.items():
        assert "--" + name.replace("_", "-") in param.opts
        assert param.is_flag == isinstance(fields[name].default, bool)


def test_up_loads_neither_the_command_line_nor_the_admin_plane_before_it_serves():
    code = (
        "import sys; from metis.cli.quick import parse_up; import metis.cli.up; parse_up([]);"
        "print([m for m in ('typer', 'starlette', 'uvicorn', 'tomlkit', 'ruamel', 'metis.cli.app')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def _leave(capsys: pytest.CaptureFixture[str], raised: BaseException) -> tuple[object, str]:
    def command() -> int:
        raise raised

    with pytest.raises(SystemExit) as left:
        leaving.leave(command)
    return left.value.code, capsys.readouterr().err


def test_an_unexpected_error_is_short_and_says_how_to_report_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("METIS_DEBUG", raising=False)
    code, err = _leave(capsys, ZeroDivisionError("division\nby zero"))
    assert code == 1
    assert err.startswith("metis: internal error: ZeroDivisionError: division by zero\n")
    assert "METIS_DEBUG=1" in err
    assert "Traceback" not in err


def test_debug_shows_the_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("METIS_DEBUG", "1")
    for error in (ZeroDivisionError("x"), ConfigError("x")):
        code, err = _leave(capsys, error)
        assert code == 1
        assert "Traceback" in err


def test_ctrl_c_leaves_with_130_and_says_nothing(capsys: pytest.CaptureFixture[str]):
    assert _leave(capsys, KeyboardInterrupt()) == (130, "")


def test_a_reader_that_has_enough_is_no_failure():
    code = (
        "import sys; from metis.cli.leaving import leave\n"
        "def many():\n    while True: print('x' * 1000)\n"
        "leave(many)"
    )
    done = subprocess.run(
        f'{sys.executable} -c "{code}" | head -1 > /dev/null; echo ${{PIPESTATUS[0]}}',
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("0\n", "")
