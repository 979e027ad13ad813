"""Which operation and shape a path means. With, without and with doubled `/v1`; queries do not matter."""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import unquote


class Route(NamedTuple):
    """What is wanted: an operation the turn knows, or one the door answers itself.

    `models` and `model` (with `argument` its id), `root`, `health`, `ready`, `unknown`.
    `is_turn`: a POST to it is for the turn. `cloud`: the body is in a cloud's dress (see `cloud_dialects`), the model
    (`argument`) and the wish for a `stream` are in the path.
    """

    operation: str
    shape: str
    methods: tuple[bytes, ...]
    argument: str = ""
    is_turn: bool = False
    cloud: str = ""
    stream: bool = False


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
_INVOKE: Final = re.compile(rb"/model/([^/]+)/(invoke|invoke-with-response-stream)")
_PREDICT: Final = re.compile(
    rb"/projects/[^/]+/locations/[^/]+/publishers/anthropic/models/([^/]+):(rawPredict|streamRawPredict)"
)
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
    found = ROUTES.get(bare) if bare not in (b"", b"/") else ROUTES[b"/"]
    return found or _find_cloud_route(bare)


def _find_cloud_route(path: bytes) -> Route:
    """InvokeModel of Bedrock and rawPredict of Vertex AI, as their own SDKs write the paths."""
    invoked = _INVOKE.fullmatch(path)
    if invoked is not None:
        stream = invoked[2] != b"invoke"
        return _in_a_cloud("generate", "bedrock", invoked[1], stream=stream)
    predicted = _PREDICT.fullmatch(path)
    if predicted is None:
        return UNKNOWN
    if predicted[1] == b"count-tokens":
        return _in_a_cloud("count_tokens", "vertex", b"", stream=False)
    stream = predicted[2] == b"streamRawPredict"
    return _in_a_cloud("generate", "vertex", predicted[1], stream=stream)


def _in_a_cloud(operation: str, cloud: str, model: bytes, *, stream: bool) -> Route:
    argument = unquote(model.decode("latin-1"))
    return Route(
        operation, "anthropic_messages", _POST, argument, is_turn=True, cloud=cloud, stream=stream
    )


def shape_of(route: Route, named: dict[bytes, bytes]) -> str:
    """The shape to answer in: the path's, else the one whose version header the client sends.

    Never by credential or user agent: clients lie about both (research on real traffic shows it).
    """
    if route.shape:
        return route.shape
    return "anthropic_messages" if b"anthropic-version" in named else "openai_chat"
