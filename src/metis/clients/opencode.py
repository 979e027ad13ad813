"""OpenCode (seen: 1.18.33) and its fork Kilo Code (7.7.7), which sends the same headers and reads the same files.

Configuration: https://opencode.ai/docs/config.
"""

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
    agent_version,
    text,
)
from metis.facts.identity import SessionFacts

_PROVIDERS: Final = ("anthropic", "openai")
_KEY_VARIABLE: Final = "METIS_API_KEY"


def _read_session(client: str, headers: Headers, fields: Fields) -> SessionFacts:
    """Read a request of OpenCode or of one of its forks, which send the same headers."""
    session_id = text(headers.get(b"x-session-id") or headers.get(b"x-session-affinity"))
    side = auxiliary.side_call(fields)
    if session_id.startswith("title-"):
        # Kilo marks the request that makes a title so.
        session_id, side = session_id.removeprefix("title-"), auxiliary.TITLE
    # A sub-agent is a session of its own that names its parent.
    parent = text(headers.get(b"x-parent-session-id"))
    return SessionFacts(
        client=client,
        client_version=agent_version(headers.get(b"user-agent", b"")),
        session_id=session_id,
        source="x-session-id" if session_id else "",
        agent_id=session_id if parent else "",
        parent_agent_id=parent,
        auxiliary=side,
    )


def _session(headers: Headers, fields: Fields, path: str) -> SessionFacts:
    return _read_session("opencode", headers, fields)


def _provider_settings(gateway: Gateway, key: str) -> tuple[Setting, ...]:
    """Point the built-in providers at the gateway: their model lists, limits and caching stay as they are."""
    settings: list[Setting] = []
    for provider in _PROVIDERS:
        options = ("provider", provider, "options")
        settings.append(Setting((*options, "baseURL"), gateway.v1))
        settings.append(Setting((*options, "apiKey"), key))
    return tuple(settings)


def _connect_file(gateway: Gateway, path: str, title: str) -> Recipe:
    """The recipe of OpenCode and its forks: one JSON file, the key by OpenCode's own substitution."""
    if gateway.key_env:
        key, place = f"{{env:{gateway.key_env}}}", f"{title} reads the key from ${gateway.key_env}."
    else:
        key = f"{{file:{gateway.key_file}}}"
        place = f"The key stays in {gateway.key_file} (mode 0600); {title} reads it from there."
    return Recipe(
        files=(FileEdit(path=path, format="json", settings=_provider_settings(gateway, key)),),
        key_place=place,
        notes=(
            "The providers `anthropic` and `openai` go through Metis; choose models as before, e.g. "
            "anthropic/claude-sonnet-4-5.",
            "A project's own configuration file wins over the user's.",
        ),
    )


def _launch_content(gateway: Gateway, variable: str) -> Launch:
    """One run by a variable that holds configuration and wins over every file."""
    content: dict[str, Json] = {
        "provider": {
            provider: {"options": {"baseURL": gateway.v1, "apiKey": f"{{env:{_KEY_VARIABLE}}}"}}
            for provider in _PROVIDERS
        }
    }
    return Launch(
        environment=(
            (variable, msgspec.json.encode(content).decode()),
            (_KEY_VARIABLE, gateway.key),
            # A value of its own makes OpenCode list the provider; the configuration above wins over it.
            ("ANTHROPIC_API_KEY", gateway.key),
            ("OPENAI_API_KEY", gateway.key),
        ),
        unset=("ANTHROPIC_AUTH_TOKEN",),
    )


def _connect(gateway: Gateway) -> Recipe:
    directory = gateway.directory("XDG_CONFIG_HOME", ".config")
    path = gateway.environ.get("OPENCODE_CONFIG") or f"{directory}/opencode/opencode.json"
    return _connect_file(gateway, path, "OpenCode")


def _launch(gateway: Gateway) -> Launch:
    return _launch_content(gateway, "OPENCODE_CONFIG_CONTENT")


OPENCODE: Final = Client(
    name="opencode",
    title="OpenCode",
    session=_session,
    agents=(b"opencode",),
    commands=("opencode",),
    connect=_connect,
    launch=_launch,
)


def _kilo_session(headers: Headers, fields: Fields, path: str) -> SessionFacts:
    return _read_session("kilo", headers, fields)


def _kilo_connect(gateway: Gateway) -> Recipe:
    directory = gateway.directory("XDG_CONFIG_HOME", ".config")
    return _connect_file(gateway, f"{directory}/kilo/kilo.json", "Kilo")


def _kilo_launch(gateway: Gateway) -> Launch:
    return _launch_content(gateway, "KILO_CONFIG_CONTENT")


KILO: Final = Client(
    name="kilo",
    title="Kilo Code",
    session=_kilo_session,
    agents=(b"kilo",),
    commands=("kilo", "kilocode"),
    connect=_kilo_connect,
    launch=_kilo_launch,
)
