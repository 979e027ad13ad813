"""How the Messages API writes what `wire.turns` puts in order: the parts of another shape's conversation."""

from __future__ import annotations

from metis.ir.content import Part, Text, ToolCall, ToolResult
from metis.wire.anthropic_messages.blocks_out import cache_out, foreign_block, result_content
from metis.wire.anthropic_messages.tools_out import ToolsOut
from metis.wire.fields import Json
from metis.wire.notes import Notes
from metis.wire.turns import NO_RESULT


class AnthropicBlocks:
    """See `wire.turns.Blocks`."""

    def __init__(self, tools: ToolsOut, notes: Notes) -> None:
        self._tools = tools
        self._notes = notes

    def system(self, part: Part, path: str) -> list[Json]:
        if isinstance(part, Text):
            return self.content(part, path)
        self._notes.lost(path, "Anthropic's system prompt holds only text")
        return []

    def content(self, part: Part, path: str) -> list[Json]:
        block = foreign_block(part, path, self._notes)
        return [] if block is None else [block]

    def call(self, part: ToolCall, call_id: str, arguments: Json) -> list[Json]:
        name = self._tools.name_of(part.namespace, part.name)
        block: Json = {"type": "tool_use", "id": call_id, "name": name, "input": arguments}
        if part.cache is not None:
            block["cache_control"] = cache_out(part.cache)
        return [block]

    def result(self, part: ToolResult, call_id: str, path: str) -> list[Json]:
        content = result_content(part, path, self._notes)
        block: Json = {"type": "tool_result", "tool_use_id": call_id, "content": content}
        if part.is_error:
            block["is_error"] = True
        if part.cache is not None:
            block["cache_control"] = cache_out(part.cache)
        return [block]

    def no_result(self, call_id: str) -> list[Json]:
        block: Json = {"type": "tool_result", "tool_use_id": call_id, "content": NO_RESULT}
        return [{**block, "is_error": True}]

    def loose_result(self, part: ToolResult, path: str) -> list[Json]:
        content = result_content(part, path, self._notes)
        if isinstance(content, list):
            return content
        return [self.text(content)] if content.strip() else []

    def text(self, text: str) -> Json:
        return {"type": "text", "text": text}
