"""What a change of a key means, for every backend: the new records, and the events that tell of it."""

from __future__ import annotations

import os

import msgspec

from metis.accounts.keys import (
    KeyRecord,
    KeySpec,
    MintedKey,
    check_grace,
    latest_expiry_ts,
    mint,
)
from metis.errors import BadRequest
from metis.trace.events import KeyCreated, KeyRevoked, KeyRotated


def successor(old: KeyRecord, *, now_ts: int, grace_s: float) -> MintedKey:
    """Mint the key that replaces `old`: same owner, same limits.

    Raises BadRequest for a dead key, and for a grace that is too long.
    """
    check_grace(grace_s)
    if not old.is_active(now_ts):
        raise BadRequest(
            f"{old.prefix} is revoked or expired; make a new key with 'metis keys create'"
        )
    spec = KeySpec(**{name: getattr(old, name) for name in KeySpec.__struct_fields__})
    if spec.expires_ts is not None:
        furthest = min(spec.expires_ts, latest_expiry_ts(now_ts))
        spec = msgspec.structs.replace(spec, expires_ts=furthest)
    return mint(spec, now_ts=now_ts, replaces=old.key_id)


def retire(old: KeyRecord, *, now_ts: int, grace_s: float) -> KeyRecord:
    """The rotated key's record: revoked now, or expiring after the grace, never later than it did."""
    if grace_s <= 0:
        return msgspec.structs.replace(old, revoked_ts=now_ts)
    end = now_ts + round(grace_s * 1_000_000)
    return msgspec.structs.replace(
        old, expires_ts=end if old.expires_ts is None else min(end, old.expires_ts)
    )


def key_created(record: KeyRecord, *, now_ts: int, actor: str) -> KeyCreated:
    return KeyCreated(
        event_id=_event_id(),
        ts=now_ts,
        org_id=record.org_id,
        team_id=record.team_id,
        user_id=record.user_id,
        project_id=record.project_id,
        key_id=record.key_id,
        name=record.name,
        actor=actor,
    )


def key_rotated(old: KeyRecord, new: KeyRecord, *, now_ts: int, actor: str) -> KeyRotated:
    return KeyRotated(
        event_id=_event_id(),
        ts=now_ts,
        org_id=old.org_id,
        team_id=old.team_id,
        user_id=old.user_id,
        project_id=old.project_id,
        key_id=old.key_id,
        new_key_id=new.key_id,
        actor=actor,
    )


def key_revoked(record: KeyRecord, *, now_ts: int, actor: str) -> KeyRevoked:
    return KeyRevoked(
        event_id=_event_id(),
        ts=now_ts,
        org_id=record.org_id,
        team_id=record.team_id,
        user_id=record.user_id,
        project_id=record.project_id,
        key_id=record.key_id,
        actor=actor,
    )


def _event_id() -> str:
    # These events are rare and made by any process, so a random id serves; IdFactory orders hot ones.
    return f"evt_{os.urandom(16).hex()}"
