"""AccountStore in memory. Its `events` are the ones a database would have kept."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from metis.accounts.keys import KeyRecord, KeySpec, MintedKey, check_owner_id, key_id_of, mint
from metis.accounts.ports import Generations
from metis.accounts.ring import KeyRing
from metis.errors import NotFound
from metis.storage.key_changes import key_created, key_revoked, key_rotated, retire, successor
from metis.trace.events import AnyOtherEvent


class MemoryAccountStore:
    """Keep accounts for as long as this object lives."""

    def __init__(self, generations: Generations) -> None:
        self._generations = generations
        self._keys: dict[str, KeyRecord] = {}
        self.owners: set[tuple[str, str, str]] = set()
        self.events: list[AnyOtherEvent] = []

    def create_key(self, spec: KeySpec, *, now_ts: int, actor: str) -> MintedKey:
        minted = mint(spec, now_ts=now_ts)
        self._insert(minted.record)
        self.events.append(key_created(minted.record, now_ts=now_ts, actor=actor))
        self._generations.bump_keys()
        return minted

    def list_keys(self, *, include_inactive: bool = False) -> Sequence[KeyRecord]:
        keys = [key for key in self._keys.values() if include_inactive or key.revoked_ts is None]
        return sorted(keys, key=lambda key: (key.created_ts, key.key_id))

    def find_key(self, key: str) -> KeyRecord:
        found = self._keys.get(key_id_of(key))
        if found is None:
            raise NotFound(f"there is no key {key[:64]!r}; see 'metis keys list'")
        return found

    def revoke_key(self, key: str, *, now_ts: int, actor: str) -> KeyRecord:
        record = self.find_key(key)
        if record.revoked_ts is None:
            record = msgspec.structs.replace(record, revoked_ts=now_ts)
            self._keys[record.key_id] = record
            self.events.append(key_revoked(record, now_ts=now_ts, actor=actor))
        self._generations.bump_keys()
        return record

    def rotate_key(self, key: str, *, now_ts: int, actor: str, grace_s: float = 0.0) -> MintedKey:
        old = self.find_key(key)
        minted = successor(old, now_ts=now_ts, grace_s=grace_s)
        self._insert(minted.record)
        self._keys[old.key_id] = retire(old, now_ts=now_ts, grace_s=grace_s)
        self.events.append(key_rotated(old, minted.record, now_ts=now_ts, actor=actor))
        self._generations.bump_keys()
        return minted

    def revoke_ephemeral(self, *, now_ts: int, actor: str) -> int:
        left = [key for key in self.list_keys() if key.ephemeral]
        for record in left:
            self.revoke_key(record.key_id, now_ts=now_ts, actor=actor)
        return len(left)

    def ensure_team(self, team_id: str, *, org_id: str = "default", now_ts: int) -> None:
        self._ensure("team", team_id, org_id)

    def ensure_user(self, user_id: str, *, org_id: str = "default", now_ts: int) -> None:
        self._ensure("user", user_id, org_id)

    def ensure_project(self, project_id: str, *, org_id: str = "default", now_ts: int) -> None:
        self._ensure("project", project_id, org_id)

    def key_ring(self) -> KeyRing:
        return KeyRing(self._keys.values())

    def close(self) -> None:
        """Nothing to let go of."""

    def _ensure(self, kind: str, owner_id: str, org_id: str) -> None:
        check_owner_id(f"{kind}_id", owner_id)
        check_owner_id("org_id", org_id)
        self.owners.add((kind, org_id, owner_id))

    def _insert(self, record: KeyRecord) -> None:
        self._keys[record.key_id] = record
        self._ensure("team", record.team_id, record.org_id)
        self._ensure("user", record.user_id, record.org_id)
        self._ensure("project", record.project_id, record.org_id)
