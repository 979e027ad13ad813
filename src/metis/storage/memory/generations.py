"""Generation counters of one process: for tests, and for commands while no gateway runs."""

from __future__ import annotations


class LocalGenerations:
    """Count in this process alone."""

    def __init__(self) -> None:
        self._keys = 0
        self._config = 0

    def keys(self) -> int:
        return self._keys

    def config(self) -> int:
        return self._config

    def bump_keys(self) -> int:
        self._keys += 1
        return self._keys

    def bump_config(self) -> int:
        self._config += 1
        return self._config
