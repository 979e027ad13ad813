"""Carrying out a scripted provider's steps by the event loop's clock: no socket, the same manners as a connection.

What the steps are is decided in `providers.scripted`.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from metis.errors import ConfigError
from metis.facts.failure import CallFailure, FailureCause, FailureClass
from metis.providers.scripted.performance import Broken, Close, Head, Performance, Piece
from metis.providers.scripted.player import Player
from metis.providers.scripted.script import Script, decode_script
from metis.turn.actions import Call
from metis.turn.ports import CallListener

_MAX_SCRIPT_BYTES: Final = 16 * 1024 * 1024


def read_script(path: Path, field: str) -> Script:
    """Read a script, TOML by its suffix, else JSON. Raises ConfigError naming `field`."""
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise ConfigError(f"cannot read {path}: {exc.strerror}", field=field) from exc
    if len(data) > _MAX_SCRIPT_BYTES:
        raise ConfigError(f"{path} is over {_MAX_SCRIPT_BYTES} bytes", field=field)
    return decode_script(data, toml=path.suffix == ".toml", field=field)


class ScriptedUpstream:
    """The Upstream port over one script. Belongs to one event loop."""

    def __init__(self, script: Script) -> None:
        self._player = Player(script)

    def start(self, call: Call, listener: CallListener) -> Performer:
        """Begin the performance; the listener hears of it from the event loop, never from here."""
        path = call.head.split(b" ", 2)[1].decode("latin-1")
        performer = Performer(call, listener, self._player.play(path, call.body))
        performer.begin()
        return performer


class Performer:
    """One performance under way, and the handle on it.

    A pause stops the clock; the step that was due next waits its whole time again after it. A wait over the
    call's timeouts ends as it would on a connection.
    """

    __slots__ = (
        "_call",
        "_listener",
        "_next",
        "_over",
        "_paused",
        "_performing",
        "_steps",
        "_timer",
    )

    def __init__(self, call: Call, listener: CallListener, steps: Performance) -> None:
        self._call = call
        self._listener = listener
        self._steps = steps
        self._next = 0
        self._timer: asyncio.TimerHandle | None = None
        self._paused = False
        self._performing = False
        self._over = False

    def begin(self) -> None:
        self._arm()

    def pause(self) -> None:
        self._paused = True
        self._disarm()

    def resume(self) -> None:
        if self._paused:
            self._paused = False
            if not self._performing and not self._over:
                self._arm()

    def cancel(self) -> None:
        """Stop; the listener hears no more."""
        self._over = True
        self._disarm()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        call, loop = self._call, asyncio.get_running_loop()
        limit_s = call.idle_timeout_s if self._next else call.first_byte_timeout_s
        wait_s = self._steps[self._next].after_ms / 1000
        if wait_s > limit_s:
            self._timer = loop.call_later(limit_s, self._time_out)
        else:
            self._timer = loop.call_later(wait_s, self._go_on)

    def _go_on(self) -> None:
        """Perform the step that is due, and those that follow it at once."""
        self._timer = None
        self._performing = True
        self._perform()
        while not (self._over or self._paused) and self._steps[self._next].after_ms == 0:
            self._perform()
        self._performing = False
        if not (self._over or self._paused):
            self._arm()

    def _perform(self) -> None:
        call_id, step = self._call.call_id, self._steps[self._next]
        self._next += 1
        match step:
            case Head(status=status, headers=headers):
                self._listener.call_head(call_id, status, headers)
            case Piece(data=data):
                self._listener.call_data(call_id, data)
            case Close():
                self._over = True
                self._listener.call_end(call_id)
            case Broken(failure=failure):
                self._over = True
                self._listener.call_failed(call_id, failure)

    def _time_out(self) -> None:
        self._over = True
        call = self._call
        if self._next:
            cause, said = FailureCause.IDLE_TIMEOUT, f"silent for {call.idle_timeout_s:g} s"
        else:
            cause = FailureCause.FIRST_BYTE_TIMEOUT
            said = f"no answer within {call.first_byte_timeout_s:g} s"
        failure = CallFailure(FailureClass.TIMEOUT, cause, said, sent=True)
        self._listener.call_failed(call.call_id, failure)
