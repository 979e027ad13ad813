from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.ledgers import NOON, call, decided, replace, turn

from metis.errors import LedgerError, StorageError
from metis.storage.sqlite import decision_texts, dimension, writing
from metis.storage.sqlite.connection import connect
from metis.storage.sqlite.ledger import SqliteLedgerStore
from metis.storage.sqlite.migrations import migrate
from metis.trace.events import AnyEvent
from metis.trace.events.groups import Packed
from metis.trace.ports import START, SpoolBatch, SpoolId, SpoolPosition
from metis.trace.recorder import Recorder
from metis.trace.settings import TraceSettings
from metis.trace.spool import SpoolWriter

TABLES = (
    "owners",
    "call_kinds",
    "call_ends",
    "turn_kinds",
    "spools",
    "decision_texts",
    "call_rows",
    "call_responses",
    "turn_rows",
    "decision_rows",
    "rollups_hourly",
    "sessions",
    "spool_positions",
)
SPOOL = SpoolId("r", "s")
POSITIONS = [START, *(SpoolPosition(1, offset) for offset in (10, 20, 30, 40))]


class House:
    """A database and a store on it; `record` commits the next batch of the spool, `again` opens another store."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connection = connect(path)
        migrate(self.connection, now_ts=NOON)
        self.store = SqliteLedgerStore(self.connection)
        self.batches = 0

    def batch(self, *events: AnyEvent) -> SpoolBatch:
        self.batches += 1
        start, end = POSITIONS[self.batches - 1 : self.batches + 1]
        return SpoolBatch(spool=SPOOL, start=start, end=end, events=events)

    def record(self, *events: AnyEvent) -> None:
        self.store.commit([self.batch(*events)])

    def again(self) -> None:
        self.store.close()
        self.connection = connect(self.path)
        self.store = SqliteLedgerStore(self.connection)

    def one(self, sql: str) -> tuple[Any, ...]:
        return self.connection.execute(sql).fetchone()

    def contents(self) -> dict[str, list[tuple[Any, ...]]]:
        return {
            name: self.connection.execute(f"SELECT * FROM {name}").fetchall() for name in TABLES
        }

    def counts(self) -> tuple[Any, ...]:
        """Calls, closed ones, those in rollups, those in sessions; turns, those in sessions."""
        return self.one(
            "SELECT (SELECT count(*) FROM calls), (SELECT count(*) FROM calls WHERE state = 'closed'), "
            "(SELECT sum(calls) FROM rollups_hourly), (SELECT sum(calls) FROM sessions), "
            "(SELECT count(*) FROM turns), (SELECT sum(turns) FROM sessions)"
        )


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path / "m.db")
    yield house
    house.store.close()


@pytest.mark.parametrize("table", TABLES)
def test_a_fault_at_any_table_leaves_all_tables_and_the_position_as_they_were(
    house: House, table: str
) -> None:
    open_call, late_end = call()
    house.record(*call(), turn(), open_call)
    before = house.contents()
    for event in ("INSERT", "UPDATE"):
        house.connection.execute(
            f"CREATE TRIGGER fault_{event} AFTER {event} ON {table} "
            "BEGIN SELECT RAISE(ABORT, 'injected'); END"
        )
    new: dict[str, Any] = {"user_id": "bob", "model": "m2"}
    events = (
        *(late_end, *call(**new, stop="length", response_id="resp_1")),
        *(turn(**new), decided(turn_id="t")),
    )
    other = SpoolBatch(
        spool=SpoolId("r", "other"), start=START, end=SpoolPosition(1, 5), events=call()
    )
    batches = [house.batch(*events), other]
    with pytest.raises(StorageError, match="injected"):
        house.store.commit(batches)
    assert house.contents() == before
    for event in ("INSERT", "UPDATE"):
        house.connection.execute(f"DROP TRIGGER fault_{event}")
    house.store.commit(batches)
    assert house.counts() == (4, 4, 4, 4, 2, 2)
    assert house.store.positions() == {SPOOL: POSITIONS[2], other.spool: other.end}
    shown = "SELECT user_id, model, stop, response_id FROM calls WHERE user_id = 'bob'"
    assert house.one(shown) == ("bob", "m2", "length", "resp_1")


@pytest.mark.parametrize("restarted", [False, True])
def test_a_batch_that_repeats_some_events_has_the_others_written_once(
    house: House, restarted: bool
) -> None:
    opened, ended = call()
    done, end = call(), turn()
    house.record(opened, *done, end)
    if restarted:
        house.again()
    fresh, more = call(), turn()
    house.record(*done, *fresh, ended, end, more, opened)
    assert house.counts() == (3, 3, 3, 3, 2, 2)
    house.record(*fresh, ended, more)
    assert house.counts() == (3, 3, 3, 3, 2, 2)


def test_a_batch_may_repeat_one_of_the_same_commit(house: House) -> None:
    done, end, opened = call(), turn(), call()
    batches = [
        house.batch(*done, end, opened[0]),
        house.batch(*done, *call(), end, *opened),
        house.batch(*opened, turn()),
    ]
    house.store.commit(iter(batches))
    assert house.counts() == (3, 3, 3, 3, 2, 2)


def test_a_call_is_closed_by_whoever_reads_its_end(house: House) -> None:
    """In the next batch of a commit, in the next commit, and by a store that did not see it open."""
    calls = [call(NOON + index, model=f"m{index}") for index in range(3)]
    house.store.commit(
        [house.batch(*(start for start, _ in calls)), house.batch(calls[0][1], turn())]
    )
    house.record(calls[1][1])
    house.again()
    house.record(calls[2][1])
    assert house.counts() == (3, 3, 3, 3, 1, 1)
    shown = house.connection.execute("SELECT call_id, started_ts, model FROM calls ORDER BY id")
    assert shown.fetchall() == [
        (start.call_id, NOON + index, f"m{index}") for index, (start, _) in enumerate(calls)
    ]


def test_a_call_that_somebody_else_closed_is_not_closed_again(house: House) -> None:
    started, ended = call()
    house.record(started)
    other = SqliteLedgerStore(connect(house.path))
    spool = SpoolId("r", "other")
    other.commit([SpoolBatch(spool=spool, start=START, end=POSITIONS[1], events=[ended])])
    other.close()
    house.record(replace(ended, cost_nano_usd=1), *call())
    assert house.counts() == (2, 2, 2, 2, 0, 0)
    assert house.one("SELECT sum(cost_nano_usd) FROM rollups_hourly") == (900_000,)


def test_numbers_met_in_a_batch_that_was_undone_are_not_used_again(house: House) -> None:
    """The numbers of a new owner and a new kind are given to others once their batch is undone."""
    house.record(*call())

    def stopped() -> Iterator[SpoolBatch]:
        house.batches = 1
        yield house.batch(*call(user_id="bob", model="m2"), call(user_id="bob")[0], turn())
        raise LedgerError("the spool is gone")

    with pytest.raises(LedgerError, match="the spool is gone"):
        house.store.commit(stopped())
    house.batches = 1
    house.record(*call(user_id="eve", model="m3"))
    house.record(*call(user_id="bob", model="m2"))
    shown = house.connection.execute("SELECT user_id, model FROM calls ORDER BY id").fetchall()
    assert shown == [("ann", "claude-sonnet-5"), ("eve", "m3"), ("bob", "m2")]
    summed = house.connection.execute("SELECT user_id, model, calls FROM rollups_hourly")
    assert sorted(summed.fetchall()) == sorted((*row, 1) for row in shown)


def test_what_is_no_longer_remembered_is_looked_up(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dimension, "_MOST_REMEMBERED", 0)
    monkeypatch.setattr(writing, "_MOST_OPEN", 0)
    monkeypatch.setattr(decision_texts, "_MOST_REMEMBERED", 0)
    started, ended = call()
    for events in ([started, decided(turn_id="t")], [ended], [*call(), decided(turn_id="u")]):
        house.record(*events)
    assert house.counts() == (2, 2, 2, 2, 0, 0)
    sizes = [len(house.contents()[name]) for name in ("owners", "call_kinds", "decision_texts")]
    assert sizes == [1, 1, 1]


def test_a_response_is_kept_apart_only_where_it_is_not_its_turns(house: House) -> None:
    same = call(turn_id="turn_1", response_id="msg_1"), turn(turn_id="turn_1", response_id="msg_1")
    crossed = call(turn_id="turn_2", response_id="chatcmpl-2"), turn(turn_id="turn_2")
    house.record(*same[0], same[1], *crossed[0], crossed[1], *call(turn_id="turn_3"))
    house.record(*call(turn_id="turn_4", response_id="chatcmpl-4"))
    found = house.connection.execute("SELECT response_id FROM call_responses").fetchall()
    assert found == [("chatcmpl-2",), ("chatcmpl-4",)]


def test_alike_rows_share_what_is_alike(house: House) -> None:
    for _ in range(3):
        house.record(*(event for _ in range(20) for event in (*call(), turn())))
    sizes = {name: len(rows) for name, rows in house.contents().items()}
    assert (sizes["call_rows"], sizes["turn_rows"]) == (60, 60)
    # One ending is that of calls that are still open.
    shared = {name: sizes[name] for name in ("owners", "call_kinds", "call_ends", "turn_kinds")}
    assert shared == {"owners": 1, "call_kinds": 1, "call_ends": 2, "turn_kinds": 1}


def test_a_group_that_is_none_leaves_all_as_it_was(house: House) -> None:
    house.record(*call(), turn())
    before = house.contents()
    good, (odd, _), end = call(user_id="bob", model="m2"), call(), turn(user_id="bob")
    nothing = Packed(b"null")
    for events in (
        (*good, end, msgspec.structs.replace(odd, whose=nothing)),
        (*good, end, msgspec.structs.replace(odd, kind=nothing)),
        (good[0], end, msgspec.structs.replace(good[1], ending=nothing)),
        (*good, msgspec.structs.replace(end, kind=nothing)),
        (*good, end, msgspec.structs.replace(decided(turn_id="t"), whose=nothing)),
    ):
        with pytest.raises(msgspec.DecodeError):
            house.store.commit([house.batch(*events)])
        house.batches -= 1
        assert house.contents() == before
    house.record(*good, end)
    assert house.counts() == (2, 2, 2, 2, 2, 2)
    assert house.one("SELECT user_id, model FROM calls ORDER BY id DESC") == ("bob", "m2")


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
