"""Qwen Code. Seen: 0.24.4. In its Anthropic mode it borrows Claude Code's user agent (see claude_code.py)."""

from __future__ import annotations

from typing import Final

from metis.clients import auxiliary
from metis.clients.client import Client, Fields, Gateway, Headers, Launch, Recipe, agent_version
from metis.facts.identity import SessionFacts


def _session(headers: Headers, fields: Fields, path: str) -> SessionFacts:
    return SessionFacts(
        client="qwen-code",
        client_version=agent_version(headers.get(b"user-agent", b"")),
        auxiliary=auxiliary.side_call(fields),
    )


def _environment(gateway: Gateway) -> tuple[tuple[str, str], ...]:
    return (
        ("OPENAI_BASE_URL", gateway.v1),
        ("OPENAI_API_KEY", gateway.key),
        ("OPENAI_MODEL", gateway.model or "gpt-5.2"),
    )


def _connect(gateway: Gateway) -> Recipe:
    return Recipe(
        by_hand="Qwen Code is pointed by variables; put the lines above in your shell's profile.",
        environment=_environment(gateway),
        key_place="The key stands where you put these lines.",
        notes=("Start it with: qwen --auth-type openai",),
    )


def _launch(gateway: Gateway) -> Launch:
    return Launch(
        environment=_environment(gateway),
        arguments=("--auth-type", "openai"),
        conflicts=("--auth-type",),
    )


QWEN_CODE: Final = Client(
    name="qwen-code",
    title="Qwen Code",
    session=_session,
    agents=(b"QwenCode",),
    commands=("qwen", "qwen-code"),
    needs_model=True,
    connect=_connect,
    launch=_launch,
)
