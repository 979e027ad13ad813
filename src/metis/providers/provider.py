"""What a provider is: an endpoint, an auth style, the shapes it speaks and its error table, as one value.

Kinds are listed in `providers/__init__`. Nothing here opens a socket, and nothing branches on a name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, Protocol, get_args
from urllib.parse import quote, urlsplit

from metis.errors import ConfigError
from metis.facts.failure import FailureClass, classify_status
from metis.http.headers import HOP_BY_HOP, encode_headers
from metis.ir.response import ErrorInfo
from metis.providers.settings import ProviderSettings
from metis.wire.codec import ShapeName
from metis.wire.splice import Fields

AuthStyle = Literal["x-api-key", "x-goog-api-key", "bearer", "aws", "none"]

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
# RFC 9110, sections 5.1 and 5.5; values as Latin-1, which is how they are written.
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE: Final = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")
_OURS_TO_SAY: Final = HOP_BY_HOP | frozenset(
    {
        b"host",
        b"content-length",
        b"content-encoding",
        b"content-type",
        b"accept-encoding",
        b"expect",
    }
)
SHAPE_NAMES: Final[tuple[ShapeName, ...]] = get_args(ShapeName)


@dataclass(frozen=True, slots=True)
class FieldEdit:
    """A top-level field of a body and the JSON text it gets, None to leave it out; `why` is said on the turn."""

    name: str
    value: bytes | None
    why: str


class Unframer(Protocol):
    """Takes a stream of another framing and gives the same events as server-sent ones. No I/O.

    Raises CodecError on bytes that are no such stream.
    """

    def feed(self, data: bytes) -> bytes: ...


class Signer(Protocol):
    """Says who asks, request by request: the header lines (with their CRLF) that go with it."""

    def sign(self, method: bytes, url: str, body: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderKind:
    """What all providers of one kind have in common.

    `paths` maps an operation or shape to its path below the API root; "SHAPE/stream" is the shape's for streams
    where that is another one; "count_tokens" takes the body
    of Anthropic's API, "SHAPE/count_tokens" that of the shape and answers as Anthropic's does.
    In paths and in `base_url`, {model}, {region} and {project} stand for these; `regional_urls` are base URLs of
    regions that have one of another form.
    `claims` are globs of model names that belong to this kind. `root_has_v1`: its base URL is the root
    and the paths bring `/v1`. `any_model`: model names cannot be known beforehand (compatible
    servers). `free`: calls cost nothing anywhere. `takes_proofs`: it stands before models of other
    shapes too, and takes back what proves their thinking. `embedded`: Metis starts the server itself.
    `unsent` are beginnings of header names (lower case) that it must not get from a client.
    `errors` maps an error type or code in the body to a failure class, before the status is looked at.

    For servers that need more than their API's own words: `edits` takes the provider, the operation
    (or the shape), the body's top-level fields in the provider's shape and the client's headers by lower-case name, and
    gives what must read otherwise; it raises BadRequest, with the remedy, on what the server could never answer.
    `explain` takes an error the server answered with and gives a better one, or the same. `unframe` is for
    streams that come in another framing (AWS's) than the shape's own.
    """

    name: str
    base_url: str
    key_env: str
    auth: AuthStyle
    shapes: tuple[ShapeName, ...]
    paths: dict[str, str]
    claims: tuple[str, ...]
    price_provider: str
    accepts_client_credentials: bool = False
    any_model: bool = False
    free: bool = False
    takes_proofs: bool = False
    embedded: bool = False
    root_has_v1: bool = True
    regional_urls: dict[str, str] = field(default_factory=dict[str, str])
    default_model: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    errors: dict[str, FailureClass] = field(default_factory=dict[str, FailureClass])
    unsent: tuple[bytes, ...] = ()
    edits: (
        Callable[[Provider, str, Fields, Mapping[bytes, bytes]], tuple[FieldEdit, ...]] | None
    ) = None
    unframe: Callable[[], Unframer] | None = None
    explain: Callable[[Provider, ErrorInfo], ErrorInfo] | None = None


class Origin(NamedTuple):
    """Where a connection goes: connections are pooled by this value."""

    scheme: Literal["http", "https"]
    host: str
    port: int

    @property
    def authority(self) -> str:
        """The Host header's value: the port is left out where it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = 443 if self.scheme == "https" else 80
        return host if self.port == usual else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One configured upstream, ready to be called. The credential is kept as the header it becomes, or as a `signer`.

    `places` are what stands for {region} and {project} in paths.

    `context_window` and `max_output_tokens` are tokens, and known (not 0) where one model is behind it.
    """

    name: str
    kind: ProviderKind
    origin: Origin
    prefix: str
    shapes: tuple[ShapeName, ...]
    claims: tuple[str, ...]
    any_model: bool
    price_provider: str
    credential: tuple[bytes, bytes] | None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    signer: Signer | None = None
    places: tuple[tuple[str, str], ...] = ()
    script: str | None = None
    context_window: int = 0
    max_output_tokens: int = 0
    url: str = field(init=False)
    host: bytes = field(init=False)
    own_headers: frozenset[bytes] = field(init=False)
    header_lines: bytes = field(init=False)
    fixed_paths: dict[str, bytes] = field(init=False)

    def __post_init__(self) -> None:
        """Write once what every request to this provider says."""
        own = frozenset(name.lower() for name, _ in self.headers)
        authority = self.origin.authority
        object.__setattr__(self, "url", f"{self.origin.scheme}://{authority}")
        object.__setattr__(self, "host", authority.encode())
        object.__setattr__(self, "own_headers", own)
        fixed = {
            operation: (self.prefix + _placed(path, self.places)).encode("ascii")
            for operation, path in self.kind.paths.items()
            if "{model}" not in path
        }
        object.__setattr__(self, "fixed_paths", fixed)
        object.__setattr__(self, "header_lines", encode_headers(self.headers))

    def path_for(self, operation: str, model: str = "", *, stream: bool = False) -> bytes | None:
        """The path of an operation (a shape's name, count_tokens, embeddings, completions), if it has it."""
        fixed = self.fixed_paths.get(operation)
        if fixed is not None:
            return fixed
        paths = self.kind.paths
        path = (paths.get(f"{operation}/stream") if stream else None) or paths.get(operation)
        if path is None:
            return None
        places = (("model", model), *self.places)
        return (self.prefix + _placed(path, places)).encode("ascii")

    def classify(self, status: int, error_type: str) -> FailureClass:
        """The class of an error answer, by its own word for it, else by its status."""
        return self.kind.errors.get(error_type) or classify_status(status)


def _placed(path: str, places: tuple[tuple[str, str], ...]) -> str:
    for name, value in places:
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    return path


def build_provider(
    name: str,
    kind: ProviderKind,
    settings: ProviderSettings,
    secret: str | None,
    signer: Signer | None = None,
) -> Provider:
    """Join a kind, its settings and the credential that was read for it.

    Raises ConfigError on a base URL or shape that cannot be used, and on a region or project that is missing.
    """
    field_path = f"providers.{name}"
    places = _places(settings, kind, field_path)
    origin, prefix = _parse_base_url(settings, kind, field_path)
    shapes = _shapes(settings, kind, f"{field_path}.shapes")
    named_for_kind = name == kind.name
    return Provider(
        name=name,
        kind=kind,
        origin=origin,
        prefix=prefix,
        shapes=shapes,
        claims=settings.models if settings.models is not None else kind.claims,
        any_model=settings.models is None and (kind.any_model or not named_for_kind),
        price_provider=settings.price_provider or kind.price_provider,
        credential=_credential(kind, secret, field_path),
        headers=_headers(settings, kind, f"{field_path}.headers"),
        signer=signer,
        places=places,
        script=settings.script,
    )


def _places(
    settings: ProviderSettings, kind: ProviderKind, where: str
) -> tuple[tuple[str, str], ...]:
    """What the kind's paths and address leave open."""
    known = (("region", settings.region), ("project", settings.project))
    wanted = "".join(kind.paths.values()) + (settings.base_url or kind.base_url)
    for name, value in known:
        if f"{{{name}}}" in wanted and not value:
            raise ConfigError(f"a {kind.name} provider needs a {name}", field=f"{where}.{name}")
    return tuple((name, value) for name, value in known if value)


def _shapes(settings: ProviderSettings, kind: ProviderKind, where: str) -> tuple[ShapeName, ...]:
    if settings.shapes is None:
        return kind.shapes
    known: dict[str, ShapeName] = {name: name for name in SHAPE_NAMES}
    for shape in settings.shapes:
        if shape not in known:
            raise ConfigError(
                f"unknown shape {shape!r}; use one of {', '.join(SHAPE_NAMES)}", field=where
            )
        if shape not in kind.paths:
            spoken = ", ".join(name for name in SHAPE_NAMES if name in kind.paths)
            raise ConfigError(
                f"a {kind.name} provider has no path for {shape!r}; it speaks {spoken}", field=where
            )
    if not settings.shapes:
        raise ConfigError(
            "the list is empty; name a shape, or leave the setting out for the kind's own",
            field=where,
        )
    return tuple(known[shape] for shape in settings.shapes)


def _headers(
    settings: ProviderSettings, kind: ProviderKind, where: str
) -> tuple[tuple[bytes, bytes], ...]:
    """The kind's headers and the configured ones. Raises ConfigError on what would change how a request is read.

    Values are not repeated: they may be secret.
    """
    for name, value in settings.headers.items():
        if _HEADER_NAME.fullmatch(name) is None:
            raise ConfigError(f"{name!r} is no header's name", field=where)
        if name.lower().encode("ascii") in _OURS_TO_SAY:
            raise ConfigError(
                f"the header {name!r} speaks of the connection or the body's form, which Metis says itself; "
                "leave it out",
                field=f"{where}.{name}",
            )
        if _HEADER_VALUE.fullmatch(value) is None:
            raise ConfigError(
                f"the value of the header {name!r} holds line ends or other characters no header has",
                field=f"{where}.{name}",
            )
    return tuple(
        (key.encode("latin-1"), value.encode("latin-1"))
        for key, value in (*kind.headers, *settings.headers.items())
    )


def _credential(kind: ProviderKind, secret: str | None, where: str) -> tuple[bytes, bytes] | None:
    if not secret or kind.auth == "none":
        return None
    if not secret.isascii() or not secret.isprintable() or " " in secret:
        raise ConfigError("the API key holds characters no key has", field=where)
    if kind.auth in ("x-api-key", "x-goog-api-key"):
        return (kind.auth.encode("ascii"), secret.encode("ascii"))
    # Bedrock's API keys go so too: docs.aws.amazon.com/bedrock/latest/userguide/api-keys-use.html
    return (b"authorization", b"Bearer " + secret.encode("ascii"))


def _address(settings: ProviderSettings, kind: ProviderKind) -> str:
    region_url = kind.regional_urls.get(settings.region or "")
    raw = settings.base_url or region_url or kind.base_url
    return raw.replace("{region}", settings.region or "")


def _parse_base_url(
    settings: ProviderSettings, kind: ProviderKind, where: str
) -> tuple[Origin, str]:
    raw = _address(settings, kind)
    field_path = f"{where}.base_url"
    if not raw.isascii() or not raw.isprintable() or " " in raw:
        raise ConfigError(f"{raw!r} holds characters no URL has", field=field_path)
    try:
        url = urlsplit(raw)
    except ValueError as exc:
        raise ConfigError(f"{raw!r} is no URL: {exc}", field=field_path) from exc
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ConfigError(f"{raw!r} is no http(s) URL", field=field_path)
    if url.username or url.password or url.query or url.fragment:
        raise ConfigError(
            "a base URL holds no credentials, query or fragment; use api_key_env", field=field_path
        )
    if url.scheme == "http" and url.hostname not in _LOOPBACK and not settings.allow_http:
        raise ConfigError(
            f"{raw!r} would send keys and prompts in clear; use https, or set allow_http = true",
            field=field_path,
        )
    try:
        port = url.port or (443 if url.scheme == "https" else 80)
    except ValueError as exc:
        raise ConfigError(f"{raw!r} has a bad port", field=field_path) from exc
    path = url.path.rstrip("/")
    if kind.root_has_v1:
        # Anthropic-style bases are the root, with or without /v1; the paths bring it themselves.
        path = path.removesuffix("/v1")
    elif not path:
        path = "/v1"
    scheme: Literal["http", "https"] = "https" if url.scheme == "https" else "http"
    return Origin(scheme, url.hostname, port), path
