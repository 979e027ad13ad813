"""Names of models as clients send them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.client import PATHS, request_for, send
from tests.two_providers import MODELS, Pair, two_providers


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with two_providers(tmp_path_factory.mktemp("course"), "") as found:
        yield found


@pytest.mark.parametrize("shape", PATHS)
@pytest.mark.parametrize("name", ["a\x1b]0;owned\x07", "a\nb", "a\x9b2J", "a\u202eb"])
def test_a_model_name_that_cannot_be_printed_is_refused_and_not_kept(
    pair: Pair, shape: str, name: str
) -> None:
    gateway, upstream = pair
    before = len(upstream.seen)
    headers = {"x-api-key": gateway.key, "content-type": "application/json"}
    reply = send(gateway.port, PATHS[shape], request_for(shape, name), headers)
    assert reply.status == 400
    assert (
        "holds control or other characters that cannot be printed" in reply.json["error"]["message"]
    )
    assert len(upstream.seen) == before
    kept = [row["requested_model"] for row in gateway.rows("SELECT requested_model FROM turns")]
    assert kept
    assert all(model.isprintable() for model in kept)


def test_the_overriding_header_is_held_to_the_same(pair: Pair) -> None:
    gateway, _ = pair
    headers = {"x-api-key": gateway.key, "x-metis-model": "a\xc2\x9bb"}
    body = request_for("openai_chat", MODELS["openai_chat"])
    reply = send(gateway.port, PATHS["openai_chat"], body, headers)
    assert reply.status == 400
    assert reply.json["error"]["message"].startswith("x-metis-model ")


def test_names_in_any_language_are_taken(pair: Pair) -> None:
    gateway, _ = pair
    headers = {"x-api-key": gateway.key}
    reply = send(
        gateway.port, PATHS["openai_chat"], request_for("openai_chat", "gpt-großé"), headers
    )
    assert reply.status == 200
