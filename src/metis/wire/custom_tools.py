"""A free-text tool (OpenAI's custom tools) as a function of one string, for APIs that know only functions."""

from __future__ import annotations

from typing import Any, Final

from metis.ir.request import Tool

CUSTOM_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
}


def custom_description(tool: Tool) -> str:
    """The tool's description, its grammar told in words."""
    description = tool.description or ""
    grammar = (tool.format or {}).get("definition")
    if not isinstance(grammar, str):
        return description
    syntax = (tool.format or {}).get("syntax", "this")
    rule = f"The property `input` must be text that follows this {syntax} grammar:\n{grammar}"
    return f"{description}\n\n{rule}".strip()
