"""`metis keys`: make, list, revoke and rotate Metis keys. A running gateway knows of every change at once."""

from __future__ import annotations

import os
import sys
import time
from typing import Any, Final

from metis.accounts.keys import KeyRecord, KeySpec, MintedKey
from metis.accounts.ports import AccountStore
from metis.analytics.window import MICROSECONDS, iso
from metis.bootstrap.engine import build_policy, build_providers
from metis.bootstrap.offline import open_accounts
from metis.catalog.names import AUTO_NAMES
from metis.cli.output import local_time, note, print_json, print_table
from metis.config import Config
from metis.errors import ConfigError, OutputError, UsageError

_ACTOR: Final = "cli"
_MOST_DIGITS: Final = 10  # three centuries of seconds
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def create_key(config: Config, spec: KeySpec, *, as_json: bool) -> int:
    """Mint a key and show it, the only time it can be seen. Raises BadRequest, OutputError."""
    with open_accounts(config, make=True) as accounts:
        minted = accounts.create_key(spec, now_ts=_now_ts(), actor=_ACTOR)
        _show_minted(accounts, minted, as_json=as_json)
    if spec.pinned_model and not _is_served(config, spec.pinned_model):
        note(
            f"no configured provider serves {spec.pinned_model!r}, so every request with this key "
            "will be refused; see 'metis models'"
        )
    return 0


def list_keys(config: Config, *, everything: bool, as_json: bool) -> int:
    """Show the keys, oldest first."""
    now_ts = _now_ts()
    with open_accounts(config) as accounts:
        keys = accounts.list_keys(include_inactive=everything)
    if as_json:
        print_json([key_as_dict(key, now_ts) for key in keys])
        return 0
    if not keys:
        note("there is no key yet; 'metis keys create' makes one")
        return 0
    columns = ("KEY", "NAME", "USER", "TEAM", "PROJECT", "CREATED", "STATE")
    print_table(
        columns,
        [
            (
                key.prefix,
                key.name,
                key.user_id,
                key.team_id,
                key.project_id,
                local_time(key.created_ts),
                _state(key, now_ts),
            )
            for key in keys
        ],
    )
    return 0


def revoke_key(config: Config, key: str, *, as_json: bool) -> int:
    """End a key at once. Raises NotFound."""
    with open_accounts(config) as accounts:
        record = accounts.revoke_key(key, now_ts=_now_ts(), actor=_ACTOR)
    if as_json:
        print_json(key_as_dict(record, _now_ts()))
    else:
        print(f"revoked {record.prefix}; requests with it are refused from now on")
    return 0


def rotate_key(config: Config, key: str, *, grace: str, as_json: bool) -> int:
    """Replace a key; the old one ends now or after `grace`. Raises NotFound, BadRequest, UsageError."""
    grace_s = parse_duration_s(grace) if grace else 0.0
    with open_accounts(config) as accounts:
        minted = accounts.rotate_key(key, now_ts=_now_ts(), actor=_ACTOR, grace_s=grace_s)
        _show_minted(accounts, minted, as_json=as_json)
    if not as_json:
        ends = f"in {grace}" if grace_s else "now"
        note(f"the old key ends {ends}")
    return 0


def parse_duration_s(text: str) -> float:
    """Read `90s`, `15m`, `2h`, `30d` or `1w` as seconds. Raises UsageError."""
    number, unit = text[:-1], text[-1:]
    if not (number.isascii() and number.isdigit()) or unit not in _UNITS_S:
        raise UsageError(f"{text!r} is no duration; write a number and s, m, h, d or w, as in 30d")
    if len(number) > _MOST_DIGITS:
        raise UsageError(f"{text[:40]!r} is too long a duration")
    return float(number) * _UNITS_S[unit]


def expiry_ts(expires: str | None) -> int | None:
    """When a key made now with this lifetime ends, in epoch microseconds. Raises UsageError."""
    return None if expires is None else _now_ts() + int(parse_duration_s(expires) * MICROSECONDS)


def key_as_dict(key: KeyRecord, now_ts: int) -> dict[str, Any]:
    """A key as plain values: neither its secret nor the digest of it."""
    return {
        "key_id": key.key_id,
        "prefix": key.prefix,
        "name": key.name,
        "user_id": key.user_id,
        "team_id": key.team_id,
        "project_id": key.project_id,
        "org_id": key.org_id,
        "pinned_model": key.pinned_model,
        "allowed_models": list(key.allowed_models),
        "ephemeral": key.ephemeral,
        "created": iso(key.created_ts),
        "expires": None if key.expires_ts is None else iso(key.expires_ts),
        "revoked": None if key.revoked_ts is None else iso(key.revoked_ts),
        "replaces": key.replaces,
        "state": _state(key, now_ts),
    }


def _is_served(config: Config, model: str) -> bool:
    """Whether the configuration has somebody for a model; also where it cannot be read as far as that."""
    try:
        providers = build_providers(config, os.environ)
    except ConfigError:
        return True
    directory = build_policy(config, providers, 0).directory
    return model in AUTO_NAMES or directory.resolve(model, "") is not None


def _show_minted(accounts: AccountStore, minted: MintedKey, *, as_json: bool) -> None:
    """Show a key, the only time it can be seen. One that nobody saw is revoked; raises OutputError then."""
    try:
        if as_json:
            print_json({"key": minted.plaintext} | key_as_dict(minted.record, _now_ts()))
        else:
            # The key alone on standard output, so that KEY=$(metis keys create) works.
            print(minted.plaintext)
        sys.stdout.flush()
    except BaseException as exc:
        accounts.revoke_key(minted.record.key_id, now_ts=_now_ts(), actor=_ACTOR)
        if isinstance(exc, OSError):
            raise OutputError(
                f"the key could not be shown ({exc.strerror}), so {minted.record.prefix} is revoked again"
            ) from exc
        raise
    if not as_json:
        note(f"made {minted.record.prefix}; the key is shown only this once, keep it")


def _state(key: KeyRecord, now_ts: int) -> str:
    if key.revoked_ts is not None:
        return "revoked"
    if key.expires_ts is not None:
        return "expired" if now_ts >= key.expires_ts else f"until {local_time(key.expires_ts)}"
    return "ephemeral" if key.ephemeral else "active"


def _now_ts() -> int:
    return time.time_ns() // 1000
