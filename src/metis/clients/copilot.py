"""GitHub Copilot CLI with a provider of one's own. Seen: 1.0.102. It uses the official SDKs and adds two headers."""

from __future__ import annotations

from typing import Final

from metis.clients import auxiliary
from metis.clients.client import Client, Fields, Gateway, Headers, Launch, Recipe, text
from metis.facts.identity import SessionFacts


def _session(headers: Headers, fields: Fields, path: str) -> SessionFacts:
    return SessionFacts(
        client="copilot",
        request_class=text(headers.get(b"x-interaction-type") or headers.get(b"x-initiator")),
        auxiliary=auxiliary.side_call(fields),
    )


def _environment(gateway: Gateway) -> tuple[tuple[str, str], ...]:
    model = gateway.model or "claude-sonnet-4-5"
    anthropic = model.startswith("claude")
    return (
        ("COPILOT_PROVIDER_TYPE", "anthropic" if anthropic else "openai"),
        ("COPILOT_PROVIDER_BASE_URL", gateway.url if anthropic else gateway.v1),
        ("COPILOT_PROVIDER_API_KEY", gateway.key),
        ("COPILOT_MODEL", model),
        ("COPILOT_OFFLINE", "true"),
    )


def _connect(gateway: Gateway) -> Recipe:
    return Recipe(
        by_hand="Copilot CLI is pointed by variables; put the lines above in your shell's profile.",
        environment=_environment(gateway),
        key_place="The key stands where you put these lines.",
        notes=("COPILOT_OFFLINE keeps it from asking GitHub's own servers.",),
    )


def _launch(gateway: Gateway) -> Launch:
    return Launch(environment=_environment(gateway))


COPILOT: Final = Client(
    name="copilot",
    title="Copilot CLI",
    session=_session,
    markers=(b"x-initiator", b"x-interaction-type"),
    commands=("copilot",),
    needs_model=True,
    connect=_connect,
    launch=_launch,
)
