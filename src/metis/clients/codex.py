"""OpenAI Codex CLI. Seen: 0.169.0. Configuration: https://developers.openai.com/codex/config-reference."""

from __future__ import annotations

from typing import Final

import msgspec

from metis.clients import auxiliary
from metis.clients.client import (
    REMOVED,
    Client,
    Fields,
    FileEdit,
    Gateway,
    Headers,
    Launch,
    Recipe,
    Setting,
    agent_version,
    text,
)
from metis.facts.identity import SessionFacts

_COMPACTIONS: Final = frozenset({"compaction", "compact"})
# With `openai_base_url` Codex compacts remotely: the last input item is a trigger of a few dozen bytes.
_TRIGGER: Final = b'"compaction_trigger"'
_TRIGGER_TAIL: Final = 300
_KEY_VARIABLE: Final = "METIS_API_KEY"


class _TurnMetadata(msgspec.Struct):
    """Part of `x-codex-turn-metadata`."""

    turn_id: str = ""
    request_kind: str = ""


_decode_metadata = msgspec.json.Decoder(_TurnMetadata).decode
_NO_METADATA: Final = _TurnMetadata()


def _session(headers: Headers, fields: Fields, path: str) -> SessionFacts:
    get = headers.get
    raw = get(b"session-id") or get(b"session_id")
    session_id = text(raw)
    source = "session-id" if session_id else ""
    thread_id = text(get(b"thread-id"))
    if not session_id and thread_id:
        session_id, source = thread_id, "thread-id"
    metadata = _metadata(get(b"x-codex-turn-metadata"))
    subagent = text(get(b"x-openai-subagent"))
    return SessionFacts(
        client="codex",
        client_version=agent_version(get(b"user-agent", b"")),
        session_id=session_id,
        source=source,
        agent_id=thread_id if thread_id != session_id else "",
        parent_agent_id=text(get(b"x-codex-parent-thread-id")),
        prompt_id=text(metadata.turn_id.encode("utf-8", "replace")),
        request_class=subagent or text(metadata.request_kind.encode("utf-8", "replace")),
        auxiliary=_auxiliary(fields, path, subagent, metadata.request_kind),
    )


def _auxiliary(fields: Fields, path: str, subagent: str, request_kind: str) -> str:
    if (
        subagent in _COMPACTIONS
        or request_kind in _COMPACTIONS
        or path.endswith("/compact")
        or _TRIGGER in auxiliary.tail(fields, "input", _TRIGGER_TAIL)
    ):
        return auxiliary.COMPACTION
    return auxiliary.SIDE if subagent == "memory_consolidation" else ""


def _metadata(raw: bytes | None) -> _TurnMetadata:
    if not raw:
        return _NO_METADATA
    try:
        return _decode_metadata(raw)
    except msgspec.DecodeError:
        return _NO_METADATA


def _connect(gateway: Gateway) -> Recipe:
    provider = ("model_providers", "metis")
    settings = [
        Setting(("model_provider",), "metis"),
        Setting((*provider, "name"), "Metis"),
        Setting((*provider, "base_url"), gateway.v1),
        Setting((*provider, "wire_api"), "responses"),
    ]
    if gateway.key_env:
        settings += [
            Setting((*provider, "env_key"), gateway.key_env),
            Setting((*provider, "auth"), REMOVED),
        ]
        place = f"Codex reads the key from ${gateway.key_env}."
    else:
        settings += [
            Setting((*provider, "auth", "command"), "cat"),
            Setting((*provider, "auth", "args"), [gateway.key_file]),
            Setting((*provider, "env_key"), REMOVED),
        ]
        place = f"The key stays in {gateway.key_file} (mode 0600); Codex's auth command prints it from there."
    if gateway.model:
        settings.append(Setting(("model",), gateway.model))
    path = f"{gateway.directory('CODEX_HOME', '.codex')}/config.toml"
    return Recipe(
        files=(FileEdit(path=path, format="toml", settings=tuple(settings)),),
        key_place=place,
        notes=(
            "Codex ignores OPENAI_BASE_URL, so there is no environment variable to set instead.",
            "Threads begun with another provider stay in its history: `codex resume` lists them by provider.",
        ),
    )


def _launch(gateway: Gateway) -> Launch:
    provider = ",".join(
        f"{name}={msgspec.json.encode(value).decode()}"
        for name, value in (
            ("name", "Metis"),
            ("base_url", gateway.v1),
            ("wire_api", "responses"),
            ("env_key", _KEY_VARIABLE),
        )
    )
    arguments = ["-c", "model_provider=metis", "-c", f"model_providers.metis={{{provider}}}"]
    if gateway.model:
        arguments += ["-c", f"model={msgspec.json.encode(gateway.model).decode()}"]
    return Launch(environment=((_KEY_VARIABLE, gateway.key),), arguments=tuple(arguments))


CODEX: Final = Client(
    name="codex",
    title="Codex",
    session=_session,
    agents=(b"codex_exec", b"codex_cli_rs", b"codex-tui", b"codex_vscode", b"codex"),
    markers=(b"x-codex-window-id", b"x-codex-turn-metadata"),
    commands=("codex",),
    connect=_connect,
    launch=_launch,
)
