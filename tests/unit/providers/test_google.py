"""Where Google's two kinds are, and how they are asked."""

from __future__ import annotations

from typing import Any

import pytest

from metis.errors import ConfigError
from metis.providers.google import GOOGLE, VERTEX_GEMINI
from metis.providers.provider import build_provider
from metis.providers.settings import ProviderSettings

SHAPE = "google_generate_content"


def test_the_gemini_api_is_asked_with_a_key_and_the_model_in_the_path():
    provider = build_provider("google", GOOGLE, ProviderSettings(), "key")
    assert provider.url == "https://generativelanguage.googleapis.com"
    assert provider.credential == (b"x-goog-api-key", b"key")
    assert provider.path_for(SHAPE, "gemini/x") == b"/v1beta/models/gemini%2Fx:generateContent"
    streamed = provider.path_for(SHAPE, "gemini-x", stream=True)
    assert streamed == b"/v1beta/models/gemini-x:streamGenerateContent?alt=sse"


@pytest.mark.parametrize(
    ("region", "url"),
    [
        ("europe-west1", "https://europe-west1-aiplatform.googleapis.com"),
        ("global", "https://aiplatform.googleapis.com"),
    ],
)
def test_vertex_has_an_address_for_each_region_and_one_for_all(region: str, url: str):
    settings = ProviderSettings(region=region, project="acme-1")
    provider = build_provider("vertex-gemini", VERTEX_GEMINI, settings, "token")
    assert provider.url == url
    assert provider.credential == (b"authorization", b"Bearer token")
    assert provider.path_for(SHAPE, "gemini-x") == (
        b"/v1/projects/acme-1/locations/%b/publishers/google/models/gemini-x:generateContent"
        % region.encode()
    )


@pytest.mark.parametrize("given", [{"region": "global"}, {"project": "acme-1"}])
def test_vertex_needs_region_and_project(given: dict[str, Any]):
    with pytest.raises(ConfigError, match="needs a"):
        build_provider("v", VERTEX_GEMINI, ProviderSettings(**given), "token")
