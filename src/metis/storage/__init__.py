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
    known = ", ".join(f"{backend.scheme}:" for backend in BACKENDS)
    raise StorageError(f"storage url {url!r} has no known scheme; known are {known}")
