import multiprocessing
import os
import re
from pathlib import Path

import pytest

from metis.errors import StorageError
from metis.storage.data_dir import DataDir


def test_directories_and_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    data = DataDir(tmp_path / "a" / "data")
    data.create()
    data.create()
    lock = data.acquire()
    modes = {
        str(path.relative_to(data.root)): path.stat().st_mode & 0o777
        for path in sorted(data.root.rglob("*"))
    }
    assert modes == {"run": 0o700, "run/lock": 0o600, "spool": 0o700}
    assert data.root.stat().st_mode & 0o777 == 0o700
    lock.release()


def test_a_second_metis_is_told_who_holds_the_directory(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    data.create()
    assert data.holder() is None
    lock = data.acquire()
    assert data.holder() == os.getpid()
    expected = f"another Metis (pid {os.getpid()}) is using the data directory {tmp_path}; stop it"
    with pytest.raises(StorageError, match=re.escape(expected)):
        DataDir(tmp_path).acquire()
    lock.release()
    assert data.holder() is None
    data.acquire().release()


def test_the_lock_ends_with_the_process_that_held_it(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    data.create()

    def hold_and_die() -> None:
        data.acquire()
        os._exit(9)

    child = multiprocessing.get_context("fork").Process(target=hold_and_die)
    child.start()
    child.join()
    assert child.exitcode == 9  # it held the lock, and died of nothing else
    data.acquire().release()


def test_a_directory_that_cannot_be_made_names_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="choose another with --data"):
        DataDir(tmp_path / "file" / "data").create()
