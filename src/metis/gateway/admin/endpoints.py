"""What each operation does: parameters in, a question to a port, an answer out. Blocking ports run in threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final, TypeVar
from urllib.parse import parse_qs

import msgspec
import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from metis.accounts.keys import KeyRecord, KeySpec, check_grace
from metis.analytics.ports import Dimension, LedgerFilter
from metis.analytics.spend import CostReport, cost
from metis.analytics.window import Window, floor, from_us, to_us
from metis.errors import BadRequest, NotFound, TooLarge, UnsupportedMedia
from metis.gateway.admin import parameters as query
from metis.gateway.admin.bodies import (
    csv_response,
    detail_value,
    json_response,
    key_value,
    report_columns,
    report_value,
    row_value,
    turn_columns,
    turn_value,
)
from metis.gateway.admin.deps import AdminDeps
from metis.gateway.admin.guard import COOKIE
from metis.gateway.admin.metrics import CONTENT_TYPE
from metis.gateway.admin.operations import OPERATIONS, openapi_document
from metis.gateway.admin.page import Overview, login_page, overview_page
from metis.gateway.admin.sessions import LINK_LIFE_S, SESSION_LIFE_S, AdminSessions
from metis.wire.json_faults import fault_of

log = structlog.get_logger(__name__)

_ACTOR: Final = "admin"
_MAX_BODY_BYTES: Final = 64 * 1024
_USUAL_ROWS: Final = 1000
_USUAL_TURNS: Final = 50
_PAGE_TURNS: Final = 20
_PAGE_ROWS: Final = 50
_KNOWN: Final = {operation.name: operation.query for operation in OPERATIONS}

T = TypeVar("T")


class NewKey(KeySpec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of POST /keys."""


class Rotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of POST /keys/{id}/rotate: how long the old key goes on working, in seconds."""

    grace_s: float = 0.0


class Endpoints:
    """The operations' handlers, one method each, named as in `operations`."""

    def __init__(self, deps: AdminDeps, sessions: AdminSessions) -> None:
        self._deps = deps
        self._sessions = sessions
        self._accounts_turn = asyncio.Lock()  # one connection stands behind the account store

    async def health(self, request: Request) -> Response:
        return json_response({"status": "ok", "version": self._deps.version})

    async def readiness(self, request: Request) -> Response:
        reasons = list(self._deps.not_ready())
        generations = self._deps.generations
        value = {
            "status": "not_ready" if reasons else "ready",
            "reasons": reasons,
            "generations": {"keys": generations.keys(), "config": generations.config()},
        }
        return json_response(value, status=503 if reasons else 200)

    async def cost(self, request: Request) -> Response:
        found = query.read(request.query_params, _KNOWN["cost"])
        return await self._report(found, query.group_by_of(found))

    async def by_key(self, request: Request) -> Response:
        return await self._grouped(request, "key")

    async def by_user(self, request: Request) -> Response:
        return await self._grouped(request, "user")

    async def by_team(self, request: Request) -> Response:
        return await self._grouped(request, "team")

    async def by_project(self, request: Request) -> Response:
        return await self._grouped(request, "project")

    async def by_session(self, request: Request) -> Response:
        return await self._grouped(request, "session")

    async def by_model(self, request: Request) -> Response:
        return await self._grouped(request, "model")

    async def by_client(self, request: Request) -> Response:
        return await self._grouped(request, "client")

    async def turns(self, request: Request) -> Response:
        found = query.read(request.query_params, _KNOWN["turns"])
        where, limit = query.filter_of(found), query.limit_of(found, usual=_USUAL_TURNS)
        before = query.cursor_of(found) or None
        as_csv = query.is_csv(found)
        rows = await run_in_threadpool(
            self._deps.queries.turns, where, before_rowid=before, limit=limit + 1
        )
        shown = rows[:limit]
        values = [turn_value(turn) for turn in shown]
        if as_csv:
            return csv_response(turn_columns(), values)
        more = str(shown[-1].rowid) if len(rows) > limit else None
        return json_response({"turns": values, "next_cursor": more})

    async def turn(self, request: Request) -> Response:
        query.read(request.query_params, ())
        wanted = request.path_params["id"]
        detail = await run_in_threadpool(self._deps.queries.turn, wanted)
        if detail is None:
            raise NotFound(f"there is no turn or response {wanted[:80]!r} in the ledger")
        return json_response(detail_value(detail))

    async def list_keys(self, request: Request) -> Response:
        found = query.read(request.query_params, _KNOWN["list_keys"])
        inactive = query.flag_of(found, "include_inactive")
        records = await self._accounts(
            lambda: self._deps.accounts.list_keys(include_inactive=inactive)
        )
        now = self._deps.clock()
        return json_response({"keys": [key_value(record, now) for record in records]})

    async def create_key(self, request: Request) -> Response:
        body = await _read_json(request, NewKey)
        spec = KeySpec(**{name: getattr(body, name) for name in KeySpec.__struct_fields__})
        now = self._deps.clock()
        minted = await self._accounts(
            lambda: self._deps.accounts.create_key(spec, now_ts=now, actor=_ACTOR)
        )
        log.info("admin.key_created", key_id=minted.record.key_id)
        value = {"key": minted.plaintext, **key_value(minted.record, now)}
        return json_response(value, status=201)

    async def revoke_key(self, request: Request) -> Response:
        wanted, now = request.path_params["id"], self._deps.clock()
        record: KeyRecord = await self._accounts(
            lambda: self._deps.accounts.revoke_key(wanted, now_ts=now, actor=_ACTOR)
        )
        log.info("admin.key_revoked", key_id=record.key_id)
        return json_response(key_value(record, now))

    async def rotate_key(self, request: Request) -> Response:
        wanted, now = request.path_params["id"], self._deps.clock()
        rotation = await _read_json(request, Rotation)
        check_grace(rotation.grace_s)
        minted = await self._accounts(
            lambda: self._deps.accounts.rotate_key(
                wanted, now_ts=now, actor=_ACTOR, grace_s=rotation.grace_s
            )
        )
        log.info(
            "admin.key_rotated", key_id=minted.record.replaces, new_key_id=minted.record.key_id
        )
        value = {"key": minted.plaintext, **key_value(minted.record, now)}
        return json_response(value, status=201)

    async def issue_link(self, request: Request) -> Response:
        base = f"{request.url.scheme}://{request.headers['host']}"
        token = self._sessions.issue_link_token()
        return json_response(
            {"url": f"{base}/login?token={token}", "expires_in_s": LINK_LIFE_S}, status=201
        )

    async def login_by_link(self, request: Request) -> Response:
        found = query.read(request.query_params, _KNOWN["login_by_link"])
        if "token" not in found:
            return login_page()
        cookie = self._sessions.redeem_link_token(found["token"])
        if cookie is None:
            log.warning("admin.login_refused", how="link")
            return login_page(
                status=401, refused="This login link was used already, or is too old."
            )
        log.info("admin.logged_in", how="link")
        return _signed_in(request, cookie)

    async def login_by_token(self, request: Request) -> Response:
        form = parse_qs((await _read_body(request)).decode("utf-8", "replace"), max_num_fields=4)
        token = form.get("token", [""])[0].strip()
        if not self._sessions.is_admin_token(token):
            log.warning("admin.login_refused", how="token")
            return login_page(status=401, refused="That is not the admin token.")
        log.info("admin.logged_in", how="token")
        return _signed_in(request, self._sessions.open_session())

    async def logout(self, request: Request) -> Response:
        self._sessions.end_session(request.scope.get("metis.session", ""))
        answer = RedirectResponse("/login", status_code=303)
        answer.delete_cookie(COOKIE, path="/")
        return answer

    async def prometheus(self, request: Request) -> Response:
        body = await run_in_threadpool(self._deps.metrics.render)
        return Response(body, headers={"content-type": CONTENT_TYPE})

    async def openapi(self, request: Request) -> Response:
        return json_response(openapi_document(self._deps.version))

    async def page(self, request: Request) -> Response:
        zone = query.zone_of(query.read(request.query_params, _KNOWN["page"]))
        now = self._deps.clock()
        midnight = floor(now, "day", zone)
        local = from_us(midnight, zone).replace(tzinfo=None) - timedelta(days=6)
        week_start = floor(to_us(local.replace(hour=12, tzinfo=zone)), "day", zone)
        records = await self._accounts(lambda: self._deps.accounts.list_keys(include_inactive=True))

        def gather() -> HTMLResponse:
            week = LedgerFilter(window=Window(week_start, None))
            by_model = self._cost(week, ("model",))
            by_key = self._cost(week, ("key",))
            return overview_page(
                Overview(
                    zone=zone,
                    version=self._deps.version,
                    today=self._cost(LedgerFilter(window=Window(midnight, None)), ()),
                    week=self._cost(week, ()),
                    by_model=msgspec.structs.replace(by_model, rows=by_model.rows[:_PAGE_ROWS]),
                    by_key=msgspec.structs.replace(by_key, rows=by_key.rows[:_PAGE_ROWS]),
                    turns=self._deps.queries.turns(LedgerFilter(), limit=_PAGE_TURNS),
                    key_names={
                        record.key_id: f"{record.name} ({record.prefix})"
                        if record.name
                        else record.prefix
                        for record in records
                    },
                )
            )

        return await run_in_threadpool(gather)

    def _cost(self, where: LedgerFilter, group_by: tuple[Dimension, ...]) -> CostReport:
        return cost(self._deps.queries, where, group_by, baseline=self._deps.baseline)

    async def _grouped(self, request: Request, dimension: Dimension) -> Response:
        found = query.read(request.query_params, _KNOWN[f"by_{dimension}"])
        return await self._report(found, (dimension,))

    async def _report(self, found: Mapping[str, str], group_by: tuple[Dimension, ...]) -> Response:
        zone, interval = query.zone_of(found), query.interval_of(found)
        where, as_csv = query.filter_of(found), query.is_csv(found)
        limit, start = query.limit_of(found, usual=_USUAL_ROWS), query.cursor_of(found)
        report = await run_in_threadpool(
            lambda: cost(
                self._deps.queries,
                where,
                group_by,
                interval=interval,
                zone=zone,
                baseline=self._deps.baseline,
            )
        )
        rows = report.rows[start : start + limit]
        if as_csv:
            return csv_response(report_columns(report), [row_value(row, zone) for row in rows])
        more = start + limit if start + limit < len(report.rows) else None
        return json_response(report_value(report, rows, next_cursor=more, zone=zone))

    async def _accounts(self, ask: Callable[[], T]) -> T:
        async with self._accounts_turn:
            return await run_in_threadpool(ask)


def _signed_in(request: Request, cookie: str) -> Response:
    answer = RedirectResponse("/", status_code=303)
    answer.set_cookie(
        COOKIE,
        cookie,
        max_age=SESSION_LIFE_S,
        path="/",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


async def _read_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            raise TooLarge(f"the body is larger than {_MAX_BODY_BYTES} bytes")
    return bytes(body)


async def _read_json(request: Request, wanted: type[T]) -> T:
    """Read a JSON body; an empty one means all defaults. Raises BadRequest naming the field."""
    body = await _read_body(request)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and kind != "application/json":
        raise UnsupportedMedia("send the body as JSON, with 'content-type: application/json'")
    try:
        return msgspec.json.decode(body or b"{}", type=wanted)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise BadRequest(f"the body does not check: {fault_of(body, exc)}") from exc
