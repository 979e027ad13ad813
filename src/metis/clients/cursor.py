"""Cursor. Its own servers make the model calls, so only a gateway with a public HTTPS address can be reached."""

from __future__ import annotations

from typing import Final

from metis.clients.client import Client, Fields, Gateway, Headers, Recipe, agent_version
from metis.facts.identity import SessionFacts


def _session(headers: Headers, fields: Fields, path: str) -> SessionFacts:
    return SessionFacts(
        client="cursor", client_version=agent_version(headers.get(b"user-agent", b""))
    )


def _connect(gateway: Gateway) -> Recipe:
    public = gateway.url.startswith("https://") and not _is_loopback(gateway.url)
    warning = (
        f"Cursor's servers will call {gateway.v1}: it must be reachable from the internet."
        if public
        else f"Cursor's servers make the calls, not your machine: {gateway.v1} cannot work. "
        "Give the gateway a public HTTPS address (a tunnel or a reverse proxy) and pass it with --url."
    )
    return Recipe(
        by_hand="Cursor keeps these settings in its own database; set them by hand as shown.",
        notes=(
            warning,
            "Cursor Settings, Models, API Keys:",
            "  1. OpenAI API Key: the Metis key",
            f"  2. Override OpenAI Base URL: {gateway.v1}",
            "  3. Add the model names you want served, then Verify.",
            "Only chat models called with your own key go this way; Tab completion stays with Cursor.",
        ),
        key_place="Cursor stores the key in its own database.",
    )


def _is_loopback(url: str) -> bool:
    host = url.partition("://")[2].partition("/")[0]
    return host.startswith(("127.", "localhost", "[::1]"))


CURSOR: Final = Client(
    name="cursor",
    title="Cursor",
    session=_session,
    agents=(b"Cursor",),
    commands=("cursor",),
    connect=_connect,
)
