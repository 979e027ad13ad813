"""Schema 1: the ledger and the accounts. Released: never edited (see `migrations`)."""

from __future__ import annotations

from typing import Final

# One row per upstream call, made by llm.call_started (state open) and finished by llm.call_completed
# (state closed). `started_ts` is the time of the call everywhere: its hour is the rollup's hour.
_CALLS: Final = """
CREATE TABLE calls (
    id INTEGER PRIMARY KEY,
    call_id TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL CHECK (state IN ('open', 'closed')),
    replica TEXT NOT NULL,
    spool TEXT NOT NULL,
    started_event_id TEXT NOT NULL DEFAULT '',
    completed_event_id TEXT NOT NULL DEFAULT '',
    started_ts INTEGER NOT NULL,
    completed_ts INTEGER,
    org_id TEXT NOT NULL,
    team_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    client TEXT NOT NULL,
    session_id TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    parent_agent_id TEXT NOT NULL,
    turn_id TEXT NOT NULL,
    previous_turn_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    arm TEXT NOT NULL,
    role TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    requested_model TEXT NOT NULL,
    operation TEXT NOT NULL,
    shape TEXT NOT NULL,
    upstream_shape TEXT NOT NULL,
    stream INTEGER NOT NULL,
    paid_by TEXT NOT NULL,
    request_bytes INTEGER NOT NULL,
    outcome TEXT NOT NULL DEFAULT '',
    http_status INTEGER NOT NULL DEFAULT 0,
    failure TEXT NOT NULL DEFAULT '',
    failure_cause TEXT NOT NULL DEFAULT '',
    error_type TEXT NOT NULL DEFAULT '',
    input_tokens INTEGER NOT NULL DEFAULT 0,
    cache_read_tokens INTEGER NOT NULL DEFAULT 0,
    cache_write_5m_tokens INTEGER NOT NULL DEFAULT 0,
    cache_write_1h_tokens INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    reasoning_tokens INTEGER NOT NULL DEFAULT 0,
    input_audio_tokens INTEGER NOT NULL DEFAULT 0,
    output_audio_tokens INTEGER NOT NULL DEFAULT 0,
    server_tool_requests INTEGER NOT NULL DEFAULT 0,
    server_tools TEXT NOT NULL DEFAULT '{}',
    usage_source TEXT NOT NULL DEFAULT '',
    cost_nano_usd INTEGER NOT NULL DEFAULT 0,
    price_unknown INTEGER NOT NULL DEFAULT 0,
    unpriced TEXT NOT NULL DEFAULT '[]',
    stop TEXT NOT NULL DEFAULT '',
    tool_calls INTEGER NOT NULL DEFAULT 0,
    response_id TEXT NOT NULL DEFAULT '',
    response_model TEXT NOT NULL DEFAULT '',
    upstream_request_id TEXT NOT NULL DEFAULT '',
    response_bytes INTEGER NOT NULL DEFAULT 0,
    first_byte_us INTEGER,
    duration_us INTEGER NOT NULL DEFAULT 0
)
"""

# One row per client request (turn.completed). `ts` is its end; its calls are found by turn_id.
_TURNS: Final = """
CREATE TABLE turns (
    id INTEGER PRIMARY KEY,
    turn_id TEXT NOT NULL UNIQUE,
    event_id TEXT NOT NULL,
    ts INTEGER NOT NULL,
    org_id TEXT NOT NULL,
    team_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    client TEXT NOT NULL,
    session_id TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    parent_agent_id TEXT NOT NULL,
    previous_turn_id TEXT NOT NULL,
    arm TEXT NOT NULL,
    operation TEXT NOT NULL,
    shape TEXT NOT NULL,
    requested_model TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    outcome TEXT NOT NULL,
    http_status INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    auxiliary TEXT NOT NULL,
    request_class TEXT NOT NULL,
    client_version TEXT NOT NULL,
    session_source TEXT NOT NULL,
    stream INTEGER NOT NULL,
    response_id TEXT NOT NULL,
    features TEXT,
    fidelity TEXT NOT NULL,
    overhead_us INTEGER NOT NULL,
    duration_us INTEGER NOT NULL
)
"""

# One row per route.decided; `decision` is the whole RouteDecision as JSON.
_DECISIONS: Final = """
CREATE TABLE decisions (
    id INTEGER PRIMARY KEY,
    event_id TEXT NOT NULL UNIQUE,
    ts INTEGER NOT NULL,
    turn_id TEXT NOT NULL,
    org_id TEXT NOT NULL,
    team_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    client TEXT NOT NULL,
    session_id TEXT NOT NULL,
    requested_model TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    slot TEXT NOT NULL,
    reason TEXT NOT NULL,
    policy INTEGER NOT NULL,
    decision TEXT NOT NULL
)
"""

# Every event that has no table of its own (gateway.*, config.*, admin.*, data.*, ...), whole, as JSON.
_EVENTS: Final = """
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    event_id TEXT NOT NULL UNIQUE,
    ts INTEGER NOT NULL,
    name TEXT NOT NULL,
    org_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    event TEXT NOT NULL
)
"""

# Sums over closed calls. `hour` is the hour of the call's start in epoch SECONDS. It is updated in the
# transaction that closes the call, so at any time it equals the same sums over `calls`.
_ROLLUPS: Final = """
CREATE TABLE rollups_hourly (
    hour INTEGER NOT NULL,
    org_id TEXT NOT NULL,
    team_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    client TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    requested_model TEXT NOT NULL,
    operation TEXT NOT NULL,
    role TEXT NOT NULL,
    paid_by TEXT NOT NULL,
    usage_source TEXT NOT NULL,
    outcome TEXT NOT NULL,
    calls INTEGER NOT NULL,
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
    price_unknown_calls INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    PRIMARY KEY (hour, org_id, team_id, user_id, project_id, key_id, client, provider, model,
                 requested_model, operation, role, paid_by, usage_source, outcome)
) WITHOUT ROWID
"""

# A conversation, scoped by key: for lists. Counts of closed calls and of turns; `cost_nano_usd` is what
# the gateway's credentials paid, `client_cost_nano_usd` what clients' own did.
_SESSIONS: Final = """
CREATE TABLE sessions (
    key_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    org_id TEXT NOT NULL,
    team_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    client TEXT NOT NULL,
    first_ts INTEGER NOT NULL,
    last_ts INTEGER NOT NULL,
    turns INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    cache_read_tokens INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost_nano_usd INTEGER NOT NULL,
    client_cost_nano_usd INTEGER NOT NULL,
    price_unknown_calls INTEGER NOT NULL,
    unreported_calls INTEGER NOT NULL,
    PRIMARY KEY (key_id, session_id)
) WITHOUT ROWID
"""

_SPOOL_POSITIONS: Final = """
CREATE TABLE spool_positions (
    replica TEXT NOT NULL,
    spool TEXT NOT NULL,
    segment INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    PRIMARY KEY (replica, spool)
) WITHOUT ROWID
"""

# Spool bytes that no event could be read from (damage, or a newer Metis wrote them): kept for a person.
_UNREADABLE: Final = """
CREATE TABLE unreadable_frames (
    replica TEXT NOT NULL,
    spool TEXT NOT NULL,
    segment INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    why TEXT NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (replica, spool, segment, offset)
) WITHOUT ROWID
"""

_ORGS: Final = """
CREATE TABLE orgs (
    org_id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    created_ts INTEGER NOT NULL
) WITHOUT ROWID
"""

_TEAMS: Final = """
CREATE TABLE teams (
    org_id TEXT NOT NULL REFERENCES orgs (org_id),
    team_id TEXT NOT NULL,
    name TEXT NOT NULL,
    created_ts INTEGER NOT NULL,
    PRIMARY KEY (org_id, team_id)
) WITHOUT ROWID
"""

_USERS: Final = """
CREATE TABLE users (
    org_id TEXT NOT NULL REFERENCES orgs (org_id),
    user_id TEXT NOT NULL,
    name TEXT NOT NULL,
    created_ts INTEGER NOT NULL,
    PRIMARY KEY (org_id, user_id)
) WITHOUT ROWID
"""

_PROJECTS: Final = """
CREATE TABLE projects (
    org_id TEXT NOT NULL REFERENCES orgs (org_id),
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    created_ts INTEGER NOT NULL,
    PRIMARY KEY (org_id, project_id)
) WITHOUT ROWID
"""

# `digest` is SHA-256 of the whole key; the key itself is nowhere. `key_id` is "key_" and the eight
# characters of the display prefix.
_KEYS: Final = """
CREATE TABLE keys (
    key_id TEXT PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    org_id TEXT NOT NULL,
    team_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    pinned_model TEXT,
    allowed_models TEXT NOT NULL,
    budgeted INTEGER NOT NULL,
    ephemeral INTEGER NOT NULL,
    mode TEXT NOT NULL,
    created_ts INTEGER NOT NULL,
    expires_ts INTEGER,
    revoked_ts INTEGER,
    replaces TEXT NOT NULL,
    FOREIGN KEY (org_id, team_id) REFERENCES teams (org_id, team_id),
    FOREIGN KEY (org_id, user_id) REFERENCES users (org_id, user_id),
    FOREIGN KEY (org_id, project_id) REFERENCES projects (org_id, project_id)
)
"""

_META: Final = "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"

_INDICES: Final = (
    "CREATE INDEX calls_by_time ON calls (started_ts)",
    "CREATE INDEX calls_by_session ON calls (session_id, started_ts) WHERE session_id <> ''",
    "CREATE INDEX calls_by_key ON calls (key_id, started_ts)",
    "CREATE INDEX calls_by_turn ON calls (turn_id)",
    "CREATE INDEX calls_by_response ON calls (response_id) WHERE response_id <> ''",
    "CREATE INDEX calls_open ON calls (replica, spool) WHERE state = 'open'",
    "CREATE INDEX turns_by_time ON turns (ts)",
    "CREATE INDEX turns_by_session ON turns (session_id, ts) WHERE session_id <> ''",
    "CREATE INDEX turns_by_key ON turns (key_id, ts)",
    "CREATE INDEX turns_by_response ON turns (response_id) WHERE response_id <> ''",
    "CREATE INDEX decisions_by_turn ON decisions (turn_id)",
    "CREATE INDEX decisions_by_time ON decisions (ts)",
    "CREATE INDEX events_by_time ON events (ts)",
    "CREATE INDEX events_by_name ON events (name, ts)",
    "CREATE INDEX sessions_by_time ON sessions (last_ts)",
)

STATEMENTS: Final = (
    _CALLS,
    _TURNS,
    _DECISIONS,
    _EVENTS,
    _ROLLUPS,
    _SESSIONS,
    _SPOOL_POSITIONS,
    _UNREADABLE,
    _ORGS,
    _TEAMS,
    _USERS,
    _PROJECTS,
    _KEYS,
    _META,
    *_INDICES,
)
