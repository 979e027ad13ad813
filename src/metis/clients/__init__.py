"""Client tools: one file each, listed in CLIENTS. To add one, write its file and put it here.

`identify` is asked on every request, so it looks the tool up by its user agent's first word and
lets only that one read the request.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from msgspec.structs import replace

from metis.clients.aider import AIDER
from metis.clients.claude_code import CLAUDE_CODE
from metis.clients.client import Client, Fields, Headers, agent_word, text
from metis.clients.cline import CLINE
from metis.clients.codex import CODEX
from metis.clients.continue_ import CONTINUE
from metis.clients.copilot import COPILOT
from metis.clients.cursor import CURSOR
from metis.clients.opencode import KILO, OPENCODE
from metis.clients.pi import PI
from metis.clients.qwen_code import QWEN_CODE
from metis.clients.sdk import SDK, SDKS
from metis.facts.identity import SessionFacts

__all__ = ["CLIENTS", "client_for_command", "client_named", "identify", "session_reader"]

CLIENTS: Final[tuple[Client, ...]] = (
    CLAUDE_CODE,
    CODEX,
    OPENCODE,
    CLINE,
    CONTINUE,
    CURSOR,
    AIDER,
    QWEN_CODE,
    KILO,
    COPILOT,
    PI,
    *SDKS,
)

_BY_NAME: Final = {client.name: client for client in CLIENTS}
_MARKERS: Final = tuple((marker, client) for client in CLIENTS for marker in client.markers)
_MARKER_NAMES: Final = frozenset(marker for marker, _ in _MARKERS)
# A tool's own word is believed at once; an SDK's says how the request was made, not by which tool.
_TOOLS: Final = {word: client for client in CLIENTS if client not in SDKS for word in client.agents}
_SDKS: Final = {word: client for client in SDKS for word in client.agents}


def identify(headers: Headers, fields: Fields, path: str) -> SessionFacts:
    """Read what a request says of its client and session. Nonsense gives empty facts, never an error."""
    return session_reader(headers, path)(fields)


def session_reader(headers: Headers, path: str) -> Callable[[Fields], SessionFacts]:
    """How to read what requests with this head say of their client and session, given a body's fields.

    `x-metis-client` and `x-metis-session` are believed before everything else. A reader never raises.
    """
    word = agent_word(headers.get(b"user-agent", b""))
    client = _TOOLS.get(word)
    if client is None:
        client = _marked(headers) or _SDKS.get(word, SDK)
    told = b"x-metis-client" in headers or b"x-metis-session" in headers
    session = partial(_told, client) if told else client.session

    def read(fields: Fields) -> SessionFacts:
        return session(headers, fields, path)

    def read_count(fields: Fields) -> SessionFacts:
        # A count has no step of its own in the conversation, whoever asks.
        return replace(session(headers, fields, path), auxiliary="count")

    return read_count if path.endswith("count_tokens") else read


def _marked(headers: Headers) -> Client | None:
    if _MARKER_NAMES.isdisjoint(headers):
        return None
    for marker, client in _MARKERS:
        if marker in headers:
            return client
    return None


def _told(client: Client, headers: Headers, fields: Fields, path: str) -> SessionFacts:
    name = text(headers.get(b"x-metis-client"))
    facts = _BY_NAME.get(name, client).session(headers, fields, path)
    if name:
        facts = replace(facts, client=name)
    session_id = text(headers.get(b"x-metis-session"))
    return replace(facts, session_id=session_id, source="x-metis-session") if session_id else facts


def client_named(name: str) -> Client | None:
    """The client whose `metis connect` name or ledger name this is, None for no such."""
    return next((c for c in CLIENTS if name in c.commands or name == c.name), None)


def client_for_command(command: str) -> Client:
    """The client an executable's base name stands for; the SDKs' for every other program."""
    name = command.rpartition("/")[2].removesuffix(".exe")
    return next((c for c in CLIENTS if name in c.commands and c.launch is not None), SDK)
