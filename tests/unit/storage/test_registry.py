from pathlib import Path

import pytest

from metis.errors import StorageError
from metis.storage import open_storage
from metis.storage.memory import MemoryStorage
from metis.storage.settings import StorageSettings
from metis.storage.sqlite import SqliteStorage, path_of, url_of


def test_without_a_url_the_database_of_the_data_directory_is_meant(tmp_path: Path) -> None:
    storage = open_storage(StorageSettings(), database=tmp_path / "metis.db")
    assert isinstance(storage, SqliteStorage)
    assert storage.path == tmp_path / "metis.db"


def test_the_scheme_of_the_url_picks_the_backend(tmp_path: Path) -> None:
    assert isinstance(
        open_storage(StorageSettings(url="memory:"), database=tmp_path / "x"), MemoryStorage
    )
    with pytest.raises(StorageError, match="known are sqlite:, memory:"):
        open_storage(StorageSettings(url="mysql://host/db"), database=tmp_path / "x")


def test_a_sqlite_url_names_a_file() -> None:
    assert path_of(url_of(Path("/var/lib/metis.db"))) == Path("/var/lib/metis.db")
    assert path_of("sqlite:///relative.db") == Path("relative.db")
    for wrong in ("sqlite:", "sqlite:///", "sqlite://host/db"):
        with pytest.raises(StorageError, match="names no file"):
            path_of(wrong)
