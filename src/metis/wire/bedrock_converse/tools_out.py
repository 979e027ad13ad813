"""Tools and tool choice of another shape as Converse wants them. Calls and results live in `foreign`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from metis.ir.request import Request
from metis.wire.bedrock_converse.blocks_out import cache_point
from metis.wire.bedrock_converse.name import API, NAME
from metis.wire.claude.schema import tool_schema
from metis.wire.custom_tools import CUSTOM_SCHEMA, custom_description
from metis.wire.effective_tools import effective_tools
from metis.wire.fields import Json
from metis.wire.notes import Notes
from metis.wire.tools import FlatTool, flatten_tools, short_name, tool_paths

MAX_NAME_CHARACTERS = 64  # API_runtime_ToolSpecification; Anthropic allows 128


@dataclass(slots=True)
class ToolsOut:
    """The `tools` list, how a member of a namespace is called in it, and the names of tools the history calls."""

    tools: list[Json] = field(default_factory=list[Json])
    offered: set[str] = field(default_factory=set[str])
    renamed: dict[str, str] = field(default_factory=dict[str, str])
    names: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    used: dict[str, None] = field(default_factory=dict[str, None])

    def name_of(self, namespace: str, name: str) -> str:
        return self.names.get((namespace, name)) or short_name(name, MAX_NAME_CHARACTERS)


def tools_out(request: Request, notes: Notes) -> ToolsOut:
    """Write the tools, namespaces flattened by `wire.tools`; of two with one name the later is left out."""
    out = ToolsOut()
    offered = effective_tools(request)
    for named, path in zip(
        flatten_tools(offered), tool_paths(offered, "tools", notes), strict=True
    ):
        flat = replace(named, name=short_name(named.name, MAX_NAME_CHARACTERS))
        if flat.name != named.name:
            out.renamed[flat.name] = named.name
            notes.add("mapped", f"{path}.name", f"the tool is called {flat.name}")
        tool = _tool_out(flat, path, notes)
        if tool is None:
            continue
        if flat.name in out.offered:
            notes.lost(path, f"a second tool named {flat.name}")
            continue
        out.offered.add(flat.name)
        if flat.namespace:
            out.names[flat.namespace, flat.tool.name] = flat.name
            if flat.name != flat.tool.name:
                notes.add(
                    "mapped", path, f"{flat.namespace}.{flat.tool.name} is called {flat.name}"
                )
        out.tools.append(tool)
        if flat.tool.cache is not None:
            out.tools.append(cache_point(flat.tool.cache))
    return out


def _tool_out(flat: FlatTool, path: str, notes: Notes) -> Json | None:
    tool = flat.tool
    if tool.kind == "server":
        if tool.shape == NAME:
            return dict(tool.raw or {})
        kind = (tool.raw or {}).get("type", tool.name)
        notes.lost(path, f"Bedrock runs no {kind} tool")
        return None
    notes.lost_fields(tool.extras, path)
    if tool.kind == "custom":
        notes.add("mapped", path, "a free-text tool is a function with one string property, input")
        description, schema = custom_description(tool), CUSTOM_SCHEMA
    else:
        description, (schema, changed) = tool.description or "", tool_schema(tool.input_schema)
        if changed:
            why = f"no {', '.join(changed)} at a tool schema's top"
            notes.add("edited", f"{path}.parameters", why)
    spec: Json = {"name": flat.name}
    if description:
        spec["description"] = description
    spec["inputSchema"] = {"json": schema}
    if tool.strict is not None:
        spec["strict"] = tool.strict
    return {"toolSpec": spec}


def tool_config_out(request: Request, out: ToolsOut, notes: Notes) -> Json | None:
    """Write `toolConfig`, with a tool for every name the history calls: the API refuses a history of calls without."""
    choice = _choice_out(request, out, notes)
    for name in out.used:
        if name not in out.offered:
            notes.add("edited", "tools", f"{name} is called in the history, so it is offered")
            schema, _ = tool_schema(None)
            out.tools.append({"toolSpec": {"name": name, "inputSchema": {"json": schema}}})
    if not out.tools:
        return None
    config: Json = {"tools": out.tools}
    if choice is not None:
        config["toolChoice"] = choice
    return config


def _choice_out(request: Request, out: ToolsOut, notes: Notes) -> Json | None:
    choice = request.tool_choice
    if request.parallel_tool_calls is False and out.tools:
        notes.lost("parallel_tool_calls", f"{API} cannot forbid parallel calls")
    if choice is None:
        return None
    notes.lost_fields(choice.extras, "tool_choice")
    match choice.kind:
        case _ if not out.tools:
            if choice.kind in ("any", "tool"):
                notes.lost("tool_choice", "there is no tool to choose")
            return None
        case "auto":
            return {"auto": {}}
        case "any":
            return {"any": {}}
        case "none":
            notes.lost("tool_choice", f"{API} cannot forbid calls of tools it is told of")
            return None
        case "tool":
            flat = [called for (_, member), called in out.names.items() if member == choice.name]
            short = out.name_of("", choice.name)
            wanted = flat[0] if short not in out.offered and len(flat) == 1 else short
            if wanted in out.offered:
                return {"tool": {"name": wanted}}
            why = f"{choice.name} is not among the tools; any may be called"
            notes.add("mapped", "tool_choice", why)
            return {"any": {}}
