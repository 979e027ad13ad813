"""Paths of Bedrock and Vertex AI; those of the three APIs are tried end to end."""

from __future__ import annotations

import pytest

from metis.gateway.paths import UNKNOWN, Route, find_route

SHAPE = "anthropic_messages"
VERTEX = b"/v1/projects/p/locations/r/publishers/anthropic/models"


def cloud(name: str, model: str, *, stream: bool = False, operation: str = "generate") -> Route:
    return Route(operation, SHAPE, (b"POST",), model, is_turn=True, cloud=name, stream=stream)


@pytest.mark.parametrize(
    ("path", "route"),
    [
        (b"/model/a.b-v1%3A0/invoke", cloud("bedrock", "a.b-v1:0")),
        (b"/model/a.b-v1:0/invoke/", cloud("bedrock", "a.b-v1:0")),
        (
            b"/v1/model/arn%3Aaws%2Fx/invoke-with-response-stream",
            cloud("bedrock", "arn:aws/x", stream=True),
        ),
        (VERTEX + b"/m@1:rawPredict", cloud("vertex", "m@1")),
        (VERTEX[3:] + b"/m%401:streamRawPredict", cloud("vertex", "m@1", stream=True)),
        (VERTEX + b"/count-tokens:rawPredict", cloud("vertex", "", operation="count_tokens")),
        (b"/model/a/b/invoke", UNKNOWN),
        (b"/model//invoke", UNKNOWN),
        (b"/model/a/converse", UNKNOWN),
        (VERTEX + b"/m:predict", UNKNOWN),
        (VERTEX.replace(b"anthropic", b"google") + b"/m:rawPredict", UNKNOWN),
    ],
)
def test_cloud_paths(path: bytes, route: Route):
    assert find_route(path) == route
