"""Which operation and shape a path means. With, without and with doubled `/v1`; queries do not matter."""

from __future__ import annotations

from typing import Final, NamedTuple


class Route(NamedTuple):
    """What is wanted: an operation the turn knows, or one the door answers itself.

    `models` and `model` (with `argument` its id), `root`, `health`, `ready`, `unknown`.
    `is_turn`: a POST to it is for the turn.
    """

    operation: str
    shape: str
    methods: tuple[bytes, ...]
    argument: str = ""
    is_turn: bool = False


_POST: Final = (b"POST",)
_GET: Final = (b"GET", b"HEAD")

ROUTES: Final[dict[bytes, Route]] = {
    b"/messages": Route("generate", "anthropic_messages", _POST, is_turn=True),
    b"/messages/count_tokens": Route("count_tokens", "anthropic_messages", _POST, is_turn=True),
    b"/chat/completions": Route("generate", "openai_chat", _POST, is_turn=True),
    b"/responses": Route("generate", "openai_responses", _POST, is_turn=True),
    b"/embeddings": Route("embeddings", "openai_chat", _POST, is_turn=True),
    b"/completions": Route("completions", "openai_chat", _POST, is_turn=True),
    b"/models": Route("models", "", _GET),
    b"/": Route("root", "", _GET),
    b"": Route("root", "", _GET),
    b"/healthz": Route("health", "", _GET),
    b"/readyz": Route("ready", "", _GET),
}
UNKNOWN: Final = Route("unknown", "", ())
_V1: Final = b"/v1"
_MODEL_PREFIX: Final = b"/models/"
_MOST_V1: Final = 2
# As clients write them: looked up before anything is taken apart.
_AS_WRITTEN: Final = {
    prefix + path: route
    for path, route in ROUTES.items()
    for prefix in (b"", _V1, _V1 + _V1)
    if path not in (b"", b"/") or not prefix
}


def find_route(path: bytes) -> Route:
    """The route of a request path; UNKNOWN for everything else."""
    found = _AS_WRITTEN.get(path)
    if found is not None:
        return found
    if path.startswith((b"http://", b"https://")):
        _, _, rest = path.partition(b"://")
        return find_route(b"/" + rest.partition(b"/")[2])
    bare = path
    for _ in range(_MOST_V1):
        if bare.startswith(_V1 + b"/"):
            bare = bare[len(_V1) :]
    bare = bare.rstrip(b"/") if len(bare) > 1 else bare
    if bare.startswith(_MODEL_PREFIX) and len(bare) > len(_MODEL_PREFIX):
        return Route("model", "", _GET, bare[len(_MODEL_PREFIX) :].decode("utf-8", "replace"))
    return ROUTES.get(bare, UNKNOWN) if bare not in (b"", b"/") else ROUTES[b"/"]


def shape_of(route: Route, named: dict[bytes, bytes]) -> str:
    """The shape to answer in: the path's, else the one whose version header the client sends.

    Never by credential or user agent: clients lie about both (research on real traffic shows it).
    """
    if route.shape:
        return route.shape
    return "anthropic_messages" if b"anthropic-version" in named else "openai_chat"
