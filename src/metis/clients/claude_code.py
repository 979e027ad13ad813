"""Claude Code, and the agent SDKs that bundle it. Seen: 2.1.330. Settings: https://code.claude.com/docs/en/settings."""

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

# `x-claude-code-request-class`, sent with CLAUDE_CODE_GATEWAY_HINT_HEADERS=1, and what is no step of the work.
_CLASSES: Final = {
    "main": "",
    "subagent": "",
    "workflow": "",
    "compaction": auxiliary.COMPACTION,
    "side_reply": auxiliary.SIDE,
}
_TYPES: Final = {
    "generate_session_title": auxiliary.TITLE,
    "rename_generate_name": auxiliary.TITLE,
    "teleport_generate_title": auxiliary.TITLE,
    "web_search_tool": auxiliary.WEB_SEARCH,
}
# system[0] is a billing header of some 100 bytes; it says so when a sub-agent asks.
_BILLING_HEAD: Final = 300
_SUBAGENT_MARK: Final = b"cc_is_subagent=true"


class _Metadata(msgspec.Struct):
    user_id: str = ""


class _User(msgspec.Struct):
    session_id: str = ""


_decode_metadata = msgspec.json.Decoder(_Metadata).decode
_decode_user = msgspec.json.Decoder(_User).decode


def _session(headers: Headers, fields: Fields, path: str) -> SessionFacts:
    get = headers.get
    version = agent_version(get(b"user-agent", b""))
    session_id = text(get(b"x-claude-code-session-id"))
    source = "x-claude-code-session-id" if session_id else ""
    if not session_id:
        if version.startswith("0.") and "metadata" not in fields:
            # Qwen Code's Anthropic mode borrows this user agent, with a version of its own.
            return SessionFacts(
                client="qwen-code", client_version=version, auxiliary=auxiliary.side_call(fields)
            )
        session_id = _from_metadata(fields)
        source = "metadata.user_id" if session_id else ""
    request_class = text(get(b"x-claude-code-request-class"))
    return SessionFacts(
        client="claude-code",
        client_version=version,
        session_id=session_id,
        source=source,
        agent_id=text(get(b"x-claude-code-agent-id")),
        parent_agent_id=text(get(b"x-claude-code-parent-agent-id")),
        prompt_id=text(get(b"x-claude-code-prompt-id")),
        request_class=request_class or _unhinted_class(fields),
        auxiliary=_auxiliary(headers, fields, request_class),
    )


def _auxiliary(headers: Headers, fields: Fields, request_class: str) -> str:
    if not request_class:
        return auxiliary.side_call(fields)
    known = _CLASSES.get(request_class)
    if known is not None:
        return known
    kind = text(headers.get(b"x-claude-code-auxiliary-type"))
    return _TYPES.get(kind) or kind or auxiliary.side_call(fields) or auxiliary.SIDE


def _unhinted_class(fields: Fields) -> str:
    return "subagent" if _SUBAGENT_MARK in auxiliary.head(fields, "system", _BILLING_HEAD) else ""


def _from_metadata(fields: Fields) -> str:
    """`metadata.user_id` is JSON in a string; before 2.1 it was `user_<hash>_account_<id>_session_<id>`."""
    raw = fields.get("metadata")
    if raw is None:
        return ""
    try:
        user_id = _decode_metadata(raw).user_id
    except msgspec.DecodeError:
        return ""
    if user_id.startswith("{"):
        try:
            return text(_decode_user(user_id).session_id.encode())
        except (msgspec.DecodeError, UnicodeEncodeError):
            return ""
    return text(user_id.rpartition("_session_")[2].encode()) if "_session_" in user_id else ""


def _connect(gateway: Gateway) -> Recipe:
    # A key helper is what Claude Code has for keys that should not stand in a settings file; its
    # output is sent as bearer token and as x-api-key.
    if gateway.key_env:
        helper = f'printf %s "${gateway.key_env}"'
        place = f"Claude Code reads the key from ${gateway.key_env} through its apiKeyHelper."
    else:
        helper = f"cat {quoted(gateway.key_file)}"
        place = f"The key stays in {gateway.key_file} (mode 0600); Claude Code's apiKeyHelper prints it from there."
    settings = [
        Setting(("apiKeyHelper",), helper),
        Setting(("env", "ANTHROPIC_BASE_URL"), gateway.url),
        Setting(("env", "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY"), "1"),
        Setting(("env", "CLAUDE_CODE_GATEWAY_HINT_HEADERS"), "1"),
        # Both would win over the helper.
        Setting(("env", "ANTHROPIC_AUTH_TOKEN"), REMOVED),
        Setting(("env", "ANTHROPIC_API_KEY"), REMOVED),
        *(Setting(("env", name), value) for name, value in _models(gateway)),
    ]
    path = f"{gateway.directory('CLAUDE_CONFIG_DIR', '.claude')}/settings.json"
    return Recipe(
        files=(FileEdit(path=path, format="json", settings=tuple(settings)),),
        environment=_environment(gateway),
        key_place=place,
        notes=(
            "ANTHROPIC_AUTH_TOKEN and ANTHROPIC_API_KEY win over the key helper: leave both unset in the shell.",
            "A project's .claude/settings.json wins over the user's.",
            "To keep paying with a Claude subscription, set only ANTHROPIC_BASE_URL and "
            "ANTHROPIC_CUSTOM_HEADERS='x-metis-key: <key>', and no key helper.",
        ),
    )


def quoted(path: str) -> str:
    """Quote a path for a POSIX shell."""
    return "'" + path.replace("'", "'\\''") + "'"


def _models(gateway: Gateway) -> tuple[tuple[str, str], ...]:
    if not gateway.model:
        return ()
    return (
        ("ANTHROPIC_MODEL", gateway.model),
        ("ANTHROPIC_DEFAULT_HAIKU_MODEL", gateway.model),
    )


def _environment(gateway: Gateway) -> tuple[tuple[str, str], ...]:
    return (
        ("ANTHROPIC_BASE_URL", gateway.url),
        ("ANTHROPIC_AUTH_TOKEN", gateway.key),
        ("CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY", "1"),
        ("CLAUDE_CODE_GATEWAY_HINT_HEADERS", "1"),
        *_models(gateway),
    )


def _launch(gateway: Gateway) -> Launch:
    # A settings file's `env` wins over the shell's, so the same variables go in a settings file of
    # this run, which wins over the user's and the project's.
    environment = _environment(gateway)
    settings = {"env": dict(environment) | {"ANTHROPIC_API_KEY": ""}}
    return Launch(
        environment=environment,
        unset=("ANTHROPIC_API_KEY", "CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX"),
        arguments=("--settings", "{private}/settings.json"),
        files=(("settings.json", msgspec.json.encode(settings).decode()),),
        conflicts=("--settings",),
    )


CLAUDE_CODE: Final = Client(
    name="claude-code",
    title="Claude Code",
    session=_session,
    agents=(b"claude-cli", b"claude-code"),
    markers=(b"x-claude-code-session-id",),
    commands=("claude", "claude-code"),
    connect=_connect,
    launch=_launch,
)
