"""The shape of a configuration, of `up`'s options and of what a started gateway tells. Nothing is read here."""

from __future__ import annotations

import msgspec

from metis.accounts.settings import AccountsSettings
from metis.analytics.settings import AnalyticsSettings
from metis.catalog.settings import CatalogSettings
from metis.embedded.settings import EmbeddedSettings
from metis.gateway.settings import GatewaySettings
from metis.providers.settings import ProviderSettings
from metis.routing.settings import RoutingSettings
from metis.storage.settings import StorageSettings
from metis.trace.settings import TraceSettings
from metis.turn.settings import TurnSettings
from metis.upstream.settings import UpstreamSettings


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An effective configuration: file, environment and options joined, paths absolute.

    `data_dir` is where ledger, keys and spool live. `providers` is never empty after loading, unless
    `embedded.use` is "never" and no provider is configured.
    """

    data_dir: str = ""
    gateway: GatewaySettings = GatewaySettings()
    providers: dict[str, ProviderSettings] = {}
    routing: RoutingSettings = RoutingSettings()
    accounts: AccountsSettings = AccountsSettings()
    catalog: CatalogSettings = CatalogSettings()
    turn: TurnSettings = TurnSettings()
    upstream: UpstreamSettings = UpstreamSettings()
    embedded: EmbeddedSettings = EmbeddedSettings()
    trace: TraceSettings = TraceSettings()
    storage: StorageSettings = StorageSettings()
    analytics: AnalyticsSettings = AnalyticsSettings()


class UpOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of `metis up`; None: as configured.

    `ready_file` gets `{"url", "admin_url", "key", "admin_token"}` (mode 0600) once the gateway serves, with
    a key that is revoked on exit; `ephemeral` asks for such a key without a file. `quiet`: no banner.
    """

    config: str | None = None
    data: str | None = None
    host: str | None = None
    port: int | None = None
    admin_host: str | None = None
    admin_port: int | None = None
    workers: int | None = None
    ready_file: str | None = None
    ephemeral: bool = False
    quiet: bool = False


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway that has begun to serve tells whoever started it.

    `key` is a key's plaintext where one was minted now, else None; `key_prefix` names the key
    to use. `ephemeral`: it is revoked on exit. `login_url` signs a browser in to the admin plane, once.
    `embedded`: the embedded model answers all.
    """

    url: str
    admin_url: str
    key: str | None
    key_prefix: str
    ephemeral: bool
    admin_token: str
    login_url: str
    providers: tuple[str, ...]
    embedded: bool
    data_dir: str
    pid: int

    def __repr__(self) -> str:
        return f"Ready({self.url}, {self.key_prefix})"
