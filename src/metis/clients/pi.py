"""pi, a coding agent. Seen: 0.73.1. It uses the official SDKs, so `connect` adds a header that names it."""

from __future__ import annotations

from typing import Final

from metis.clients import auxiliary
from metis.clients.client import (
    Client,
    Fields,
    FileEdit,
    Gateway,
    Headers,
    Recipe,
    Setting,
)
from metis.facts.identity import SessionFacts

_MODEL: Final = "claude-sonnet-4-5"


def _session(headers: Headers, fields: Fields, path: str) -> SessionFacts:
    # The user agent's version is the SDK's.
    return SessionFacts(client="pi", auxiliary=auxiliary.side_call(fields))


def _connect(gateway: Gateway) -> Recipe:
    model = gateway.model or _MODEL
    anthropic = model.startswith("claude")
    # pi takes a literal, the name of a variable, or, after "!", a command that prints the key.
    key = gateway.key_env or f"!cat '{gateway.key_file}'"
    provider = ("providers", "metis")
    path = f"{gateway.directory('PI_CODING_AGENT_DIR', '.pi/agent')}/models.json"
    return Recipe(
        files=(
            FileEdit(
                path=path,
                format="json",
                settings=(
                    Setting((*provider, "baseUrl"), gateway.url if anthropic else gateway.v1),
                    Setting(
                        (*provider, "api"),
                        "anthropic-messages" if anthropic else "openai-completions",
                    ),
                    Setting((*provider, "apiKey"), key),
                    Setting((*provider, "headers"), {"x-metis-client": "pi"}),
                    Setting((*provider, "models"), [{"id": model}]),
                ),
            ),
        ),
        key_place=f"The key stays in {gateway.key_file} (mode 0600); pi prints it from there."
        if not gateway.key_env
        else f"pi reads the key from ${gateway.key_env}.",
        notes=(f"Start it with: pi --provider metis --model {model}",),
    )


PI: Final = Client(
    name="pi",
    title="pi",
    session=_session,
    commands=("pi",),
    needs_model=True,
    connect=_connect,
)
