"""How Converse writes what `wire.turns` puts in order: the parts of another shape's conversation.

What it cannot take: addresses on the web (Bedrock fetches nothing but from S3), file ids, formats without a word of its
own. A document needs a name of letters, digits, white space, hyphens and brackets, and no two in a row of white space
(docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html).
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from metis.errors import CodecError
from metis.ir.content import Media, Opaque, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from metis.wire.bedrock_converse.blocks_out import cache_point, own_blocks
from metis.wire.bedrock_converse.formats import word_of
from metis.wire.bedrock_converse.name import API, CLAUDE, NAME
from metis.wire.bedrock_converse.tools_out import ToolsOut
from metis.wire.fields import Json
from metis.wire.losses import result_path
from metis.wire.media import image_type, without_data_url
from metis.wire.notes import Notes
from metis.wire.turns import NO_RESULT

_UNFIT_NAME: Final = re.compile(r"[^A-Za-z0-9\s\-()\[\]]+")
_SPACES: Final = re.compile(r"\s+")
_PLAIN: Final = ("text/", "application/json", "application/xml")


class ConverseBlocks:
    """See `wire.turns.Blocks`."""

    def __init__(self, tools: ToolsOut, notes: Notes, origin: str) -> None:
        self._tools = tools
        self._notes = notes
        self._citations = "citations" if origin == CLAUDE else "annotations"
        self._documents: set[str] = set()

    def system(self, part: Part, path: str) -> list[Json]:
        if isinstance(part, Text):
            return self.content(part, path)
        self._notes.lost(path, "a system prompt of this API holds only text")
        return []

    def content(self, part: Part, path: str) -> list[Json]:
        if isinstance(part, Opaque):
            if part.shape == NAME:
                return [dict(part.value)]
            self._notes.lost(path, f"a {part.kind} entry has no counterpart in {API}")
            return []
        self._notes.lost_fields(part.extras, path)
        cleaned = self._clean(part, path)
        return [] if cleaned is None else own_blocks([cleaned])

    def call(self, part: ToolCall, call_id: str, arguments: Json) -> list[Json]:
        name = self._tools.name_of(part.namespace, part.name)
        self._tools.used.setdefault(name)
        block = {"toolUse": {"toolUseId": call_id, "name": name, "input": arguments}}
        return [block] if part.cache is None else [block, cache_point(part.cache)]

    def result(self, part: ToolResult, call_id: str, path: str) -> list[Json]:
        result: Json = {"toolUseId": call_id, "content": self._result_content(part, path)}
        if part.is_error is not None:
            result["status"] = "error" if part.is_error else "success"
        block = {"toolResult": result}
        return [block] if part.cache is None else [block, cache_point(part.cache)]

    def no_result(self, call_id: str) -> list[Json]:
        result: Json = {"toolUseId": call_id, "content": [{"text": NO_RESULT}], "status": "error"}
        return [{"toolResult": result}]

    def loose_result(self, part: ToolResult, path: str) -> list[Json]:
        return [block for block in self._result_content(part, path) if block.get("text") != ""]

    def text(self, text: str) -> Json:
        return {"text": text}

    def _result_content(self, part: ToolResult, path: str) -> list[Json]:
        blocks: list[Json] = []
        for index, item in enumerate(part.content):
            where = path if part.as_text else result_path(path, index)
            if isinstance(item, ToolCall | ToolResult | Thinking):
                self._notes.lost(where, "a tool's answer may hold only text and files")
            elif not (isinstance(item, Text) and not item.text.strip()):
                blocks += self.content(item, where)
        # The API wants something there; a tool that answered nothing says so by an empty text.
        return blocks or [{"text": ""}]

    def _clean(self, part: Part, path: str) -> Part | None:
        match part:
            case Text() | Refusal():
                return self._clean_text(part, path)
            case Thinking():
                return self._clean_thinking(part, path)
            case Media():
                return self._clean_media(part, path)
            case _:
                raise CodecError("a tool call or result stands where only content may", where=path)

    def _clean_text(self, part: Text | Refusal, path: str) -> Text | None:
        if not part.text.strip():
            self._notes.add("edited", path, "a text without a visible character is left out")
            return None
        if isinstance(part, Refusal):
            self._notes.add("mapped", path, f"a refusal is plain text in {API}")
            return Text(text=part.text, cache=part.cache)
        if part.citations:
            why = "citations of another API have no form here"
            self._notes.lost(f"{path}.{self._citations}", why)
        return Text(text=part.text, cache=part.cache, json=part.json)

    def _clean_thinking(self, part: Thinking, path: str) -> Thinking | None:
        """Reasoning goes back only to the models that signed it, and never becomes visible text."""
        if part.origin == CLAUDE and part.signature:
            return Thinking(
                text=part.text, signature=part.signature, redacted=part.redacted, origin=CLAUDE
            )
        if part.text or part.signature:
            self._notes.lost(path, f"reasoning of {part.origin or 'unknown origin'} is not its own")
        return None

    def _clean_media(self, part: Media, path: str) -> Part | None:
        if part.file_id is not None:
            self._notes.lost(path, "a file id of another provider means nothing to Bedrock")
            return None
        if part.detail not in (None, "auto"):
            self._notes.lost(f"{path}.detail", "this API has no image detail")
        part = without_data_url(msgspec.structs.replace(part, extras={}, detail=None))
        if part.url is not None and not part.url.startswith("s3://"):
            self._notes.add("mapped", path, "Bedrock fetches no address; it is told in words")
            return Text(
                text=f"{part.title or part.kind.capitalize()}: {part.url}", cache=part.cache
            )
        media_type = part.media_type
        if part.kind == "image" and part.data is not None:
            media_type = image_type(media_type, part.data)
        elif part.kind == "document":
            return self._clean_document(part, path)
        if word_of(part.kind, media_type) is None:
            self._notes.lost(path, f"{API} takes no {media_type or f'{part.kind} of unknown type'}")
            return None
        if part.title or part.context:
            self._notes.lost(path, f"a name or context of an {part.kind}")
        return msgspec.structs.replace(
            part, media_type=media_type, title=None, context=None, citations_enabled=None
        )

    def _clean_document(self, part: Media, path: str) -> Part | None:
        media_type = part.media_type
        if not media_type and (part.data or "").startswith("JVBER"):
            media_type = "application/pdf"
        if part.text is not None or part.parts is not None:
            media_type = "text/plain"
        elif word_of("document", media_type) is None:
            if not media_type.startswith(_PLAIN):
                what = media_type or "document of unknown type"
                self._notes.lost(path, f"{API} takes no {what}")
                return None
            self._notes.add("mapped", path, f"a {media_type} document is sent as plain text")
            media_type = "text/plain"
        parts = None
        if part.parts is not None:
            parts = tuple(
                cleaned
                for index, inner in enumerate(part.parts)
                if (cleaned := self._clean(inner, f"{path}.content[{index}]")) is not None
            )
        title = self._document_name(part.title, path)
        return msgspec.structs.replace(part, media_type=media_type, title=title, parts=parts)

    def _document_name(self, title: str | None, path: str) -> str:
        """A name that the API takes and this request has not used."""
        name = (
            _SPACES.sub(" ", _UNFIT_NAME.sub("-", title or "Document")).strip()[:180] or "Document"
        )
        fresh, number = name, 1
        while fresh in self._documents:
            number += 1
            fresh = f"{name} {number}"
        self._documents.add(fresh)
        if title and fresh != title:
            self._notes.add("mapped", f"{path}.title", f"{title!r} is called {fresh!r}")
        return fresh
