from pathlib import Path

import pytest
from tests.ledgers import NOON, call, decided, turn

from metis.errors import StorageError
from metis.storage.sqlite.connection import connect
from metis.storage.sqlite.ledger import SqliteLedgerStore
from metis.storage.sqlite.migrations import migrate
from metis.trace.ports import START, SpoolBatch, SpoolId, SpoolPosition
from metis.trace.recorder import Recorder
from metis.trace.settings import TraceSettings
from metis.trace.spool import SpoolWriter

TABLES = (
    "calls",
    "turns",
    "decisions",
    "events",
    "rollups_hourly",
    "sessions",
    "spool_positions",
)


@pytest.mark.parametrize("table", [name for name in TABLES if name != "events"])
def test_a_fault_at_any_table_leaves_all_tables_and_the_position_as_they_were(
    tmp_path: Path, table: str
) -> None:
    connection = connect(tmp_path / "m.db")
    migrate(connection, now_ts=NOON)
    store = SqliteLedgerStore(connection)
    open_call, late_end = call()
    spool = SpoolId("r", "s")
    first = SpoolPosition(1, 10)
    store.commit(
        [SpoolBatch(spool=spool, start=START, end=first, events=(*call(), turn(), open_call))]
    )

    def contents() -> dict[str, list[tuple[object, ...]]]:
        return {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in TABLES}

    before = contents()
    for event in ("INSERT", "UPDATE"):
        connection.execute(
            f"CREATE TRIGGER fault_{event} AFTER {event} ON {table} "
            "BEGIN SELECT RAISE(ABORT, 'injected'); END"
        )
    events = (late_end, *call(), turn(), decided(turn_id="t"))
    batch = SpoolBatch(spool=spool, start=first, end=SpoolPosition(1, 20), events=events)
    with pytest.raises(StorageError, match="injected"):
        store.commit([batch])
    assert contents() == before
    for event in ("INSERT", "UPDATE"):
        connection.execute(f"DROP TRIGGER fault_{event}")
    store.commit([batch])
    assert connection.execute("SELECT count(*) FROM calls WHERE state = 'closed'").fetchone() == (
        3,
    )
    assert store.positions() == {spool: SpoolPosition(1, 20)}


def test_the_recorder_goes_on_after_the_database_refused(tmp_path: Path) -> None:
    connection = connect(tmp_path / "m.db", busy_timeout_ms=0)
    migrate(connection, now_ts=NOON)
    writer = SpoolWriter(tmp_path / "spool" / "r" / "s", TraceSettings())
    recorder = Recorder(tmp_path / "spool", SqliteLedgerStore(connection), TraceSettings())
    writer.append(call())
    blocker = connect(tmp_path / "m.db")
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="locked"):
        recorder.poll()
    blocker.execute("ROLLBACK")
    assert recorder.poll().events == 2
    assert connection.execute("SELECT sum(calls) FROM rollups_hourly").fetchone() == (1,)
