"""Tools and tool choice of another shape for the Messages API. Calls and results live in `blocks_of_turns`."""

from __future__ import annotations

from dataclasses import dataclass, field

from metis.ir.request import Request, Tool
from metis.wire.anthropic_messages.blocks_out import cache_out
from metis.wire.anthropic_messages.name import NAME
from metis.wire.claude.generation import Generation
from metis.wire.claude.schema import constrain, tool_schema
from metis.wire.custom_tools import CUSTOM_SCHEMA, custom_description
from metis.wire.effective_tools import effective_tools
from metis.wire.fields import Json, as_list, as_object
from metis.wire.notes import Notes
from metis.wire.tools import FlatTool, flatten_tools, tool_paths

MAX_STRICT_TOOLS = (
    20  # the API's limit per request (structured-outputs, "Schema complexity limits")
)


@dataclass(slots=True)
class ToolsOut:
    """The `tools` list and how a member of a namespace is called in it."""

    tools: list[Json] = field(default_factory=list[Json])
    names: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])

    def name_of(self, namespace: str, name: str) -> str:
        return self.names.get((namespace, name), name)


def tools_out(request: Request, generation: Generation, notes: Notes) -> ToolsOut:
    """Write the tools, namespaces flattened by `wire.tools`; of two with one name the later is left out."""
    out = ToolsOut()
    written: set[str] = set()
    strict_left = MAX_STRICT_TOOLS if generation.schema_output else 0
    offered = effective_tools(request)
    for flat, path in zip(flatten_tools(offered), tool_paths(offered, "tools", notes), strict=True):
        tool = _tool_out(flat, path, notes)
        if tool is None:
            continue
        name = str(tool.get("name", flat.name))
        if name in written:
            notes.lost(path, f"a second tool named {name}")
            continue
        written.add(name)
        if flat.namespace:
            out.names[flat.namespace, flat.tool.name] = name
            if name != flat.tool.name:
                notes.add("mapped", path, f"{flat.namespace}.{flat.tool.name} is called {name}")
        if flat.tool.strict:
            if strict_left and not constrain(tool["input_schema"])[1]:
                tool["strict"] = True
                strict_left -= 1
            else:
                notes.lost(f"{path}.strict", "Anthropic would refuse this tool as a strict one")
        out.tools.append(tool)
    return out


def _tool_out(flat: FlatTool, path: str, notes: Notes) -> Json | None:
    tool = flat.tool
    match tool.kind:
        case "server":
            return _server_tool(tool, path, notes)
        case "custom":
            return _custom_tool(flat, path, notes)
        case _:
            notes.lost_fields(tool.extras, path)
            schema, changed = tool_schema(tool.input_schema)
            if changed:
                why = f"Anthropic takes no {', '.join(changed)} at a tool schema's top"
                notes.add("edited", f"{path}.parameters", why)
            return _named(flat, tool.description, schema)


def _named(flat: FlatTool, description: str | None, schema: Json) -> Json:
    block: Json = {"name": flat.name}
    if description:
        block["description"] = description
    block["input_schema"] = schema
    if flat.tool.cache is not None:
        block["cache_control"] = cache_out(flat.tool.cache)
    return block


def _custom_tool(flat: FlatTool, path: str, notes: Notes) -> Json:
    """A free-text tool becomes a function of one string, its grammar part of the description."""
    tool = flat.tool
    notes.lost_fields(tool.extras, path)
    notes.add("mapped", path, "a free-text tool is a function with one string property, input")
    return _named(flat, custom_description(tool), CUSTOM_SCHEMA)


def _server_tool(tool: Tool, path: str, notes: Notes) -> Json | None:
    raw = tool.raw or {}
    if tool.shape == NAME:
        return dict(raw)
    kind = str(raw.get("type", tool.name))
    if not kind.startswith("web_search"):
        notes.lost(path, f"Anthropic runs no {kind} tool")
        return None
    notes.add("mapped", path, f"{kind} is Anthropic's web_search_20250305")
    search: Json = {"type": "web_search_20250305", "name": "web_search"}
    filters = as_object(raw.get("filters")) or {}
    for ours, theirs in (
        ("allowed_domains", filters.get("allowed_domains")),
        ("blocked_domains", filters.get("blocked_domains")),
        ("user_location", raw.get("user_location")),
    ):
        if as_list(theirs) or as_object(theirs):
            search[ours] = theirs
    # The API refuses the two lists together.
    if "allowed_domains" in search:
        search.pop("blocked_domains", None)
    if isinstance(location := as_object(search.get("user_location")), dict):
        known = {key: value for key, value in location.items() if value is not None}
        search["user_location"] = {"type": "approximate", **known}
    known_fields = ("type", "filters", "user_location")
    notes.lost_fields({k: v for k, v in raw.items() if k not in known_fields}, path)
    return search


def tool_choice_out(request: Request, out: ToolsOut, notes: Notes) -> Json | None:
    """Write `tool_choice`, in which Anthropic also says whether tools may be called in parallel."""
    choice = request.tool_choice
    if choice is not None:
        notes.lost_fields(choice.extras, "tool_choice")
    if not out.tools:
        # The API refuses a choice without tools; "none" and "auto" mean nothing then.
        if choice is not None and choice.kind in ("any", "tool"):
            notes.lost("tool_choice", "there is no tool to choose")
        return None
    chosen: Json = {}
    match choice:
        case None:
            pass
        case _ if choice.kind == "tool":
            chosen = _named_choice(choice.name, choice.tool_kind, out, notes)
        case _:
            chosen = {"type": choice.kind}
    if request.parallel_tool_calls is False and chosen.get("type") != "none":
        chosen = {"type": "auto", **chosen, "disable_parallel_tool_use": True}
    return chosen or None


def _named_choice(name: str, kind: str, out: ToolsOut, notes: Notes) -> Json:
    offered = {str(tool.get("name")) for tool in out.tools}
    wanted = "web_search" if kind == "server" and name.startswith("web_search") else name
    if wanted not in offered:
        flat = [called for (_, member), called in out.names.items() if member == name]
        wanted = flat[0] if len(flat) == 1 else wanted
    if wanted in offered:
        return {"type": "tool", "name": wanted}
    notes.add("mapped", "tool_choice", f"{name} is not among the tools; any may be called")
    return {"type": "any"}
