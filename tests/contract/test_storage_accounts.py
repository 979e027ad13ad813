"""What every backend in BACKENDS must do as an AccountStore, tried on each."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from tests.ledgers import NOON, SECOND

from metis.accounts.keys import KeySpec
from metis.accounts.ring import AuthRefusal
from metis.errors import BadRequest, NotFound
from metis.facts.identity import Principal
from metis.storage import BACKENDS, open_storage
from metis.storage.memory import LocalGenerations, MemoryAccountStore
from metis.storage.settings import StorageSettings
from metis.storage.sqlite import SqliteStorage
from metis.trace.events import AnyOtherEvent, KeyCreated, KeyRevoked, KeyRotated, decode_object

SPEC = KeySpec(
    name="laptop",
    org_id="acme",
    team_id="web",
    user_id="ann",
    project_id="shop",
    pinned_model="claude-sonnet-5",
    allowed_models=("claude-*", "gpt-*"),
    budgeted=True,
    mode="auto",
    expires_ts=NOON + 3600 * SECOND,
)


class Accounts:
    """A backend's accounts with counted generations; `events` and `owners` read back what it kept."""

    def __init__(self, scheme: str, directory: Path) -> None:
        url = "memory:" if scheme == "memory" else f"{scheme}:///{directory / 'metis.db'}"
        self.storage = open_storage(StorageSettings(url=url), database=directory / "unused.db")
        self.storage.migrate(now_ts=NOON)
        self.generations = LocalGenerations()
        self.store = self.storage.accounts(self.generations)

    def events(self) -> list[AnyOtherEvent]:
        if isinstance(self.store, MemoryAccountStore):
            return self.store.events
        assert isinstance(self.storage, SqliteStorage)
        with closing(sqlite3.connect(self.storage.path)) as connection:
            rows = connection.execute("SELECT event FROM events ORDER BY id").fetchall()
        return [decode_object(event.encode()) for (event,) in rows]

    def owners(self) -> set[tuple[str, str, str]]:
        if isinstance(self.store, MemoryAccountStore):
            return self.store.owners
        assert isinstance(self.storage, SqliteStorage)
        with closing(sqlite3.connect(self.storage.path)) as connection:
            return {
                (kind, *row)
                for kind in ("team", "user", "project")
                for row in connection.execute(f"SELECT org_id, {kind}_id FROM {kind}s")
            }


@pytest.fixture(params=[backend.scheme for backend in BACKENDS])
def accounts(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Accounts]:
    accounts = Accounts(request.param, tmp_path)
    yield accounts
    accounts.store.close()


def test_a_created_key_is_listed_found_and_let_in(accounts: Accounts) -> None:
    minted = accounts.store.create_key(SPEC, now_ts=NOON, actor="cli")
    record = minted.record
    assert accounts.store.list_keys() == [record]
    for given in (record.key_id, record.prefix, record.key_id.removeprefix("key_")):
        assert accounts.store.find_key(given) == record
    found = accounts.store.key_ring().authenticate(minted.plaintext.encode(), NOON)
    assert found == Principal(
        key_id=record.key_id,
        org_id="acme",
        team_id="web",
        user_id="ann",
        project_id="shop",
        pinned_model="claude-sonnet-5",
        allowed_models=("claude-*", "gpt-*"),
        budgeted=True,
    )
    assert accounts.generations.keys() == 1
    (event,) = accounts.events()
    assert event == KeyCreated(
        event_id=event.event_id,
        ts=NOON,
        org_id="acme",
        team_id="web",
        user_id="ann",
        project_id="shop",
        key_id=record.key_id,
        name="laptop",
        actor="cli",
    )
    assert accounts.owners() == {
        ("team", "acme", "web"),
        ("user", "acme", "ann"),
        ("project", "acme", "shop"),
    }


def test_a_revoked_key_is_refused_at_once_and_for_good(accounts: Accounts) -> None:
    minted = accounts.store.create_key(SPEC, now_ts=NOON, actor="cli")
    generation = accounts.generations.keys()
    revoked = accounts.store.revoke_key(minted.record.prefix, now_ts=NOON + 5, actor="admin")
    assert revoked == msgspec.structs.replace(minted.record, revoked_ts=NOON + 5)
    assert accounts.generations.keys() == generation + 1
    again = accounts.store.revoke_key(minted.record.key_id, now_ts=NOON + 9, actor="admin")
    assert again == revoked
    refusal = accounts.store.key_ring().authenticate(minted.plaintext.encode(), NOON)
    assert refusal == AuthRefusal("revoked", minted.record.prefix)
    assert accounts.store.list_keys() == []
    assert accounts.store.list_keys(include_inactive=True) == [revoked]
    created, ended = accounts.events()
    assert isinstance(created, KeyCreated)
    assert isinstance(ended, KeyRevoked)
    assert (ended.key_id, ended.actor, ended.ts) == (minted.record.key_id, "admin", NOON + 5)


def test_a_rotated_key_hands_its_owner_and_limits_on(accounts: Accounts) -> None:
    old = accounts.store.create_key(SPEC, now_ts=NOON, actor="cli")
    new = accounts.store.rotate_key(old.record.key_id, now_ts=NOON + 7, actor="cli")
    assert new.plaintext != old.plaintext
    assert new.record == msgspec.structs.replace(
        old.record,
        key_id=new.record.key_id,
        digest=new.record.digest,
        created_ts=NOON + 7,
        replaces=old.record.key_id,
    )
    ring = accounts.store.key_ring()
    assert ring.authenticate(old.plaintext.encode(), NOON + 8) == AuthRefusal(
        "revoked", old.record.prefix
    )
    assert isinstance(ring.authenticate(new.plaintext.encode(), NOON + 8), Principal)
    event = accounts.events()[-1]
    assert isinstance(event, KeyRotated)
    assert (event.key_id, event.new_key_id) == (old.record.key_id, new.record.key_id)


def test_a_rotation_with_grace_lets_the_old_key_in_until_it_ends(accounts: Accounts) -> None:
    old = accounts.store.create_key(SPEC, now_ts=NOON, actor="cli")
    accounts.store.rotate_key(old.record.key_id, now_ts=NOON, actor="cli", grace_s=1.5)
    ring, presented = accounts.store.key_ring(), old.plaintext.encode()
    assert isinstance(ring.authenticate(presented, NOON + 1_499_999), Principal)
    assert ring.authenticate(presented, NOON + 1_500_000) == AuthRefusal(
        "expired", old.record.prefix
    )


def test_a_grace_never_lengthens_a_keys_life(accounts: Accounts) -> None:
    old = accounts.store.create_key(SPEC, now_ts=NOON, actor="cli")
    accounts.store.rotate_key(old.record.key_id, now_ts=NOON, actor="cli", grace_s=1e6)
    assert accounts.store.find_key(old.record.key_id).expires_ts == SPEC.expires_ts


def test_a_dead_key_cannot_be_rotated_back_to_life(accounts: Accounts) -> None:
    old = accounts.store.create_key(KeySpec(), now_ts=NOON, actor="cli").record
    accounts.store.revoke_key(old.key_id, now_ts=NOON, actor="cli")
    with pytest.raises(BadRequest, match="make a new key"):
        accounts.store.rotate_key(old.key_id, now_ts=NOON, actor="cli")
    assert len(accounts.store.list_keys(include_inactive=True)) == 1


def test_ephemeral_keys_a_killed_gateway_left_are_revoked(accounts: Accounts) -> None:
    kept = accounts.store.create_key(KeySpec(), now_ts=NOON, actor="cli")
    left = accounts.store.create_key(KeySpec(ephemeral=True), now_ts=NOON, actor="bootstrap")
    assert accounts.store.revoke_ephemeral(now_ts=NOON + 1, actor="bootstrap") == 1
    assert accounts.store.revoke_ephemeral(now_ts=NOON + 2, actor="bootstrap") == 0
    assert accounts.store.list_keys() == [kept.record]
    assert accounts.store.find_key(left.record.key_id).revoked_ts == NOON + 1


@pytest.mark.parametrize("action", ["find_key", "revoke_key", "rotate_key"])
def test_a_key_that_is_not_there_is_named(accounts: Accounts, action: str) -> None:
    arguments = {} if action == "find_key" else {"now_ts": NOON, "actor": "cli"}
    with pytest.raises(NotFound, match="there is no key 'sk-metis-zzzzzzzz'"):
        getattr(accounts.store, action)("sk-metis-zzzzzzzz", **arguments)


def test_a_spec_that_does_not_check_leaves_nothing(accounts: Accounts) -> None:
    with pytest.raises(BadRequest):
        accounts.store.create_key(KeySpec(user_id=""), now_ts=NOON, actor="cli")
    assert accounts.store.list_keys(include_inactive=True) == []
    assert accounts.owners() == set()
    assert accounts.events() == []


def test_owners_are_made_once(accounts: Accounts) -> None:
    for _ in range(2):
        accounts.store.ensure_team("web", now_ts=NOON)
        accounts.store.ensure_user("ann", org_id="acme", now_ts=NOON)
        accounts.store.ensure_project("shop", now_ts=NOON)
    assert accounts.owners() == {
        ("team", "default", "web"),
        ("user", "acme", "ann"),
        ("project", "default", "shop"),
    }
    with pytest.raises(BadRequest, match="user_id"):
        accounts.store.ensure_user(" ", now_ts=NOON)
