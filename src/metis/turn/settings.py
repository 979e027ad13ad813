"""The `[turn]` table of metis.toml: how long a turn waits and how much it holds. Values only."""

from __future__ import annotations

import msgspec


class TurnSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Seconds and bytes.

    `first_byte_timeout_s` spans from the request's last byte to the answer's head: models think for
    minutes before a sync answer. `idle_timeout_s`: the longest silence inside an answer.
    `keepalive_s`: after this much silence in a stream the client gets a heartbeat.
    """

    connect_timeout_s: float = 10.0
    first_byte_timeout_s: float = 600.0
    idle_timeout_s: float = 300.0
    keepalive_s: float = 15.0
    max_response_bytes: int = 64 * 1024 * 1024
    stale_retries: int = 2
    retry_after_s: int = 2
