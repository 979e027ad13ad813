"""The data directory: where each thing lies, who may read it, and who is using it. No contents of files."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

from metis.errors import StorageError

_DIRECTORY_MODE: Final = 0o700
_FILE_MODE: Final = 0o600


class DataDir:
    """Paths in one data directory. Making the object touches nothing; `create` does."""

    __slots__ = ("root",)

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()

    @property
    def database(self) -> Path:
        return self.root / "metis.db"

    @property
    def spool(self) -> Path:
        """Spools, as `<spool>/<replica>/<spool id>/`."""
        return self.root / "spool"

    @property
    def run(self) -> Path:
        """What lives only while a gateway runs: board, lock, sockets."""
        return self.root / "run"

    @property
    def board(self) -> Path:
        return self.run / "board"

    @property
    def lock(self) -> Path:
        return self.run / "lock"

    def create(self) -> None:
        """Make the directories, readable by their owner alone. Raises StorageError."""
        try:
            self.root.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
            for path in (self.spool, self.run):
                path.mkdir(mode=_DIRECTORY_MODE, exist_ok=True)
                path.chmod(_DIRECTORY_MODE)
        except OSError as exc:
            raise StorageError(
                f"cannot make the data directory {self.root}: {exc.strerror}; choose another with --data"
            ) from exc

    def acquire(self) -> DataDirLock:
        """Lock the directory for this process and the workers it forks.

        Raises StorageError, naming the process, when another Metis is using it.
        """
        try:
            fd = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
        except OSError as exc:
            raise StorageError(f"cannot open the lock {self.lock}: {exc.strerror}") from exc
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(fd)
            raise StorageError(
                f"another Metis (pid {holder}) is using the data directory {self.root}; "
                "stop it, or choose another directory with --data"
            ) from exc
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        return DataDirLock(fd)

    def holder(self) -> int | None:
        """The pid of the Metis that is using this directory; None when nobody is."""
        try:
            fd = os.open(self.lock, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
            return int(text) if text.isdigit() else 0
        finally:
            os.close(fd)
        return None


class DataDirLock:
    """A held lock; it ends with `release` or with the last process that inherited it."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
