"""Settings of storage. Values only; `config` reads them from metis.toml."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec


class StorageSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where things are kept: `url` is `sqlite:///absolute/path`, `memory:`, or "" for the data directory.

    `synchronous = "full"` syncs every commit of the ledger (the accounts' always are): set it where the
    spool's fsync is on, since a recorded segment is deleted and must not outlive its rows' power loss.
    """

    url: str = ""
    busy_timeout_ms: Annotated[int, msgspec.Meta(ge=0)] = 5_000
    synchronous: Literal["normal", "full"] = "normal"
