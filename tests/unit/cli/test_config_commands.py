"""What a configuration names and cannot be used is found before anything is made, by `config check` and `up` alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from metis.cli import up

MINE = "[providers.mine]\nkind = 'openai'\n"
CASES = [
    ("[storage]\nurl = 'postgres://x'\n", "2: storage.url: storage url 'postgres://x' has no known scheme"),
    ("[storage]\nurl = 'memory:'\n", "2: storage.url: what is kept in 'memory:'"),
    ("[storage]\nurl = 'sqlite:x'\n", "2: storage.url: storage url 'sqlite:x' names no file"),
    ("[providers.scripted]\nscript = 'none.toml'\n", "2: providers.scripted.script: cannot read "),
    ("[providers.scripted]\nscript = 'bad.toml'\n", "2: providers.scripted.script: the script cannot"),
    ("[gateway]\ntls_cert = 'bad.pem'\n", "gateway.tls_cert: set both tls_cert and tls_key"),
    ("[gateway]\ntls_key = 'bad.pem'\n", "gateway.tls_cert: set both tls_cert and tls_key"),
    ("[gateway]\ntls_cert = 'bad.pem'\ntls_key = 'bad.pem'\n", "2: gateway.tls_cert: cannot use"),
    ("[gateway]\ntls_cert = 'none'\ntls_key = 'none'\n", "2: gateway.tls_cert: cannot use"),
    (MINE + "shapes = []\n", "3: providers.mine.shapes: the list is empty; name a shape"),
    (MINE + "shapes = ['anthropic_messages']\n", "3: providers.mine.shapes: a openai provider has no path"),
    ("[upstream]\nca_file = 'none.pem'\n", "2: upstream.ca_file: cannot read CA file"),
    ("[upstream]\nca_file = 'bad.pem'\n", "2: upstream.ca_file: cannot read CA file"),
    ("[upstream]\nproxy = 'socks5://u:pw@h:1'\n", "2: upstream.proxy: a socks5:// proxy is not spoken to"),
    ("[upstream]\nproxy = 'http://h:99999'\n", "2: upstream.proxy: this is no proxy's URL"),
    (MINE + "base_url = 'https://[::1'\n", "3: providers.mine.base_url: 'https://[::1' is no URL"),
    (MINE + "base_url = 'https://h/a b'\n", "3: providers.mine.base_url: 'https://h/a b' holds characters"),
    (MINE + "api_key_file = 'bad.bin'\n", "3: providers.mine.api_key_file: cannot read "),
    ("[gateway.relay.x]\nprovider = 'y'\n", "2: gateway.relay.x: no provider 'y' is configured"),
    ("[catalog.aliases]\na = 'b'\nb = 'a'\n", "2: the alias 'a' means itself: a → b → a"),
    ("[accounts]\nmost_open_usd = 'NaN'\n", "accounts most_open_usd must be above 0"),
    ("[accounts]\nmost_open_usd = '1e999999'\n", "accounts most_open_usd must be above 0"),
    *(
        (f"[[catalog.prices]]\nmodel = 'm'\ninput = '{price}'\noutput = '1'\n", "input must be at most")
        for price in ("1e999999", "1e-999999", "1000001", "0.0000000000001")
    ),
    *(
        (MINE + f"headers = {{ {name} = 'x' }}\n", f"3: providers.mine.headers.{name}: the header '{name}'")
        for name in ("Content-Length", "transfer-encoding", "host", "Connection", "te", "upgrade", "expect")
    ),
    *(
        (MINE + f'headers = {{ x-a = "secret{end}y" }}\n', "3: providers.mine.headers.x-a: the value of")
        for end in ("\\r\\n", "\\n", "\\u0000", "\\u20ac")
    ),
    (MINE + 'headers = { "a b" = "x" }\n', "3: providers.mine.headers: 'a b' is no header's name"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "words"), CASES, ids=range(len(CASES)))
def test_what_cannot_be_used_is_found_by_check_and_up_alike(
    metis,
    home: Path,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    words: str,
) -> None:
    monkeypatch.setattr(up, "_log_to_stderr", lambda: None)
    (home / "metis.toml").write_text(text)
    (home / "bad.toml").write_text("replies = 1")
    (home / "bad.pem").write_text("no certificate")
    (home / "bad.bin").write_bytes(b"\xff")
    checked, started = metis("config", "check"), metis("up", "--port", "0", "--admin-port", "0")
    assert checked == started
    assert (checked.code, checked.out) == (1, "")
    assert words in checked.err
    assert checked.err.startswith(f"metis: {home}/metis.toml:")
    assert "internal error" not in checked.err
    assert "secret" not in checked.err
    assert "pw@" not in checked.err
    assert not data.exists()


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy"])
@pytest.mark.parametrize("proxy", ["socks5://u:pw@h:1", "https://p:3128"])
def test_a_proxy_of_the_environment_counts_only_where_it_is_taken(
    metis,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    proxy: str,
) -> None:
    monkeypatch.setenv(variable, proxy)
    config = home / "metis.toml"
    config.write_text("[providers.mine]\nkind = 'openai'\nbase_url = 'http://127.0.0.1:1'\n")
    assert metis("config", "check").code == 0
    config.write_text("[providers.openai]\n")
    refused = metis("config", "check")
    assert refused.code == 1
    assert refused.err == (
        f"metis: ${variable}: a {proxy.partition(':')[0]}:// proxy is not spoken to; "
        "name one as http://host:port; or unset it, or name hosts in NO_PROXY\n"
    )
    monkeypatch.setenv("NO_PROXY", "api.openai.com")
    assert metis("config", "check").code == 0


def test_reports_read_the_database_that_is_configured(metis, home: Path, data: Path) -> None:
    (home / "metis.toml").write_text(f"[storage]\nurl = 'sqlite:///{home}/elsewhere.db'\n")
    metis("keys", "create")
    assert (home / "elsewhere.db").exists()
    assert not (data / "metis.db").exists()
    assert "the ledger is empty" in metis("receipt", "--list").err


def test_a_price_written_as_a_number_is_taken(metis, home: Path) -> None:
    (home / "metis.toml").write_text("[[catalog.prices]]\nmodel = 'm'\ninput = 0.1\noutput = 0.3\n")
    assert metis("config", "check").code == 0
