"""Signs, in a request's structure, that it is a side call and no step of the conversation. No text is looked at."""

from __future__ import annotations

import re
from typing import Final

from metis.clients.client import Fields

COMPACTION: Final = "compaction"
WEB_SEARCH: Final = "web_search"
TITLE: Final = "title"
SIDE: Final = "side"

# The models that tools use for titles, summaries and quota probes.
_SMALL_MODEL: Final = re.compile(rb"haiku|[-_](?:mini|nano|small|lite)(?![a-z])")
_EMPTY: Final = frozenset({b"[]", b"null"})


def side_call(fields: Fields) -> str:
    """Name the kind of side call an agent's request is, "" for a step of its work.

    An agent always offers tools, so a small model asked without any is a title or a summary; a forced
    `web_search` is Claude Code's search request.
    """
    choice = fields.get("tool_choice")
    if choice is not None:
        raw = bytes(choice)
        if b'"web_search"' in raw and b'"tool"' in raw:
            return WEB_SEARCH
    tools = fields.get("tools")
    if tools is None or (len(memoryview(tools)) < 8 and bytes(tools) in _EMPTY):
        model = fields.get("model")
        if model is not None and _SMALL_MODEL.search(bytes(model)):
            return SIDE
    return ""


def tail(fields: Fields, name: str, size: int) -> bytes:
    """The last `size` bytes of a field, without copying the rest."""
    raw = fields.get(name)
    return b"" if raw is None else memoryview(raw)[-size:].tobytes()


def head(fields: Fields, name: str, size: int) -> bytes:
    """The first `size` bytes of a field, without copying the rest."""
    raw = fields.get(name)
    return b"" if raw is None else memoryview(raw)[:size].tobytes()
