"""Programs that use an SDK or plain HTTP: no tool of their own to recognise, and pointed by environment variables."""

from __future__ import annotations

from typing import Final

import msgspec

from metis.clients.client import (
    Client,
    Fields,
    FileEdit,
    Gateway,
    Headers,
    Launch,
    ReadSession,
    Recipe,
    Setting,
    agent_version,
    text,
)
from metis.facts.identity import SessionFacts

_NOTHING_SAID: Final = SessionFacts()


class _Conversation(msgspec.Struct):
    id: str = ""


_decode_conversation = msgspec.json.Decoder(str | _Conversation | None).decode


def _reader(stem: str, *, by_language: bool = False) -> ReadSession:
    """A reader for one SDK; `by_language` adds the language, which is the user agent's second word."""

    def session(headers: Headers, fields: Fields, path: str) -> SessionFacts:
        agent = headers.get(b"user-agent", b"")
        name = stem
        if by_language:
            language = agent.partition(b"/")[2].partition(b" ")[0]
            name = f"{stem}-js" if language == b"JS" else f"{stem}-python"
        session_id = ""
        conversation = fields.get("conversation")
        if conversation is not None:
            session_id = _conversation(conversation)
        return SessionFacts(
            client=name,
            client_version=agent_version(agent),
            session_id=session_id,
            source="conversation" if session_id else "",
        )

    return session


def _conversation(raw: msgspec.Raw) -> str:
    """The Responses API's `conversation`: an id, or an object with one."""
    try:
        found = _decode_conversation(raw)
    except msgspec.DecodeError:
        return ""
    value = found.id if isinstance(found, _Conversation) else found or ""
    return text(value.encode("utf-8", "replace"))


def _unknown(headers: Headers, fields: Fields, path: str) -> SessionFacts:
    return _NOTHING_SAID


def _environment(gateway: Gateway) -> tuple[tuple[str, str], ...]:
    return (
        ("ANTHROPIC_BASE_URL", gateway.url),
        ("ANTHROPIC_API_KEY", gateway.key),
        ("OPENAI_BASE_URL", gateway.v1),
        ("OPENAI_API_KEY", gateway.key),
        ("OPENAI_API_BASE", gateway.v1),
        ("ANTHROPIC_API_BASE", gateway.url),
    )


def _connect(gateway: Gateway) -> Recipe:
    directory = gateway.directory("XDG_CONFIG_HOME", ".config")
    path = f"{directory}/metis/sdk.env"
    return Recipe(
        files=(
            FileEdit(
                path=path,
                format="env",
                settings=tuple(Setting((name,), value) for name, value in _environment(gateway)),
                secret=True,
            ),
        ),
        environment=_environment(gateway),
        key_place=f"The key stands in {path} (mode 0600).",
        notes=(
            f"Load it in a shell with: set -a; . {path}; set +a",
            "The Anthropic SDKs take the root, the OpenAI SDKs take /v1; *_API_BASE is LiteLLM's spelling.",
        ),
    )


def _launch(gateway: Gateway) -> Launch:
    return Launch(environment=_environment(gateway), unset=("ANTHROPIC_AUTH_TOKEN",))


# `connect sdk` and every command without a recipe of its own.
SDK: Final = Client(
    name="sdk",
    title="SDKs and other programs",
    session=_unknown,
    commands=("sdk",),
    connect=_connect,
    launch=_launch,
)
ANTHROPIC_SDK: Final = Client(
    name="anthropic-sdk",
    title="Anthropic SDKs",
    session=_reader("anthropic", by_language=True),
    agents=(b"Anthropic", b"AsyncAnthropic"),
)
OPENAI_SDK: Final = Client(
    name="openai-sdk",
    title="OpenAI SDKs",
    session=_reader("openai", by_language=True),
    agents=(b"OpenAI", b"AsyncOpenAI", b"AzureOpenAI", b"AsyncAzureOpenAI"),
)
AI_SDK: Final = Client(
    name="ai-sdk",
    title="Vercel AI SDK",
    session=_reader("ai-sdk"),
    agents=(b"ai", b"ai-sdk"),
)
LITELLM: Final = Client(
    name="litellm", title="LiteLLM", session=_reader("litellm"), agents=(b"litellm",)
)
OPENAI_AGENTS: Final = Client(
    name="openai-agents",
    title="OpenAI Agents SDK",
    session=_reader("openai-agents"),
    agents=(b"Agents",),
)
PYDANTIC_AI: Final = Client(
    name="pydantic-ai",
    title="Pydantic AI",
    session=_reader("pydantic-ai"),
    agents=(b"pydantic-ai",),
)
CURL: Final = Client(name="curl", title="curl", session=_reader("curl"), agents=(b"curl",))

SDKS: Final = (
    SDK,
    ANTHROPIC_SDK,
    OPENAI_SDK,
    AI_SDK,
    LITELLM,
    OPENAI_AGENTS,
    PYDANTIC_AI,
    CURL,
)
