"""Tools and tool choice of another shape as Gemini wants them. Calls and results live in `foreign`."""

from __future__ import annotations

from dataclasses import dataclass, field

from metis.ir.request import Request, ToolChoice
from metis.wire.custom_tools import CUSTOM_SCHEMA, custom_description
from metis.wire.effective_tools import effective_tools
from metis.wire.fields import Json
from metis.wire.google_generate_content.name import API, NAME
from metis.wire.google_generate_content.request_own import tool_config
from metis.wire.notes import Notes
from metis.wire.tools import FlatTool, flatten_tools, tool_paths


@dataclass(slots=True)
class ToolsOut:
    """The functions, tools of this shape's own, and how a member of a namespace is called."""

    functions: list[Json] = field(default_factory=list[Json])
    own: list[Json] = field(default_factory=list[Json])
    offered: set[str] = field(default_factory=set[str])
    names: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])

    def name_of(self, namespace: str, name: str) -> str:
        return self.names.get((namespace, name), name)

    def written(self) -> list[Json]:
        functions = [{"functionDeclarations": self.functions}] if self.functions else []
        return [*functions, *self.own]


def tools_out(request: Request, notes: Notes) -> ToolsOut:
    """Write the tools, namespaces flattened by `wire.tools`; of two with one name the later is left out."""
    out = ToolsOut()
    offered = effective_tools(request)
    for flat, path in zip(flatten_tools(offered), tool_paths(offered, "tools", notes), strict=True):
        tool = flat.tool
        if tool.kind == "server":
            if tool.shape == NAME:
                out.own.append(dict(tool.raw or {}))
            else:
                kind = (tool.raw or {}).get("type", tool.name)
                notes.lost(path, f"Google runs no {kind} tool")
            continue
        if flat.name in out.offered:
            notes.lost(path, f"a second tool named {flat.name}")
            continue
        out.offered.add(flat.name)
        if flat.namespace:
            out.names[flat.namespace, tool.name] = flat.name
            if flat.name != tool.name:
                notes.add("mapped", path, f"{flat.namespace}.{tool.name} is called {flat.name}")
        out.functions.append(_function(flat, path, notes))
    return out


def _function(flat: FlatTool, path: str, notes: Notes) -> Json:
    tool = flat.tool
    notes.lost_fields(tool.extras, path)
    if tool.cache is not None:
        notes.lost(f"{path}.cache_control", "this API caches by itself")
    if tool.strict:
        notes.lost(f"{path}.strict", f"{API} holds no single tool to its schema")
    if tool.kind == "custom":
        notes.add("mapped", path, "a free-text tool is a function with one string property, input")
        description, schema = custom_description(tool), CUSTOM_SCHEMA
    else:
        description, schema = tool.description or "", tool.input_schema
    made: Json = {"name": flat.name}
    if description:
        made["description"] = description
    if schema:
        made["parametersJsonSchema"] = schema
    return made


def tool_config_out(request: Request, out: ToolsOut, notes: Notes) -> Json | None:
    """Write `toolConfig`; forced calls of one tool are calls of any, of which only that is allowed."""
    choice = request.tool_choice
    if request.parallel_tool_calls is False and out.functions:
        notes.lost("parallel_tool_calls", f"{API} cannot forbid parallel calls")
    if choice is None:
        return None
    notes.lost_fields(choice.extras, "tool_choice")
    if not out.functions:
        if choice.kind in ("any", "tool"):
            notes.lost("tool_choice", "there is no tool to choose")
        return None
    if choice.kind != "tool":
        return tool_config(choice)
    flat = [called for (_, member), called in out.names.items() if member == choice.name]
    wanted = flat[0] if choice.name not in out.offered and len(flat) == 1 else choice.name
    if wanted in out.offered:
        return tool_config(ToolChoice(kind="tool", name=wanted))
    notes.add("mapped", "tool_choice", f"{choice.name} is not among the tools; any may be called")
    return tool_config(ToolChoice(kind="any"))
