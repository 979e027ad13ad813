"""The one rule by which members of namespaces are named where an API knows no namespaces."""

from __future__ import annotations

from metis.ir.request import Tool
from metis.wire.tools import FlatTool, flatten_tools


def function(name: str) -> Tool:
    return Tool(kind="function", name=name)


def space(name: str, *members: str) -> Tool:
    return Tool(kind="namespace", name=name, tools=tuple(function(member) for member in members))


def test_a_member_keeps_its_name_where_no_other_tool_has_it() -> None:
    tools = (function("read"), space("git", "log", "read"), space("svn", "log", "blame"))
    assert [(flat.name, flat.namespace) for flat in flatten_tools(tools)] == [
        ("read", ""),
        ("git__log", "git"),
        ("git__read", "git"),
        ("svn__log", "svn"),
        ("blame", "svn"),
    ]


def test_tools_that_stand_alone_keep_name_and_order() -> None:
    tools = (function("b"), Tool(kind="server", name="web_search"), function("a"))
    assert flatten_tools(tools) == tuple(FlatTool(tool.name, "", tool) for tool in tools)
