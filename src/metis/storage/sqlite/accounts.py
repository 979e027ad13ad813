"""AccountStore over SQLite: keys and their owners, each change together with its event."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from metis.accounts.keys import KeyRecord, KeySpec, MintedKey, check_owner_id, key_id_of, mint
from metis.accounts.ports import Generations
from metis.accounts.ring import KeyRing
from metis.errors import NotFound, StorageError
from metis.storage.columns import EVENT_COLUMNS
from metis.storage.key_changes import key_created, key_revoked, key_rotated, retire, successor
from metis.storage.rows import Row, event_row
from metis.storage.sqlite.connection import transaction
from metis.trace.events import AnyOtherEvent

_COLUMNS: Final = tuple(KeyRecord.__struct_fields__)
_SELECT: Final = f"SELECT {', '.join(_COLUMNS)} FROM keys"
_INSERT: Final = (
    f"INSERT INTO keys ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"
)
_INSERT_EVENT: Final = f"INSERT INTO events ({', '.join(EVENT_COLUMNS)}) VALUES ({', '.join('?' * len(EVENT_COLUMNS))})"
_OLDEST_FIRST: Final = " ORDER BY created_ts, key_id"


class SqliteAccountStore:
    """Keep accounts in an open, migrated database, which this store owns from then on.

    Open the connection with `synchronous="full"`: a revocation must survive power loss.
    """

    def __init__(self, connection: sqlite3.Connection, generations: Generations) -> None:
        self._connection = connection
        self._generations = generations

    def create_key(self, spec: KeySpec, *, now_ts: int, actor: str) -> MintedKey:
        minted = mint(spec, now_ts=now_ts)
        with transaction(self._connection):
            self._insert(minted.record)
            self._write(key_created(minted.record, now_ts=now_ts, actor=actor))
        self._generations.bump_keys()
        return minted

    def list_keys(self, *, include_inactive: bool = False) -> Sequence[KeyRecord]:
        where = "" if include_inactive else " WHERE revoked_ts IS NULL"
        return [_record(row) for row in self._read(_SELECT + where + _OLDEST_FIRST)]

    def find_key(self, key: str) -> KeyRecord:
        found = self._read(f"{_SELECT} WHERE key_id = ?", (key_id_of(key),))
        if not found:
            raise NotFound(f"there is no key {key[:64]!r}; see 'metis keys list'")
        return _record(found[0])

    def revoke_key(self, key: str, *, now_ts: int, actor: str) -> KeyRecord:
        with transaction(self._connection):
            record = self.find_key(key)
            if record.revoked_ts is None:
                record = msgspec.structs.replace(record, revoked_ts=now_ts)
                self._update(record)
                self._write(key_revoked(record, now_ts=now_ts, actor=actor))
        self._generations.bump_keys()
        return record

    def rotate_key(self, key: str, *, now_ts: int, actor: str, grace_s: float = 0.0) -> MintedKey:
        with transaction(self._connection):
            old = self.find_key(key)
            minted = successor(old, now_ts=now_ts, grace_s=grace_s)
            self._insert(minted.record)
            self._update(retire(old, now_ts=now_ts, grace_s=grace_s))
            self._write(key_rotated(old, minted.record, now_ts=now_ts, actor=actor))
        self._generations.bump_keys()
        return minted

    def revoke_ephemeral(self, *, now_ts: int, actor: str) -> int:
        with transaction(self._connection):
            left = [
                _record(row)
                for row in self._read(f"{_SELECT} WHERE ephemeral = 1 AND revoked_ts IS NULL")
            ]
            for record in left:
                self._update(msgspec.structs.replace(record, revoked_ts=now_ts))
                self._write(key_revoked(record, now_ts=now_ts, actor=actor))
        if left:
            self._generations.bump_keys()
        return len(left)

    def ensure_team(self, team_id: str, *, org_id: str = "default", now_ts: int) -> None:
        self._ensure("team", team_id, org_id, now_ts)

    def ensure_user(self, user_id: str, *, org_id: str = "default", now_ts: int) -> None:
        self._ensure("user", user_id, org_id, now_ts)

    def ensure_project(self, project_id: str, *, org_id: str = "default", now_ts: int) -> None:
        self._ensure("project", project_id, org_id, now_ts)

    def key_ring(self) -> KeyRing:
        return KeyRing(_record(row) for row in self._read(_SELECT))

    def close(self) -> None:
        self._connection.close()

    def _ensure(self, kind: str, owner_id: str, org_id: str, now_ts: int) -> None:
        check_owner_id(f"{kind}_id", owner_id)
        check_owner_id("org_id", org_id)
        with transaction(self._connection):
            self._insert_owner("org", org_id, org_id, now_ts)
            self._insert_owner(kind, owner_id, org_id, now_ts)

    def _insert_owner(self, kind: str, owner_id: str, org_id: str, now_ts: int) -> None:
        if kind == "org":
            sql = "INSERT OR IGNORE INTO orgs (org_id, name, created_ts) VALUES (?, ?, ?)"
            self._connection.execute(sql, (org_id, org_id, now_ts))
        else:
            sql = (
                f"INSERT OR IGNORE INTO {kind}s (org_id, {kind}_id, name, created_ts) "
                "VALUES (?, ?, ?, ?)"
            )
            self._connection.execute(sql, (org_id, owner_id, owner_id, now_ts))

    def _insert(self, record: KeyRecord) -> None:
        org_id, now_ts = record.org_id, record.created_ts
        self._insert_owner("org", org_id, org_id, now_ts)
        self._insert_owner("team", record.team_id, org_id, now_ts)
        self._insert_owner("user", record.user_id, org_id, now_ts)
        self._insert_owner("project", record.project_id, org_id, now_ts)
        self._connection.execute(_INSERT, _row(record))

    def _update(self, record: KeyRecord) -> None:
        self._connection.execute(
            "UPDATE keys SET expires_ts = ?, revoked_ts = ? WHERE key_id = ?",
            (record.expires_ts, record.revoked_ts, record.key_id),
        )

    def _write(self, event: AnyOtherEvent) -> None:
        self._connection.execute(_INSERT_EVENT, event_row(event))

    def _read(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        try:
            return self._connection.execute(sql, parameters).fetchall()
        except sqlite3.Error as exc:
            raise StorageError(f"the database cannot be read: {exc}") from exc


def _row(record: KeyRecord) -> Row:
    fields = msgspec.structs.asdict(record)
    fields["allowed_models"] = json.dumps(record.allowed_models)
    return tuple(fields[name] for name in _COLUMNS)


def _record(row: Row) -> KeyRecord:
    fields: dict[str, Any] = dict(zip(_COLUMNS, row, strict=True))
    fields["allowed_models"] = tuple(json.loads(fields["allowed_models"]))
    fields["budgeted"] = bool(fields["budgeted"])
    fields["ephemeral"] = bool(fields["ephemeral"])
    return KeyRecord(**fields)
