"""The admin plane as a Starlette application: its routes, and what becomes of errors. Deps come from outside."""

from __future__ import annotations

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from metis.errors import RequestError, StorageError
from metis.gateway.admin.bodies import error_response
from metis.gateway.admin.deps import AdminDeps
from metis.gateway.admin.endpoints import Endpoints
from metis.gateway.admin.guard import Guard, HostPolicy
from metis.gateway.admin.operations import OPERATIONS
from metis.gateway.admin.sessions import AdminSessions

log = structlog.get_logger(__name__)


def build_app(deps: AdminDeps, sessions: AdminSessions | None = None) -> Starlette:
    """Make the admin plane's application.

    Pass `sessions` to issue login links from the same process (`sessions.issue_link_token()`), for a
    banner that prints `/login?token=...`.
    """
    sessions = sessions or AdminSessions(deps.admin_token_digest, deps.clock)
    endpoints = Endpoints(deps, sessions)
    app = Starlette(
        routes=[
            Route(operation.path, getattr(endpoints, operation.name), methods=[operation.method])
            for operation in OPERATIONS
        ],
        middleware=[
            Middleware(
                Guard, sessions=sessions, hosts=HostPolicy(deps.bound_host, deps.allowed_hosts)
            )
        ],
        exception_handlers={
            RequestError: _request_error,
            StorageError: _storage_error,
            HTTPException: _http_error,
        },
    )
    app.router.redirect_slashes = False
    return app


def _request_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return error_response(error.http_status, str(error))


def _storage_error(request: Request, error: Exception) -> Response:
    log.error("admin.storage_failed", path=request.url.path[:200], error=str(error))
    return error_response(503, str(error), headers={"retry-after": "5"})


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return error_response(404, f"no such path: {request.url.path[:200]!r}; see /openapi.json")
    if error.status_code == 405:
        return error_response(
            405,
            f"{request.method[:20]} is not served at {request.url.path[:200]!r}; see /openapi.json",
            headers=error.headers,
        )
    return error_response(error.status_code, error.detail, headers=error.headers)
