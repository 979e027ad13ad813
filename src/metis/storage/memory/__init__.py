"""The storage ports kept in memory: for tests and for trials that leave no trace."""

from __future__ import annotations

from metis.accounts.ports import Generations
from metis.storage.backend import Backend
from metis.storage.memory.accounts import MemoryAccountStore
from metis.storage.memory.generations import LocalGenerations
from metis.storage.memory.ledger import MemoryLedgerStore
from metis.storage.settings import StorageSettings

__all__ = [
    "BACKEND",
    "LocalGenerations",
    "MemoryAccountStore",
    "MemoryLedgerStore",
    "MemoryStorage",
]


class MemoryStorage:
    """One process's storage: the stores are the same objects each time."""

    def __init__(self, url: str, settings: StorageSettings) -> None:
        self._ledger = MemoryLedgerStore()
        self._accounts: MemoryAccountStore | None = None

    def migrate(self, *, now_ts: int) -> int:
        return 0

    def ledger(self) -> MemoryLedgerStore:
        return self._ledger

    def accounts(self, generations: Generations) -> MemoryAccountStore:
        if self._accounts is None:
            self._accounts = MemoryAccountStore(generations)
        return self._accounts


BACKEND = Backend("memory", MemoryStorage)
