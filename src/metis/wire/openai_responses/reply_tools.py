"""Which of a request's tools a call means, so that it comes back in the form the client knows it by.

Upstreams of other shapes know flat function names only (`wire.tools`); a client of this shape knows custom
tools, namespaces and its own tool search.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from metis.ir.content import ToolCall
from metis.wire.codec import ReplyContext
from metis.wire.effective_tools import effective_tools
from metis.wire.openai_responses.fields import Json, object_or_empty
from metis.wire.openai_responses.items import json_or_text
from metis.wire.openai_responses.tools import is_tool_search
from metis.wire.tools import flatten_tools

# Codex's name for the room of tools that stand in no namespace. Its calls come without the field, as OpenAI's do:
# Codex takes both as the same, but looks some handlers up by the bare name.
DEFAULT_NAMESPACE: Final = "functions"
# Under this name the one text of a custom tool travels through shapes that only know JSON arguments.
CUSTOM_INPUT: Final = "input"


@dataclass(frozen=True, slots=True)
class CalledTool:
    """A tool as the client knows it; `namespace` is "" where the client is told none."""

    name: str
    namespace: str
    form: Literal["function", "custom", "search"]


class ReplyTools:
    """Look up what calls mean. Built once for each answer, from the request or else from the context's own fields."""

    def __init__(self, ctx: ReplyContext) -> None:
        self._custom = ctx.custom_tools
        self._namespaces = ctx.namespaces
        self._known: dict[str, CalledTool] = {}
        for entry in flatten_tools(effective_tools(ctx.request)) if ctx.request else ():
            if entry.tool.kind in ("function", "custom"):
                form = "custom" if entry.tool.kind == "custom" else "function"
                self._known[entry.name] = CalledTool(
                    entry.tool.name,
                    _shown(entry.namespace),
                    "search" if is_tool_search(entry.tool) else form,
                )

    def of(self, call: ToolCall) -> CalledTool:
        """What a call means; calls of this shape's own origin say it themselves."""
        if call.namespace:
            form = "custom" if call.kind == "custom" else "function"
            return CalledTool(call.name, _shown(call.namespace), form)
        known = self._known.get(call.name)
        if known is not None:
            return known
        namespace = self._namespaces.get(call.name, "")
        custom = call.kind == "custom" or call.name in self._custom
        return CalledTool(
            call.name.removeprefix(f"{namespace}__") if namespace else call.name,
            _shown(namespace),
            "custom" if custom else "function",
        )


def custom_input(call: ToolCall) -> str:
    """The free text of a call to a custom tool: as it is, or out of the JSON it travelled in.

    Models sometimes name the one field otherwise, or leave the JSON away: then the only text there is counts.
    """
    if call.kind == "custom":
        return call.arguments
    held = object_or_empty(json_or_text(call.arguments))
    if isinstance(held.get(CUSTOM_INPUT), str):
        return held[CUSTOM_INPUT]
    texts = [value for value in held.values() if isinstance(value, str)]
    return texts[0] if len(texts) == 1 == len(held) else call.arguments


def search_arguments(call: ToolCall) -> Json:
    """The arguments of a tool search, which this shape wants as an object."""
    return object_or_empty(json_or_text(call.arguments))


def _shown(namespace: str) -> str:
    return "" if namespace == DEFAULT_NAMESPACE else namespace
