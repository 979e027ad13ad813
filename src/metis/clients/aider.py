"""Aider. Seen: 0.86.2. Its requests look like LiteLLM's. Configuration: https://aider.chat/docs/config.html."""

from __future__ import annotations

from typing import Final

from metis.clients.client import (
    Client,
    Fields,
    FileEdit,
    Gateway,
    Headers,
    Launch,
    Recipe,
    Setting,
)
from metis.facts.identity import SessionFacts


def _session(headers: Headers, fields: Fields, path: str) -> SessionFacts:
    # Aider's weak-model calls (commit messages, summaries) have no mark: it never sends tools. The
    # user agent's version is LiteLLM's.
    return SessionFacts(client="aider")


def _environment(gateway: Gateway) -> tuple[tuple[str, str], ...]:
    return (
        ("OPENAI_API_BASE", gateway.v1),
        ("OPENAI_API_KEY", gateway.key),
        ("ANTHROPIC_API_BASE", gateway.url),
        ("ANTHROPIC_API_KEY", gateway.key),
    )


def _connect(gateway: Gateway) -> Recipe:
    directory = gateway.directory("XDG_CONFIG_HOME", ".config")
    secrets = f"{directory}/metis/aider.env"
    return Recipe(
        files=(
            FileEdit(
                path=f"{gateway.home}/.aider.conf.yml",
                format="yaml",
                settings=(Setting(("env-file",), secrets),),
            ),
            FileEdit(
                path=secrets,
                format="env",
                settings=tuple(Setting((name,), value) for name, value in _environment(gateway)),
                secret=True,
            ),
        ),
        environment=_environment(gateway),
        key_place=f"The key stands in {secrets} (mode 0600), which Aider reads at its start.",
        notes=(
            "An .aider.conf.yml in a repository's root wins over the one in your home directory.",
            "Name OpenAI-style models with a prefix, as always with Aider: --model openai/gpt-5.2",
        ),
    )


def _launch(gateway: Gateway) -> Launch:
    return Launch(environment=_environment(gateway))


AIDER: Final = Client(
    name="aider",
    title="Aider",
    session=_session,
    commands=("aider",),
    connect=_connect,
    launch=_launch,
)
