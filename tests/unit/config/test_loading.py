"""What a configuration is made of, in which order, and what it refuses."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from metis.config import Config, Loaded, UpOptions, load_config, located
from metis.errors import ConfigError, UsageError
from metis.providers.settings import ProviderSettings


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads the metis.toml of the machine it runs on."""
    monkeypatch.chdir(tmp_path)


def _load(text: str, tmp_path: Path, environ: dict[str, str] | None = None, **options) -> Loaded:
    path = tmp_path / "given.toml"
    path.write_text(text)
    home = {"XDG_CONFIG_HOME": str(tmp_path / "c"), "XDG_DATA_HOME": str(tmp_path / "d")}
    return load_config(UpOptions(config=str(path), **options), home | (environ or {}))


def _refusal(text: str, tmp_path: Path) -> str:
    with pytest.raises(ConfigError) as raised:
        _load(text, tmp_path)
    return str(raised.value).removeprefix(f"{tmp_path / 'given.toml'}:")


def test_nothing_configured_means_defaults_and_the_embedded_model(tmp_path: Path):
    loaded = load_config(environ={"XDG_CONFIG_HOME": "/none", "XDG_DATA_HOME": str(tmp_path)})
    assert loaded.path is None
    assert loaded.config == Config(
        data_dir=str(tmp_path / "metis"), providers={"local": ProviderSettings()}
    )
    assert loaded.origins == {"providers.local": "no provider key found"}


def test_provider_keys_in_the_environment_bring_their_providers(tmp_path: Path):
    loaded = _load("", tmp_path, {"OPENAI_API_KEY": "x", "ANTHROPIC_API_KEY": "y"})
    assert loaded.config.providers == {
        "anthropic": ProviderSettings(api_key_env="ANTHROPIC_API_KEY"),
        "openai": ProviderSettings(api_key_env="OPENAI_API_KEY"),
    }
    assert loaded.origins["providers.openai"] == "$OPENAI_API_KEY"


def test_an_empty_key_is_no_key(tmp_path: Path):
    assert list(_load("", tmp_path, {"OPENAI_API_KEY": ""}).config.providers) == ["local"]


def test_configured_providers_stand_alone(tmp_path: Path):
    text = '[providers.anthropic]\nbase_url = "http://127.0.0.1:9901"\napi_key_env = "FAKE_KEY"\n'
    loaded = _load(text, tmp_path, {"OPENAI_API_KEY": "x"})
    assert list(loaded.config.providers) == ["anthropic"]


@pytest.mark.parametrize(
    ("use", "providers"),
    [("always", ["anthropic", "local"]), ("auto", ["anthropic"]), ("never", ["anthropic"])],
)
def test_the_embedded_model_joins_as_it_is_told(tmp_path: Path, use: str, providers: list[str]):
    text = f'[embedded]\nuse = "{use}"\n'
    assert list(_load(text, tmp_path, {"ANTHROPIC_API_KEY": "x"}).config.providers) == providers


def test_options_win_over_the_file_and_are_named_as_origin(tmp_path: Path):
    loaded = _load("[gateway]\nport = 1000\nworkers = 2\n", tmp_path, port=2000)
    assert (loaded.config.gateway.port, loaded.config.gateway.workers) == (2000, 2)
    assert loaded.origins["gateway.port"] == "--port"
    assert loaded.origins["gateway.workers"] == "given.toml"


def test_the_data_directory_is_looked_up_in_order(tmp_path: Path):
    text = 'data_dir = "beside"\n'
    assert _load(text, tmp_path).config.data_dir == str(tmp_path / "beside")
    environ = {"METIS_DATA": "/of/variable"}
    assert _load(text, tmp_path, environ).config.data_dir == "/of/variable"
    assert _load(text, tmp_path, environ, data="/of/option").config.data_dir == "/of/option"


def test_the_file_is_looked_up_in_order(tmp_path: Path):
    user = tmp_path / "user" / "metis" / "metis.toml"
    here, named = tmp_path / "metis.toml", tmp_path / "named.toml"
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "user")}
    user.parent.mkdir(parents=True)
    user.write_text("")
    assert load_config(environ=environ).path == user
    here.write_text("")
    assert load_config(environ=environ).path == here
    named.write_text("")
    assert load_config(environ=environ | {"METIS_CONFIG": str(named)}).path == named
    assert (
        load_config(UpOptions(config=str(user)), environ | {"METIS_CONFIG": str(named)}).path
        == user
    )


def test_a_named_file_that_is_not_there_is_an_error():
    with pytest.raises(ConfigError, match=r"no configuration file at nope\.toml \(from --config\)"):
        load_config(UpOptions(config="nope.toml"), {})
    with pytest.raises(ConfigError, match=r"\(from \$METIS_CONFIG\)"):
        load_config(environ={"METIS_CONFIG": "nope.toml"})


def test_relative_paths_belong_to_the_file_they_stand_in(tmp_path: Path):
    text = (
        '[gateway]\ntls_cert = "c.pem"\ntls_key = "/k.pem"\n'
        '[providers.openai]\napi_key_file = "secret"\n[upstream]\nca_file = "~/ca.pem"\n'
    )
    config = _load(text, tmp_path).config
    assert config.gateway.tls_cert == str(tmp_path / "c.pem")
    assert config.gateway.tls_key == "/k.pem"
    assert config.providers["openai"].api_key_file == str(tmp_path / "secret")
    assert config.upstream.ca_file == str(Path("~/ca.pem").expanduser())


def test_prices_are_exact_decimals(tmp_path: Path):
    text = '[[catalog.prices]]\nmodel = "x"\ninput = "0.15"\noutput = 0.6\n'
    [price] = _load(text, tmp_path).config.catalog.prices
    assert (price.input, price.output) == (Decimal("0.15"), Decimal("0.6"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[gateway]\nprot = 1\n", "2: unknown field 'prot' in [gateway]; did you mean 'port'?"),
        ("\n[gateway]\nport = 'x'\n", "3: gateway.port must be a whole number, not 'x'"),
        ("gateway = 1\n", "1: gateway must be a table, as in [gateway]"),
        (
            "[gatway]\nport = 1\n",
            "1: unknown field 'gatway' in metis.toml; did you mean 'gateway'?",
        ),
        (
            "[trace]\nfsync = 'sometimes'\n",
            "2: trace.fsync must be one of 'off', 'group', 'always', not 'sometimes'",
        ),
        (
            "[trace]\nspool_bytes = 5\n",
            "2: trace.spool_bytes must be a whole number >= 65536, not 5",
        ),
        ("[routing.projects.a]\nforce = true\n", "1: routing.projects.a needs 'default'"),
        (
            "[providers.a]\nkind = 'openai'\n[providers.b]\nmodels = 'x'\n",
            "4: providers.b.models must be a list, not 'x'",
        ),
        (
            "[[catalog.prices]]\nmodel = 'x'\ninput = 1\noutput = 2\n"
            "[[catalog.prices]]\nmodel = 'y'\ninput = 1\noutput = 2\ninptu = 3\n",
            "9: unknown field 'inptu' in [catalog.prices]; did you mean 'input'?",
        ),
        ("[gateway]\nport = 70000\n", "2: gateway.port must lie between 0 and 65535, not 70000"),
        ("[gateway]\nworkers = 0\n", "2: gateway.workers must lie between 1 and 64, not 0"),
        (
            "[turn]\nfirst_byte_timeout_s = -1\n",
            "2: turn.first_byte_timeout_s must be more than 0, not -1.0",
        ),
        ("[turn]\nidle_timeout_s = nan\n", "2: turn.idle_timeout_s must be more than 0, not nan"),
        ("[gateway]\nmax_body_bytes = 0\n", "2: gateway.max_body_bytes must be more than 0, not 0"),
        ("[upstream]\nidle_s = 0\n", "2: upstream.idle_s must be more than 0, not 0.0"),
        (
            "[gateway]\nadmin_port = 8080\n",
            "2: gateway.port and gateway.admin_port are both 8080; they need two ports",
        ),
        (
            "[providers.'a b']\n",
            "1: 'a b' cannot name a provider; use letters, digits, '-', '_' and '.'",
        ),
        ("[gateway\n", "1: Expected ']' at the end of a table declaration"),
        ("a = 1\na = 2\n", "2: Cannot overwrite a value"),
    ],
)
def test_a_fault_is_told_with_line_field_and_remedy(tmp_path: Path, text: str, message: str):
    assert _refusal(text, tmp_path).removeprefix(" ") == message


@pytest.mark.parametrize("field", ["api_key", "token", "password"])
def test_a_secret_in_the_file_is_refused_and_not_repeated(tmp_path: Path, field: str):
    message = _refusal(f"[providers.openai]\n{field} = 'sk-very-secret'\n", tmp_path)
    assert message == (
        f"2: {field!r} in [providers.openai] would put a secret into this file; name the environment "
        "variable that holds it with api_key_env, or a file with api_key_file"
    )


@pytest.mark.parametrize(
    "text",
    [
        "[providers.openai]\nheaders = { Authorization = 'Bearer sk-very-secret' }\n",
        "[providers.openai.headers]\nx-api-key = 'sk-very-secret'\n",
    ],
)
def test_a_credential_header_is_refused_and_not_repeated(tmp_path: Path, text: str):
    message = _refusal(text, tmp_path)
    assert message.startswith("2: the header ")
    assert "sk-very-secret" not in message


def test_a_wrong_option_is_named_as_the_person_typed_it(tmp_path: Path):
    with pytest.raises(UsageError, match=r"^--port: port must lie between 0 and 65535, not -1$"):
        _load("", tmp_path, port=-1)


def test_text_that_is_not_utf8_is_said_so(tmp_path: Path):
    path = tmp_path / "bad.toml"
    path.write_bytes(b"a = '\xff'\n")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        load_config(UpOptions(config=str(path)), {})


def test_an_error_found_later_gets_its_line(tmp_path: Path):
    loaded = _load("[gateway]\nport = 1\n\n[providers.mine]\nkind = 'x'\n", tmp_path)
    error = located(loaded, ConfigError("unknown kind 'x'", field="providers.mine.kind"))
    assert str(error) == f"{tmp_path / 'given.toml'}:5: providers.mine.kind: unknown kind 'x'"


def test_every_default_is_valid_by_its_own_rules(tmp_path: Path):
    plain = msgspec.to_builtins(Config())
    assert msgspec.convert(plain, Config) == Config()
