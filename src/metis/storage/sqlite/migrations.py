"""The SQLite schema as a numbered list of migrations, and the function that applies what is missing.

The list is append-only: a migration that has been released is never edited, a change is a new one.
Each schema's statements stand in a file of its own. No queries live here.

Conventions of every table: money is integer nano-dollars (`_nano_usd`), a time is epoch microseconds
UTC (`_ts`), a duration integer microseconds (`_us`), so that sums are exact; "" means "does not apply";
JSON columns hold text that `json_extract` can read. `id` columns are SQLite row ids: the order of
arrival, no more.
"""

from __future__ import annotations

import sqlite3
from typing import Final, NamedTuple

from metis.errors import StorageError
from metis.storage.sqlite import schema_1, schema_2
from metis.trace.events.route import decision_id_of


class Migration(NamedTuple):
    """One step: `statements` run in one transaction together with the row in `schema_migrations`."""

    version: int
    name: str
    statements: tuple[str, ...]


MIGRATIONS: Final[tuple[Migration, ...]] = (
    Migration(1, "the ledger and the accounts", schema_1.STATEMENTS),
    Migration(2, "what is alike in many rows stands once", schema_2.STATEMENTS),
)

_HISTORY: Final = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    applied_ts INTEGER NOT NULL
)
"""


def schema_version(connection: sqlite3.Connection) -> int:
    """The newest migration a database has; 0 for an empty one."""
    found = connection.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'schema_migrations'"
    ).fetchone()
    if found is None:
        return 0
    return int(
        connection.execute("SELECT coalesce(max(version), 0) FROM schema_migrations").fetchone()[0]
    )


def migrate(connection: sqlite3.Connection, *, now_ts: int) -> int:
    """Apply the missing migrations, all in one transaction, and return the version reached.

    The connection must be in autocommit mode (`isolation_level=None`). Two processes may call this at
    once: the second waits for the first and finds nothing to do.
    Raises StorageError when the database is newer than this Metis.
    """
    newest = MIGRATIONS[-1].version
    if schema_version(connection) == newest:
        return newest
    connection.create_function("metis_decision_id", 1, _decision_id, deterministic=True)
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(_HISTORY)
        current = schema_version(connection)
        if current > newest:
            raise StorageError(
                f"the database has schema {current}, this Metis knows {newest}; run the newer Metis, "
                "or restore the copy made before the upgrade"
            )
        for migration in MIGRATIONS[current:]:
            for statement in migration.statements:
                connection.execute(statement)
            connection.execute(
                "INSERT INTO schema_migrations (version, name, applied_ts) VALUES (?, ?, ?)",
                (migration.version, migration.name, now_ts),
            )
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return newest


def _decision_id(encoded: str) -> str:
    return decision_id_of(encoded.encode())
