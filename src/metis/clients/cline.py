"""Cline's CLI. Seen: 3.0.65. Its requests carry the AI SDK's user agent, so `connect` adds a header that names it."""

from __future__ import annotations

from typing import Final

import msgspec

from metis.clients import auxiliary
from metis.clients.client import (
    Client,
    Fields,
    FileEdit,
    Gateway,
    Headers,
    Json,
    Launch,
    Recipe,
    Setting,
)
from metis.facts.identity import SessionFacts

_MODEL: Final = "claude-sonnet-4-5"
# Cline refuses an entry without a time and overwrites it on every use.
_UPDATED: Final = "2026-01-01T00:00:00.000Z"


def _session(headers: Headers, fields: Fields, path: str) -> SessionFacts:
    # The user agent's version is the AI SDK's.
    return SessionFacts(client="cline", auxiliary=auxiliary.side_call(fields))


def _provider(gateway: Gateway) -> tuple[str, str]:
    """Cline's provider id for a model, and the model: Claude in Anthropic's shape, where caching is marked."""
    model = gateway.model or _MODEL
    return ("anthropic" if model.startswith("claude") else "openai-compatible"), model


def _settings(gateway: Gateway) -> dict[str, Json]:
    provider, model = _provider(gateway)
    return {
        "provider": provider,
        "apiKey": gateway.key,
        "model": model,
        "baseUrl": gateway.v1,
        "headers": {"x-metis-client": "cline"},
    }


def _connect(gateway: Gateway) -> Recipe:
    provider, model = _provider(gateway)
    entry = ("providers", provider)
    settings = [
        Setting(("version",), 1, keep=True),
        Setting(("lastUsedProvider",), provider),
        *(Setting((*entry, "settings", name), v) for name, v in _settings(gateway).items()),
        Setting((*entry, "updatedAt"), _UPDATED, keep=True),
        Setting((*entry, "tokenSource"), "manual", keep=True),
    ]
    root = gateway.environ.get("CLINE_DIR") or f"{gateway.home}/.cline"
    data = gateway.environ.get("CLINE_DATA_DIR") or f"{root}/data"
    path = gateway.environ.get("CLINE_PROVIDER_SETTINGS_PATH") or f"{data}/settings/providers.json"
    return Recipe(
        files=(FileEdit(path=path, format="json", settings=tuple(settings), secret=True),),
        key_place=f"The key stands in {path} (mode 0600): Cline has no other place for it.",
        notes=(
            f"Cline then uses provider {provider} with model {model}; `--model` chooses another.",
            "For an OpenAI-style model, Cline's own command does the same but for the header that names it: "
            f"cline auth -p openai-compatible -b {gateway.v1} -k <key> -m <model>",
            "In the editor extension: Settings, API Provider, 'Use custom base URL'.",
        ),
    )


def _launch(gateway: Gateway) -> Launch:
    provider, _ = _provider(gateway)
    content = {
        "version": 1,
        "lastUsedProvider": provider,
        "providers": {
            provider: {
                "settings": _settings(gateway),
                "updatedAt": _UPDATED,
                "tokenSource": "manual",
            }
        },
    }
    return Launch(
        environment=(("CLINE_PROVIDER_SETTINGS_PATH", "{private}/providers.json"),),
        files=(("providers.json", msgspec.json.encode(content).decode()),),
    )


CLINE: Final = Client(
    name="cline",
    title="Cline",
    session=_session,
    commands=("cline",),
    needs_model=True,
    connect=_connect,
    launch=_launch,
)
