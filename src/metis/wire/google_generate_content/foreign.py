"""How Gemini's API writes what `wire.turns` puts in order: the parts of another shape's conversation.

What it cannot take: file ids of others, and addresses whose media type cannot be told. It fetches http(s) and gs
addresses itself (ai.google.dev/gemini-api/docs/file-input-methods, docs.cloud.google.com/vertex-ai/generative-ai/docs/
model-reference/inference#filedata).
"""

from __future__ import annotations

from typing import Final

import msgspec

from metis.errors import CodecError
from metis.ir.content import Media, Opaque, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from metis.wire.fields import Json
from metis.wire.google_generate_content.formats import type_of_address
from metis.wire.google_generate_content.name import API, NAME, SIGNATURE
from metis.wire.google_generate_content.parts_in import was_made
from metis.wire.google_generate_content.parts_out import own_part
from metis.wire.google_generate_content.signatures import Signatures
from metis.wire.google_generate_content.tools_out import ToolsOut
from metis.wire.losses import result_path
from metis.wire.media import image_type, without_data_url
from metis.wire.notes import Notes
from metis.wire.turns import NO_RESULT

_FETCHED: Final = ("https", "http", "gs")


class GoogleBlocks:
    """See `wire.turns.Blocks`. `files_in_results`: the model takes files inside a tool's result."""

    def __init__(
        self, tools: ToolsOut, signatures: Signatures, notes: Notes, *, files_in_results: bool
    ) -> None:
        self._tools = tools
        self._signatures = signatures
        self._notes = notes
        self._files_in_results = files_in_results
        self._called: dict[str, Json] = {}

    def system(self, part: Part, path: str) -> list[Json]:
        if isinstance(part, Text):
            return self.content(part, path)
        self._notes.lost(path, "a system instruction holds only text")
        return []

    def content(self, part: Part, path: str) -> list[Json]:
        if isinstance(part, Opaque):
            if part.shape == NAME:
                return [dict(part.value)]
            self._notes.lost(path, f"a {part.kind} entry has no counterpart in {API}")
            return []
        self._lost_fields(part, path)
        match part:
            case Text() | Refusal():
                return self._text(part, path)
            case Thinking():
                return self._thinking(part, path)
            case Media():
                return self._media(part, path)
            case _:
                raise CodecError("a tool call or result stands where only content may", where=path)

    def call(self, part: ToolCall, call_id: str, arguments: Json) -> list[Json]:
        name = self._tools.name_of(part.namespace, part.name)
        self._called[call_id] = self._named(name, call_id)
        made: Json = {"functionCall": {**self._called[call_id], "args": arguments}}
        waiting = self._signatures.get(part.call_id)
        if waiting:
            made[SIGNATURE] = waiting.pop(0)
        return [made]

    def result(self, part: ToolResult, call_id: str, path: str) -> list[Json]:
        """The result and, for models that take no file inside it, its files behind it."""
        self._lost_cache(part, path)
        texts, files = self._result_content(part, path)
        said: Json = {"error" if part.is_error else "output": "\n".join(texts)}
        result: Json = {**self._called[call_id], "response": said}
        if files and self._files_in_results:
            result["parts"] = files
            return [{"functionResponse": result}]
        return [{"functionResponse": result}, *files]

    def no_result(self, call_id: str) -> list[Json]:
        said = {"error": NO_RESULT}
        return [{"functionResponse": {**self._called[call_id], "response": said}}]

    def loose_result(self, part: ToolResult, path: str) -> list[Json]:
        texts, files = self._result_content(part, path)
        return [*({"text": text} for text in texts), *files]

    def text(self, text: str) -> Json:
        return {"text": text}

    @staticmethod
    def _named(name: str, call_id: str) -> Json:
        """How a call and its result are paired: by id, or by order where Google gave none."""
        return {"name": name} if was_made(call_id) else {"name": name, "id": call_id}

    def _lost_fields(self, part: Part, path: str) -> None:
        extras = {name: value for name, value in part.extras.items() if name != SIGNATURE}
        self._notes.lost_fields(extras, path)
        self._lost_cache(part, path)

    def _lost_cache(self, part: Part, path: str) -> None:
        if part.cache is not None:
            self._notes.lost(f"{path}.cache_control", "this API caches by itself")

    def _text(self, part: Text | Refusal, path: str) -> list[Json]:
        if not part.text.strip():
            self._notes.add("edited", path, "a text without a visible character is left out")
            return []
        if isinstance(part, Refusal):
            self._notes.add("mapped", path, f"a refusal is plain text in {API}")
            return [{"text": part.text}]
        for number in range(len(part.citations)):
            for name in ("citations", "annotations"):
                self._notes.lost(f"{path}.{name}[{number}]", "a citation of another API")
        signature = part.extras.get(SIGNATURE)
        return [{"text": part.text, **({SIGNATURE: signature} if signature else {})}]

    def _thinking(self, part: Thinking, path: str) -> list[Json]:
        """Reasoning goes back only to the models it is of, and never becomes visible text."""
        if part.origin != NAME:
            if part.text or part.signature:
                why = f"reasoning of {part.origin or 'unknown origin'} is not its own"
                self._notes.lost(path, why)
            return []
        if not part.text and part.signature is None:
            return []
        if part.item_id is not None:
            self._notes.lost(path, "the signature of a call that is not in the history")
            return []
        return [own_part(msgspec.structs.replace(part, extras={}))]

    def _result_content(self, part: ToolResult, path: str) -> tuple[list[str], list[Json]]:
        texts: list[str] = []
        files: list[Json] = []
        for index, item in enumerate(part.content):
            where = path if part.as_text else result_path(path, index)
            if isinstance(item, ToolCall | ToolResult | Thinking):
                self._notes.lost(where, "a tool's answer may hold only text and files")
                continue
            if isinstance(item, Text) and not item.text.strip():
                continue
            for made in self.content(item, where):
                if set(made) == {"text"}:
                    texts.append(made["text"])
                else:
                    files.append(made)
        return texts, files

    def _media(self, part: Media, path: str) -> list[Json]:
        if part.file_id is not None:
            self._notes.lost(path, "a file id of another provider means nothing to Google")
            return []
        if part.detail not in (None, "auto"):
            self._notes.lost(f"{path}.detail", "this API has no image detail")
        if part.citations_enabled:
            self._notes.lost(f"{path}.citations", f"{API} cites no documents")
        part = without_data_url(part)
        beside = [{"text": part.context}] if part.context else []
        if part.text is not None or part.parts is not None:
            title = [{"text": part.title}] if part.title else []
            return [*title, *beside, *self._document(part, path)]
        made = self._addressed(part, path) if part.url is not None else self._inline(part, path)
        if part.title and made is not None and part.title not in made.get("text", ""):
            self._notes.lost(path, f"the name {part.title!r} of a file")
        return [*beside, *([made] if made is not None else [])]

    def _document(self, part: Media, path: str) -> list[Json]:
        """A document that is text, as text."""
        self._notes.add("mapped", path, f"a document of plain text is text in {API}")
        if part.text is not None:
            return [{"text": part.text}]
        return [
            made
            for index, inner in enumerate(part.parts or ())
            for made in self.content(inner, f"{path}.content[{index}]")
        ]

    def _addressed(self, part: Media, path: str) -> Json:
        url = part.url or ""
        media_type = part.media_type or type_of_address(url)
        if media_type and url.partition("://")[0] in _FETCHED:
            return {"fileData": {"mimeType": media_type, "fileUri": url}}
        why = "an address whose media type cannot be told is told in words"
        self._notes.add("mapped", path, why)
        return {"text": f"{part.title or part.kind.capitalize()}: {url}"}

    def _inline(self, part: Media, path: str) -> Json | None:
        data, media_type = part.data or "", part.media_type
        if part.kind == "image":
            media_type = image_type(media_type, data)
        elif not media_type and data.startswith("JVBER"):
            media_type = "application/pdf"
        if not media_type:
            self._notes.lost(path, f"{API} takes no {part.kind} of unknown type")
            return None
        return {"inlineData": {"mimeType": media_type, "data": data}}
