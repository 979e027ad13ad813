"""All that a configuration names and that can be built without a trace, so that what cannot be used is found first.

`metis up` builds it before it makes a file, a key or a process; `metis config check` builds it and says whether that
could be done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from metis.bootstrap.engine import build_models, build_providers
from metis.bootstrap.scripts import build_scripted
from metis.bootstrap.worker import server_tls
from metis.config import Config
from metis.embedded.weights import locate
from metis.errors import ConfigError, StorageError
from metis.providers.provider import Provider
from metis.storage import database_of, open_storage
from metis.storage.backend import Storage
from metis.storage.data_dir import DataDir
from metis.upstream.dialing import build_trust, find_proxy


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What was built: nothing of it is open yet. `database` is the file that reports read."""

    storage: Storage
    database: Path
    providers: dict[str, Provider]


def build_parts(config: Config, environment: Mapping[str, str]) -> Parts:
    """Raises ConfigError, naming the field, and EmbeddedModelError where the embedded model lacks a part."""
    default = DataDir(Path(config.data_dir)).database
    try:
        storage = open_storage(config.storage, database=default)
        database = database_of(config.storage, database=default)
    except StorageError as exc:
        raise ConfigError(str(exc), field="storage.url") from exc
    server_tls(config.gateway)
    build_scripted(config)
    providers = build_providers(config, environment)
    build_models(config, providers)
    if (
        config.upstream.ca_file is not None
    ):  # the system's take 20 ms to load, and each worker has its own
        build_trust(config.upstream.ca_file)
    find_proxy(config.upstream, environment, [provider.origin for provider in providers.values()])
    if any(provider.kind.embedded for provider in providers.values()):
        locate(config.embedded.weights)
    return Parts(storage=storage, database=database, providers=providers)
