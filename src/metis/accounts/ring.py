"""Authentication: an immutable snapshot of all keys, asked once per request. No storage, no clock."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from hmac import compare_digest
from itertools import count
from typing import Literal, NamedTuple

from metis.accounts.keys import KeyRecord
from metis.facts.identity import Principal

_PREFIX_LENGTH = len("sk-metis-ab12cd34")


class AuthRefusal(NamedTuple):
    """Why a key was not let in. `key_prefix` is set only for keys that were once minted here."""

    reason: Literal["missing", "unknown", "revoked", "expired"]
    key_prefix: str = ""


class _Entry(NamedTuple):
    digest: bytes
    revoked_ts: int | None
    expires_ts: int | None
    principal: Principal


_MISSING = AuthRefusal("missing")
_UNKNOWN = AuthRefusal("unknown")


_serials = count(1)


class KeyRing:
    """All keys as of one generation; make a new one when the generation moves.

    `serial` tells rings of one process apart, so that an answer can be kept for as long as its ring is the one.
    """

    __slots__ = ("_entries", "serial")

    def __init__(self, records: Iterable[KeyRecord]) -> None:
        self.serial = next(_serials)
        self._entries = {
            record.prefix.encode(): _Entry(
                record.digest, record.revoked_ts, record.expires_ts, principal_of(record)
            )
            for record in records
        }

    def __len__(self) -> int:
        return len(self._entries)

    def expiry(self, presented: bytes) -> int | None:
        """When a key that was let in ends, epoch microseconds; None for never."""
        entry = self._entries.get(presented[:_PREFIX_LENGTH])
        return None if entry is None else entry.expires_ts

    def authenticate(self, presented: bytes, now_ts: int) -> Principal | AuthRefusal:
        """Say whose key this is, or why not. `now_ts` is epoch microseconds.

        The readable prefix finds the record, so the comparison that decides is between two SHA-256
        digests, in constant time. Nothing of what was presented is kept.
        """
        entry = self._entries.get(presented[:_PREFIX_LENGTH])
        if entry is None:
            return _UNKNOWN if presented else _MISSING
        if not compare_digest(sha256(presented).digest(), entry.digest):
            return _UNKNOWN
        if entry.revoked_ts is not None:
            return AuthRefusal("revoked", presented[:_PREFIX_LENGTH].decode())
        if entry.expires_ts is not None and entry.expires_ts <= now_ts:
            return AuthRefusal("expired", presented[:_PREFIX_LENGTH].decode())
        return entry.principal


def principal_of(record: KeyRecord) -> Principal:
    """The owner a key stands for."""
    return Principal(
        key_id=record.key_id,
        user_id=record.user_id,
        team_id=record.team_id,
        project_id=record.project_id,
        org_id=record.org_id,
        pinned_model=record.pinned_model,
        allowed_models=record.allowed_models,
        budgeted=record.budgeted,
    )
