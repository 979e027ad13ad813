"""What stands before every admin route: Host, Origin and credentials checked, security headers added.

A page in the developer's browser must not be able to speak to a port on loopback: DNS rebinding is
stopped by the Host check, cross-site requests by the SameSite cookie and the Origin check, and nothing
answers CORS.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from metis.gateway.admin.bodies import error_response
from metis.gateway.admin.page import login_page
from metis.gateway.admin.sessions import AdminSessions

log = structlog.get_logger(__name__)

COOKIE: Final = "metis_admin"
_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_WILDCARDS: Final = frozenset({"", "0.0.0.0", "::"})
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
# Probes come with the address of a pod as Host, and learn nothing here.
_PROBES: Final = frozenset({"/healthz", "/readyz"})
_FORWARDING: Final = ("forwarded", "x-forwarded-for", "x-real-ip", "via")

SECURITY_HEADERS: Final = (
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
    ("cache-control", "no-store"),
)
_BARE_POLICY: Final = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class HostPolicy:
    """Which Host headers may be served: loopback names, the bound host, and the configured ones.

    Bound to every address, the gateway is reached by whichever the machine has, so any literal IP
    address is served then: DNS rebinding needs a name.
    """

    def __init__(self, bound_host: str, allowed_hosts: Collection[str] = ()) -> None:
        self._allows_addresses = bound_host in _WILDCARDS
        names = {name.lower().strip("[]") for name in (bound_host, *allowed_hosts)}
        self._names = (names | _LOOPBACK_NAMES) - _WILDCARDS

    def allows(self, host: str | None) -> bool:
        """Judge a Host header's value, port and all."""
        name = _host_name(host)
        if name is None:
            return False
        return name in self._names or (self._allows_addresses and _is_address(name))


class Guard:
    """ASGI middleware: refuse what may not pass, and mark on the scope how the rest was authenticated.

    `scope["metis.session"]` is the cookie value of a browser session, "" for a token.
    """

    def __init__(self, app: ASGIApp, sessions: AdminSessions, hosts: HostPolicy) -> None:
        self._app = app
        self._sessions = sessions
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        begun = False

        async def send_guarded(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS:
                    headers.setdefault(name, value)
                headers.setdefault("content-security-policy", _BARE_POLICY)
            await send(message)

        answer: ASGIApp = self._refusal(Request(scope)) or self._app
        try:
            await answer(scope, receive, send_guarded)
        except Exception as exc:
            # The door of the admin plane: a defect becomes a plain 500 here, and its traceback a log entry.
            log.error("admin.failed", path=str(scope["path"])[:200], exc_info=exc)
            if begun:
                raise
            failed = error_response(500, "the admin plane failed; its log says why")
            await failed(scope, receive, send_guarded)

    def _refusal(self, request: Request) -> Response | None:
        path = request.url.path
        if path in _PROBES and request.method in _SAFE_METHODS:
            return None
        host = request.headers.get("host")
        if len(request.headers.getlist("host")) != 1 or not self._hosts.allows(host):
            log.warning("admin.host_refused", host=(host or "")[:100], path=path[:200])
            return error_response(
                403,
                "this Host is not served; open the admin plane by its own address, or list the name "
                "in gateway.admin_allowed_hosts",
                kind="host_not_allowed",
            )
        if request.method not in _SAFE_METHODS and not _is_same_origin(request):
            log.warning("admin.origin_refused", path=path[:200])
            return error_response(
                403,
                "the request comes from another site; this one changes state only for its own pages",
                kind="origin_not_allowed",
            )
        return self._credential_refusal(request)

    def _credential_refusal(self, request: Request) -> Response | None:
        path = request.url.path
        if path == "/login":
            return None
        cookie = request.cookies.get(COOKIE, "")
        authorization = request.headers.get("authorization", "")
        scheme, _, token = authorization.partition(" ")
        if authorization:
            good = scheme.lower() == "bearer" and self._sessions.is_admin_token(token.strip())
            cookie = ""
        else:
            good = bool(cookie) and self._sessions.is_session(cookie)
        if good:
            request.scope["metis.session"] = cookie
            return None
        if path == "/metrics" and not authorization and is_direct_loopback(request):
            return None
        presented = "token" if authorization else "session" if cookie else "nothing"
        log.warning("admin.auth_failed", path=path[:200], presented=presented)
        if path == "/" and not authorization and "text/html" in request.headers.get("accept", ""):
            return login_page(status=401, expired=bool(cookie))
        return error_response(
            401,
            "the admin plane needs 'Authorization: Bearer <admin token>', or a login link in a browser; "
            "'metis up' prints where the token is",
            headers={"www-authenticate": 'Bearer realm="metis admin"'},
        )


def is_direct_loopback(request: Request) -> bool:
    """Tell whether the client is on this machine, with no proxy between that speaks for others."""
    if request.client is None or any(name in request.headers for name in _FORWARDING):
        return False
    try:
        address = ipaddress.ip_address(request.client.host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _is_same_origin(request: Request) -> bool:
    """Judge by what browsers cannot leave out or forge: Origin, else Sec-Fetch-Site.

    A request with neither comes from no browser; it must then bring the token, not a cookie.
    """
    headers: Headers = request.headers
    origin = headers.get("origin")
    if origin is not None:
        parts = urlsplit(origin)
        return parts.scheme in {"http", "https"} and parts.netloc.lower() == headers["host"].lower()
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    return COOKIE not in request.cookies


def _host_name(host: str | None) -> str | None:
    if not host or any(character in host for character in "/@\\ \t,"):
        return None
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # raises on a port that is none
    except ValueError:
        return None
    return parts.hostname.rstrip(".") if parts.hostname else None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
