"""Which tools a request really offers, wherever they stand in it. How a shape spells a tool lives in the shapes.

Codex puts tools not only into `tools` but into items of its input (`additional_tools`, the answers of
its tool search). The Responses shape keeps such an entry as one Opaque part, for byte-true encoding in
its own shape, and decodes what it brings into `Message.tools`. Encoders of every other shape:

- call `effective_tools(request)` where they would read `request.tools`;
- leave out the Opaque parts of a message whose `tools` are set, without a note: nothing is lost there.
"""

from __future__ import annotations

import msgspec

from metis.ir.request import Request, Tool
from metis.wire.tools import flatten_tools


def effective_tools(request: Request) -> tuple[Tool, ...]:
    """The request's own tools, then those its messages bring, in order of first appearance.

    A later tool of the same kind and name replaces the earlier one in its place; namespaces of one
    name are merged member by member, for clients repeat and extend them as a conversation goes on.
    """
    if not any(message.tools for message in request.messages):
        return request.tools
    gathered = _merged((), request.tools)
    for message in request.messages:
        gathered = _merged(gathered, message.tools)
    return gathered


def reply_tools(request: Request) -> tuple[frozenset[str], dict[str, str]]:
    """Flat names of the request's custom tools, and the namespaces of those in one: for `ReplyContext`."""
    flat = flatten_tools(effective_tools(request))
    return (
        frozenset(entry.name for entry in flat if entry.tool.kind == "custom"),
        {entry.name: entry.namespace for entry in flat if entry.namespace},
    )


def _merged(tools: tuple[Tool, ...], more: tuple[Tool, ...]) -> tuple[Tool, ...]:
    by_name = {_identity(tool): tool for tool in tools}
    for tool in more:
        held = by_name.get(_identity(tool))
        if held is not None and tool.kind == "namespace":
            tool = msgspec.structs.replace(tool, tools=_merged(held.tools, tool.tools))
        by_name[_identity(tool)] = tool
    return tuple(by_name.values())


def _identity(tool: Tool) -> tuple[str, str]:
    """Functions and custom tools share one room of names; a namespace or server tool stands beside."""
    return ("callable" if tool.kind in ("function", "custom") else tool.kind, tool.name)
