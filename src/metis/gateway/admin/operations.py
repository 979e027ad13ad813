"""Every operation of the admin plane, once: routes, OpenAPI document and documentation check are made from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec

from metis.gateway.admin.parameters import FILTERS, PAGE, RANGE

_REPORT: Final = (*RANGE, "interval", *FILTERS, *PAGE)


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path. `name` is the endpoint's; `query` lists the parameters it knows."""

    name: str
    method: Literal["GET", "POST"]
    path: str
    summary: str
    query: tuple[str, ...] = ()
    answer: str = "application/json"
    access: Literal["admin", "open", "loopback"] = "admin"


def _report(grouping: str, what: str) -> Operation:
    return Operation(
        name=f"by_{grouping}",
        method="GET",
        path=f"/analytics/by_{grouping}",
        summary=f"What each {what} spent",
        query=_REPORT,
    )


OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        name="page",
        method="GET",
        path="/",
        summary="Spend at a glance",
        query=("tz",),
        answer="text/html",
    ),
    Operation(
        name="health",
        method="GET",
        path="/healthz",
        summary="Tell that the process lives",
        access="open",
    ),
    Operation(
        name="readiness",
        method="GET",
        path="/readyz",
        summary="Tell whether it can serve, and if not why",
        access="open",
    ),
    Operation(
        name="cost",
        method="GET",
        path="/analytics/cost",
        summary="What was spent, in total or by any grouping",
        query=(*_REPORT, "group_by"),
    ),
    _report("key", "key"),
    _report("user", "user"),
    _report("team", "team"),
    _report("project", "project"),
    _report("session", "conversation"),
    _report("model", "model"),
    _report("client", "client tool"),
    Operation(
        name="turns",
        method="GET",
        path="/analytics/turns",
        summary="Turns, newest first",
        query=(*RANGE, *FILTERS, *PAGE),
    ),
    Operation(
        name="turn",
        method="GET",
        path="/analytics/turns/{id}",
        summary="One turn with its decision, calls and fidelity notes, by turn id or response id",
    ),
    Operation(
        name="list_keys",
        method="GET",
        path="/keys",
        summary="The keys, without their secrets",
        query=("include_inactive",),
    ),
    Operation(
        name="create_key",
        method="POST",
        path="/keys",
        summary="Make a key; the answer is the only place its secret is shown",
    ),
    Operation(
        name="revoke_key",
        method="POST",
        path="/keys/{id}/revoke",
        summary="End a key, at once and everywhere",
    ),
    Operation(
        name="rotate_key",
        method="POST",
        path="/keys/{id}/rotate",
        summary="Replace a key by a new one of the same owner and limits",
    ),
    Operation(
        name="issue_link",
        method="POST",
        path="/login_links",
        summary="Make a login link for a browser that works once",
    ),
    Operation(
        name="login_by_link",
        method="GET",
        path="/login",
        summary="Open a browser session with a login link's token",
        query=("token",),
        answer="text/html",
        access="open",
    ),
    Operation(
        name="login_by_token",
        method="POST",
        path="/login",
        summary="Open a browser session with the admin token, from the page's form",
        answer="text/html",
        access="open",
    ),
    Operation(
        name="logout",
        method="POST",
        path="/logout",
        summary="End the browser session",
        answer="text/html",
    ),
    Operation(
        name="prometheus",
        method="GET",
        path="/metrics",
        summary="Metrics for Prometheus",
        answer="text/plain",
        access="loopback",
    ),
    Operation(name="openapi", method="GET", path="/openapi.json", summary="This document"),
)

PARAMETERS: Final[dict[str, str]] = {
    "from": "Start of the range, inside it: ISO 8601 (a bare date is midnight in tz) or epoch seconds. "
    "Default: the ledger's first call",
    "to": "End of the range, outside it, in the same forms. Default: now",
    "tz": "IANA time zone for bare dates, buckets and the times in the answer. Default: UTC",
    "interval": "Cut the range into calendar buckets: hour, day, week (from Monday) or month",
    "group_by": "One or several, with commas, of org, team, user, project, key, session, client, provider, model",
    "limit": "Rows in this page",
    "cursor": "Where the page begins: next_cursor of the page before",
    "format": "json or csv",
    "include_inactive": "true lists revoked and expired keys too",
    "token": "The login link's token",
    **{name: f"Only this {name}" + (" (its id)" if name != "client" else "") for name in FILTERS},
}


def openapi_document(version: str) -> dict[str, Any]:
    """The operations as an OpenAPI 3.1 document."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Metis admin plane",
            "version": version,
            "description": "Amounts are given twice: integer nano-dollars and an exact decimal string.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "adminToken": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "metis_admin"},
            },
            "schemas": {
                "Error": {
                    "type": "object",
                    "required": ["error"],
                    "properties": {
                        "error": {
                            "type": "object",
                            "required": ["type", "message"],
                            "properties": {
                                "type": {"type": "string"},
                                "message": {"type": "string"},
                            },
                        }
                    },
                }
            },
        },
    }


def _described(operation: Operation) -> dict[str, Any]:
    parameters: Sequence[dict[str, Any]] = [
        *(
            {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
            for _ in range(operation.path.count("{id}"))
        ),
        *(
            {
                "name": name,
                "in": "query",
                "description": PARAMETERS[name],
                "schema": {"type": "string"},
            }
            for name in operation.query
        ),
    ]
    error = {
        "description": "Why not, and what to do",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    return {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": parameters,
        "security": [] if operation.access == "open" else [{"adminToken": []}, {"session": []}],
        "responses": {
            "200": {"description": "OK", "content": {operation.answer: {}}},
            "default": error,
        },
    }
