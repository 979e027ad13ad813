"""The one rule by which members of namespaces are named where an API knows no namespaces."""

from __future__ import annotations

from metis.ir.request import Tool
from metis.wire.tools import FlatTool, flatten_tools, short_name


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


def test_a_name_over_the_limit_becomes_one_within_it_that_no_other_gets() -> None:
    long, other = "mcp__server__" + "x" * 90, "mcp__server__" + "x" * 89 + "y"
    assert short_name("read", 64) == "read"
    assert short_name("x" * 64, 64) == "x" * 64
    short = short_name(long, 64)
    assert short == short_name(long, 64)
    assert (len(short), short.startswith("mcp__server__xxx")) == (64, True)
    assert short_name(other, 64) != short
