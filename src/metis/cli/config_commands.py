"""`metis config`: is the file right, what is in force and where from, and the schema for editors."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

import msgspec

from metis.bootstrap.parts import build_parts
from metis.cli.output import note, print_json, print_table
from metis.config import Config, Loaded, config_candidates, located
from metis.errors import ConfigError

_SECRET_WORDS: Final = ("authorization", "key", "token", "secret", "password", "cookie")
_NO_SECRETS: Final = ("api_key_env", "api_key_file", "tls_key", "keepalive_s")


def check_config(loaded: Loaded) -> int:
    """Tell that the configuration can be used. Raises ConfigError, naming file, line and field, when it cannot."""
    try:
        build_parts(loaded.config, os.environ)
    except ConfigError as exc:
        raise located(loaded, exc) from exc
    names = ", ".join(loaded.config.providers) or "none"
    if loaded.path is None:
        print(f"no metis.toml, so the defaults hold; providers: {names}")
        note("looked for: " + ", ".join(map(str, config_candidates())))
    else:
        print(f"{loaded.path}: ok; providers: {names}")
    return 0


def show_config(loaded: Loaded, *, as_json: bool) -> int:
    """Show every value in force and what set it."""
    rows = list(_flat(msgspec.to_builtins(loaded.config)))
    if as_json:
        print_json(
            {
                "file": None if loaded.path is None else str(loaded.path),
                "values": {
                    name: {"value": value, "from": origin(loaded, name)} for name, value in rows
                },
            }
        )
        return 0
    print_table(
        ("SETTING", "VALUE", "FROM"),
        [(name, _shown(value), origin(loaded, name)) for name, value in rows],
    )
    return 0


def show_schema() -> int:
    """Print the JSON schema of metis.toml, for editors that complete and check TOML."""
    print_json(msgspec.json.schema(Config))
    return 0


def origin(loaded: Loaded, name: str) -> str:
    """What set a value: the longest path on the way to it that something set, else "default"."""
    while name:
        found = loaded.origins.get(name)
        if found is not None:
            return found
        name = name.rpartition(".")[0]
    return "default"


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        path = f"{prefix}{name}"
        if isinstance(value, dict) and value:
            yield from _flat(cast("dict[str, Any]", value), f"{path}.")
        else:
            yield path, _redacted(path, value)


def _redacted(path: str, value: Any) -> Any:
    name = path.rpartition(".")[2].lower()
    secret = name not in _NO_SECRETS and any(word in name for word in _SECRET_WORDS)
    if secret and ".headers." in path and isinstance(value, str):
        return "(hidden)"
    return value


def _shown(value: Any) -> str:
    match value:
        case None | "" | [] | {}:
            return "-"
        case bool():
            return "true" if value else "false"
        case list():
            return ", ".join(map(str, cast("list[Any]", value)))
        case _:
            return str(value)
