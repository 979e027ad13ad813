"""Reading the ledger back: every grouping adds up to what was recorded, from rollups and from calls alike."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.ledgers import (
    DECISION,
    HOUR,
    NOON,
    SECOND,
    LedgerFile,
    call,
    client_paid,
    decided,
    said,
    turn,
    usage_of,
)

from metis.analytics.ports import (
    COLUMNS,
    LedgerFilter,
    SessionSummary,
    SpendCells,
    TurnCount,
    columns_of,
)
from metis.analytics.window import Window
from metis.errors import StorageError
from metis.facts.usage import PaidBy, Usage, UsageSource
from metis.storage.sqlite.queries import SqliteLedgerQueries
from metis.trace.events import LlmCallCompleted
from metis.trace.events.turn import TurnFeatures

GROUPINGS = [(), *((name,) for name in COLUMNS), ("team", "model"), ("key", "session")]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[LedgerFile]:
    file = LedgerFile(tmp_path)
    yield file
    file.close()


@pytest.fixture
def queries(ledger: LedgerFile) -> Iterator[SqliteLedgerQueries]:
    found = SqliteLedgerQueries(ledger.path)
    yield found
    found.close()


TOKENS = st.integers(0, 10**6)
CALLS = st.fixed_dictionaries(
    {
        "ts": st.integers(NOON - 3 * HOUR, NOON + 3 * HOUR)
        | st.sampled_from([NOON, NOON - 1, NOON + HOUR, NOON - HOUR]),
        "key_id": st.sampled_from(["key_a", "key_b"]),
        "user_id": st.sampled_from(["ann", "bob"]),
        "team_id": st.sampled_from(["red", "blue"]),
        "project_id": st.sampled_from(["web", "app"]),
        "session_id": st.sampled_from(["", "s1", "s2"]),
        "client": st.sampled_from(["codex", "unknown"]),
        "provider": st.sampled_from(["anthropic", "openai"]),
        "model": st.sampled_from(["m1", "m2"]),
        "role": st.sampled_from(["main", "auxiliary", "hedge"]),
        "operation": st.sampled_from(["generate", "embeddings"]),
        "outcome": st.sampled_from(["ok", "error", "aborted", "interrupted"]),
        "paid_by": st.sampled_from(list(PaidBy)),
        "usage_source": st.sampled_from(list(UsageSource)),
        "price_unknown": st.booleans(),
        "cost_nano_usd": st.integers(0, 10**12),
        "usage": st.builds(
            Usage,
            input_tokens=TOKENS,
            cache_read_tokens=TOKENS,
            cache_write_5m_tokens=TOKENS,
            cache_write_1h_tokens=TOKENS,
            output_tokens=TOKENS,
            reasoning_tokens=TOKENS,
            server_tools=st.sampled_from([{}, {"web_search_requests": 2}]),
        ),
    }
)
INSTANTS = st.none() | st.integers(NOON - 4 * HOUR, NOON + 4 * HOUR) | st.just(NOON)


def summed(cells: SpendCells) -> dict[Any, list[int]]:
    """Cells folded by all that tells them apart, whatever pieces they came in."""
    sums: dict[Any, list[int]] = {}
    for cell in cells.cells:
        key = (
            *(cell.bucket, cell.group, cell.provider, cell.model, cell.operation, cell.role),
            *(cell.paid_by, cell.usage_source, cell.outcome),
        )
        add(sums, key, cell.calls, cell.usage, cell.cost_nano_usd, cell.price_unknown_calls)
    return sums


def expected(
    events: list[LlmCallCompleted], starts: list[int], columns: tuple[str, ...], window: Window
) -> dict[Any, list[int]]:
    sums: dict[Any, list[int]] = {}
    for event, start in zip(events, starts, strict=True):
        if window.start_us is not None and start < window.start_us:
            continue
        if window.end_us is not None and start >= window.end_us:
            continue
        fields = said(event)
        key = (
            *(0, tuple(fields[name] for name in columns)),
            *(fields[name] for name in ("provider", "model", "operation", "role")),
            *(fields[name] for name in ("paid_by", "usage_source", "outcome")),
        )
        unknown = int(fields["price_unknown"])
        add(sums, key, 1, usage_of(event), event.cost_nano_usd, unknown)
    return sums


def add(
    sums: dict[Any, list[int]], key: Any, calls: int, usage: Usage, cost: int, unknown: int
) -> None:
    counts = [getattr(usage, name) for name in Usage.__struct_fields__ if name != "server_tools"]
    values = [calls, cost, unknown, *counts, sum(usage.server_tools.values())]
    known = sums.setdefault(key, [0] * len(values))
    for position, value in enumerate(values):
        known[position] += value


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(CALLS, max_size=12), st.sampled_from(GROUPINGS), INSTANTS, INSTANTS, st.booleans())
def test_every_grouping_over_every_range_equals_the_recorded_calls(
    tmp_path_factory: pytest.TempPathFactory,
    drawn: list[dict[str, Any]],
    group_by: Any,
    start: int | None,
    end: int | None,
    days_apart: bool,
) -> None:
    ledger = LedgerFile(tmp_path_factory.mktemp("ledger"))
    calls = [call(**fields) for fields in drawn]
    ledger.record(*calls)
    queries = SqliteLedgerQueries(ledger.path)
    window = Window(start, end)
    found = queries.spend(LedgerFilter(window=window), group_by, days_apart=days_apart)
    starts = [fields["ts"] for fields in drawn]
    completed = [pair[1] for pair in calls]
    assert summed(found) == expected(completed, starts, columns_of(group_by), window)
    queries.close()
    ledger.close()


def test_buckets_share_no_call_and_lose_none(
    ledger: LedgerFile, queries: SqliteLedgerQueries
) -> None:
    edges = (NOON - HOUR, NOON, NOON + 1800 * SECOND, NOON + 2 * HOUR)
    instants = [NOON - HOUR - 1, NOON - HOUR, NOON - 1, NOON, NOON + 1800 * SECOND, NOON + 2 * HOUR]
    ledger.record(*(call(ts, cost_nano_usd=10**index) for index, ts in enumerate(instants)))
    found = queries.spend(LedgerFilter(), (), edges)
    costs = dict.fromkeys(range(3), 0)
    for cell in found.cells:
        costs[cell.bucket] += cell.cost_nano_usd
    assert costs == {0: 110, 1: 1000, 2: 10000}


def test_whole_hours_are_read_from_rollups_and_sessions_from_calls(
    ledger: LedgerFile, queries: SqliteLedgerQueries
) -> None:
    ledger.record(call(NOON + 5), call(NOON + HOUR))
    marked = sqlite3.connect(ledger.path)
    marked.execute("UPDATE rollups_hourly SET cost_nano_usd = 7")
    marked.commit()
    marked.close()

    def costs(window: Window, *group_by: Any) -> int:
        cells = queries.spend(LedgerFilter(window=window), group_by).cells
        return sum(cell.cost_nano_usd for cell in cells)

    assert costs(Window()) == 14
    assert costs(Window(NOON, NOON + HOUR)) == 7
    assert costs(Window(NOON + 1, NOON + HOUR)) == 450_000
    assert costs(Window(NOON + 1, None)) == 450_007  # a ragged end is read from the calls
    assert costs(Window(), "session") == 900_000


def test_days_apart_split_cells_at_utc_midnight(
    ledger: LedgerFile, queries: SqliteLedgerQueries
) -> None:
    midnight = NOON + 12 * HOUR
    ledger.record(call(midnight - 1), call(midnight), call(midnight + HOUR))
    cells = queries.spend(LedgerFilter(), days_apart=True).cells
    assert sorted((cell.day_ts, cell.calls) for cell in cells) == [
        (NOON - 12 * HOUR, 1),
        (midnight, 2),
    ]
    by_session = queries.spend(LedgerFilter(session_id="session-1"), days_apart=True).cells
    assert sorted(cell.day_ts for cell in by_session) == [NOON - 12 * HOUR, midnight]


def test_open_calls_are_counted_and_in_no_sum(
    ledger: LedgerFile, queries: SqliteLedgerQueries
) -> None:
    started, completed = call(NOON)
    ledger.record(started, call(NOON))
    found = queries.spend(LedgerFilter())
    assert (found.open_calls, sum(cell.calls for cell in found.cells)) == (1, 1)
    assert [c.completed_ts is None for c in queries.calls(LedgerFilter())] == [True, False]
    ledger.record(completed)
    found = queries.spend(LedgerFilter())
    assert (found.open_calls, sum(cell.calls for cell in found.cells)) == (0, 2)


def test_turns_are_counted_by_their_end_and_token_counting_is_none(
    ledger: LedgerFile, queries: SqliteLedgerQueries
) -> None:
    ledger.record(
        turn(NOON),
        turn(NOON, user_id="bob"),
        turn(NOON + HOUR),
        turn(NOON, operation="count_tokens"),
    )
    found = queries.spend(LedgerFilter(), ("user",), (NOON, NOON + HOUR, NOON + 2 * HOUR))
    assert found.turns == [
        TurnCount(0, ("ann",), 1),
        TurnCount(0, ("bob",), 1),
        TurnCount(1, ("ann",), 1),
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("org_id", "acme"),
        ("team_id", "ops"),
        ("user_id", "bob"),
        ("project_id", "app"),
        ("key_id", "key_b"),
        ("session_id", "session-2"),
        ("client", "codex"),
        ("provider", "openai"),
        ("model", "gpt-9"),
    ],
)
def test_a_filter_keeps_only_what_it_names(
    ledger: LedgerFile, queries: SqliteLedgerQueries, field: str, value: str
) -> None:
    wanted = call(NOON, **{field: value})
    wanted_turn = turn(NOON, **{field: value})
    ledger.record(call(NOON), turn(NOON), wanted, wanted_turn)
    where = LedgerFilter(**{field: value})
    found = queries.spend(where)
    assert (sum(cell.calls for cell in found.cells), found.turns) == (1, [TurnCount(0, (), 1)])
    assert [c.call_id for c in queries.calls(where)] == [wanted[0].call_id]
    assert [t.turn_id for t in queries.turns(where)] == [wanted_turn.turn_id]


def test_turn_ids_choose_calls(ledger: LedgerFile, queries: SqliteLedgerQueries) -> None:
    ledger.record(call(turn_id="turn_x"), call(turn_id="turn_y"), call(turn_id="turn_z"))
    where = LedgerFilter(turn_ids=("turn_x", "turn_z"))
    assert [c.turn_id for c in queries.calls(where)] == ["turn_x", "turn_z"]
    assert sum(cell.calls for cell in queries.spend(where).cells) == 2


def test_calls_page_in_the_order_of_arrival_and_give_every_field_back(
    ledger: LedgerFile, queries: SqliteLedgerQueries
) -> None:
    usage = Usage(input_tokens=7, output_tokens=3, server_tools={"web_search_requests": 1})
    ledger.record(
        call(NOON + HOUR),
        call(NOON, usage=usage, price_unknown=True, unpriced=("web_search",), first_byte_us=-1),
    )
    first = queries.calls(LedgerFilter(), limit=1)
    rest = queries.calls(LedgerFilter(), after_rowid=first[-1].rowid)
    assert [c.started_ts for c in (*first, *rest)] == [NOON + HOUR, NOON]
    record = rest[0]
    assert (record.usage, record.price_unknown, record.unpriced) == (usage, True, ("web_search",))
    assert (record.first_byte_us, record.duration_us) == (None, 500_000)
    assert queries.calls(LedgerFilter(), after_rowid=record.rowid) == []
    assert [c.started_ts for c in queries.calls(LedgerFilter(window=Window(NOON + 1, None)))] == [
        NOON + HOUR
    ]
    assert queries.calls(LedgerFilter(window=Window(NOON + 2 * HOUR, None))) == []


def test_a_turn_is_found_by_its_id_and_by_both_response_ids_with_all_that_is_known(
    ledger: LedgerFile, queries: SqliteLedgerQueries
) -> None:
    failed = call(NOON, turn_id="turn_1", outcome="error", http_status=529, attempt=1)
    good = call(NOON + SECOND, turn_id="turn_1", attempt=2, response_id="resp_upstream")
    features = TurnFeatures(messages=5, thinking=True)
    done = turn(NOON + 2 * SECOND, turn_id="turn_1", response_id="msg_client", features=features)
    ledger.record(decided(turn_id="turn_1"), failed, good, done, call(turn_id="turn_2"))
    found = queries.turn("turn_1")
    assert found is not None
    assert [c.attempt for c in found.calls] == [1, 2]
    assert found.decision == DECISION
    assert (found.fidelity, found.features) == (done.fidelity, features)
    assert found.turn is not None
    assert (found.turn.slot, found.turn.calls, found.turn.cost_nano_usd) == (
        *("requested", 2),
        900_000,
    )
    assert queries.turn("msg_client") == found
    assert queries.turn("resp_upstream") == found
    assert queries.turn("nowhere") is None
    assert queries.turn("") is None


def test_a_running_turn_shows_its_decision_and_calls(
    ledger: LedgerFile, queries: SqliteLedgerQueries
) -> None:
    started, _ = call(turn_id="turn_1")
    ledger.record(decided(turn_id="turn_1"), started)
    found = queries.turn("turn_1")
    assert found is not None
    assert (found.turn, found.decision, len(found.calls)) == (None, DECISION, 1)
    assert found.calls[0].usage_source is UsageSource.UNKNOWN


def test_turns_come_newest_first_and_tail_oldest_first(
    ledger: LedgerFile, queries: SqliteLedgerQueries
) -> None:
    ledger.record(*(turn(NOON + index, turn_id=f"turn_{index}") for index in range(5)))

    def ids(turns: Any) -> list[str]:
        return [summary.turn_id.removeprefix("turn_") for summary in turns]

    newest = queries.turns(LedgerFilter(), limit=2)
    assert ids(newest) == ["4", "3"]
    assert ids(queries.turns(LedgerFilter(), before_rowid=newest[-1].rowid)) == ["2", "1", "0"]
    assert ids(queries.turns(LedgerFilter(window=Window(NOON + 1, NOON + 3)))) == ["2", "1"]
    last = queries.tail(None, limit=2)
    assert ids(last) == ["3", "4"]
    assert queries.tail(last[-1].rowid) == []
    ledger.record(turn(NOON, turn_id="turn_5"), turn(NOON, turn_id="turn_6"))
    assert ids(queries.tail(last[-1].rowid)) == ["5", "6"]


def test_a_turn_whose_decision_was_told_in_a_damaged_frame_is_shown_without_it(
    ledger: LedgerFile, queries: SqliteLedgerQueries
) -> None:
    lost = decided(turn_id="turn_1", decision_id="0" * 32, decision=None)
    ledger.record(lost, call(turn_id="turn_1"), turn(turn_id="turn_1"))
    found = queries.turn("turn_1")
    assert found is not None
    assert found.turn is not None
    assert (found.decision, found.turn.slot, found.turn.reason) == (None, "", "")
    assert (found.turn.calls, queries.tail(None)) == (1, [found.turn])
    ledger.record(decided(turn_id="turn_2", decision_id="0" * 32))
    found = queries.turn("turn_1")
    assert found is not None
    assert found.decision == DECISION


def test_the_newest_of_a_turns_decisions_is_its_decision(
    ledger: LedgerFile, queries: SqliteLedgerQueries
) -> None:
    again = msgspec.structs.replace(DECISION, slot="rule", reason="a rule matched")
    ledger.record(
        decided(NOON + 1, turn_id="turn_1", decision=again),
        decided(NOON, turn_id="turn_1"),
        turn(turn_id="turn_1"),
    )
    found = queries.turn("turn_1")
    assert found is not None
    assert found.turn is not None
    assert (found.decision, found.turn.slot) == (again, "rule")


Ask = Callable[[SqliteLedgerQueries], Any]
RAGGED = Window(NOON - 1800 * SECOND, NOON + 3 * HOUR + 1800 * SECOND)
OF_SESSION = LedgerFilter(session_id="session-1", window=RAGGED)
OF_KEY = LedgerFilter(key_id="key_aaaaaaaa")
# Questions, and how SQLite must go about them; what is in every turn's answer stands apart.
SUMMARY = ("calls_by_turn (turn_id=?)", "SEARCH d USING PRIMARY KEY (turn_id=?)")
PLANS: dict[str, tuple[Ask, tuple[str, ...]]] = {
    "spend in a window, by user": (
        lambda queries: queries.spend(LedgerFilter(window=RAGGED), ("user",)),
        (
            *("rollups_hourly USING PRIMARY KEY (hour>? AND hour<?)", "INDEX calls_open"),
            *("calls_by_time (started_ts>? AND started_ts<?)", "turns_by_time (ts>? AND ts<?)"),
        ),
    ),
    "spend of a session": (
        lambda queries: queries.spend(OF_SESSION),
        (
            *("owners_by_session (session_id=?)", "INDEX calls_open"),
            *("calls_by_owner (owner=? AND started_ts>?", "turns_by_owner (owner=? AND ts>?"),
        ),
    ),
    "spend of a key, by session": (
        lambda queries: queries.spend(OF_KEY, ("session",)),
        ("(key_id=?)", "calls_by_owner (owner=?", "turns_by_owner (owner=?", "INDEX calls_open"),
    ),
    "calls of a session": (
        lambda queries: queries.calls(OF_SESSION),
        ("owners_by_session (session_id=?)", "calls_by_owner (owner=? AND started_ts>?"),
    ),
    "calls of turns": (
        lambda queries: queries.calls(LedgerFilter(turn_ids=("turn_1", "turn_2"))),
        ("calls_by_turn (turn_id=?",),
    ),
    "a page of calls": (
        lambda queries: queries.calls(LedgerFilter(), after_rowid=1),
        ("SEARCH c USING INTEGER PRIMARY KEY (rowid>?)",),
    ),
    "the last turns of a key": (
        lambda queries: queries.turns(OF_KEY, limit=5),
        ("(key_id=?)", "turns_by_owner (owner=?)", *SUMMARY),
    ),
    "what came since": (
        lambda queries: queries.tail(1, 5),
        ("SEARCH t USING INTEGER PRIMARY KEY (rowid>?)", *SUMMARY),
    ),
    "a turn": (lambda queries: queries.turn("turn_1"), ("turn_rows_1 (turn_id=?)", *SUMMARY)),
    "a response nobody gave": (
        lambda queries: queries.turn("nowhere"),
        (
            *("turns_by_response (response_id=?)", "decision_rows USING PRIMARY KEY (turn_id=?)"),
            "call_responses USING PRIMARY KEY (response_id=?)",
        ),
    ),
    "the extent": (lambda queries: queries.extent(), ("INDEX calls_by_time",)),
    "sessions": (lambda queries: queries.sessions(limit=5), ("INDEX sessions_by_time",)),
}


@pytest.mark.parametrize(("ask", "wanted"), PLANS.values(), ids=list(PLANS))
def test_a_question_finds_its_rows_without_walking_a_table(
    ledger: LedgerFile, queries: SqliteLedgerQueries, ask: Ask, wanted: tuple[str, ...]
) -> None:
    ledger.record(call(turn_id="turn_1"), turn(turn_id="turn_1"), decided(turn_id="turn_1"))
    asked: list[str] = []
    with queries._reading() as connection:  # pyright: ignore[reportPrivateUsage]
        connection.set_trace_callback(asked.append)
    ask(queries)
    reader = sqlite3.connect(ledger.path)
    steps = [
        str(row[3])
        for sql in asked
        if sql.startswith("SELECT")
        for row in reader.execute(f"EXPLAIN QUERY PLAN {sql}")
    ]
    reader.close()
    assert [part for part in wanted if not any(part in step for step in steps)] == []
    assert [step for step in steps if re.fullmatch(r"SCAN \w+", step)] == []


def test_a_turns_sums_tell_payers_and_doubts_apart(
    ledger: LedgerFile, queries: SqliteLedgerQueries
) -> None:
    ledger.record(
        call(turn_id="turn_1", cost_nano_usd=5),
        call(turn_id="turn_1", attempt=2, **client_paid(cost_nano_usd=70)),
        call(turn_id="turn_1", attempt=3, usage_source=UsageSource.ESTIMATED, cost_nano_usd=2),
        call(turn_id="turn_1", attempt=4, price_unknown=True, cost_nano_usd=0),
        turn(turn_id="turn_1"),
    )
    summary = queries.tail(None)[0]
    assert (summary.cost_nano_usd, summary.client_cost_nano_usd) == (7, 70)
    assert (summary.calls, summary.unreported_calls, summary.price_unknown_calls) == (4, 1, 1)
    assert summary.usage == Usage(input_tokens=400, output_tokens=40)


def test_sessions_are_listed_last_used_first(
    ledger: LedgerFile, queries: SqliteLedgerQueries
) -> None:
    ledger.record(call(NOON, session_id="old"), call(NOON + HOUR, session_id="new", key_id="key_b"))
    ledger.record(turn(NOON + HOUR, session_id="new", key_id="key_b"))
    found = queries.sessions()
    assert [summary.session_id for summary in found] == ["new", "old"]
    assert found[0] == SessionSummary(
        key_id="key_b",
        session_id="new",
        org_id="default",
        team_id="team-a",
        user_id="ann",
        project_id="web",
        client="claude-code",
        first_ts=found[0].first_ts,
        last_ts=found[0].last_ts,
        turns=1,
        calls=1,
        input_tokens=100,
        cache_read_tokens=0,
        cache_write_tokens=0,
        output_tokens=10,
        cost_nano_usd=450_000,
        client_cost_nano_usd=0,
        price_unknown_calls=0,
        unreported_calls=0,
    )
    assert [s.session_id for s in queries.sessions(limit=1)] == ["new"]
    assert [s.session_id for s in queries.sessions(session_id="old")] == ["old"]
    assert [s.session_id for s in queries.sessions(key_id="key_b")] == ["new"]


def test_the_extent_is_none_until_a_call_stands(
    ledger: LedgerFile, queries: SqliteLedgerQueries
) -> None:
    assert queries.extent() is None
    ledger.record(call(NOON), call(NOON + HOUR))
    assert queries.extent() == Window(NOON, NOON + HOUR + 1)


def test_a_missing_ledger_and_a_foreign_file_are_told_plainly(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="metis up"):
        SqliteLedgerQueries(tmp_path / "none.db").extent()
    (tmp_path / "foreign.db").write_text("this is no database, however long the text may be" * 20)
    with pytest.raises(StorageError, match="cannot read the ledger"):
        SqliteLedgerQueries(tmp_path / "foreign.db").extent()


def test_another_schema_is_refused_with_the_remedy(ledger: LedgerFile) -> None:
    connection = sqlite3.connect(ledger.path)
    connection.execute("INSERT INTO schema_migrations VALUES (999, 'later', 0)")
    connection.commit()
    connection.close()
    with pytest.raises(StorageError, match="has schema 999"):
        SqliteLedgerQueries(ledger.path).extent()


def test_a_report_that_takes_too_long_is_ended(ledger: LedgerFile) -> None:
    ledger.record(*(call(NOON + index, session_id=f"s{index % 50}") for index in range(3000)))
    now = iter(range(0, 10**9, 1000))
    queries = SqliteLedgerQueries(ledger.path, deadline_s=5, monotonic=lambda: float(next(now)))
    with pytest.raises(StorageError, match="longer than 5 s"):
        queries.spend(LedgerFilter(), ("session",))


def test_reading_never_writes(ledger: LedgerFile, queries: SqliteLedgerQueries) -> None:
    with (
        pytest.raises(StorageError, match="readonly"),
        queries._reading() as connection,  # pyright: ignore[reportPrivateUsage]
    ):
        connection.execute("DELETE FROM call_rows")


def test_a_damaged_row_is_a_storage_error_not_a_crash(
    ledger: LedgerFile, queries: SqliteLedgerQueries
) -> None:
    ledger.record(decided(turn_id="turn_1"))
    connection = sqlite3.connect(ledger.path)
    connection.execute("UPDATE decision_texts SET decision = '{}'")
    connection.commit()
    connection.close()
    with pytest.raises(StorageError, match="cannot be read"):
        queries.turn("turn_1")
