"""An admin plane over a real SQLite ledger and an account store in memory, spoken to without a socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.ledgers import HOUR, NOON, LedgerFile

from metis.gateway.admin.app import build_app
from metis.gateway.admin.deps import AdminDeps
from metis.gateway.admin.metrics import GatewayMetrics
from metis.gateway.admin.sessions import AdminSessions, digest_of
from metis.storage.memory.accounts import MemoryAccountStore
from metis.storage.memory.generations import LocalGenerations
from metis.storage.sqlite.queries import SqliteLedgerQueries

TOKEN = "metis-admin-test-token"
BASE = "http://127.0.0.1:8081"


class Plane:
    """One admin plane and everything behind it. `now` may be moved."""

    def __init__(self, directory: Path) -> None:
        self.now = NOON + HOUR
        self.ledger = LedgerFile(directory)
        self.generations = LocalGenerations()
        self.accounts = MemoryAccountStore(self.generations)
        self.queries = SqliteLedgerQueries(self.ledger.path)
        self.metrics = GatewayMetrics()
        self.reasons: list[str] = []
        self.sessions = AdminSessions(digest_of(TOKEN), lambda: self.now)

    def client(
        self, *, token: str | None = TOKEN, host: str = "127.0.0.1", base: str = BASE, **deps: Any
    ) -> TestClient:
        given: dict[str, Any] = {
            "queries": self.queries,
            "accounts": self.accounts,
            "admin_token_digest": digest_of(TOKEN),
            "metrics": self.metrics,
            "generations": self.generations,
            "not_ready": lambda: self.reasons,
            "clock": lambda: self.now,
            "version": "0.0-test",
            **deps,
        }
        return TestClient(
            build_app(AdminDeps(**given), self.sessions),
            base_url=base,
            client=(host, 50_000),
            headers={"authorization": f"Bearer {token}"} if token else {},
            follow_redirects=False,
        )


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    found = Plane(tmp_path)
    yield found
    found.queries.close()
    found.ledger.close()


@pytest.fixture
def client(plane: Plane) -> TestClient:
    return plane.client()


MakeClient = Callable[..., TestClient]
