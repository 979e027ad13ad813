"""`metis connect`: show what a tool needs to go through the gateway, put it in place, or take it back."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import msgspec

from metis.accounts.keys import KeyRecord, KeySpec, parse
from metis.accounts.ports import AccountStore
from metis.bootstrap.offline import open_accounts
from metis.cli.editing.connection import Connection, preview
from metis.cli.output import colour, note
from metis.cli.up import ADDRESS_FILE, RunningGateway
from metis.clients import CLIENTS, client_named
from metis.clients.client import Client, Gateway, Recipe
from metis.config import Config
from metis.errors import ConfigError, NotFound, UsageError
from metis.providers import kind_named

_PLACEHOLDER: Final = "<your Metis key>"
_ACTOR: Final = "cli"
_ANY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectRequest:
    """What was asked. `key` "-" is read from standard input."""

    tool: str
    write: bool = False
    undo: bool = False
    url: str | None = None
    key: str | None = None
    key_env: str | None = None
    model: str | None = None


def run_connect(config: Config, request: ConnectRequest) -> int:
    """Do it. Raises MetisError with the remedy."""
    client = client_named(request.tool)
    if client is None or client.connect is None:
        known = ", ".join(c.commands[0] for c in CLIENTS if c.connect is not None)
        raise ConfigError(f"unknown tool {request.tool!r}; known are {known}")
    connection = Connection(Path(config.data_dir) / "connect" / client.name, client.commands[0])
    if request.undo:
        return _undo(config, connection, client)
    gateway = _gateway(config, client, request, connection)
    return _write(config, client, gateway, connection) if request.write else _show(client, gateway)


def gateway_url(config: Config) -> str:
    """Where the gateway answers: the one that is running, else the configured address. Raises ConfigError."""
    try:
        payload = (Path(config.data_dir) / ADDRESS_FILE).read_bytes()
        return msgspec.json.decode(payload, type=RunningGateway).url
    except (FileNotFoundError, msgspec.DecodeError):
        pass
    settings = config.gateway
    if not settings.port:
        raise ConfigError("the configured port is 0, so the address is not known; pass --url")
    host = _ANY_ADDRESS.get(settings.host, settings.host)
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"{'https' if settings.tls_cert else 'http'}://{host}:{settings.port}"


def preferred_model(config: Config) -> str:
    """The model for tools that cannot start without one: the configured default, else the first provider's."""
    if config.routing.default:
        return config.routing.default
    for name, settings in config.providers.items():
        kind = kind_named(settings.kind or name)
        if kind is not None and kind.default_model:
            return kind.default_model
    return ""


def _gateway(
    config: Config, client: Client, request: ConnectRequest, connection: Connection
) -> Gateway:
    url = (request.url or gateway_url(config)).rstrip("/").removesuffix("/v1")
    if not url.startswith(("http://", "https://")):
        raise UsageError(
            f"{url!r} is no http(s) URL; pass the gateway's root, as in http://127.0.0.1:8080"
        )
    if request.key and request.key_env:
        raise UsageError("--key and --key-env are two ways to give one key; pass one of them")
    key = _given_key(request.key)
    model = request.model or (preferred_model(config) if client.needs_model else "")
    return Gateway(
        url=url,
        key=key,
        key_env=request.key_env or "",
        key_file="" if request.key_env else str(connection.key_file),
        model=model,
        home=str(Path.home()),
        environ=os.environ,
    )


def _given_key(key: str | None) -> str:
    if key is None:
        return ""
    given = (sys.stdin.readline() if key == "-" else key).strip()
    if parse(given) is None:
        raise ConfigError(
            "that is no Metis key: they look like sk-metis-ab12cd34-…; see 'metis keys create'"
        )
    return given


def _recipe(client: Client, gateway: Gateway) -> Recipe:
    assert client.connect is not None
    return client.connect(gateway)


def _show(client: Client, gateway: Gateway) -> int:
    shown = gateway
    if not gateway.key:
        text = f"${gateway.key_env}" if gateway.key_env else _PLACEHOLDER
        shown = replace(gateway, key=text)
    recipe = _recipe(client, shown)
    print(colour(f"{client.title} through {gateway.url}", "1"))
    for edit in recipe.files:
        print(f"\n{colour(edit.path, '36')}\n")
        print(_indented(preview(edit)))
    if recipe.environment:
        print("\nor for one shell:\n" if recipe.files else "\nin the shell:\n")
        for name, value in recipe.environment:
            print(f"  export {name}={_shell_word(value)}")
    _notes(recipe)
    if recipe.files:
        print(
            f"\n'metis connect {client.commands[0]} --write' puts this in place, with a key of its own."
        )
    return 0


def _write(config: Config, client: Client, gateway: Gateway, connection: Connection) -> int:
    recipe = _recipe(client, gateway)
    if recipe.by_hand:
        _show(client, gateway)
        raise ConfigError(f"nothing was written: {recipe.by_hand}")
    if gateway.key_env and any(edit.secret for edit in recipe.files):
        raise ConfigError(
            f"{client.title} cannot read its key from a variable; leave --key-env out"
        )
    if gateway.key_env:
        changed = connection.apply(recipe.files, gateway.url, "")
    else:
        with _key_for(config, client, gateway.key, connection) as (key, key_id):
            recipe = _recipe(client, replace(gateway, key=key))
            changed = connection.apply(recipe.files, gateway.url, key_id)
    for path in changed:
        print(f"wrote   {path}")
    if not changed:
        print(f"{client.title} is connected to {gateway.url} already; nothing to change")
    elif connection.directory.is_dir():
        print(f"backup  {connection.directory}")
    print(f"key     {recipe.key_place}")
    _notes(recipe)
    print(f"\nTake it back with: metis connect {client.commands[0]} --undo")
    return 0


@contextmanager
def _key_for(
    config: Config, client: Client, given: str, connection: Connection
) -> Generator[tuple[str, str]]:
    """The tool's key and, where it is ours to revoke, its id: given, the one it has already, or a new one.

    A new one that the block could not put in place is revoked again: nobody would ever use it, or undo it.
    """
    had = connection.read_key()
    if given:
        connection.write_key(given)
        try:
            yield given, ""
        except BaseException:
            connection.restore_key(had)
            raise
        return
    state = connection.state()
    with open_accounts(config, make=True) as accounts:
        record = _active_key(accounts, had)
        if record is not None:
            yield had, state.key_id if state else record.key_id
            return
        minted = accounts.create_key(KeySpec(name=client.name), now_ts=_now_ts(), actor=_ACTOR)
        try:
            connection.write_key(minted.plaintext)
            yield minted.plaintext, minted.record.key_id
        except BaseException:
            accounts.revoke_key(minted.record.key_id, now_ts=_now_ts(), actor=_ACTOR)
            connection.restore_key(had)
            raise


def _active_key(accounts: AccountStore, key: str) -> KeyRecord | None:
    try:
        record = accounts.find_key(parse(key) or "")
    except NotFound:
        return None
    return record if record.is_active(_now_ts()) else None


def _undo(config: Config, connection: Connection, client: Client) -> int:
    state = connection.state()
    for path, outcome in connection.undo():
        print(f"{path}: {outcome}")
    if state is not None and state.key_id:
        with open_accounts(config, make=True) as accounts:
            try:
                record = accounts.revoke_key(state.key_id, now_ts=_now_ts(), actor=_ACTOR)
            except NotFound:
                note(f"the key {state.key_id} is gone already")
            else:
                print(f"key {record.prefix}: revoked")
    print(f"{client.title} no longer goes through Metis.")
    return 0


def _notes(recipe: Recipe) -> None:
    if recipe.notes:
        print()
    for line in recipe.notes:
        print(f"  {line}" if line.startswith(" ") else f"- {line}")


def _indented(text: str) -> str:
    return "\n".join(f"  {line}".rstrip() for line in text.rstrip().splitlines())


def _shell_word(value: str) -> str:
    return value if value.startswith("$") or value == _PLACEHOLDER else shlex.quote(value)


def _now_ts() -> int:
    return time.time_ns() // 1000
