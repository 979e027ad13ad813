"""Several connections of one process and others of another: nobody loses the write-ahead log."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from metis.storage.sqlite.connection import connect, connect_reader

OTHER_PROCESS = """
import sys
from pathlib import Path
from metis.storage.sqlite.connection import connect
connection = connect(Path(sys.argv[1]))
connection.execute("SELECT count(*) FROM t").fetchone()
connection.close()
"""


def test_second_connection_does_not_drop_the_locks_of_the_first(tmp_path: Path) -> None:
    # POSIX drops a process's locks on a file when any of its descriptors is closed. A connection that
    # lost its locks this way let another process delete the write-ahead log's index under it.
    path = tmp_path / "metis.db"
    recorder = connect(path)
    recorder.execute("CREATE TABLE t (x)")
    accounts = connect(path)
    subprocess.run([sys.executable, "-c", OTHER_PROCESS, str(path)], check=True)
    assert (tmp_path / "metis.db-shm").exists()
    recorder.execute("INSERT INTO t VALUES (1)")
    reader = connect_reader(path)
    assert reader.execute("SELECT x FROM t").fetchall() == [(1,)]
    for connection in (accounts, recorder, reader):
        connection.close()


def test_database_and_its_side_files_are_private(tmp_path: Path) -> None:
    path = tmp_path / "metis.db"
    connection = connect(path)
    connection.execute("CREATE TABLE t (x)")
    modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    assert modes == {"metis.db": 0o600, "metis.db-wal": 0o600, "metis.db-shm": 0o600}
    connection.close()
