"""Settings of the ledger's spool and recorder. Values only; `config` reads them from metis.toml."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

FsyncPolicy = Literal["off", "group", "always"]
FullPolicy = Literal["refuse", "serve"]


class TraceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the ledger is written.

    `spool_bytes` bounds what one replica's workers may have on disk; over it, `on_ledger_full` says whether
    requests are refused (503) or served unledgered and counted. `fsync`: off survives the death of every
    process but not power loss; group syncs at most every `fsync_interval_ms`; always after each record.
    """

    segment_bytes: Annotated[int, msgspec.Meta(ge=4096)] = 64 * 1024 * 1024
    spool_bytes: Annotated[int, msgspec.Meta(ge=65_536)] = 2 * 1024 * 1024 * 1024
    fsync: FsyncPolicy = "off"
    fsync_interval_ms: Annotated[int, msgspec.Meta(ge=1)] = 20
    on_ledger_full: FullPolicy = "refuse"
    poll_interval_ms: Annotated[int, msgspec.Meta(ge=1)] = 200
    idle_interval_ms: Annotated[int, msgspec.Meta(ge=1)] = 200
    batch_bytes: Annotated[int, msgspec.Meta(ge=65_536)] = 4 * 1024 * 1024
    lag_alarm_bytes: Annotated[int, msgspec.Meta(ge=1)] = 64 * 1024 * 1024
