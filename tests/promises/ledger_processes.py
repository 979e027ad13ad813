"""Processes that P4's tests kill: `writer <spool dir> <pause s>` appends calls, `recorder <root> <database>` records.

The writer prints `s <call_id>` or `c <call_id>` after each append returned: what was printed must be kept.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

from tests.ledgers import NOON, call

from metis.storage.sqlite.connection import connect
from metis.storage.sqlite.ledger import SqliteLedgerStore
from metis.storage.sqlite.migrations import migrate
from metis.trace.events import LlmCallCompleted
from metis.trace.recorder import Recorder
from metis.trace.settings import TraceSettings
from metis.trace.spool import SpoolWriter

SETTINGS = TraceSettings(segment_bytes=64 * 1024, spool_bytes=1 << 30, batch_bytes=65_536)
OVERLAP = 3  # so many calls are open at a time


def write(directory: Path, pause_s: float) -> None:
    """Append for ever; every call has the spool's name in its id, so writers never share one."""
    writer = SpoolWriter(directory, SETTINGS)
    pending: list[LlmCallCompleted] = []
    number = 0
    while True:
        started, completed = call(NOON, turn_id=f"turn_{directory.name}_{number}")
        number += 1
        writer.append([started])
        os.write(1, f"s {started.call_id}\n".encode())
        pending.append(completed)
        if len(pending) >= OVERLAP:
            ended = pending.pop(0)
            writer.append([ended])
            os.write(1, f"c {ended.call_id}\n".encode())
        if pause_s:
            time.sleep(pause_s)


def record(root: Path, database: Path) -> None:
    """Record until killed."""
    connection = connect(database)
    migrate(connection, now_ts=NOON)
    recorder = Recorder(root, SqliteLedgerStore(connection), SETTINGS)
    os.write(1, b"ready\n")
    recorder.run(threading.Event())


if __name__ == "__main__":
    if sys.argv[1] == "writer":
        write(Path(sys.argv[2]), float(sys.argv[3]))
    else:
        record(Path(sys.argv[2]), Path(sys.argv[3]))
