"""What recording costs: events from a spool into the database, beside a plain `executemany` of the same rows.

`python -m bench.recording` fills a spool with turns of four events, lets a Recorder move them into SQLite, and then
writes the rows that came of them into empty tables of the same schema with nothing but `executemany`: what SQLite
itself takes. Both are measured in turn in every round, in CPU time of this process; medians are shown. `repeated` is a
writer that tells its whole routing decision with every turn, `referred` one that tells each decision once a spool.
"""

from __future__ import annotations

import argparse
import gc
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, get_args

import msgspec

from metis.facts.decision import Candidate, RouteDecision, SlotName, Verdict
from metis.facts.ids import IdFactory
from metis.facts.usage import UsageSource
from metis.storage.sqlite.connection import connect, transaction
from metis.storage.sqlite.ledger import SqliteLedgerStore
from metis.storage.sqlite.migrations import migrate
from metis.trace.events import AnyEvent, LlmCallCompleted, LlmCallStarted, TurnCompleted
from metis.trace.events.event import TURN_PREFIX
from metis.trace.events.groups import CALL_END, CALL_KIND, TURN_KIND, WHOSE, Packed
from metis.trace.events.route import RouteDecided, decision_id_of
from metis.trace.events.turn import TurnFeatures
from metis.trace.recorder import Recorder
from metis.trace.settings import TraceSettings
from metis.trace.spool import SpoolWriter

Telling = Literal["repeated", "referred"]

_SESSIONS: Final = 16
_START_US: Final = 1_795_176_000_000_000  # 2026-11-20T12:00:00Z
_TURN_US: Final = 40_000  # from one turn's beginning to the next one's
_DURATION_US: Final = _TURN_US * (
    _SESSIONS - 2
)  # so that nearly every session has a call under way
_PASSES: Final = {
    "override": "neither x-metis-model nor a pinned key",
    "sticky": "no session state is kept yet",
    "rule": "no rules are configured",
    "pattern": "nothing has been learned yet",
    "workspace": "the project has no default model",
    "global": "no default model is configured",
}


class Measured(NamedTuple):
    """One round: CPU microseconds per turn, and bytes per turn."""

    recorder_us: float
    executemany_us: float
    spool_bytes: float
    database_bytes: float


def decision_of(provider: str, model: str) -> RouteDecision:
    passes = [
        Verdict(slot, "pass", _PASSES[slot]) for slot in get_args(SlotName) if slot in _PASSES
    ]
    return RouteDecision(
        requested_model=model,
        provider=provider,
        model=model,
        slot="requested",
        reason=f"the client named it; {provider} serves {model!r}",
        verdicts=(*passes, Verdict("requested", "choose", "the client named it", model)),
        candidates=(Candidate(provider=provider, model=model, eligible=True),),
    )


class Session:
    """One conversation: its ids, its model, what its events have alike, and the turn before."""

    def __init__(self, number: int, ids: IdFactory) -> None:
        self.provider, self.model, self.shape = (
            ("anthropic", "claude-sonnet-4-5", "anthropic_messages"),
            ("openai", "gpt-4o", "openai_chat"),
        )[number % 2]
        self.decision = decision_of(self.provider, self.model)
        self.decision_id = decision_id_of(msgspec.json.encode(self.decision))
        self.whose = WHOSE.pack(
            org_id="default",
            team_id=f"team-{number % 3}",
            user_id=f"user-{number % 5}",
            project_id=f"project-{number % 4}",
            key_id=f"key_{number % 5:08d}",
            client="claude-code" if self.provider == "anthropic" else "unknown",
            session_id=ids.new("ses"),
        )
        self.call_kind = CALL_KIND.pack(
            role="main",
            provider=self.provider,
            model=self.model,
            requested_model=self.model,
            operation="generate",
            shape=self.shape,
            upstream_shape=self.shape,
        )
        self.ending = CALL_END.pack(
            outcome="ok",
            http_status=200,
            usage_source=UsageSource.REPORTED,
            stop="end_turn",
            response_model=self.model,
        )
        self.turn_kind = TURN_KIND.pack(
            operation="generate",
            shape=self.shape,
            requested_model=self.model,
            provider=self.provider,
            model=self.model,
            outcome="ok",
            http_status=200,
            attempts=1,
            session_source="prefix",
        )
        self.previous = ""
        self.turns = 0


def turn_of(
    session: Session, ids: IdFactory, began: int, telling: Telling, told: set[str]
) -> tuple[AnyEvent, tuple[AnyEvent, ...]]:
    """A turn's first append and its second."""
    turn_id, whose, turns = ids.new("turn"), session.whose, session.turns
    mark = turn_id.removeprefix(TURN_PREFIX)[::-1]
    ended = began + _DURATION_US + turns % 7 * 1000
    call = session.call_kind, 1, session.previous, 20_000 + turns * 900
    started = LlmCallStarted(turn_id, began, whose, *call)
    completed = LlmCallCompleted(
        *(turn_id, ended, whose, *call),
        ending=session.ending,
        duration_us=ended - began,
        first_byte_us=_DURATION_US // 3,
        response_bytes=1900 + turns % 100,
        response_id=f"msg_{mark}",
        upstream_request_id=f"req_{mark}",
        cost_nano_usd=2_250_000 + turns,
        input_tokens=120 + turns % 50,
        cache_read_tokens=turns * 300,
        output_tokens=200 + turns % 90,
    )
    tells = telling == "repeated" or session.decision_id not in told
    told.add(session.decision_id)
    decided = RouteDecided(
        *(turn_id, ended, whose),
        decision_id="" if telling == "repeated" else session.decision_id,
        decision=session.decision if tells else None,
    )
    features = TurnFeatures(messages=turns * 2 + 1, tools=12, request_bytes=20_000)
    over = TurnCompleted(
        *(turn_id, ended, whose),
        kind=session.turn_kind,
        previous_turn_id=session.previous,
        response_id=completed.response_id,
        overhead_us=90 + turns % 40,
        duration_us=ended - began + 250,
        features=Packed(msgspec.json.encode(features)),
    )
    session.previous = turn_id
    session.turns += 1
    return started, (completed, decided, over)


def fill(directory: Path, turns: int, telling: Telling, in_flight: int = _SESSIONS - 1) -> int:
    """Write a spool as a worker would that has so many calls under way at any time; its bytes."""
    ids = IdFactory()
    sessions = [Session(number, ids) for number in range(_SESSIONS)]
    told: set[str] = set()
    ends: list[tuple[AnyEvent, ...]] = []
    writer = SpoolWriter(directory, TraceSettings(spool_bytes=1 << 40))
    for number in range(turns):
        if len(ends) == in_flight:
            writer.append(ends.pop(0))
        session = sessions[number % _SESSIONS]
        start, end = turn_of(session, ids, _START_US + number * _TURN_US, telling, told)
        writer.append((start,))
        ends.append(end)
    for end in ends:
        writer.append(end)
    writer.close()
    return sum(path.stat().st_size for path in directory.glob("*.seg"))


def record(spools: Path, database: Path, turns: int) -> float:
    """Drain the spools into a new database; CPU microseconds per turn."""
    store = SqliteLedgerStore(_opened(database))
    with closing(store):
        recorder = Recorder(spools, store, TraceSettings())
        began = time.process_time()
        done = recorder.drain(deadline_s=600)
        spent = time.process_time() - began
        if not done or recorder.totals.events != 4 * turns or recorder.totals.interrupted:
            raise SystemExit(f"not all was recorded: {recorder.totals}")
        recorder.close()
    return spent / turns * 1e6


def copy(source: Path, database: Path, turns: int, turns_a_batch: int) -> float:
    """Write the rows of one database into another with executemany alone; CPU microseconds per turn."""
    with closing(_opened(source)) as connection:
        tables = [
            name
            for (name,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' "
                "AND name NOT IN ('schema_migrations', 'meta')"
            )
        ]
        rows = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in tables}
    with closing(_opened(database)) as connection:
        spent = 0.0
        for name, found in rows.items():
            if not found:
                continue
            insert = f"INSERT INTO {name} VALUES ({', '.join('?' * len(found[0]))})"
            for chunk in _chunks(found, turns_a_batch):
                began = time.process_time()
                with transaction(connection):
                    connection.executemany(insert, chunk)
                spent += time.process_time() - began
    return spent / turns * 1e6


def _opened(database: Path) -> Any:
    connection = connect(database)
    migrate(connection, now_ts=_START_US)
    return connection


def _chunks(rows: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def measure(folder: Path, turns: int, telling: Telling, in_flight: int) -> Measured:
    spool_bytes = fill(folder / "spool" / "bench" / "worker", turns, telling, in_flight)
    recorded, copied = folder / "recorded.db", folder / "copied.db"
    gc.collect()
    recorder_us = record(folder / "spool", recorded, turns)
    a_batch = max(1, TraceSettings().batch_bytes * turns // spool_bytes)
    gc.collect()
    executemany_us = copy(recorded, copied, turns, a_batch)
    measured = Measured(
        recorder_us, executemany_us, spool_bytes / turns, recorded.stat().st_size / turns
    )
    shutil.rmtree(folder)
    return measured


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.recording", description=__doc__)
    parser.add_argument("--turns", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--in-flight",
        type=int,
        default=_SESSIONS - 1,
        help="calls under way at a time; some thousands, and nearly none ends in the batch it started in",
    )
    parser.add_argument("--only", choices=get_args(Telling), help="only writers that tell so")
    parser.add_argument("--json", type=Path, help="write all figures here")
    options = parser.parse_args()
    tellings: list[Telling] = [options.only] if options.only else list(get_args(Telling))
    # As the process that records does (bootstrap/control.py).
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)
    rounds: dict[Telling, list[Measured]] = {telling: [] for telling in tellings}
    with tempfile.TemporaryDirectory(prefix="metis-recording-") as folder:
        for number in range(options.rounds):
            for telling in tellings if number % 2 == 0 else reversed(tellings):
                measured = measure(
                    Path(folder) / "round", options.turns, telling, options.in_flight
                )
                rounds[telling].append(measured)
    for telling, measured in rounds.items():
        recorder_us, executemany_us, spool, database = map(
            statistics.median, zip(*measured, strict=True)
        )
        least, most = min(m.recorder_us for m in measured), max(m.recorder_us for m in measured)
        print(
            f"{telling:9} {4e6 / recorder_us:9,.0f} events/s   CPU us/turn: recorder {recorder_us:.1f} "
            f"({least:.1f}-{most:.1f}), executemany alone {executemany_us:.1f}, ratio "
            f"{statistics.median(m.recorder_us / m.executemany_us for m in measured):.2f}   "
            f"bytes/turn: spool {spool:,.0f}, database {database:,.0f}"
        )
    if options.json:
        found = {telling: [m._asdict() for m in measured] for telling, measured in rounds.items()}
        options.json.write_text(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
