import sqlite3
import threading
from pathlib import Path

import pytest

from metis.errors import StorageError
from metis.storage.rows import (
    CALL_COLUMNS,
    DECISION_COLUMNS,
    EVENT_COLUMNS,
    ROLLUP_DIMENSIONS,
    ROLLUP_MEASURES,
    SESSION_MEASURES,
    SESSION_OWNER,
    TURN_COLUMNS,
)
from metis.storage.sqlite.connection import connect, connect_reader
from metis.storage.sqlite.migrations import MIGRATIONS, migrate, schema_version


def columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")} - {"id"}


def test_an_empty_file_becomes_the_newest_schema_once(tmp_path: Path) -> None:
    connection = connect(tmp_path / "m.db")
    assert schema_version(connection) == 0
    newest = MIGRATIONS[-1].version
    assert (migrate(connection, now_ts=5), migrate(connection, now_ts=6)) == (newest, newest)
    applied = connection.execute("SELECT version, name, applied_ts FROM schema_migrations")
    assert applied.fetchall() == [(m.version, m.name, 5) for m in MIGRATIONS]


def test_migrations_are_numbered_without_gaps() -> None:
    assert [m.version for m in MIGRATIONS] == list(range(1, len(MIGRATIONS) + 1))


def test_the_tables_have_exactly_the_columns_that_rows_fill(tmp_path: Path) -> None:
    connection = connect(tmp_path / "m.db")
    migrate(connection, now_ts=5)
    assert {
        name: columns(connection, name)
        for name in ("calls", "turns", "decisions", "events", "rollups_hourly", "sessions")
    } == {
        "calls": set(CALL_COLUMNS),
        "turns": set(TURN_COLUMNS),
        "decisions": set(DECISION_COLUMNS),
        "events": set(EVENT_COLUMNS),
        "rollups_hourly": {*ROLLUP_DIMENSIONS, *ROLLUP_MEASURES},
        "sessions": {
            *("key_id", "session_id", "first_ts", "last_ts"),
            *SESSION_OWNER,
            *SESSION_MEASURES,
        },
    }


def test_a_database_of_a_newer_metis_is_left_alone(tmp_path: Path) -> None:
    connection = connect(tmp_path / "m.db")
    migrate(connection, now_ts=5)
    newer = MIGRATIONS[-1].version + 1
    connection.execute("INSERT INTO schema_migrations VALUES (?, 'x', 6)", (newer,))
    with pytest.raises(StorageError, match=f"has schema {newer}, this Metis knows"):
        migrate(connection, now_ts=7)
    assert not connection.in_transaction


def test_two_processes_may_migrate_at_once(tmp_path: Path) -> None:
    reached: list[int] = []

    def work() -> None:
        connection = connect(tmp_path / "m.db")
        reached.append(migrate(connection, now_ts=5))
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reached == [MIGRATIONS[-1].version] * 4


def test_a_database_and_its_side_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    connection = connect(tmp_path / "m.db")
    migrate(connection, now_ts=5)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(("m.db", "m.db-wal", "m.db-shm"), 0o600)


def test_a_reader_cannot_write_and_does_not_make_a_database(tmp_path: Path) -> None:
    connection = connect(tmp_path / "m.db")
    migrate(connection, now_ts=5)
    reader = connect_reader(tmp_path / "m.db")
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("DELETE FROM calls")
    with pytest.raises(StorageError, match="cannot read the database"):
        connect_reader(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "m.db").write_bytes(b"not a database, but long enough to be asked" * 50)
    with pytest.raises(StorageError, match=r"cannot open the database .*m\.db"):
        connect(tmp_path / "m.db")
