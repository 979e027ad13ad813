"""How a request's tools get the flat, unique names that APIs without namespaces want. No shape's JSON lives here."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass

from metis.ir.request import Tool
from metis.wire.notes import Notes


@dataclass(frozen=True, slots=True)
class FlatTool:
    """One tool under the name it is called by; `namespace` is "" for tools that stand alone."""

    name: str
    namespace: str
    tool: Tool


def flatten_tools(tools: tuple[Tool, ...]) -> tuple[FlatTool, ...]:
    """Give every tool, members of namespaces included, its flat name; order is kept.

    A tool that stands alone keeps its name. A member keeps its name where no other tool of the
    request has it, else it is called `namespace__member`. The rule looks at nothing but `tools`, so
    both directions of a conversation agree on the names.
    """
    members = tuple(_members(tools, ""))
    counts = Counter(tool.name for _, tool in members)
    return tuple(
        FlatTool(
            tool.name if not namespace or counts[tool.name] == 1 else f"{namespace}__{tool.name}",
            namespace,
            tool,
        )
        for namespace, tool in members
    )


def short_name(name: str, most_characters: int) -> str:
    """A name within the limit: itself, or its start and a digest of the whole, the same from turn to turn."""
    if len(name) <= most_characters:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:8]
    return f"{name[: most_characters - 9]}_{digest}"


def _members(tools: tuple[Tool, ...], namespace: str) -> list[tuple[str, Tool]]:
    found: list[tuple[str, Tool]] = []
    for tool in tools:
        if tool.kind == "namespace":
            found.extend(_members(tool.tools, tool.name))
        else:
            found.append((namespace, tool))
    return found


def tool_paths(tools: tuple[Tool, ...], where: str, notes: Notes) -> list[str]:
    """Where each tool that `flatten_tools` gives stands; what namespaces say of themselves is noted as lost."""
    found: list[str] = []
    for index, tool in enumerate(tools):
        path = f"{where}[{index}]"
        if tool.kind != "namespace":
            found.append(path)
            continue
        if tool.description:
            notes.lost(f"{path}.description", f"{notes.api} has no namespaces of tools")
        notes.lost_fields(tool.extras, path)
        found.extend(tool_paths(tool.tools, f"{path}.tools", notes))
    return found
