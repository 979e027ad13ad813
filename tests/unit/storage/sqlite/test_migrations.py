import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.ledgers import DECISION, LedgerFile, call, decided, turn

from metis.errors import StorageError
from metis.facts.usage import Usage
from metis.storage.columns import (
    CALL_COLUMNS,
    CALL_END_COLUMNS,
    CALL_KIND_COLUMNS,
    DECISION_COLUMNS,
    DECISION_TEXT_COLUMNS,
    EVENT_COLUMNS,
    FINISH_COLUMNS,
    OWNER_COLUMNS,
    ROLLUP_DIMENSIONS,
    ROLLUP_MEASURES,
    SESSION_COLUMNS,
    SPOOL_COLUMNS,
    START_COLUMNS,
    TURN_COLUMNS,
    TURN_FACT_COLUMNS,
    TURN_KIND_COLUMNS,
    UNREADABLE_COLUMNS,
)
from metis.storage.sqlite import migrations
from metis.storage.sqlite.connection import connect, connect_reader
from metis.storage.sqlite.ledger import SqliteLedgerStore
from metis.storage.sqlite.migrations import MIGRATIONS, migrate, schema_version
from metis.trace.ports import START, SpoolBatch, SpoolId, SpoolPosition

OTHER = msgspec.structs.replace(DECISION, model="gpt-9", provider="openai", reason="a whim")


def migrate_to(connection: sqlite3.Connection, version: int) -> None:
    """Bring an empty database to an older schema."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", MIGRATIONS[:version])
        assert migrate(connection, now_ts=5) == version


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
    wanted = {
        "owners": {*OWNER_COLUMNS},
        "call_kinds": {*CALL_KIND_COLUMNS},
        "call_ends": {*CALL_END_COLUMNS},
        "turn_kinds": {*TURN_KIND_COLUMNS},
        "spools": {*SPOOL_COLUMNS},
        "call_rows": {
            *("owner", "kind", "ending", "written_by"),
            *START_COLUMNS,
            *FINISH_COLUMNS,
        },
        "turn_rows": {"owner", "kind", *TURN_FACT_COLUMNS},
        "decision_texts": {*DECISION_TEXT_COLUMNS},
        "events": {*EVENT_COLUMNS},
        "rollups_hourly": {*ROLLUP_DIMENSIONS, *ROLLUP_MEASURES},
        "sessions": {*SESSION_COLUMNS},
        "unreadable_frames": {*UNREADABLE_COLUMNS},
        # The views show rows whole.
        "calls": {"state", *CALL_COLUMNS},
        "turns": {*TURN_COLUMNS},
        "decisions": {*DECISION_COLUMNS, *DECISION_TEXT_COLUMNS},
    }
    assert {name: columns(connection, name) for name in wanted} == wanted


V1_CALLS = ("id", "state", *CALL_COLUMNS)
V1_TURNS = ("id", *TURN_COLUMNS)
V1_DECISIONS = (
    *("event_id", "ts", "turn_id", "org_id", "team_id", "user_id", "project_id", "key_id"),
    *("client", "session_id", "requested_model", "provider", "model", "slot", "reason"),
    *("policy", "decision"),
)


def rows(connection: sqlite3.Connection, table: str, names: Sequence[str]) -> list[tuple[Any, ...]]:
    return sorted(
        connection.execute(f"SELECT {', '.join(names)} FROM {table}").fetchall(), key=repr
    )


def test_rows_of_schema_1_are_shown_by_schema_2_as_they_were(tmp_path: Path) -> None:
    """What a ledger of today shows of some events is written as schema 1 had it, and migrated."""
    ledger = LedgerFile(tmp_path)
    answered = call(
        turn_id="turn_1", response_id="msg_1", agent_id="a", parent_agent_id="p", arm="b"
    )
    crossed = call(turn_id="turn_2", response_id="chatcmpl-2", client="codex", session_id="")
    ledger.record(
        decided(turn_id="turn_1", agent_id="a", parent_agent_id="p"),
        *(answered, turn(turn_id="turn_1", response_id="msg_1", agent_id="a", parent_agent_id="p")),
        *(decided(turn_id="turn_2", decision=OTHER), crossed, turn(turn_id="turn_2")),
        call(outcome="error", failure="overloaded", http_status=529, usage=Usage()),
        call(turn_id="turn_3")[0],
        decided(turn_id="turn_3"),
    )
    shown = connect(ledger.path)
    old = connect(tmp_path / "old.db")
    migrate_to(old, 1)
    for table, names in (("calls", V1_CALLS), ("turns", V1_TURNS), ("decisions", V1_DECISIONS)):
        insert = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
        old.executemany(insert, rows(shown, table, names))
    assert migrate(old, now_ts=6) == MIGRATIONS[-1].version
    for table, names in (
        *(("calls", V1_CALLS), ("turns", V1_TURNS)),
        ("decisions", (*DECISION_COLUMNS, *DECISION_TEXT_COLUMNS)),
        ("decision_texts", DECISION_TEXT_COLUMNS),
        ("call_responses", ("response_id", "call")),
    ):
        assert rows(old, table, names) == rows(shown, table, names), table
    counts = "SELECT (SELECT count(*) FROM calls), (SELECT count(*) FROM turns)"
    assert old.execute(counts).fetchone() == (4, 2)
    assert old.execute("SELECT count(*) FROM decision_texts").fetchone() == (2,)
    assert rows(old, "call_responses", ("response_id",)) == [("chatcmpl-2",)]
    ledger.close()


def test_a_migrated_ledger_is_recorded_on(tmp_path: Path) -> None:
    """A call that schema 1 had open is closed, and what it had recorded is not recorded again."""
    ledger = LedgerFile(tmp_path)
    started, completed = call()
    done, end, route = call(), turn(turn_id="turn_1"), decided(turn_id="turn_1")
    ledger.record(started, *done, end, route)
    shown = connect(ledger.path)
    old = connect(tmp_path / "old.db")
    migrate_to(old, 1)
    for table, names in (("calls", V1_CALLS), ("turns", V1_TURNS), ("decisions", V1_DECISIONS)):
        insert = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
        old.executemany(insert, rows(shown, table, names))
    migrate(old, now_ts=6)
    store = SqliteLedgerStore(old)
    again = (*done, end, route, completed, decided(turn_id="turn_2"))
    spool = SpoolId("r", "w")
    assert store.open_calls(spool) == [started]
    store.commit([SpoolBatch(spool=spool, start=START, end=SpoolPosition(1, 9), events=again)])
    assert store.open_calls(spool) == []
    counts = "SELECT (SELECT count(*) FROM calls), (SELECT count(*) FROM turns), (SELECT count(*) FROM decisions)"
    assert old.execute(counts).fetchone() == (2, 1, 2)
    assert old.execute("SELECT count(*) FROM decision_texts").fetchone() == (1,)
    assert old.execute("SELECT sum(calls) FROM rollups_hourly").fetchone() == (1,)
    ledger.close()


def test_a_database_of_a_newer_metis_is_left_alone(tmp_path: Path) -> None:
    connection = connect(tmp_path / "m.db")
    migrate(connection, now_ts=5)
    newer = MIGRATIONS[-1].version + 1
    connection.execute("INSERT INTO schema_migrations VALUES (?, 'x', 6)", (newer,))
    with pytest.raises(StorageError, match=f"has schema {newer}, this Metis knows"):
        migrate(connection, now_ts=7)
    assert not connection.in_transaction


@pytest.mark.parametrize("attempt", range(15))  # the race is lost in one of ten, if at all
def test_two_processes_may_open_and_migrate_at_once(tmp_path: Path, attempt: int) -> None:
    reached: list[int] = []
    together = threading.Barrier(4)

    def work() -> None:
        together.wait()
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
        reader.execute("DELETE FROM call_rows")
    with pytest.raises(StorageError, match="cannot read the database"):
        connect_reader(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "m.db").write_bytes(b"not a database, but long enough to be asked" * 50)
    with pytest.raises(StorageError, match=r"cannot open the database .*m\.db"):
        connect(tmp_path / "m.db")
