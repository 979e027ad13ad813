"""Who is asking: the value a key stands for. Hashes, secrets and storage do not live here."""

from __future__ import annotations

import msgspec


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """The owner of an authenticated key; every event carries these ids.

    `pinned_model` and `allowed_models` (globs, empty: all) are the key's own routing limits.
    `budgeted` keys are refused relay paths, whose price cannot be reserved.
    """

    key_id: str
    user_id: str = "default"
    team_id: str = "default"
    project_id: str = "default"
    org_id: str = "default"
    pinned_model: str | None = None
    allowed_models: tuple[str, ...] = ()
    budgeted: bool = False


class SessionFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the client says of the conversation a request belongs to.

    `session_id` is "" when the client sends none; the turn then falls back to the hash chain of the
    message prefix. `source` names the header or field it came from. `request_class` is the client's
    own word, `auxiliary` says why a call is a side call ("title", "compaction", "web_search",
    "count", ...), "" for a main one.
    """

    client: str = "unknown"
    client_version: str = ""
    session_id: str = ""
    source: str = ""
    agent_id: str = ""
    parent_agent_id: str = ""
    prompt_id: str = ""
    request_class: str = ""
    auxiliary: str = ""
