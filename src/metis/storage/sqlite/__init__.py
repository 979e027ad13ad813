"""SQLite (WAL): the ledger, the accounts, their schema and the questions asked of them."""

from __future__ import annotations

from pathlib import Path

from metis.accounts.ports import Generations
from metis.errors import StorageError
from metis.storage.backend import Backend
from metis.storage.settings import StorageSettings
from metis.storage.sqlite.accounts import SqliteAccountStore
from metis.storage.sqlite.connection import connect
from metis.storage.sqlite.ledger import SqliteLedgerStore
from metis.storage.sqlite.migrations import migrate

_SCHEME = "sqlite"


class SqliteStorage:
    """The storage in one database file."""

    def __init__(self, url: str, settings: StorageSettings) -> None:
        self.path = path_of(url)
        self._settings = settings

    def migrate(self, *, now_ts: int) -> int:
        connection = connect(self.path, busy_timeout_ms=self._settings.busy_timeout_ms)
        try:
            return migrate(connection, now_ts=now_ts)
        finally:
            connection.close()

    def ledger(self) -> SqliteLedgerStore:
        settings = self._settings
        return SqliteLedgerStore(
            connect(
                self.path,
                busy_timeout_ms=settings.busy_timeout_ms,
                synchronous=settings.synchronous,
            )
        )

    def accounts(self, generations: Generations) -> SqliteAccountStore:
        connection = connect(
            self.path, busy_timeout_ms=self._settings.busy_timeout_ms, synchronous="full"
        )
        return SqliteAccountStore(connection, generations)


def path_of(url: str) -> Path:
    """The file meant by `sqlite:///path`. Raises StorageError."""
    start = f"{_SCHEME}:///"
    if not url.startswith(start) or len(url) == len(start):
        raise StorageError(
            f"storage url {url!r} names no file; write 'sqlite:////var/lib/metis/metis.db'"
        )
    return Path(url[len(start) :]).expanduser()


def url_of(path: Path) -> str:
    """The URL of a database file."""
    return f"{_SCHEME}:///{path}"


BACKEND = Backend(_SCHEME, SqliteStorage)
