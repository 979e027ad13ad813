"""Which way out a call takes: a script for the providers that have one, the pool for all others."""

from __future__ import annotations

from collections.abc import Mapping

from metis.turn.actions import Call
from metis.turn.ports import CallHandle, CallListener
from metis.upstream.pool import UpstreamPool
from metis.upstream.scripted import ScriptedUpstream


class Switchboard:
    """The Upstream port over a pool and the scripted providers, by provider name."""

    def __init__(self, pool: UpstreamPool, scripted: Mapping[str, ScriptedUpstream]) -> None:
        self._pool = pool
        self._scripted = scripted

    def start(self, call: Call, listener: CallListener) -> CallHandle:
        scripted = self._scripted.get(call.provider)
        if scripted is not None:
            return scripted.start(call, listener)
        return self._pool.start(call, listener)

    def close(self) -> None:
        self._pool.close()
