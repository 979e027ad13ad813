"""How a SQLite file is opened, and transactions on it. No SQL of any table.

A connection belongs to one thread at a time and to one process: never carry one across a fork.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from metis.errors import StorageError

_OLDEST: Final = (3, 31, 0)  # generated columns and upserts; Python 3.11 builds on newer ones
_CACHE_KIB: Final = 16 * 1024
# A page is written to the log by each commit that touches it and to the file once a checkpoint: with
# fewer checkpoints (SQLite's own default is 1000 pages) the last pages of the indices go there less often.
_CHECKPOINT_PAGES: Final = 4000
_WAIT_S: Final = 0.005
_JOURNAL_LIMIT_BYTES: Final = 64 * 1024 * 1024


def connect(
    path: Path, *, busy_timeout_ms: int = 5_000, synchronous: Literal["normal", "full"] = "normal"
) -> sqlite3.Connection:
    """Open a database for writing, mode 0600, in WAL mode and autocommit. Raises StorageError."""
    if sqlite3.sqlite_version_info < _OLDEST:
        raise StorageError(f"SQLite {sqlite3.sqlite_version} is too old; Metis needs 3.31 or newer")
    try:
        _make_private(path)
        connection = sqlite3.connect(
            path, timeout=busy_timeout_ms / 1000, isolation_level=None, check_same_thread=False
        )
    except (OSError, sqlite3.Error) as exc:
        raise StorageError(f"cannot open the database {path}: {exc}") from exc
    try:
        _use_wal(connection, busy_timeout_ms)
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit = {_JOURNAL_LIMIT_BYTES}")
    except sqlite3.Error as exc:
        connection.close()
        raise StorageError(f"cannot open the database {path}: {exc}") from exc
    return connection


def _use_wal(connection: sqlite3.Connection, busy_timeout_ms: int) -> None:
    """Set the journal mode, waiting for others that open the same new database.

    SQLite does not wait there by itself: the first writer of the mode needs the file alone, and of two that
    have begun to read it one must give way (https://www.sqlite.org/c3ref/busy_handler.html).
    """
    end = time.monotonic() + busy_timeout_ms / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= end:
                raise
            time.sleep(_WAIT_S)


def _make_private(path: Path) -> None:
    """Make a missing database's file with mode 0600: SQLite gives its side files the same mode.

    Never open one that exists: closing that descriptor would drop every lock this process has on it
    (https://www.sqlite.org/howtocorrupt.html, section 2.2), and others would delete our log.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return


def connect_reader(path: Path, *, busy_timeout_ms: int = 5_000) -> sqlite3.Connection:
    """Open an existing database for reading only. Raises StorageError when there is none."""
    try:
        # mode=rw, not ro: a reader must be able to make the WAL's index when it is the first one there.
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=busy_timeout_ms / 1000,
            isolation_level=None,
            check_same_thread=False,
        )
    except sqlite3.Error as exc:
        raise StorageError(f"cannot read the database {path}: {exc}; 'metis up' makes it") from exc
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Generator[None]:
    """Run the block as one write transaction: all of it or nothing. SQLite's errors become StorageError."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    except sqlite3.Error as exc:
        raise StorageError(f"the database refused: {exc}") from exc
