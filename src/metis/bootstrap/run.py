"""Starting a gateway: everything that is made before the first fork, and undone after the last child."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec

from metis.accounts.keys import KeySpec
from metis.accounts.ports import AccountStore
from metis.analytics.baseline import baseline_of
from metis.bootstrap.control import ControlPlan, admin_tls, run_control
from metis.bootstrap.embedded_child import EmbeddedPlan, SharedPage, run_embedded
from metis.bootstrap.engine import build_models
from metis.bootstrap.parts import Parts, build_parts
from metis.bootstrap.supervisor import Child, ChildEnd, Supervisor, listen
from metis.bootstrap.worker import WorkerPlan, run_worker
from metis.catalog.pricing import load_prices
from metis.config import Config, Ready, UpOptions
from metis.errors import ConfigError
from metis.gateway.admin.sessions import AdminSessions, digest_of, mint_admin_token
from metis.gateway.settings import GatewaySettings
from metis.providers.local import at_address
from metis.providers.provider import Provider
from metis.storage.board import Board
from metis.storage.data_dir import DataDir
from metis.storage.sqlite.queries import SqliteLedgerQueries

_ACTOR: Final = "gateway"
_CONTROL_STOP_S: Final = 20.0
_SHORTEST_ADMIN_TOKEN: Final = 16


def run_gateway(config: Config, options: UpOptions, on_ready: Callable[[Ready], None]) -> int:
    """Serve until SIGTERM or SIGINT; `on_ready` is called once everything answers.

    Raises ConfigError, StorageError and EmbeddedModelError when it cannot start.
    """
    parts = build_parts(config, os.environ)
    os.umask(0o077)  # whatever is written from here on is this user's alone
    with ExitStack() as undo:
        gateway = _Start(config, parts, options, undo)
        return gateway.supervisor(on_ready).run()


class _Start:
    """The start in order: data directory, database, keys, sockets, then the plans of the children."""

    def __init__(self, config: Config, parts: Parts, options: UpOptions, undo: ExitStack) -> None:
        self._config = config
        self._options = options
        self._undo = undo
        self._announced = False
        self._data_dir = DataDir(Path(config.data_dir))
        self._data_dir.create()
        undo.callback(self._data_dir.acquire().release)
        self._storage, self._database = parts.storage, parts.database
        self._storage.migrate(now_ts=_now_ts())
        self._board = Board(self._data_dir.board)
        self._board.clear_workers()
        self._admin_token = _admin_token(config.gateway)
        self._key, self._key_prefix = self._mint_keys()
        settings = config.gateway
        self._sockets = listen(settings.host, settings.port, settings.workers)
        self._admin_socket = listen(settings.admin_host, settings.admin_port, 1)[0]
        self._page = SharedPage()
        self._providers = parts.providers
        self._embedded = any(provider.kind.embedded for provider in self._providers.values())
        self._sessions = AdminSessions(digest_of(self._admin_token), _now_ts)

    def supervisor(self, on_ready: Callable[[Ready], None]) -> Supervisor:
        config, prices = self._config, load_prices(self._data_dir.run, self._config.catalog.prices)
        plan = WorkerPlan(
            config=config,
            data_dir=self._data_dir,
            replica=socket.gethostname() or "local",
            providers=self._current_providers,
            prices=prices,
            models=build_models(config, self._providers),
            board=self._board,
            open_accounts=self._open_accounts,
        )
        free = frozenset(name for name, one in self._providers.items() if one.kind.free)
        control = ControlPlan(
            config=config,
            data_dir=self._data_dir,
            storage=self._storage,
            board=self._board,
            sessions=self._sessions,
            admin_token_digest=digest_of(self._admin_token),
            open_accounts=self._open_accounts,
            open_queries=lambda: SqliteLedgerQueries(self._database),
            baseline=baseline_of(config.analytics, prices, free),
        )
        children = self._children(plan, control)
        ready = self._ready()

        def announce() -> None:
            if self._options.ready_file is not None:
                path = Path(self._options.ready_file)
                _write_ready_file(path, ready)
                self._undo.callback(path.unlink, missing_ok=True)
            on_ready(ready)
            self._announced = True

        return Supervisor(
            children=children, sockets=[*self._sockets, self._admin_socket], on_ready=announce
        )

    def _children(self, plan: WorkerPlan, control: ControlPlan) -> list[Child]:
        settings = self._config.gateway
        sockets = self._sockets

        def worker(slot: int) -> Callable[[ChildEnd], None]:
            def run(end: ChildEnd) -> None:
                for other in (*sockets[:slot], *sockets[slot + 1 :], self._admin_socket):
                    other.close()
                run_worker(plan, sockets[slot], slot, end)

            return run

        def run_the_control(end: ChildEnd) -> None:
            for sock in sockets:
                sock.close()
            run_control(control, self._admin_socket, end)

        stop_s = settings.drain_timeout_s + 5
        children = [
            Child(f"worker-{slot}", worker(slot), stop_s, rank=0) for slot in range(len(sockets))
        ]
        # Its libraries take as long to load as all the rest of a start.
        children.append(Child("control", run_the_control, _CONTROL_STOP_S, rank=1, awaited=False))
        if self._embedded:
            embedded = EmbeddedPlan(self._config.embedded, self._page, self._board)

            def run_the_model(end: ChildEnd) -> None:
                for sock in (*sockets, self._admin_socket):
                    sock.close()
                run_embedded(embedded, end)

            children.append(Child("embedded", run_the_model, 5.0, rank=1))
        return children

    def _current_providers(self) -> dict[str, Provider]:
        """The providers, the embedded one with the port and secret it has now."""
        found = self._page.read()
        if found is None:
            return self._providers

        return {
            name: at_address(
                provider,
                found.base_url,
                found.secret,
                (found.context_window, found.max_output_tokens),
            )
            if provider.kind.embedded
            else provider
            for name, provider in self._providers.items()
        }

    def _open_accounts(self) -> AccountStore:
        return self._storage.accounts(self._board)

    def _mint_keys(self) -> tuple[str | None, str]:
        """The key to show: a new ephemeral one for whoever reads the ready file, or the very first one."""
        accounts = self._open_accounts()
        try:
            now_ts = _now_ts()
            accounts.revoke_ephemeral(now_ts=now_ts, actor=_ACTOR)
            if self._wants_ephemeral():
                spec = KeySpec(name="ephemeral", ephemeral=True)
                minted = accounts.create_key(spec, now_ts=now_ts, actor=_ACTOR)
                self._undo.callback(self._revoke_ephemeral)
                return minted.plaintext, minted.record.prefix
            active = [key for key in accounts.list_keys() if key.is_active(now_ts)]
            if active:
                return None, active[0].prefix
            minted = accounts.create_key(KeySpec(name="first"), now_ts=now_ts, actor=_ACTOR)
            self._undo.callback(self._revoke_unseen, minted.record.key_id)
            return minted.plaintext, minted.record.prefix
        finally:
            accounts.close()

    def _wants_ephemeral(self) -> bool:
        return self._options.ready_file is not None or self._options.ephemeral

    def _revoke_unseen(self, key_id: str) -> None:
        """A key of a start that failed was shown to nobody; the next start makes another."""
        if not self._announced:
            accounts = self._open_accounts()
            accounts.revoke_key(key_id, now_ts=_now_ts(), actor=_ACTOR)
            accounts.close()

    def _revoke_ephemeral(self) -> None:
        accounts = self._open_accounts()
        accounts.revoke_ephemeral(now_ts=_now_ts(), actor=_ACTOR)
        accounts.close()

    def _ready(self) -> Ready:
        settings = self._config.gateway
        scheme = "https" if settings.tls_cert else "http"
        url = f"{scheme}://{_address(self._sockets[0])}"
        admin_scheme = "https" if admin_tls(settings)[0] else "http"
        admin_url = f"{admin_scheme}://{_address(self._admin_socket)}"
        return Ready(
            url=url,
            admin_url=admin_url,
            key=self._key,
            key_prefix=self._key_prefix,
            ephemeral=self._wants_ephemeral(),
            admin_token=self._admin_token,
            login_url=f"{admin_url}/login?token={self._sessions.issue_link_token()}",
            providers=tuple(self._providers),
            embedded=self._embedded,
            data_dir=str(self._data_dir.root),
            pid=os.getpid(),
        )


def _now_ts() -> int:
    return time.time_ns() // 1000


def _address(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"{shown}:{port}"


def _admin_token(settings: GatewaySettings) -> str:
    """The operator's token from the environment, else a new one for this run: none is kept on disk.

    Raises ConfigError when the operator's is too short to protect anything.
    """
    given = os.environ.get(settings.admin_token_env, "")
    if given and len(given) < _SHORTEST_ADMIN_TOKEN:
        raise ConfigError(
            f"${settings.admin_token_env} has {len(given)} characters; use at least "
            f"{_SHORTEST_ADMIN_TOKEN}, or unset it and take the one made at each start",
            field="gateway.admin_token_env",
        )
    return given or mint_admin_token()


def _write_ready_file(path: Path, ready: Ready) -> None:
    """Written beside and moved into place: whoever sees it sees all of it."""
    said = {
        "url": ready.url,
        "admin_url": ready.admin_url,
        "key": ready.key,
        "admin_token": ready.admin_token,
    }
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(said) + b"\n")
        draft.replace(path)
    except OSError as exc:
        raise ConfigError(f"cannot write the ready file {path}: {exc.strerror}") from exc
