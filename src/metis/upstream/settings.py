"""The `[upstream]` table of metis.toml. Values only."""

from __future__ import annotations

import msgspec


class UpstreamSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Connections to providers.

    `ca_file`: certificate authorities to trust instead of the system's. `proxy`: an HTTP proxy for
    https upstreams (default: HTTPS_PROXY; `NO_PROXY` is honoured). `max_idle_per_origin`: kept
    open for reuse; `idle_s`: for how long (below the 60 s after which common servers close).
    """

    ca_file: str | None = None
    proxy: str | None = None
    max_idle_per_origin: int = 128
    idle_s: float = 50.0
