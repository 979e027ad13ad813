"""The `[gateway]` table of metis.toml: the door's limits and addresses. Values only."""

from __future__ import annotations

import msgspec


class RelaySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Other paths of a provider that are relayed as they are: `[gateway.relay.NAME]` serves `/NAME/...`.

    `provider`: the configured provider's name. `allow`: entries such as `GET /v1/files`; a path may
    end in `/*`, which stands for one more segment. Their price is unknown, so keys with a budget are
    refused.
    """

    provider: str
    allow: tuple[str, ...] = ()


class GatewaySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Addresses, bytes and seconds of the data plane; `admin_*` of the admin plane.

    `admin_token_env`: the variable that holds the admin token; unset, each start makes a new one.
    `admin_allowed_hosts`: further names browsers may reach the admin plane by (its Host header).
    `tls_cert` and `tls_key`: PEM files; both or neither. `idle_timeout_s`: a kept-alive connection
    without a request. `header_timeout_s`, `body_timeout_s`: a request that does not arrive; the second
    also bounds how long a client may take nothing of its answer.
    `drain_timeout_s`: how long streams may finish after SIGTERM.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    admin_host: str = "127.0.0.1"
    admin_port: int = 8081
    admin_allowed_hosts: tuple[str, ...] = ()
    admin_token_env: str = "METIS_ADMIN_TOKEN"
    workers: int = 1
    max_header_bytes: int = 64 * 1024
    max_body_bytes: int = 64 * 1024 * 1024
    max_connections: int = 16_384
    idle_timeout_s: float = 75.0
    header_timeout_s: float = 15.0
    body_timeout_s: float = 120.0
    drain_timeout_s: float = 60.0
    tls_cert: str | None = None
    tls_key: str | None = None
    relay: dict[str, RelaySettings] = {}
