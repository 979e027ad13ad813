"""Opening a connection: directly, over TLS, or through an HTTP proxy's CONNECT. What is sent on it lives elsewhere."""

from __future__ import annotations

import asyncio
import socket
import ssl
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar
from urllib.parse import unquote, urlsplit

from metis.errors import ConfigError
from metis.facts.failure import CallFailure, FailureCause, FailureClass
from metis.providers.provider import Origin
from metis.upstream.settings import UpstreamSettings

_P = TypeVar("_P", bound=asyncio.Protocol)
_MAX_PROXY_HEAD: Final = 16 * 1024
_PROXY_PORT: Final = 3128
_PROXY_VARIABLES: Final = ("HTTPS_PROXY", "https_proxy")


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy that is asked to CONNECT. `authorization` is the header's value, if any."""

    host: str
    port: int
    authorization: bytes | None


def parse_proxy(url: str) -> Proxy:
    """Raises ConfigError on what is no `http://[user:password@]host:port`, without repeating a password."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port or _PROXY_PORT
    except ValueError as exc:
        raise ConfigError(f"this is no proxy's URL: {exc}", field="upstream.proxy") from exc
    if parts.scheme != "http" or not parts.hostname:
        raise ConfigError(
            f"a {parts.scheme}:// proxy is not spoken to; name one as http://host:port",
            field="upstream.proxy",
        )
    authorization = None
    if parts.username:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = b"Basic " + b64encode(pair.encode())
    return Proxy(parts.hostname, port, authorization)


def bypasses_proxy(host: str, no_proxy: str) -> bool:
    """Whether NO_PROXY names this host: exact, a domain's suffix, or `*`. Loopback always."""
    if host in ("127.0.0.1", "localhost", "::1"):
        return True
    for entry in (part.strip().lstrip(".").lower() for part in no_proxy.split(",")):
        if entry and (entry == "*" or host == entry or host.endswith(f".{entry}")):
            return True
    return False


def takes_proxy(origin: Origin, no_proxy: str) -> bool:
    """Whether calls to an origin go through a proxy, where there is one."""
    return origin.scheme == "https" and not bypasses_proxy(origin.host, no_proxy)


@dataclass(frozen=True, slots=True)
class Dialer:
    """Opens connections. `tls` is shared by all of them, so that sessions are resumed."""

    tls: ssl.SSLContext
    proxy: Proxy | None
    no_proxy: str

    async def dial(self, origin: Origin, factory: Callable[[], _P]) -> _P:
        """Connect and, for https, shake hands. Raises OSError, ssl.SSLError or ConnectionError."""
        loop = asyncio.get_running_loop()
        secure = origin.scheme == "https"
        if self.proxy is None or not takes_proxy(origin, self.no_proxy):
            transport, protocol = await loop.create_connection(
                factory,
                origin.host,
                origin.port,
                ssl=self.tls if secure else None,
                server_hostname=origin.host if secure else None,
            )
            set_no_delay(transport)
            return protocol
        sock = await self._tunnel(loop, self.proxy, origin)
        transport, protocol = await loop.create_connection(
            factory, sock=sock, ssl=self.tls, server_hostname=origin.host
        )
        set_no_delay(transport)
        return protocol

    async def _tunnel(
        self, loop: asyncio.AbstractEventLoop, proxy: Proxy, origin: Origin
    ) -> socket.socket:
        """A socket whose other end is the origin, by the proxy's leave."""
        found = await loop.getaddrinfo(proxy.host, proxy.port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        try:
            await loop.sock_connect(sock, address)
            target = f"{origin.host}:{origin.port}".encode()
            head = b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n" % (target, target)
            if proxy.authorization is not None:
                head += b"Proxy-Authorization: %b\r\n" % proxy.authorization
            await loop.sock_sendall(sock, head + b"\r\n")
            answer = b""
            while b"\r\n\r\n" not in answer:
                piece = await loop.sock_recv(sock, 1024)
                answer += piece
                if not piece or len(answer) > _MAX_PROXY_HEAD:
                    raise ConnectionError("the proxy closed the connection")
            status = answer.split(b"\r\n", 1)[0].split(b" ")
            if len(status) < 2 or status[1] != b"200":
                raise ConnectionError(f"the proxy refused: {answer[:60].decode('latin-1')!r}")
        except BaseException:
            sock.close()
            raise
        return sock


def build_dialer(
    settings: UpstreamSettings, environment: Mapping[str, str], origins: Iterable[Origin]
) -> Dialer:
    """A dialer for these origins.

    Raises ConfigError when the CA file cannot be read or a proxy that one of them takes cannot be used.
    """
    tls = build_trust(settings.ca_file)
    return Dialer(tls, find_proxy(settings, environment, origins), _no_proxy(environment))


def build_trust(ca_file: str | None) -> ssl.SSLContext:
    """Whose certificates are taken: the system's authorities', or a file's. Raises ConfigError."""
    try:
        tls = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as exc:
        raise ConfigError(
            f"cannot read CA file {ca_file!r}: {exc}", field="upstream.ca_file"
        ) from exc
    tls.set_alpn_protocols(["http/1.1"])
    return tls


def find_proxy(
    settings: UpstreamSettings, environment: Mapping[str, str], origins: Iterable[Origin]
) -> Proxy | None:
    """The proxy that is configured, else the environment's where one of the origins takes it.

    Raises ConfigError, naming the setting or the variable, on one that cannot be used.
    """
    if settings.proxy:
        return parse_proxy(settings.proxy)
    variable = next((name for name in _PROXY_VARIABLES if environment.get(name)), None)
    no_proxy = _no_proxy(environment)
    if variable is None or not any(takes_proxy(origin, no_proxy) for origin in origins):
        return None
    try:
        return parse_proxy(environment[variable])
    except ConfigError as exc:
        raise ConfigError(f"${variable}: {exc}; or unset it, or name hosts in NO_PROXY") from exc


def _no_proxy(environment: Mapping[str, str]) -> str:
    return environment.get("NO_PROXY") or environment.get("no_proxy") or ""


def set_no_delay(transport: asyncio.BaseTransport) -> None:
    """Small writes leave at once: Nagle's algorithm costs 40 ms on a stream's first chunk."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def why_failed(error: BaseException) -> CallFailure:
    """The class of an error raised while connecting: nothing had been sent."""
    match error:
        case ssl.SSLError():
            cause, text = FailureCause.TLS, f"TLS: {error.reason or error}"
        case socket.gaierror():
            cause, text = FailureCause.DNS, "its name was not found (DNS)"
        case ConnectionRefusedError():
            cause, text = FailureCause.REFUSED, "connection refused"
        case TimeoutError():
            return CallFailure(
                FailureClass.TIMEOUT, FailureCause.CONNECT_TIMEOUT, "no connection", sent=False
            )
        case _:
            cause, text = FailureCause.RESET, str(error) or type(error).__name__
    return CallFailure(FailureClass.NETWORK, cause, text, sent=False)
