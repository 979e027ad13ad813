"""What a storage backend is: the value a registry entry holds, and the stores it opens."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from metis.accounts.ports import AccountStore, Generations
from metis.storage.settings import StorageSettings
from metis.trace.ports import LedgerStore


class Storage(Protocol):
    """One installation's storage. Each store has a connection of its own: open it in the process and
    thread that uses it, after any fork, and close it there."""

    def migrate(self, *, now_ts: int) -> int:
        """Bring the schema up to date; returns its version. Call once before anything else."""
        ...

    def ledger(self) -> LedgerStore: ...

    def accounts(self, generations: Generations) -> AccountStore: ...


class Backend(NamedTuple):
    """A backend by the scheme of its URL. `open` takes the whole URL and raises StorageError."""

    scheme: str
    open: Callable[[str, StorageSettings], Storage]
