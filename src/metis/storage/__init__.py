"""Where things are kept, behind the ports of `trace` and `accounts`.

To add a backend, write its package and put its BACKEND into BACKENDS; the contract suite then runs on it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from metis.errors import StorageError
from metis.storage import memory, sqlite
from metis.storage.backend import Backend, Storage
from metis.storage.settings import StorageSettings

BACKENDS: Final[tuple[Backend, ...]] = (sqlite.BACKEND, memory.BACKEND)


def open_storage(settings: StorageSettings, *, database: Path) -> Storage:
    """The storage `settings.url` names, or, where it names none, SQLite in the file `database`.

    Opens no file yet. Raises StorageError for an unknown scheme.
    """
    url = settings.url or sqlite.url_of(database)
    scheme = url.partition(":")[0]
    for backend in BACKENDS:
        if backend.scheme == scheme:
            return backend.open(url, settings)
    raise _unknown(url)


def database_of(settings: StorageSettings, *, database: Path) -> Path:
    """The file that reports are read from. Raises StorageError where the storage is none that others can read."""
    if not settings.url:
        return database
    if settings.url.partition(":")[0] != sqlite.BACKEND.scheme:
        raise StorageError(
            f"what is kept in {settings.url!r} can be read by no other process; a gateway needs 'sqlite:///path'"
        )
    return sqlite.path_of(settings.url)


def _unknown(url: str) -> StorageError:
    known = ", ".join(f"{backend.scheme}:" for backend in BACKENDS)
    return StorageError(f"storage url {url!r} has no known scheme; known are {known}")
