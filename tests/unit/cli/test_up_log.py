"""What a crash writes to a terminal: where it happened, not what was being said."""

from __future__ import annotations

import errno
import io
import logging
from typing import TextIO, cast

import pytest
import structlog

from metis.cli.up import LogFile, terminal_renderer


def crash(prompt: str) -> None:
    raise RuntimeError(f"{len(prompt)} characters were too many")


def test_a_traceback_on_a_terminal_shows_no_variables() -> None:
    try:
        crash("the salary of " + "Ada")
    except RuntimeError as error:
        event = {"event": "turn.crashed", "exc_info": error}
    line = str(terminal_renderer(colors=False)(logging.getLogger(), "error", event))
    assert "turn.crashed" in line
    assert "RuntimeError: 17 characters were too many" in line
    assert "the salary of Ada" not in line


class FullDisk(io.StringIO):
    """Refuses as a file on a full disk does."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_line_that_cannot_be_written_is_lost_and_no_error() -> None:
    with pytest.raises(OSError, match="No space"):
        structlog.PrintLogger(file=FullDisk()).error("a line")
    structlog.PrintLogger(file=cast(TextIO, LogFile(FullDisk()))).error("a line")
