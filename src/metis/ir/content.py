"""The parts a message is made of. One neutral value per kind; how a shape spells it lives in `wire`.

Every node has `extras`: the fields of its JSON object that the IR has no place for, as decoded
Python values under their own names. They go out again when the node is encoded in the shape it came
from (`Request.origin`, `Response.origin`); in any other shape they are listed as lost or carried.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Extras = dict[str, Any]


class CacheMark(msgspec.Struct, frozen=True, omit_defaults=True):
    """A prompt-cache breakpoint after this node. `ttl` is "5m", "1h" or "" where the client named none."""

    ttl: str = ""
    extras: Extras = {}


class Node(msgspec.Struct, frozen=True, kw_only=True):
    extras: Extras = {}
    cache: CacheMark | None = None


class Text(Node, frozen=True, kw_only=True, tag="text"):
    """Plain text. `citations` are kept as the origin shape's own objects.

    `json` says that the origin holds a JSON value here, whose text this is (Converse's tool results).
    """

    text: str
    citations: tuple[dict[str, Any], ...] = ()
    json: bool = False


class Refusal(Node, frozen=True, kw_only=True, tag="refusal"):
    text: str


class Media(Node, frozen=True, kw_only=True, tag="media"):
    """An image, document, audio or video.

    Exactly one of `data` (base64 text, with `media_type`), `url`, `file_id`, `text` (a plain-text
    document) or `parts` (a document made of content blocks) is set.
    """

    kind: Literal["image", "document", "audio", "video"]
    media_type: str = ""
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    text: str | None = None
    parts: tuple[Part, ...] | None = None
    title: str | None = None  # a document's name (OpenAI: filename)
    context: str | None = None
    detail: str | None = None  # OpenAI's image detail: low, high, auto
    citations_enabled: bool | None = None


class Thinking(Node, frozen=True, kw_only=True, tag="thinking"):
    """Private reasoning. It never becomes visible text in any shape.

    `text` is what may be shown of it ("" is common: signed blocks without text must survive).
    `signature` is the proof that the model it came from needs back, byte for byte (Anthropic
    `signature`, redacted `data`; OpenAI `encrypted_content`). `redacted` marks Anthropic's
    redacted_thinking. `origin` names the shape that made the signature: it is only ever sent back
    there. `item_id` is OpenAI's reasoning item id, `summary` whether `text` is a summary.
    """

    text: str = ""
    signature: str | None = None
    redacted: bool = False
    origin: str = ""
    item_id: str | None = None
    summary: bool = False
    summary_parts: tuple[str, ...] = ()


class ToolCall(Node, frozen=True, kw_only=True, tag="tool_call"):
    """The model asks for a tool. `arguments` is JSON text for functions, free text for custom tools."""

    call_id: str
    name: str
    arguments: str
    kind: Literal["function", "custom"] = "function"
    namespace: str = ""  # OpenAI Responses' namespace tools
    item_id: str | None = None


class ToolResult(Node, frozen=True, kw_only=True, tag="tool_result"):
    """What a tool answered. `as_text` says the origin held one plain string, not a list of blocks.

    `is_error` None: the origin does not say.
    """

    call_id: str
    content: tuple[Part, ...]
    as_text: bool = False
    is_error: bool | None = None
    kind: Literal["function", "custom"] = "function"
    name: str = ""
    item_id: str | None = None


class Opaque(Node, frozen=True, kw_only=True, tag="opaque"):
    """A block the IR has no word for (server tools, search results, compaction items, new kinds).

    It rides as it came: `value` is the decoded JSON object, `shape` who can read it, `kind` its type.
    """

    shape: str
    kind: str
    value: dict[str, Any]


Part = Text | Refusal | Media | Thinking | ToolCall | ToolResult | Opaque
