"""What every backend in BACKENDS must do as a LedgerStore, tried on each."""

from __future__ import annotations

import itertools
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.ledgers import DECISION, HOUR, NOON, call, client_paid, decided, replace, said, turn

from metis.errors import LedgerError
from metis.facts.decision import RouteDecision
from metis.facts.usage import Usage, UsageSource
from metis.storage import BACKENDS, open_storage
from metis.storage.columns import (
    CALL_COLUMNS,
    COMPLETION_COLUMNS,
    DECISION_COLUMNS,
    DECISION_TEXT_COLUMNS,
    EVENT_COLUMNS,
    OPENING_COLUMNS,
    ROLLUP_DIMENSIONS,
    ROLLUP_MEASURES,
    SESSION_COLUMNS,
    TURN_COLUMNS,
    UNREADABLE_COLUMNS,
)
from metis.storage.memory import MemoryStorage
from metis.storage.settings import StorageSettings
from metis.storage.sqlite import SqliteStorage
from metis.trace.events import (
    AnyEvent,
    AuthFailed,
    LlmCallCompleted,
    LlmCallStarted,
    TurnCompleted,
)
from metis.trace.events.route import decision_id_of
from metis.trace.events.turn import TurnFeatures
from metis.trace.ports import (
    START,
    LedgerStore,
    SpoolBatch,
    SpoolId,
    SpoolPosition,
    UnreadableFrame,
)

SPOOL = SpoolId("r1", "spool_1")
Tables = dict[str, list[dict[str, Any]]]

_COLUMNS = {
    "calls": ("state", *CALL_COLUMNS),
    "turns": TURN_COLUMNS,
    "decisions": DECISION_COLUMNS,
    "decision_texts": DECISION_TEXT_COLUMNS,
    "events": EVENT_COLUMNS,
    "rollups_hourly": (*ROLLUP_DIMENSIONS, *ROLLUP_MEASURES),
    "sessions": SESSION_COLUMNS,
    "unreadable_frames": UNREADABLE_COLUMNS,
}


class Ledger:
    """A backend's ledger: `record` appends a batch to one spool, `tables` reads everything back."""

    def __init__(self, scheme: str, directory: Path) -> None:
        url = "memory:" if scheme == "memory" else f"{scheme}:///{directory / 'metis.db'}"
        self.storage = open_storage(StorageSettings(url=url), database=directory / "unused.db")
        self.storage.migrate(now_ts=NOON)
        self.store: LedgerStore = self.storage.ledger()
        self.position = START

    def record(self, *events: AnyEvent, unreadable: tuple[UnreadableFrame, ...] = ()) -> None:
        end = SpoolPosition(self.position.segment, self.position.offset + 100)
        batch = SpoolBatch(
            spool=SPOOL, start=self.position, end=end, events=events, unreadable=unreadable
        )
        self.store.commit([batch])
        self.position = end

    def tables(self) -> Tables:
        match self.storage:
            case MemoryStorage():
                tables = _memory_tables(self.storage)
            case SqliteStorage():
                tables = _sqlite_tables(self.storage.path)
            case _:
                pytest.fail(f"teach this test to read the tables of {self.storage!r}")
        return {table: sorted(rows, key=repr) for table, rows in tables.items()}


def _sqlite_tables(path: Path) -> Tables:
    with closing(sqlite3.connect(path)) as connection:
        return {
            table: [
                dict(zip(columns, row, strict=True))
                for row in connection.execute(f"SELECT {', '.join(columns)} FROM {table}")
                # A decision that was referred to and never told has a row without a text.
                if table != "decision_texts" or row[-1] is not None
            ]
            for table, columns in _COLUMNS.items()
        }


def _memory_tables(storage: MemoryStorage) -> Tables:
    tables = storage.ledger().tables
    opened: dict[str, Any] = {
        **dict.fromkeys(COMPLETION_COLUMNS, 0),
        **dict.fromkeys(("completed_event_id", "outcome", "failure", "failure_cause"), ""),
        **dict.fromkeys(("error_type", "usage_source", "stop", "response_id"), ""),
        **dict.fromkeys(("response_model", "upstream_request_id"), ""),
        "completed_ts": None,
        "first_byte_us": None,
        "server_tools": "{}",
        "unpriced": "[]",
    }
    rows = {
        "calls": [
            {
                **opened,
                **dict(zip(CALL_COLUMNS, row, strict=False)),
                "state": "closed" if len(row) == len(CALL_COLUMNS) else "open",
            }
            for row in tables.calls.values()
        ],
        "turns": [dict(zip(TURN_COLUMNS, row, strict=True)) for row in tables.turns.values()],
        "decisions": [
            dict(zip(DECISION_COLUMNS, row, strict=True)) for row in tables.decisions.values()
        ],
        "decision_texts": [
            dict(zip(DECISION_TEXT_COLUMNS, row, strict=True))
            for row in tables.decision_texts.values()
        ],
        "events": [dict(zip(EVENT_COLUMNS, row, strict=True)) for row in tables.events.values()],
        "rollups_hourly": [
            dict(zip(_COLUMNS["rollups_hourly"], (*key, *sums), strict=True))
            for key, sums in tables.rollups.items()
        ],
        "sessions": [
            dict(zip(_COLUMNS["sessions"], (*key, *owner, *sums), strict=True))
            for key, (owner, sums) in tables.sessions.items()
        ],
        "unreadable_frames": [
            dict(zip(_COLUMNS["unreadable_frames"], (*spool, *frame), strict=True))
            for (spool, _, _), frame in tables.unreadable.items()
        ],
    }
    return {
        table: [{name: row[name] for name in columns} for row in rows[table]]
        for table, columns in _COLUMNS.items()
    }


@pytest.fixture(params=[backend.scheme for backend in BACKENDS])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(request.param, tmp_path)
    yield ledger
    ledger.store.close()


USAGE = Usage(
    input_tokens=1,
    cache_read_tokens=2,
    cache_write_5m_tokens=3,
    cache_write_1h_tokens=4,
    output_tokens=5,
    reasoning_tokens=6,
    input_audio_tokens=7,
    output_audio_tokens=8,
    server_tools={"web_search_requests": 2, "code_execution_requests": 1},
)


def test_a_call_is_one_row_with_all_that_its_events_say(ledger: Ledger) -> None:
    started, completed = call(
        NOON,
        duration_us=1_234_567,
        usage=USAGE,
        cost_nano_usd=987_654_321,
        price_unknown=True,
        unpriced=("web_search_requests",),
        stream=True,
        request_bytes=11,
        response_bytes=22,
        response_id="msg_1",
        response_model="claude-sonnet-5-x",
        upstream_request_id="req_1",
        agent_id="a",
        parent_agent_id="p",
        previous_turn_id="turn_0",
        arm="b",
        tool_calls=3,
        http_status=529,
        outcome="error",
        failure="overloaded",
        failure_cause="cut",
        error_type="overloaded_error",
    )
    begun, over = said(started), said(completed)
    expected = {
        **{name: begun[name] for name in OPENING_COLUMNS if name in begun},
        "state": "closed",
        "replica": "r1",
        "spool": "spool_1",
        "paid_by": "gateway",
        "started_ts": NOON,
        "started_event_id": started.event_id,
        "completed_ts": NOON + 1_234_567,
        "completed_event_id": completed.event_id,
        **{name: over[name] for name in COMPLETION_COLUMNS if name in over},
        "input_tokens": 1,
        "cache_read_tokens": 2,
        "cache_write_5m_tokens": 3,
        "cache_write_1h_tokens": 4,
        "output_tokens": 5,
        "reasoning_tokens": 6,
        "input_audio_tokens": 7,
        "output_audio_tokens": 8,
        "server_tool_requests": 3,
        "server_tools": '{"web_search_requests":2,"code_execution_requests":1}',
        "usage_source": "reported",
        "unpriced": '["web_search_requests"]',
        "first_byte_us": 120_000,
        "duration_us": 1_234_567,
        "price_unknown": 1,
        "stream": 1,
    }
    ledger.record(started)
    (opened,) = ledger.tables()["calls"]
    assert opened["state"] == "open"
    assert {name: opened[name] for name in OPENING_COLUMNS} == {
        name: expected[name] for name in OPENING_COLUMNS
    }
    assert ledger.tables()["rollups_hourly"] == []
    ledger.record(completed)
    assert ledger.tables()["calls"] == [expected]


def test_turns_decisions_and_other_events_are_kept_whole(ledger: Ledger) -> None:
    end = turn()
    route = decided(turn_id=end.turn_id)
    failed = AuthFailed(event_id="evt_x", ts=NOON, reason="revoked", key_prefix="sk-metis-aaaaaaaa")
    ledger.record(route, end, failed)
    tables = ledger.tables()
    (turn_kept,), (decision,), (event,) = tables["turns"], tables["decisions"], tables["events"]
    (text,) = tables["decision_texts"]
    assert turn_kept["features"] == bytes(end.features).decode()
    assert msgspec.json.decode(turn_kept["features"], type=TurnFeatures) == TurnFeatures(
        messages=3, tools=2
    )
    assert msgspec.json.decode(turn_kept["fidelity"]) == [
        ["dropped", "$.thread", "not in this shape"]
    ]
    assert (turn_kept["duration_us"], turn_kept["stream"]) == (600_000, 1)
    for name in ("org_id", "user_id", "client_version", "outcome", "response_id", "session_id"):
        assert turn_kept[name] == said(end)[name] != ""
    assert msgspec.json.decode(text["decision"], type=RouteDecision) == route.decision == DECISION
    assert (decision["turn_id"], decision["decision_id"]) == (end.turn_id, text["decision_id"])
    assert text["decision_id"] == decision_id_of(msgspec.json.encode(DECISION))
    assert (text["slot"], text["reason"]) == ("requested", DECISION.reason)
    assert (event["name"], msgspec.json.decode(event["event"], type=AuthFailed)) == (
        "gateway.auth_failed",
        failed,
    )


def test_a_decision_is_kept_once_however_often_it_is_told_or_referred_to(ledger: Ledger) -> None:
    named = decision_id_of(msgspec.json.encode(DECISION))
    ledger.record(
        decided(turn_id="a"),  # a writer that gives no ids
        decided(turn_id="b", decision_id=named),
        decided(turn_id="c", decision_id=named, decision=None),
    )
    ledger.record(decided(turn_id="d", decision_id=named, decision=None))
    tables = ledger.tables()
    assert [(row["turn_id"], row["decision_id"]) for row in tables["decisions"]] == [
        (turn_id, named) for turn_id in "abcd"
    ]
    assert [(row["decision_id"], row["slot"]) for row in tables["decision_texts"]] == [
        (named, "requested")
    ]


def test_a_decision_nobody_told_is_recorded_without_a_text_until_somebody_tells_it(
    ledger: Ledger,
) -> None:
    named = decision_id_of(msgspec.json.encode(DECISION))
    ledger.record(decided(turn_id="a", decision_id=named, decision=None))
    tables = ledger.tables()
    assert [row["decision_id"] for row in tables["decisions"]] == [named]
    assert tables["decision_texts"] == []
    ledger.record(decided(turn_id="b", decision_id=named))
    assert [row["decision_id"] for row in ledger.tables()["decision_texts"]] == [named]


def test_batches_are_written_one_by_one_and_all_or_none_of_them_are_kept(ledger: Ledger) -> None:
    ends = [START, SpoolPosition(1, 50), SpoolPosition(2, 0), SpoolPosition(2, 70)]
    batches = [
        SpoolBatch(spool=SPOOL, start=start, end=end, events=call())
        for start, end in itertools.pairwise(ends)
    ]

    def cut_short() -> Iterator[SpoolBatch]:
        yield from batches[:2]
        raise LedgerError("the spool cannot be read")

    before = ledger.tables()
    with pytest.raises(LedgerError, match="cannot be read"):
        ledger.store.commit(cut_short())
    assert ledger.tables() == before
    assert ledger.store.positions() == {}
    with pytest.raises(LedgerError, match="is recorded up to \\(1, 50\\), not \\(2, 0\\)"):
        ledger.store.commit([batches[0], batches[2]])
    assert ledger.tables() == before
    ledger.store.commit(iter(batches))
    assert len(ledger.tables()["calls"]) == 3
    assert ledger.store.positions() == {SPOOL: ends[-1]}


def test_writing_events_again_changes_nothing(ledger: Ledger) -> None:
    started, completed = call()
    events = (started, completed, turn(), decided(turn_id="t"), call()[0])
    ledger.record(*events)
    before = ledger.tables()
    ledger.record(*events, *events)
    ledger.record(replace(completed, cost_nano_usd=1))
    assert ledger.tables() == before


def test_an_end_without_a_start_still_makes_a_call(ledger: Ledger) -> None:
    _, completed = call(NOON, duration_us=500_000)
    ledger.record(completed)
    (kept,) = ledger.tables()["calls"]
    assert (kept["state"], kept["started_ts"], kept["started_event_id"]) == ("closed", NOON, "")
    assert ledger.tables()["rollups_hourly"][0]["calls"] == 1


def test_a_late_start_does_not_reopen_a_call(ledger: Ledger) -> None:
    started, completed = call()
    ledger.record(completed)
    before = ledger.tables()
    ledger.record(started)
    assert ledger.tables() == before


def test_a_call_counts_in_the_hour_it_started_in(ledger: Ledger) -> None:
    started, completed = call(NOON - 1, duration_us=2 * HOUR)
    ledger.record(started)
    ledger.record(completed)
    (rollup,) = ledger.tables()["rollups_hourly"]
    assert (rollup["hour"], rollup["calls"]) == ((NOON - HOUR) // 1_000_000, 1)


def test_a_session_is_summed_by_key_with_client_paid_cost_apart(ledger: Ledger) -> None:
    first = call(NOON, duration_us=1_000_000, usage=USAGE, cost_nano_usd=100)
    second = call(
        NOON + 5_000_000, duration_us=1_000_000, **client_paid(usage=USAGE, cost_nano_usd=7)
    )
    third = call(
        NOON - 9,
        usage=Usage(),
        usage_source=UsageSource.UNKNOWN,
        price_unknown=True,
        cost_nano_usd=0,
    )
    ledger.record(*first, turn(NOON + 1_100_000))
    ledger.record(*second, *third, *call(session_id=""), turn(session_id=""))
    assert ledger.tables()["sessions"] == [
        {
            "key_id": "key_aaaaaaaa",
            "session_id": "session-1",
            "org_id": "default",
            "team_id": "team-a",
            "user_id": "ann",
            "project_id": "web",
            "client": "claude-code",
            "first_ts": NOON - 9,
            "last_ts": NOON + 6_000_000,
            "turns": 1,
            "calls": 3,
            "input_tokens": 2,
            "cache_read_tokens": 4,
            "cache_write_tokens": 14,
            "output_tokens": 10,
            "cost_nano_usd": 100,
            "client_cost_nano_usd": 7,
            "price_unknown_calls": 1,
            "unreported_calls": 1,
        }
    ]


def test_absurd_numbers_of_an_upstream_neither_stop_the_ledger_nor_turn_negative(
    ledger: Ledger,
) -> None:
    usage = Usage(input_tokens=10**30, output_tokens=-5, server_tools={"x": 10**40})
    ledger.record(*call(usage=usage, cost_nano_usd=10**40, tool_calls=10**40))
    (kept,) = ledger.tables()["calls"]
    assert (kept["input_tokens"], kept["output_tokens"], kept["cost_nano_usd"]) == (
        10**12,
        0,
        10**15,
    )


def test_what_no_event_could_be_read_from_is_kept(ledger: Ledger) -> None:
    frame = UnreadableFrame(1, 40, "damaged", b"\x00\xff")
    ledger.record(unreadable=(frame, frame))
    assert ledger.tables()["unreadable_frames"] == [
        {"replica": "r1", "spool": "spool_1", **frame._asdict()}
    ]


def test_positions_move_with_the_rows_and_a_batch_from_elsewhere_is_refused(ledger: Ledger) -> None:
    ledger.record(*call())
    assert ledger.store.positions() == {SPOOL: SpoolPosition(1, 100)}
    before = ledger.tables()
    other = SpoolId("r1", "spool_2")
    good = SpoolBatch(spool=other, start=START, end=SpoolPosition(2, 0), events=call())
    stale = SpoolBatch(spool=SPOOL, start=START, end=SpoolPosition(1, 200), events=call())
    with pytest.raises(LedgerError, match="is recorded up to \\(1, 100\\), not \\(1, 0\\)"):
        ledger.store.commit([good, stale])
    assert ledger.tables() == before
    assert ledger.store.positions() == {SPOOL: SpoolPosition(1, 100)}
    ledger.store.commit([good])
    ledger.store.forget([SPOOL])
    assert ledger.store.positions() == {other: SpoolPosition(2, 0)}


def test_open_calls_are_given_back_as_they_were_started(ledger: Ledger) -> None:
    opened = [call(NOON + index, stream=True, **client_paid())[0] for index in range(3)]
    ledger.record(*opened, *call())
    assert ledger.store.open_calls(SPOOL) == opened
    assert all(isinstance(event, LlmCallStarted) for event in ledger.store.open_calls(SPOOL))
    assert ledger.store.open_calls(SpoolId("r1", "other")) == []


def recount(tables: Tables) -> dict[tuple[Any, ...], Counter[str]]:
    """The rollups as the sums over calls say they must be."""
    sums: dict[tuple[Any, ...], Counter[str]] = {}
    for row in tables["calls"]:
        if row["state"] == "closed":
            hour = row["started_ts"] // HOUR * 3600
            key = (hour, *(row[name] for name in ROLLUP_DIMENSIONS[1:]))
            found = sums.setdefault(key, Counter(dict.fromkeys(ROLLUP_MEASURES, 0)))
            found["calls"] += 1
            found["price_unknown_calls"] += row["price_unknown"]
            for name in ROLLUP_MEASURES:
                if name not in {"calls", "price_unknown_calls"}:
                    found[name] += row[name]
    return sums


_tokens = st.integers(0, 10**6)
_calls = st.builds(
    lambda ts, model, key_id, outcome, source, usage, cost, unknown, duration: call(
        ts,
        model=model,
        key_id=key_id,
        outcome=outcome,
        usage_source=source,
        usage=Usage(**usage),
        cost_nano_usd=cost,
        price_unknown=unknown,
        duration_us=duration,
    ),
    st.integers(NOON - 2 * HOUR, NOON + 2 * HOUR),
    st.sampled_from(["a", "b"]),
    st.sampled_from(["key_1", "key_2"]),
    st.sampled_from(["ok", "error", "aborted", "interrupted"]),
    st.sampled_from(list(UsageSource)),
    st.fixed_dictionaries(
        {"input_tokens": _tokens, "cache_read_tokens": _tokens, "output_tokens": _tokens}
    ),
    st.integers(0, 10**10),
    st.booleans(),
    st.integers(0, 10**10),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    calls=st.lists(_calls, min_size=1, max_size=12),
    turns=st.lists(st.builds(turn, st.integers(NOON, NOON + HOUR)), max_size=3),
    data=st.data(),
)
def test_rollups_equal_the_sums_of_calls_at_any_time_and_backends_agree(
    calls: list[tuple[LlmCallStarted, LlmCallCompleted]],
    turns: list[TurnCompleted],
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    events: list[AnyEvent] = list(turns)
    for started, completed in calls:
        at = data.draw(st.integers(0, len(events)))
        events.insert(at, started)
        events.insert(data.draw(st.integers(at + 1, len(events))), completed)
    again = data.draw(st.lists(st.sampled_from(events), max_size=4))  # a replay after a crash
    events += again
    sizes = data.draw(st.lists(st.integers(1, 8), min_size=1, max_size=6))
    ledgers = [Ledger(backend.scheme, tmp_path_factory.mktemp("db")) for backend in BACKENDS]
    while events:
        size = sizes.pop() if sizes else len(events)
        batch, events = events[:size], events[size:]
        for ledger in ledgers:
            ledger.record(*batch)
        first, *others = [ledger.tables() for ledger in ledgers]
        assert all(other == first for other in others)
        kept = {
            tuple(row[name] for name in ROLLUP_DIMENSIONS): Counter(
                {name: row[name] for name in ROLLUP_MEASURES}
            )
            for row in first["rollups_hourly"]
        }
        assert kept == recount(first)
    for ledger in ledgers:
        ledger.store.close()
