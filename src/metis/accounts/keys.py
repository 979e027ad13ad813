"""Metis keys: how they look, how they are minted and what is kept of them. No storage, no clock.

A key is `sk-metis-<8 characters>-<36 characters>`. The eight are its readable name, shown in lists and
logs as `sk-metis-ab12cd34`; the 36 are the secret, 214 bits from the system's generator.

What is kept is the plain SHA-256 of the whole key. A slow, salted hash protects secrets that people
choose and machines can guess; nobody guesses 214 random bits, and a slow hash would cost every request.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable
from typing import Final, Literal

import msgspec

from metis.errors import BadRequest

KeyMode = Literal["", "off", "observe", "auto"]

_START: Final = "sk-metis-"
_NAME_ALPHABET: Final = "abcdefghijkmnpqrstuvwxyz23456789"  # none that reads like another
_SECRET_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_NAME_LENGTH: Final = 8
_SECRET_LENGTH: Final = 36
_SHAPE: Final = re.compile(rb"(sk-metis-[a-z2-9]{8})-[0-9A-Za-z]{36}")
_MAX_TEXT: Final = 128
_LONGEST_LIFE_S: Final = 100 * 365 * 86_400
_LONGEST_GRACE_S: Final = 90 * 86_400


class KeySpec(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of a new key: its owner and its limits.

    `allowed_models` are globs, empty: all. `mode` is the pattern slot's for this key, "" for the
    project's or installation's. `ephemeral` keys end with the gateway that made them.
    """

    name: str = ""
    user_id: str = "default"
    team_id: str = "default"
    project_id: str = "default"
    org_id: str = "default"
    pinned_model: str | None = None
    allowed_models: tuple[str, ...] = ()
    budgeted: bool = False
    ephemeral: bool = False
    mode: KeyMode = ""
    expires_ts: int | None = None


class KeyRecord(KeySpec, frozen=True, kw_only=True):
    """What is kept of a key. Times are epoch microseconds; `replaces` is the key_id it was rotated from."""

    key_id: str
    digest: bytes
    created_ts: int
    revoked_ts: int | None = None
    replaces: str = ""

    @property
    def prefix(self) -> str:
        """What may be shown: `sk-metis-ab12cd34`."""
        return _START + self.key_id.removeprefix("key_")

    def is_active(self, now_ts: int) -> bool:
        return self.revoked_ts is None and (self.expires_ts is None or now_ts < self.expires_ts)


class MintedKey(msgspec.Struct, frozen=True):
    """A new key, the only time its plaintext exists; its repr does not show it."""

    plaintext: str
    record: KeyRecord

    def __repr__(self) -> str:
        return f"MintedKey({self.record.prefix}-…)"


def mint(
    spec: KeySpec,
    *,
    now_ts: int,
    replaces: str = "",
    choose: Callable[[str], str] = secrets.choice,
) -> MintedKey:
    """Make a key for `spec`. Raises BadRequest when the spec does not check."""
    check_spec(spec, now_ts=now_ts)
    name = "".join(choose(_NAME_ALPHABET) for _ in range(_NAME_LENGTH))
    secret = "".join(choose(_SECRET_ALPHABET) for _ in range(_SECRET_LENGTH))
    plaintext = f"{_START}{name}-{secret}"
    fields = {field: getattr(spec, field) for field in KeySpec.__struct_fields__}
    record = KeyRecord(
        **fields,
        key_id=f"key_{name}",
        digest=digest_of(plaintext.encode()),
        created_ts=now_ts,
        replaces=replaces,
    )
    return MintedKey(plaintext, record)


def digest_of(presented: bytes) -> bytes:
    """SHA-256 of a whole key, 32 bytes."""
    return hashlib.sha256(presented).digest()


def parse(presented: str | bytes) -> str | None:
    """The display prefix (`sk-metis-ab12cd34`) of a well-formed key; None for anything else.

    Only a whole key has one, so what is returned is never part of somebody's secret.
    """
    if isinstance(presented, str):
        presented = presented.encode("utf-8", "replace")
    found = _SHAPE.fullmatch(presented)
    return found[1].decode() if found else None


def key_id_of(key: str) -> str:
    """The key_id meant by a key_id, a display prefix or its eight characters."""
    return "key_" + key.removeprefix("key_").removeprefix(_START)


def check_spec(spec: KeySpec, *, now_ts: int) -> None:
    """Raise BadRequest, naming field and remedy, unless the spec can be kept."""
    for field in ("user_id", "team_id", "project_id", "org_id"):
        check_owner_id(field, getattr(spec, field))
    if len(spec.name) > _MAX_TEXT or not spec.name.isprintable():
        raise BadRequest(f"the key's name must be at most {_MAX_TEXT} printable characters")
    if spec.expires_ts is not None and spec.expires_ts <= now_ts:
        raise BadRequest("the key would have expired already; give a time in the future")
    if spec.expires_ts is not None and spec.expires_ts > latest_expiry_ts(now_ts):
        raise BadRequest(
            "the key would live for over 100 years; give an earlier time, or none for a key that does not expire"
        )
    if not "".join((spec.pinned_model or "", *spec.allowed_models)).isprintable():
        raise BadRequest("pinned_model and allowed_models must be printable characters")
    if any(not pattern.strip() for pattern in spec.allowed_models):
        raise BadRequest("allowed_models holds an empty pattern; leave the list empty to allow all")


def latest_expiry_ts(now_ts: int) -> int:
    """The latest time at which a key made now may end, in epoch microseconds."""
    return now_ts + _LONGEST_LIFE_S * 1_000_000


def check_grace(grace_s: float) -> None:
    """Raise BadRequest unless a rotated key may live on for so long."""
    if not 0 <= grace_s <= _LONGEST_GRACE_S:
        raise BadRequest(f"grace_s must be from 0 to {_LONGEST_GRACE_S} seconds (90 days)")


def check_owner_id(field: str, value: str) -> None:
    """Raise BadRequest unless `value` can name a user, team, project or org."""
    if not value or len(value) > _MAX_TEXT or not value.isprintable() or value != value.strip():
        raise BadRequest(
            f"{field} {value[:_MAX_TEXT]!r} must be 1 to {_MAX_TEXT} printable characters "
            "without spaces around it"
        )
