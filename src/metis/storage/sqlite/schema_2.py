"""Schema 2: what is alike in many rows stands once. Never edited once released (see `migrations`).

Schema 1 wrote whose a call was, of which kind and how it ended into every row, and the whole routing decision too:
2.9 KB a turn, and indices on long names. Here each combination is one row of a table of its own, to which calls,
turns and decisions refer by number. The views `calls`, `turns` and `decisions` show rows whole, as schema 1 had them.
"""

from __future__ import annotations

from typing import Final

# Combinations. Their rows are never changed or deleted: recorders remember their numbers.
_OWNERS: Final = """
CREATE TABLE owners (
    id INTEGER PRIMARY KEY,
    org_id TEXT NOT NULL,
    team_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    client TEXT NOT NULL,
    session_id TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    parent_agent_id TEXT NOT NULL,
    UNIQUE (key_id, session_id, agent_id, parent_agent_id, client, user_id, team_id, project_id, org_id)
)
"""

_CALL_KINDS: Final = """
CREATE TABLE call_kinds (
    id INTEGER PRIMARY KEY,
    role TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    requested_model TEXT NOT NULL,
    operation TEXT NOT NULL,
    shape TEXT NOT NULL,
    upstream_shape TEXT NOT NULL,
    stream INTEGER NOT NULL,
    paid_by TEXT NOT NULL,
    arm TEXT NOT NULL,
    UNIQUE (model, provider, requested_model, role, operation, shape, upstream_shape, stream, paid_by, arm)
)
"""

_CALL_ENDS: Final = """
CREATE TABLE call_ends (
    id INTEGER PRIMARY KEY,
    outcome TEXT NOT NULL,
    http_status INTEGER NOT NULL,
    failure TEXT NOT NULL,
    failure_cause TEXT NOT NULL,
    error_type TEXT NOT NULL,
    usage_source TEXT NOT NULL,
    price_unknown INTEGER NOT NULL,
    unpriced TEXT NOT NULL,
    stop TEXT NOT NULL,
    response_model TEXT NOT NULL,
    UNIQUE (response_model, stop, outcome, http_status, failure, failure_cause, error_type, usage_source,
            price_unknown, unpriced)
)
"""

_TURN_KINDS: Final = """
CREATE TABLE turn_kinds (
    id INTEGER PRIMARY KEY,
    operation TEXT NOT NULL,
    shape TEXT NOT NULL,
    requested_model TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    stream INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    http_status INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    auxiliary TEXT NOT NULL,
    request_class TEXT NOT NULL,
    client_version TEXT NOT NULL,
    session_source TEXT NOT NULL,
    arm TEXT NOT NULL,
    UNIQUE (model, requested_model, provider, operation, shape, client_version, request_class, stream, outcome,
            http_status, attempts, auxiliary, session_source, arm)
)
"""

_SPOOLS: Final = """
CREATE TABLE spools (
    id INTEGER PRIMARY KEY,
    replica TEXT NOT NULL,
    spool TEXT NOT NULL,
    UNIQUE (spool, replica)
)
"""

# A decision by its id (trace.events.route.decision_id_of). All but the id is NULL while no event that
# told it was read: the frame that did was damaged.
_DECISION_TEXTS: Final = """
CREATE TABLE decision_texts (
    id INTEGER PRIMARY KEY,
    decision_id TEXT NOT NULL UNIQUE,
    requested_model TEXT,
    provider TEXT,
    model TEXT,
    slot TEXT,
    reason TEXT,
    decision TEXT
)
"""

# One row per upstream call, made by llm.call_started and finished by llm.call_completed: open while
# `completed_ts` is NULL. `started_ts` is the time of the call everywhere: its hour is the rollup's hour.
_CALL_ROWS: Final = """
CREATE TABLE call_rows (
    id INTEGER PRIMARY KEY,
    owner INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    ending INTEGER NOT NULL,
    written_by INTEGER NOT NULL,
    call_id TEXT NOT NULL UNIQUE,
    started_event_id TEXT NOT NULL,
    started_ts INTEGER NOT NULL,
    turn_id TEXT NOT NULL,
    previous_turn_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    request_bytes INTEGER NOT NULL,
    completed_event_id TEXT NOT NULL,
    completed_ts INTEGER,
    input_tokens INTEGER NOT NULL,
    cache_read_tokens INTEGER NOT NULL,
    cache_write_5m_tokens INTEGER NOT NULL,
    cache_write_1h_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    input_audio_tokens INTEGER NOT NULL,
    output_audio_tokens INTEGER NOT NULL,
    server_tool_requests INTEGER NOT NULL,
    cost_nano_usd INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    server_tools TEXT NOT NULL,
    tool_calls INTEGER NOT NULL,
    response_id TEXT NOT NULL,
    upstream_request_id TEXT NOT NULL,
    response_bytes INTEGER NOT NULL,
    first_byte_us INTEGER
)
"""

# The calls whose response id is not their turn's: an index over all of them would have each response twice,
# and random keys are what an index takes worst.
_CALL_RESPONSES: Final = """
CREATE TABLE call_responses (
    response_id TEXT NOT NULL,
    call INTEGER NOT NULL,
    PRIMARY KEY (response_id, call)
) WITHOUT ROWID
"""

# One row per client request (turn.completed). `ts` is its end; its calls are found by turn_id.
_TURN_ROWS: Final = """
CREATE TABLE turn_rows (
    id INTEGER PRIMARY KEY,
    owner INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    turn_id TEXT NOT NULL UNIQUE,
    event_id TEXT NOT NULL,
    ts INTEGER NOT NULL,
    previous_turn_id TEXT NOT NULL,
    response_id TEXT NOT NULL,
    features TEXT,
    fidelity TEXT NOT NULL,
    overhead_us INTEGER NOT NULL,
    duration_us INTEGER NOT NULL
)
"""

# One row per route.decided. An event_id stands with one turn_id only, so the key holds each event once.
_DECISION_ROWS: Final = """
CREATE TABLE decision_rows (
    turn_id TEXT NOT NULL,
    event_id TEXT NOT NULL,
    ts INTEGER NOT NULL,
    policy INTEGER NOT NULL,
    decision INTEGER NOT NULL,
    owner INTEGER NOT NULL,
    PRIMARY KEY (turn_id, event_id)
) WITHOUT ROWID
"""

_OWNER_NAMES: Final = (
    "org_id, team_id, user_id, project_id, key_id, client, session_id, agent_id, parent_agent_id"
)
_KIND_NAMES: Final = (
    "role, provider, model, requested_model, operation, shape, upstream_shape, stream, paid_by, arm"
)
_END_NAMES: Final = (
    "outcome, http_status, failure, failure_cause, error_type, usage_source, price_unknown, unpriced, "
    "stop, response_model"
)
_TURN_KIND_NAMES: Final = (
    "operation, shape, requested_model, provider, model, stream, outcome, http_status, attempts, "
    "auxiliary, request_class, client_version, session_source, arm"
)
_START_NAMES: Final = (
    "call_id, started_event_id, started_ts, turn_id, previous_turn_id, attempt, request_bytes"
)
_FINISH_NAMES: Final = (
    "completed_event_id, completed_ts, input_tokens, cache_read_tokens, cache_write_5m_tokens, "
    "cache_write_1h_tokens, output_tokens, reasoning_tokens, input_audio_tokens, "
    "output_audio_tokens, server_tool_requests, cost_nano_usd, duration_us, server_tools, "
    "tool_calls, response_id, upstream_request_id, response_bytes, first_byte_us"
)
_TURN_FACT_NAMES: Final = (
    "turn_id, event_id, ts, previous_turn_id, response_id, features, fidelity, overhead_us, "
    "duration_us"
)


def _of(alias: str, names: str) -> str:
    return ", ".join(f"{alias}.{name}" for name in names.split(", "))


def _same(alias: str, other: str, names: str) -> str:
    return f"({_of(alias, names)}) = ({_of(other, names)})"


# CROSS JOIN keeps the order: each old row looks its combinations up in their unique indices.
_MOVE_ROWS: Final = (
    f"INSERT OR IGNORE INTO owners ({_OWNER_NAMES}) SELECT {_OWNER_NAMES} FROM calls ORDER BY id",
    f"INSERT OR IGNORE INTO owners ({_OWNER_NAMES}) SELECT {_OWNER_NAMES} FROM turns ORDER BY id",
    f"INSERT OR IGNORE INTO call_kinds ({_KIND_NAMES}) SELECT DISTINCT {_KIND_NAMES} FROM calls",
    f"INSERT OR IGNORE INTO call_ends ({_END_NAMES}) SELECT DISTINCT {_END_NAMES} FROM calls",
    f"INSERT OR IGNORE INTO turn_kinds ({_TURN_KIND_NAMES}) SELECT DISTINCT {_TURN_KIND_NAMES} FROM turns",
    "INSERT OR IGNORE INTO spools (replica, spool) SELECT DISTINCT replica, spool FROM calls",
    f"INSERT INTO call_rows (id, owner, kind, ending, written_by, {_START_NAMES}, {_FINISH_NAMES}) "
    f"SELECT c.id, o.id, k.id, e.id, s.id, {_of('c', _START_NAMES)}, {_of('c', _FINISH_NAMES)} "
    f"FROM calls AS c CROSS JOIN owners AS o ON {_same('o', 'c', _OWNER_NAMES)} "
    f"CROSS JOIN call_kinds AS k ON {_same('k', 'c', _KIND_NAMES)} "
    f"CROSS JOIN call_ends AS e ON {_same('e', 'c', _END_NAMES)} "
    f"CROSS JOIN spools AS s ON {_same('s', 'c', 'replica, spool')} ORDER BY c.id",
    "INSERT INTO call_responses (response_id, call) SELECT c.response_id, c.id FROM calls AS c "
    "LEFT JOIN turns AS t ON t.turn_id = c.turn_id "
    "WHERE c.response_id <> '' AND c.response_id IS NOT t.response_id",
    f"INSERT INTO turn_rows (id, owner, kind, {_TURN_FACT_NAMES}) "
    f"SELECT t.id, o.id, k.id, {_of('t', _TURN_FACT_NAMES)} "
    f"FROM turns AS t CROSS JOIN owners AS o ON {_same('o', 't', _OWNER_NAMES)} "
    f"CROSS JOIN turn_kinds AS k ON {_same('k', 't', _TURN_KIND_NAMES)} ORDER BY t.id",
    # Schema 1 kept no agents with a decision; they are its turn's.
    "CREATE TEMP TABLE moving AS SELECT d.*, coalesce(t.agent_id, '') AS agent_id, "
    "coalesce(t.parent_agent_id, '') AS parent_agent_id, "
    "metis_decision_id(d.decision) AS decision_id "
    "FROM decisions AS d LEFT JOIN turns AS t ON t.turn_id = d.turn_id",
    f"INSERT OR IGNORE INTO owners ({_OWNER_NAMES}) SELECT {_OWNER_NAMES} FROM temp.moving ORDER BY id",
    "INSERT OR IGNORE INTO decision_texts "
    "(decision_id, requested_model, provider, model, slot, reason, decision) "
    "SELECT decision_id, requested_model, provider, model, slot, reason, decision "
    "FROM temp.moving ORDER BY id",
    "INSERT INTO decision_rows (turn_id, event_id, ts, policy, decision, owner) "
    "SELECT d.turn_id, d.event_id, d.ts, d.policy, x.id, o.id FROM temp.moving AS d "
    f"CROSS JOIN owners AS o ON {_same('o', 'd', _OWNER_NAMES)} "
    "CROSS JOIN decision_texts AS x ON x.decision_id = d.decision_id",
    "DROP TABLE temp.moving",
    "DROP TABLE calls",
    "DROP TABLE turns",
    "DROP TABLE decisions",
)

_INDICES: Final = (
    "CREATE INDEX owners_by_session ON owners (session_id) WHERE session_id <> ''",
    "CREATE INDEX calls_by_time ON call_rows (started_ts)",
    "CREATE INDEX calls_by_owner ON call_rows (owner, started_ts)",
    "CREATE INDEX calls_by_turn ON call_rows (turn_id)",
    "CREATE INDEX calls_open ON call_rows (written_by) WHERE completed_ts IS NULL",
    "CREATE INDEX turns_by_time ON turn_rows (ts)",
    "CREATE INDEX turns_by_owner ON turn_rows (owner, ts)",
    "CREATE INDEX turns_by_response ON turn_rows (response_id) WHERE response_id <> ''",
)

# Joined outwards, so that SQLite begins with the rows unless a condition names an owner's column.
_VIEWS: Final = (
    "CREATE VIEW calls AS SELECT c.id, "
    "CASE WHEN c.completed_ts IS NULL THEN 'open' ELSE 'closed' END AS state, s.replica, s.spool, "
    f"{_of('c', _START_NAMES)}, {_of('o', _OWNER_NAMES)}, {_of('k', _KIND_NAMES)}, "
    f"{_of('c', _FINISH_NAMES)}, {_of('e', _END_NAMES)} FROM call_rows AS c "
    "LEFT JOIN owners AS o ON o.id = c.owner LEFT JOIN call_kinds AS k ON k.id = c.kind "
    "LEFT JOIN call_ends AS e ON e.id = c.ending LEFT JOIN spools AS s ON s.id = c.written_by",
    f"CREATE VIEW turns AS SELECT t.id, {_of('t', _TURN_FACT_NAMES)}, {_of('o', _OWNER_NAMES)}, "
    f"{_of('k', _TURN_KIND_NAMES)} FROM turn_rows AS t LEFT JOIN owners AS o ON o.id = t.owner "
    "LEFT JOIN turn_kinds AS k ON k.id = t.kind",
    "CREATE VIEW decisions AS SELECT d.turn_id, d.event_id, d.ts, d.policy, x.decision_id, "
    f"{_of('o', _OWNER_NAMES)}, x.requested_model, x.provider, x.model, x.slot, x.reason, x.decision "
    "FROM decision_rows AS d LEFT JOIN owners AS o ON o.id = d.owner "
    "LEFT JOIN decision_texts AS x ON x.id = d.decision",
)

STATEMENTS: Final = (
    _OWNERS,
    _CALL_KINDS,
    _CALL_ENDS,
    _TURN_KINDS,
    _SPOOLS,
    _DECISION_TEXTS,
    _CALL_ROWS,
    _CALL_RESPONSES,
    _TURN_ROWS,
    _DECISION_ROWS,
    *_MOVE_ROWS,
    *_INDICES,
    *_VIEWS,
)
