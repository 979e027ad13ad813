"""The ports behind which accounts live: a store for keys and their owners, and the generation counters.

Implementations live in `storage`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from metis.accounts.keys import KeyRecord, KeySpec, MintedKey
from metis.accounts.ring import KeyRing


class AccountStore(Protocol):
    """Keys and their owners. Times are epoch microseconds; `actor` says who asked (cli, admin, bootstrap).

    Each change is one transaction that also writes its event (gateway.key_created, key_rotated,
    key_revoked), and bumps the key generation once it is durable, so that it holds at once everywhere.
    """

    def create_key(self, spec: KeySpec, *, now_ts: int, actor: str) -> MintedKey:
        """Mint and keep a key; its org, team, user and project are made if they are new.

        Raises BadRequest when the spec does not check.
        """
        ...

    def list_keys(self, *, include_inactive: bool = False) -> Sequence[KeyRecord]:
        """All keys, oldest first; revoked ones only with `include_inactive`."""
        ...

    def find_key(self, key: str) -> KeyRecord:
        """Find a key by key_id, by display prefix or by the prefix's eight characters. Raises NotFound."""
        ...

    def revoke_key(self, key: str, *, now_ts: int, actor: str) -> KeyRecord:
        """End a key now; revoking one again keeps the first time. Raises NotFound."""
        ...

    def rotate_key(self, key: str, *, now_ts: int, actor: str, grace_s: float = 0.0) -> MintedKey:
        """Replace a key by a new one of the same owner and limits.

        The old one is revoked now, or, with `grace_s`, expires that many seconds from now.
        Raises NotFound, and BadRequest when the key is revoked already or the grace is too long.
        """
        ...

    def revoke_ephemeral(self, *, now_ts: int, actor: str) -> int:
        """Revoke every ephemeral key still alive: what a killed gateway left. Returns how many."""
        ...

    def ensure_team(self, team_id: str, *, org_id: str = "default", now_ts: int) -> None: ...

    def ensure_user(self, user_id: str, *, org_id: str = "default", now_ts: int) -> None: ...

    def ensure_project(self, project_id: str, *, org_id: str = "default", now_ts: int) -> None: ...

    def key_ring(self) -> KeyRing:
        """A snapshot of all keys to authenticate with."""
        ...

    def close(self) -> None: ...


class Generations(Protocol):
    """Counters every process sees: when one moved, what was read before it is stale."""

    def keys(self) -> int: ...

    def config(self) -> int: ...

    def bump_keys(self) -> int: ...

    def bump_config(self) -> int: ...
