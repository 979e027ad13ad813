"""A timer as a file descriptor, for event loops whose own wait counts in whole milliseconds.

`select.epoll` rounds its timeout up to a millisecond: at 40 requests a second that would be the largest
part of a latency, and it would bunch paced chunks of many streams together, which flatters whoever relays them.
"""

from __future__ import annotations

import ctypes
import os
from typing import Final

_MONOTONIC: Final = 1
_NONBLOCK_CLOEXEC: Final = 0o4000 | 0o2000000
_ABSOLUTE: Final = 1
_libc = ctypes.CDLL(None, use_errno=True)


class _Spec(ctypes.Structure):
    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class Alarm:
    """Readable on `fd` once `time.monotonic_ns()` has reached what was set last."""

    def __init__(self) -> None:
        self.fd: int = _libc.timerfd_create(_MONOTONIC, _NONBLOCK_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._spec = _Spec(0, 0, 0, 0)
        self._at = ctypes.byref(self._spec)
        self.due_ns = 0

    def set(self, due_ns: int) -> None:
        """Ring at this moment of the monotonic clock, in nanoseconds; 0: not at all."""
        if due_ns != self.due_ns:
            self.due_ns = due_ns
            self._spec.value_s, self._spec.value_ns = divmod(due_ns, 1_000_000_000)
            _libc.timerfd_settime(self.fd, _ABSOLUTE, self._at, None)

    def clear(self) -> None:
        """Take note of the ringing, so that `fd` is no longer readable."""
        try:
            os.read(self.fd, 8)
        except BlockingIOError:
            return
        self.due_ns = 0
