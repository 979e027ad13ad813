"""What a crash writes to a terminal: where it happened, not what was being said."""

from __future__ import annotations

import logging

from metis.cli.up import terminal_renderer


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
